"""The same path as torch.optim over 50 steps, for the methods whose formulas agree."""

import numpy as np
import pytest

import funcgrad as fg
from funcgrad import optim

from .problem import STEPS, gradient, params

torch = pytest.importorskip("torch", reason="a differential test needs the peer: funcgrad[bench]")

# NAdam of PyTorch changes its first rate from step to step, AMSGrad of PyTorch takes the maximum
# before it removes the bias: no setting makes them equal, so they are tested against optax alone.
CASES = {
    "sgd": (optim.sgd(0.05), lambda p: torch.optim.SGD(p, 0.05)),
    "momentum": (
        optim.chain(optim.add_decayed_weights(0.01), optim.sgd(0.02, 0.9)),
        lambda p: torch.optim.SGD(p, 0.02, momentum=0.9, weight_decay=0.01),
    ),
    "nesterov": (
        optim.sgd(0.02, 0.9, True),
        lambda p: torch.optim.SGD(p, 0.02, momentum=0.9, nesterov=True),
    ),
    "adam": (optim.adam(0.05), lambda p: torch.optim.Adam(p, 0.05)),
    "adamw": (
        optim.adamw(0.05, weight_decay=0.1),
        lambda p: torch.optim.AdamW(p, 0.05, weight_decay=0.1),
    ),
    "adagrad": (
        optim.adagrad(0.1, 0.0, 1e-20),
        lambda p: torch.optim.Adagrad(p, 0.1, eps=1e-10),
    ),
    "rmsprop": (
        optim.rmsprop(0.01, 0.9, 1e-8, eps_in_sqrt=False, momentum=0.5),
        lambda p: torch.optim.RMSprop(p, 0.01, alpha=0.9, momentum=0.5),
    ),
    "rmsprop centered": (
        optim.rmsprop(0.01, 0.9, 1e-2, eps_in_sqrt=False, centered=True),
        lambda p: torch.optim.RMSprop(p, 0.01, alpha=0.9, eps=1e-2, centered=True),
    ),
    "adadelta": (optim.adadelta(1.0), lambda p: torch.optim.Adadelta(p, 1.0)),
    "radam": (optim.radam(0.05), lambda p: torch.optim.RAdam(p, 0.05)),
    "adamax": (optim.adamax(0.05), lambda p: torch.optim.Adamax(p, 0.05)),
    "rprop": (optim.rprop(0.01), lambda p: torch.optim.Rprop(p, 0.01)),
}


@pytest.mark.parametrize("name", CASES)
def test_path(name):
    method, make = CASES[name]
    leaves, treedef = fg.tree.flatten(params())
    ours = fg.tree.unflatten(treedef, leaves)
    state, update = method.init(ours), fg.jit(method.update)
    theirs = [torch.nn.Parameter(torch.tensor(x)) for x in leaves]
    peer = make(theirs)
    for _ in range(STEPS):
        # Both from the peer's params: rounding must not grow over the path.
        now = [np.array(p.detach().numpy()) for p in theirs]
        grads = [gradient(x) for x in now]
        out, state = update(
            fg.tree.unflatten(treedef, grads), state, fg.tree.unflatten(treedef, now)
        )
        for p, g in zip(theirs, grads, strict=True):
            p.grad = torch.tensor(g)
        peer.step()
        for u, x, p in zip(fg.tree.leaves(out), now, theirs, strict=True):
            # PyTorch computes the factor of RAdam in double precision.
            rtol, atol = (2e-4, 2e-5) if name == "radam" else (2e-5, 2e-6)
            np.testing.assert_allclose(x + np.asarray(u), p.detach().numpy(), rtol=rtol, atol=atol)


def test_lbfgs_direction():
    """From the second step on: PyTorch cuts the first by the sum of moduli, not by the norm."""
    start = np.array([0.5, -1.0, 2.0], np.float32)

    def convex(x):
        return np.asarray(2 * np.tanh(x - 1) + 0.5 * x, np.float32)

    p = torch.nn.Parameter(torch.tensor(start))
    peer = torch.optim.LBFGS([p], lr=0.3, max_iter=1, history_size=4)
    method = optim.scale_by_lbfgs(memory_size=4)
    state = method.init(start)

    def closure():
        p.grad = torch.tensor(convex(p.detach().numpy()))
        return torch.tensor(0.0)

    for i in range(8):
        now = np.array(p.detach().numpy())
        out, state = method.update(convex(now), state, now)
        peer.step(closure)
        if i:
            np.testing.assert_allclose(
                -np.asarray(out), peer.state[p]["d"].numpy(), rtol=2e-3, atol=1e-4
            )

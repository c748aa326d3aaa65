"""Step for step against optax: updates, states, dtypes, over 50 steps on several shapes."""

import types
import warnings

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import optim

from .cases import METHODS, PARTS
from .problem import STEPS, gradient, params

jax = pytest.importorskip("jax", reason="a differential test needs the peer: funcgrad[bench]")
optax = pytest.importorskip("optax", reason="a differential test needs the peer: optax")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    names = {n: getattr(optax, n) for n in dir(optax) if not n.startswith("_")}
    names |= {n: getattr(optax.contrib, n) for n in dir(optax.contrib) if not n.startswith("_")}
PEER = types.SimpleNamespace(**{**names, "global_norm": optax.tree.norm})


NARROW = {"trace dtype", "ema", "adam bfloat16"}


def leaves_of(tree, module):
    """Leaves as NumPy arrays, keys as their words."""
    found = []
    for x in module.tree.leaves(tree):
        is_key = module.dtypes.issubdtype(x.dtype, module.dtypes.prng_key)
        found.append(np.asarray(module.random.key_data(x) if is_key else x))
    return found


def agree(ours, theirs, rtol=2e-5, atol=2e-6):
    found, wanted = leaves_of(ours, fg), leaves_of(theirs, jax)
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        if a.dtype.name == "bfloat16":
            np.testing.assert_allclose(a.astype("f"), b.astype("f"), rtol=2e-2, atol=1e-3)
        else:
            np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def names_of(state):
    """The names of a state: of its namedtuples and their fields, in order."""
    if isinstance(state, tuple) and hasattr(state, "_fields"):
        inner = [(f, names_of(getattr(state, f))) for f in state._fields]
        return (type(state).__name__, inner)
    if isinstance(state, dict):
        return {k: names_of(v) for k, v in state.items()}
    if isinstance(state, (tuple, list)):
        return [names_of(v) for v in state]
    return None


def follow(make, keywords=None, steps=STEPS, **tolerance):
    """Both along the path of the peer: each step from the same params and gradients."""
    ours, peer = make(optim), make(PEER)
    now = params()
    state = ours.init(fg.tree.map(fnp.asarray, now))
    peer_state = peer.init(jax.tree.map(jax.numpy.asarray, now))
    assert names_of(state) == names_of(peer_state)
    agree(state, peer_state)
    update, peer_update = fg.jit(ours.update), jax.jit(peer.update)
    for _ in range(steps):
        grads = fg.tree.map(gradient, now)
        out, state = update(fg.tree.map(fnp.asarray, grads), state, fg.tree.map(fnp.asarray, now))
        peer_out, peer_state = peer_update(grads, peer_state, now)
        agree(out, peer_out, **tolerance)
        now = jax.tree.map(np.asarray, optax.apply_updates(now, peer_out))
        now = jax.tree.map(lambda x: np.where(np.isfinite(x), x, np.float32(0.5)), now)
    assert names_of(state) == names_of(peer_state)
    agree(state, peer_state, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_methods(name):
    follow(METHODS[name])


@pytest.mark.parametrize("name", PARTS)
def test_parts(name):
    # Inside of a program XLA keeps bfloat16 in more digits than the dtype has.
    narrow = {"rtol": 2e-2, "atol": 2e-2} if name in NARROW else {}
    follow(PARTS[name], steps=10, **narrow)


def test_rprop_has_the_same_memory():
    """optax 0.2.8 gives each step one call late; ours, as the paper and PyTorch, at once."""
    ours, peer = optim.rprop(0.01), optax.rprop(0.01)
    now = params()
    state, peer_state = ours.init(now), peer.init(now)
    late = fg.tree.map(np.zeros_like, now)
    for _ in range(STEPS):
        grads = fg.tree.map(gradient, now)
        out, state = ours.update(grads, state, now)
        peer_out, peer_state = peer.update(grads, peer_state, now)
        agree(state, peer_state)
        turned = fg.tree.map(lambda u, before: (u == 0) & (before != 0), out, late)
        agree(fg.tree.map(lambda u, t: np.where(t, 0, u), late, turned), peer_out)
        late = fg.tree.map(np.asarray, out)
        now = fg.tree.map(lambda p, u: np.asarray(p + u), now, late)

"""Second derivatives and Jacobians: a Hessian, an hvp of an MLP, jacfwd and jacrev."""

from __future__ import annotations

from itertools import pairwise

from bench_mlp import WIDTHS, forward, layers, torch_loss
from training import cross_entropy
from works import Work, labels, leaves, map_tree, normal


def rosenbrock(x):
    """Rosenbrock's function of n variables."""
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def hessian(name, size, goal=None, smooth=None):
    def torch_version(tools, x):
        data, f = tools.tensor(x), tools.torch.func.hessian(rosenbrock)
        return lambda: [f(data)]

    return Work(
        name,
        lambda rng: (normal(rng, size),),
        lambda fw: fw.hessian(rosenbrock),
        goal=goal,
        torch=torch_version,
        amount=size * size,
        smooth=smooth,
        waits=False,
    )


def hvp(fw):
    """The Hessian of the MLP's loss times v."""

    def product(params, v, x, y):
        def loss(params):
            return cross_entropy(fw, forward(fw, params, x), y)

        return fw.jvp(fw.grad(loss), (params,), (v,))[1]

    return product


def hvp_torch(tools, params, v, x, y):
    torch = tools.torch
    params, v = (map_tree(tools.tensor, tree) for tree in (params, v))
    data, classes = tools.tensor(x), tools.tensor(y).long()
    flat = [p.requires_grad_(True) for p in leaves(params)]

    def call():
        value = torch_loss(torch, params, data, classes)
        grads = torch.autograd.grad(value, flat, create_graph=True)
        return torch.autograd.grad(grads, flat, list(leaves(v)))

    return call


def hvp_work(name, batch, widths, goal=None, smooth=None):
    def inputs(rng):
        params, v = layers(rng, widths), layers(rng, widths)
        return params, v, normal(rng, batch, widths[0]), labels(rng, batch, widths[-1])

    return Work(
        name,
        inputs,
        hvp,
        goal=goal,
        torch=hvp_torch,
        amount=batch * sum(m * n for m, n in pairwise(widths)),
        smooth=smooth,
    )


def jacobian(transform, inputs, outputs, hidden=256, goal=None, smooth=None):
    """The Jacobian of two layers with tanh, forwards or backwards."""

    def arrays(rng):
        first = normal(rng, inputs, hidden, scale=inputs**-0.5)
        return normal(rng, inputs), first, normal(rng, hidden, outputs, scale=hidden**-0.5)

    def function(fw):
        f = lambda x, a, b: fw.numpy.tanh(fw.numpy.tanh(x @ a) @ b)  # noqa: E731
        return getattr(fw, transform)(f)

    def torch_version(tools, *arguments):
        torch = tools.torch
        f = lambda x, a, b: torch.tanh(torch.tanh(x @ a) @ b)  # noqa: E731
        jac = getattr(torch.func, transform)(f)
        given = [tools.tensor(a) for a in arguments]
        return lambda: [jac(*given)]

    return Work(
        f"{transform} of R^{inputs} → R^{outputs}",
        arrays,
        function,
        goal=goal,
        torch=torch_version,
        amount=inputs * outputs,
        smooth=smooth,
        waits=inputs != 4096 or transform == "jacfwd",
    )


ROSENBROCK = "Hessian of Rosenbrock's function, 50 variables"
HVP = "hvp of the MLP 784-512-512-10, batch 128"
WORKS = [
    hessian(ROSENBROCK, 50, goal=0.5),
    hessian("Hessian of Rosenbrock's function, 127 variables", 127, smooth=ROSENBROCK),
    hvp_work(HVP, 128, WIDTHS, goal=0.9),
    hvp_work("hvp of the MLP 783-511-509-7, batch 127", 127, (783, 511, 509, 7), smooth=HVP),
    jacobian("jacfwd", 8, 4096, goal=0.9),
    jacobian("jacrev", 8, 4096, goal=0.9),
    jacobian("jacfwd", 4096, 8, goal=0.9),
    jacobian("jacrev", 4096, 8, goal=0.9),
    jacobian("jacfwd", 7, 1000, 127),
    jacobian("jacrev", 1000, 7, 127),
]

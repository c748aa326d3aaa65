"""Reductions over rows and columns: cross-entropy, layer norm, sums, variances."""

from __future__ import annotations

from training import cross_entropy
from works import Work, labels, normal

COMPILED = ("torch.compile",)


def softmax_gradient(fw):
    return fw.value_and_grad(lambda x, y: cross_entropy(fw, x, y))


def by_labels(fw):
    """The same, of the elements that the labels pick."""

    def value(x, y):
        logs = fw.nn.log_softmax(x)
        return -fw.numpy.mean(fw.numpy.take_along_axis(logs, y[:, None], 1))

    return fw.value_and_grad(value)


def softmax_torch(tools, x, y):
    torch = tools.torch
    data, classes = tools.tensor(x).requires_grad_(True), tools.tensor(y).long()
    f = tools.compiled(lambda x: torch.nn.functional.cross_entropy(x, classes))

    def call():
        value = f(data)
        return [value, *torch.autograd.grad(value, data)]

    return call


def softmax(name, rows, columns, goal=None, smooth=None):
    return Work(
        name,
        lambda rng: (normal(rng, rows, columns), labels(rng, rows, columns)),
        softmax_gradient,
        goal=goal,
        torch=softmax_torch,
        variants=COMPILED if goal else (),
        amount=rows * columns,
        smooth=smooth,
    )


def layer_norm_gradient(fw):
    """The value, and what the gradient t of the result becomes."""
    np = fw.numpy

    def normed(x, scale, shift):
        mean = np.mean(x, -1, keepdims=True)
        variance = np.mean((x - mean) ** 2, -1, keepdims=True)
        return (x - mean) * fw.lax.rsqrt(variance + 1e-5) * scale + shift

    def both(x, scale, shift, t):
        y, back = fw.vjp(normed, x, scale, shift)
        return y, back(t)

    return both


def layer_norm_torch(tools, x, scale, shift, t):
    functional = tools.torch.nn.functional
    arguments = [tools.tensor(a).requires_grad_(True) for a in (x, scale, shift)]
    weights = tools.tensor(t)
    f = tools.compiled(lambda x, a, b: functional.layer_norm(x, x.shape[-1:], a, b, 1e-5))

    def call():
        y = f(*arguments)
        return [y, *tools.torch.autograd.grad(y, arguments, weights)]

    return call


def layer_norm(name, rows, columns, goal=None, smooth=None):
    def inputs(rng):
        scale = 1 + normal(rng, columns, scale=0.1)
        x, t = normal(rng, rows, columns), normal(rng, rows, columns)
        return x, scale, normal(rng, columns), t

    return Work(
        name,
        inputs,
        layer_norm_gradient,
        goal=goal,
        torch=layer_norm_torch,
        variants=COMPILED if goal else (),
        amount=rows * columns,
        smooth=smooth,
    )


def folds(shape, words, goal=None, even=None):
    """Sums, and means with variances, over each axis and over all."""
    found = []
    for axis, place in ((0, "axis 0"), (1, "axis 1"), (None, "all")):
        for what in ("sum", "mean and variance"):
            name = f"{what} of {{}}, {place}"
            found.append(fold(name.format(words), shape, axis, what, goal))
            if even:
                found[-1] = fold(name.format(words), shape, axis, what, None, name.format(even))
    return found


def fold(name, shape, axis, what, goal=None, smooth=None):
    def function(fw):
        np = fw.numpy
        if what == "sum":
            return lambda x: [np.sum(x, axis)]
        return lambda x: [np.mean(x, axis), np.var(x, axis)]

    def torch_version(tools, x):
        torch, data = tools.torch, tools.tensor(x)
        over = (0, 1) if axis is None else (axis,)
        if what == "sum":
            return lambda: [torch.sum(data, over)]
        return lambda: list(reversed(torch.var_mean(data, over, correction=0)))

    def numpy_version(x):
        return [x.sum(axis)] if what == "sum" else [x.mean(axis), x.var(axis)]

    return Work(
        name,
        # Away from zero, so that sums have digits to agree in.
        lambda rng: (1 + normal(rng, *shape),),
        function,
        goal=goal,
        torch=torch_version,
        numpy=numpy_version,
        amount=shape[0] * shape[1],
        smooth=smooth,
    )


BY_LABELS = Work(
    "cross-entropy by labels 4096×1000, value and gradient",
    lambda rng: (normal(rng, 4096, 1000), labels(rng, 4096, 1000)),
    by_labels,
    torch=softmax_torch,
)
SOFTMAX = "softmax cross-entropy 4096×1000, value and gradient"
LAYER_NORM = "layer norm 4096×1024, value and gradient"
WORKS = [
    softmax(SOFTMAX, 4096, 1000, 0.8),
    softmax("softmax cross-entropy 4095×1001, value and gradient", 4095, 1001, smooth=SOFTMAX),
    softmax("softmax cross-entropy 127×10, value and gradient", 127, 10),
    BY_LABELS,
    layer_norm(LAYER_NORM, 4096, 1024, 0.8),
    layer_norm("layer norm 4095×1000, value and gradient", 4095, 1000, smooth=LAYER_NORM),
    *folds((4096, 4096), "4096²", 0.8),
    *folds((4095, 4097), "4095×4097", even="4096²"),
]

"""What the generated rule tests need: every primitive with its examples, and numbers to compare."""

import importlib
import pkgutil
from functools import partial

import numpy as np

import funcgrad
from funcgrad.config import enable_x64
from funcgrad.core.array import to_ndarray
from funcgrad.core.primitive import NotDifferentiable, registry
from funcgrad.ir import dtypes
from funcgrad.ir.avals import aval_of


def load_all():
    """Import every module that defines primitives."""
    for package in ("primitives", "control"):
        found = importlib.import_module(f"funcgrad.{package}")
        for module in pkgutil.iter_modules(found.__path__):
            importlib.import_module(f"funcgrad.{package}.{module.name}")
    assert funcgrad.__name__ == "funcgrad"


load_all()


def cases():
    """Pairs of a test id and (primitive, example)."""
    found = []
    with enable_x64():
        for name, primitive in sorted(registry.items()):
            for i, example in enumerate(primitive.examples()):
                found.append((f"{name}-{i}", primitive, example))
    return found


CASES = cases()
IDS = [name for name, _, _ in CASES]
PAIRS = [(primitive, example) for _, primitive, example in CASES]


def is_differentiable(primitive):
    """Whether the primitive has a derivative that is not declared away."""
    return not isinstance(primitive.jvp_term, NotDifferentiable)


def inexact_operands(primitive, example):
    """Positions of the operands derivatives are checked for."""
    if example.differentiable is not None:
        return list(example.differentiable)
    return [
        i for i, x in enumerate(example.args) if dtypes.issubdtype(aval_of(x).dtype, np.inexact)
    ]


def flat_function(primitive, example, positions):
    """The primitive as a flat function of the operands at these positions."""

    def fun(*values):
        args = list(example.args)
        for i, x in zip(positions, values, strict=True):
            args[i] = x
        out = primitive.bind(*args, **example.params)
        return list(out) if primitive.multiple_results else [out]

    return fun


def arrays(values):
    """NumPy arrays of a sequence of values."""
    return [np.asarray(to_ndarray(v)) for v in values]


def numeric_outs(outs):
    """Which outputs have tangents."""
    return [dtypes.issubdtype(aval_of(x).dtype, np.inexact) for x in outs]


def random_like(x, seed):
    """Normal values of the shape and dtype of x."""
    rng = np.random.default_rng(seed)
    x = np.asarray(to_ndarray(x))
    value = rng.normal(size=x.shape)
    if x.dtype.kind == "c":
        value = value + 1j * rng.normal(size=x.shape)
    return value.astype(x.dtype)


def finite_difference(fun, values, tangents, step=1e-6):
    """Fourth-order central difference of a flat function along tangents."""

    def at(scale):
        moved = [
            v + (scale * step * t).astype(v.dtype) for v, t in zip(values, tangents, strict=True)
        ]
        return arrays(fun(*moved))

    columns = zip(at(-2), at(-1), at(1), at(2), strict=True)
    found = []
    for a, b, c, d in columns:
        if a.dtype.kind in "fc":
            # A constant infinity (the maximum of no elements) does not move.
            constant = (a == d) & (b == c) & ~np.isfinite(a)
            a, b, c, d = (np.where(constant, 0, x) for x in (a, b, c, d))
            found.append((a - 8 * b + 8 * c - d) / (12 * step))
        else:
            found.append(np.zeros(a.shape))
    return found


def assert_close(got, want, tolerance):
    """Compare arrays with NaN equal to NaN; the tolerance is absolute and relative."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


# Compiled functions round otherwise than NumPy's, by an ulp or two.
COMPILED = {"float32": 2e-6, "complex64": 2e-6, "float16": 2e-3}


def assert_same(got, want, tolerance=1e-9):
    """Compare arrays, dtype and shape included, to within rounding."""
    got, want = np.asarray(to_ndarray(got)), np.asarray(to_ndarray(want))
    assert got.dtype == want.dtype and got.shape == want.shape
    if got.dtype.kind in "fc":
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
    else:
        np.testing.assert_array_equal(got, want)


def stack(rows):
    """Stack outputs of a loop: one list of arrays for each step."""
    return [np.stack(column) for column in zip(*rows, strict=True)]


def inner(xs, ys):
    """Real inner product of two lists of arrays."""
    return sum(np.real(np.vdot(np.asarray(x), np.asarray(y))) for x, y in zip(xs, ys, strict=True))


def bound(primitive, params):
    """The primitive's bind with its params."""
    return partial(primitive.bind, **params)

"""Kernels of factors and of triangular systems, and programs that are made of them."""

import itertools

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.config import enable_x64
from funcgrad.kernels.cuda.factors import SIDE
from funcgrad.kernels.cuda.limits import most_shared
from funcgrad.kernels.cuda.program import cuda_program

from .running import both_ways, simplified, traced
from .test_compiled import compiled, needs_extra
from .test_llvm import both, same_bits

each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
RATES = {"float32": 1e-3, "float64": 1e-10}


def drawn(shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def agree(f, *args, kinds=None):
    """The emulator gives what NumPy's rules give."""
    with enable_x64():
        program, want, found = both_ways(*traced(f, *args))
    for outs in found:
        for got, w in zip(outs, want, strict=True):
            assert got.dtype == w.dtype
            rate = RATES[args[0].dtype.name]
            np.testing.assert_allclose(got, w, rate, rate)
    if kinds is not None:
        assert [k.launch.kind for k in program.kernels] == kinds
    return found[0]


def definite(shape, dtype):
    x = drawn(shape, dtype)
    return x @ np.swapaxes(x, -1, -2) + shape[-1] * np.eye(shape[-1], dtype=dtype)


def cholesky(x):
    return lax.linalg.cholesky(x, symmetrize_input=False)


@each_dtype
@pytest.mark.parametrize("shape", [(1, 1), (5, 3, 3), (2, 7, 7), (2, 2, 33, 33), (SIDE, SIDE)])
def test_cholesky(shape, dtype):
    found = agree(cholesky, definite(shape, dtype), kinds=["factor"])
    assert (np.triu(found[0].reshape(shape), 1) == 0).all()


def test_no_cholesky_factor():
    bad = [[[1.0, 2], [2, 1]], np.eye(2), np.zeros((2, 2)), [[np.nan, 0], [0, 1]], -np.eye(2)]
    agree(cholesky, np.array([np.array(x) for x in bad]), kinds=["factor"])


@each_dtype
@pytest.mark.parametrize(
    "shape", [(1, 1), (4, 7), (2, 7, 4), (21, 22), (2, 34, 34), (20, 40), (40, SIDE), (300, 3)]
)
def test_lu(shape, dtype):
    agree(lax.linalg.lu, drawn(shape, dtype), kinds=["factor"])


def test_lu_in_the_cache():
    shape = (most_shared("sm_90") // 32 + 70, 8)
    found = agree(lax.linalg.lu, drawn(shape, "float32"), kinds=["factor"])
    assert found[1].size == 8


def test_lu_of_singular_matrices():
    x = np.stack([np.zeros((9, 9)), np.ones((9, 9)), np.tri(9), drawn((9, 9), "float64")])
    x[3, :, 4] = 0
    agree(lax.linalg.lu, x, kinds=["factor"])


@pytest.mark.parametrize("shape", [(9, 9), (70, 80)])
def test_lu_of_what_is_no_number_exchanges_rows_within_the_matrix(shape):
    x, n = drawn(shape, "float64"), shape[0]
    x[5, 7] = np.nan
    with enable_x64():
        _, _, found = both_ways(*traced(lax.linalg.lu, x))
    for factor, pivots, order in found:
        factor = factor.reshape(shape)
        # The row with NaN is the largest of its column, so all behind it is NaN.
        assert np.isfinite(factor[:, :7]).all() and np.isnan(factor[8:, 8:]).all()
        assert (np.sort(order) == np.arange(n)).all()
        assert (pivots >= np.arange(n)).all() and (pivots < n).all()


@pytest.mark.parametrize("n", [1, 3, 9, SIDE])
def test_triangular_systems(n):
    for number, flags in enumerate(itertools.product((True, False), repeat=4)):
        left, lower, back, unit = flags
        dtype, k = ("float32", "float64")[number % 2], (1, 3, 70)[number % 3]
        a = drawn((2, n, n), dtype) / n + 2 * np.eye(n, dtype=dtype)
        # What is not of the triangle may hold anything.
        kept = np.tri(n, dtype=bool) if lower else np.tri(n, dtype=bool).T
        a = np.where(kept, a, dtype == "float32" and np.nan).astype(dtype)
        b = drawn((2, n, k) if left else (2, k, n), dtype, 1)
        agree(
            lambda a, b, left=left, lower=lower, back=back, unit=unit: lax.linalg.triangular_solve(
                a, b, left_side=left, lower=lower, transpose_a=back, unit_diagonal=unit
            ),
            a, b, kinds=["factor"],
        )  # fmt: skip


def test_a_zero_on_the_diagonal_divides():
    a = np.array([[2.0, 0], [1, 0]])
    with np.errstate(divide="ignore"):
        agree(lambda a, b: lax.linalg.triangular_solve(a, b, left_side=True, lower=True), a,
              np.array([[2.0], [5.0]]))  # fmt: skip


def test_zero_sizes():
    agree(lax.linalg.lu, np.zeros((3, 0)))
    agree(lax.linalg.lu, np.zeros((0, 3, 3)))
    agree(cholesky, np.zeros((0, 0)))
    agree(lambda a, b: lax.linalg.triangular_solve(a, b, left_side=True), np.eye(3),
          np.zeros((3, 0)))  # fmt: skip


LARGE = {
    "cholesky": (cholesky, definite((130, 130), "float64")),
    "lu": (lax.linalg.lu, drawn((90, 70), "float64")),
    "lu of wide matrices": (lax.linalg.lu, drawn((2, 40, 70), "float32")),
    "solve": (fnp.linalg.solve, drawn((70, 70), "float64"), drawn((70, 2), "float64", 1)),
    "inverse": (fnp.linalg.inv, drawn((2, 20, 20), "float64")),
    "solve with a definite matrix": (
        lambda a, b: fg.scipy.linalg.cho_solve(fg.scipy.linalg.cho_factor(a), b),
        definite((70, 70), "float64"), drawn((70,), "float64"),
    ),
    "gradient of a determinant": (
        fg.grad(lambda x: fnp.linalg.slogdet(x)[1]), drawn((20, 20), "float64")
    ),
    "complex": (
        lambda x: cholesky(x + 1j * (fnp.tril(x, -1) - fnp.triu(x, 1)) / 50).real,
        definite((20, 20), "float64"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_programs_of_factors(name):
    agree(*LARGE[name])


@pytest.mark.parametrize(("n", "most"), [(2048, {"cholesky": 300, "lu": 900, "solve": 1200})])
def test_launches_go_with_blocks_of_columns(n, most):
    x, b = (fg.ShapeDtypeStruct((n, k), np.float32) for k in (n, 1))
    for name, f, args in (
        ("cholesky", cholesky, [x]), ("lu", lax.linalg.lu, [x]),
        ("solve", fnp.linalg.solve, [x, b]),
    ):  # fmt: skip
        closed = simplified(fg.make_jaxpr(f)(*args))
        program = cuda_program(closed, simplified, lambda product: True)
        assert len(program.kernels) < 60 and not program.refused, name
        assert sum(_turns(program.block, program)) < most[name], name


def _turns(block, program):
    """Launches of each step, those of loops turn by turn."""
    for step in block.steps:
        turns = getattr(step, "length", 1)
        inner = [step.block] if hasattr(step, "block") else []
        yield from (turns * n for part in inner for n in _turns(part, program))
        yield len(program.steps.get(id(step), []))


BITS = {
    "cholesky": (cholesky, definite((2, 33, 33), "float32")),
    "lu": (lax.linalg.lu, drawn((70, 20), "float32")),
    "lu in the cache": (lax.linalg.lu, drawn((7400, 8), "float32")),
    "triangles": (
        lambda a, b: lax.linalg.triangular_solve(a, b, lower=True),
        definite((20, 20), "float32"), drawn((70, 20), "float32"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BITS)
def test_this_processor_has_the_bits_of_the_emulator(name, monkeypatch):
    f, *args = BITS[name]
    with enable_x64():
        same_bits(both(monkeypatch, *traced(f, *args)))


@needs_extra
@pytest.mark.slow
@each_dtype
@pytest.mark.parametrize("target", ["sm_80", "sm_90"])
@pytest.mark.parametrize("shape", [(5, 5), (SIDE, SIDE), (300, 32), (4000, 32)])
def test_they_compile_and_spill_nothing(shape, target, dtype):
    works = [lax.linalg.lu]
    if shape[0] == shape[1]:
        works += [cholesky, lambda x: lax.linalg.triangular_solve(x, x, left_side=True)]
    for f in works:
        (kernel,) = compiled(f, target, dtype, shape).kernels
        assert kernel.kind == "factor" and not kernel.spills, kernel

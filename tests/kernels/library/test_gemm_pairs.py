"""Products of integers of 8 and 16 bits with sums of 32 against NumPy: they wrap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import funcgrad
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.config import config
from funcgrad.kernels.library import gemm_pairs
from funcgrad.kernels.library.gemm import Gemm
from funcgrad.kernels.runtime import toolchain

from .harness import Program

dtypes = st.sampled_from(sorted(gemm_pairs.NARROW))
MATRIX = (((1,), (0,)), ((), ()))


def drawn(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Numbers of a dtype, its ends among them."""
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    return np.where(rng.random(shape) < 0.3, info.min, x).astype(dtype)


def check(
    given: tuple[str, str],
    sizes: tuple[int, int, int, int],
    layout: tuple[bool, bool, int],
    bits: int,
    out: str = "int32",
) -> None:
    (count, m, n, k), (left, right, gap) = sizes, layout
    rng = np.random.default_rng(m + n + k)
    extents = ((m, k) if left else (k, m)), ((n, k) if right else (k, n))
    sides = [
        drawn(rng, (count, rows, lead + gap), dtype)
        for (rows, lead), dtype in zip(extents, given, strict=True)
    ]
    a, b = (x[:, :, : x.shape[2] - gap].astype(out) for x in sides)
    steps = [x.shape[1] * x.shape[2] for x in sides]
    batch = ((count, *steps, m * n),) if count > 1 else ()
    leads = [x.shape[2] for x in sides]
    g = Gemm(out, batch, m, n, k, (left, leads[0]), (right, leads[1]), n, given)
    kernel = gemm_pairs.build(g, "product", bits)
    found = Program(kernel)(sides, (count, m, n), out)
    expected = (a if left else a.swapaxes(1, 2)) @ (b.swapaxes(1, 2) if right else b)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("given", [(a, b) for a in gemm_pairs.NARROW for b in gemm_pairs.NARROW])
@pytest.mark.parametrize("sizes", [(1, 64, 64, 64), (2, 17, 33, 19), (1, 150, 131, 257)])
@pytest.mark.parametrize("sides", [(True, True), (True, False), (False, True), (False, False)])
def test_every_pair_of_dtypes(given: Any, sizes: Any, sides: Any) -> None:
    check(given, sizes, (*sides, 0), toolchain.machine().vector_bits)


@pytest.mark.parametrize("out", ["int32", "uint32"])
def test_the_largest_products_wrap(out: str) -> None:
    """Two of -32768 squared are 2^31, one more than an int32 holds."""
    for k in (1, 2, 7, 64):
        x = np.full((1, 40, k), -32768, np.int16)
        g = Gemm(out, (), 40, 40, k, (True, k), (True, k), 40, ("int16", "int16"))
        kernel = gemm_pairs.build(g, "product", toolchain.machine().vector_bits)
        found = Program(kernel)([x, x], (40, 40), out)
        assert (found == np.array(k * 2**30 % 2**32, np.uint32).astype(out)).all()


small = st.integers(1, 40)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(dtypes, dtypes),
    st.tuples(st.integers(1, 3), small, small, st.integers(1, 300)),
    st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)),
    st.sampled_from([128, 256, 512]),
)
@example(("uint8", "int8"), (1, 96, 200, 301), (True, False, 1), 256)
def test_random_products(given: Any, sizes: Any, layout: Any, bits: int) -> None:
    check(given, sizes, layout, bits)


def test_a_side_that_products_share_is_widened_once() -> None:
    rng = np.random.default_rng(2)
    a, b = drawn(rng, (5, 9, 20), "int8"), drawn(rng, (20, 11), "int8")
    g = Gemm("int32", ((5, 180, 0, 99),), 9, 11, 20, (True, 20), (False, 11), 11, ("int8", "int8"))
    kernel = gemm_pairs.build(g, "product", toolchain.machine().vector_bits)
    assert kernel.scratch[-1] == 4 * 10 * 11
    found = Program(kernel)([a, b], (5, 9, 11), np.int32)
    np.testing.assert_array_equal(found, a.astype(np.int32) @ b.astype(np.int32))


def preferred(a: Any, b: Any) -> Any:
    return lax.dot_general(a, b, MATRIX, preferred_element_type=np.dtype(np.int32))


def converted(a: Any, b: Any) -> Any:
    return a.astype(np.int32) @ b.astype(np.int32)


def turned(a: Any, b: Any) -> Any:
    return a.astype(np.int32) @ b.T.astype(np.int32).T


def turned_behind(a: Any, b: Any) -> Any:
    return a.astype(np.int32) @ b.T.astype(np.int32).reshape(61, 70).T


def with_bias(a: Any, b: Any) -> Any:
    return fnp.maximum(preferred(a, b).astype(np.float32) * 0.5 + fnp.arange(61.0), 0.0)


programs: dict[str, tuple[Callable[..., Any], str, str]] = {
    "preferred": (preferred, "int8", "int8"),
    "unsigned": (preferred, "uint8", "uint8"),
    "converted": (converted, "int8", "uint8"),
    "of 16 bits": (converted, "int16", "int8"),
    "turned": (turned, "int8", "int8"),
    "turned behind its conversion": (turned_behind, "int8", "int8"),
    "with a bias": (with_bias, "int8", "int8"),
}


@pytest.mark.parametrize("lowering", ["fast", "python"])
@pytest.mark.parametrize("name", programs)
def test_programs(name: str, lowering: str, request: pytest.FixtureRequest) -> None:
    f, left, right = programs[name]
    rng = np.random.default_rng(3)
    a, b = drawn(rng, (53, 70), left), drawn(rng, (70, 61), right)
    expected = np.asarray(f(fnp.asarray(a), fnp.asarray(b)))
    previous = config.override("lowering", lowering)
    request.addfinalizer(lambda: config.override("lowering", previous))
    compiled = funcgrad.jit(f)
    np.testing.assert_array_equal(np.asarray(compiled(a, b)), expected)
    lowered = compiled.lower(a, b)
    assert "1 library call" in lowered.explain()
    assert all(
        s.gemm.given == (left, right) for s in lowered.stages.block.steps if hasattr(s, "gemm")
    )


def test_one_side_that_is_narrow_is_converted() -> None:
    rng = np.random.default_rng(4)
    a, b = drawn(rng, (40, 50), "int8"), drawn(rng, (50, 60), "int32")
    found = funcgrad.jit(lambda a, b: a.astype(np.int32) @ b)(a, b)
    np.testing.assert_array_equal(np.asarray(found), a.astype(np.int32) @ b)


@pytest.mark.parametrize("given", ["int8", "uint8", "int16", "int32", "float32"])
@pytest.mark.parametrize("narrow", ["int8", "uint8", "int16", "uint16", "float16", "bool"])
@pytest.mark.parametrize("dtype", ["int32", "uint32"])
def test_conversions_that_lose_something_are_done(given: str, narrow: str, dtype: str) -> None:
    """A product reads its sides before conversions that keep their numbers, and no others."""

    def f(a: Any, b: Any) -> Any:
        return a.T.astype(narrow).astype(dtype) @ b.astype(dtype)

    rng = np.random.default_rng(6)
    floats = given == "float32"
    a, b = drawn(rng, (33, 40), "int8" if floats else given), drawn(rng, (33, 50), "int8")
    a = np.maximum(a, 0).astype(given) if floats else a
    args = fnp.asarray(a), fnp.asarray(b)
    np.testing.assert_array_equal(np.asarray(funcgrad.jit(f)(*args)), np.asarray(f(*args)))


def test_batches_of_matrices() -> None:
    rng = np.random.default_rng(5)
    a, b = drawn(rng, (2, 3, 31, 40), "int8"), drawn(rng, (2, 3, 29, 40), "int8")

    def scores(a: Any, b: Any) -> Any:
        return fnp.einsum("bhqd,bhkd->bhqk", a, b, preferred_element_type=np.int32)

    expected = np.einsum("bhqd,bhkd->bhqk", a.astype(np.int32), b.astype(np.int32))
    np.testing.assert_array_equal(np.asarray(funcgrad.jit(scores)(a, b)), expected)

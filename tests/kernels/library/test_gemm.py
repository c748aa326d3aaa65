"""Matrix products of our own against NumPy, over shapes, layouts and widths of vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import funcgrad
from funcgrad.config import config
from funcgrad.kernels import contract
from funcgrad.kernels.library import LibraryKernel, gemm, gemm_deep, gemm_packed
from funcgrad.kernels.library.gemm import Gemm
from funcgrad.kernels.runtime import toolchain

from .harness import Program

Build = Callable[[Gemm, str, int], LibraryKernel]


def product(
    dtype: str, count: int, m: int, n: int, k: int, left: bool, right: bool, gap: int = 0
) -> Gemm:
    """A batch of products, each operand's rows `gap` elements apart from one another."""
    lead, other = (k if left else m) + gap, (k if right else n) + gap
    steps = (m if left else k) * lead, (n if right else k) * other, m * n
    batch = ((count, *steps),) if count > 1 else ()
    return Gemm(dtype, batch, m, n, k, (left, lead), (right, other), n)


def operands(g: Gemm) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Both sides as they lie, and as (free, contracted)."""
    rng = np.random.default_rng(0)
    count = g.batch[0][0] if g.batch else 1
    sides: list[np.ndarray] = []
    views: list[np.ndarray] = []
    for (outside, lead), free in ((g.left, g.m), (g.right, g.n)):
        x = rng.standard_normal((count, free if outside else g.k, lead)).astype(g.dtype)
        seen = x[:, :, : g.k if outside else free]
        sides.append(x)
        views.append(seen if outside else seen.swapaxes(1, 2))
    return sides, views


def check(g: Gemm, bits: int = 0, build: Build = gemm.build) -> None:
    sides, views = operands(g)
    kernel = build(g, "product", bits or toolchain.machine().vector_bits)
    shape = (len(sides[0]), g.m, g.n)
    there = np.random.default_rng(1).standard_normal(shape).astype(g.dtype) if g.adds else None
    found = Program(kernel)(sides, shape, g.dtype, there)
    a, b = (v.astype(np.float64) for v in views)
    expected = a @ b.swapaxes(1, 2)
    scale = (np.abs(a) @ np.abs(b).swapaxes(1, 2)).max()
    if there is not None:
        expected, scale = expected + there, scale + np.abs(there).max()
    assert np.abs(found - expected).max() <= 8 * np.finfo(g.dtype).eps * scale


shapes = {
    "squares": (3, 64, 64, 64),
    "odd squares": (3, 17, 19, 23),
    "few of everything": (1, 5, 3, 7),
    "one row": (2, 1, 9, 9),
    "few rows": (1, 3, 300, 700),
    "few columns": (1, 300, 10, 400),
    "few columns, long sums": (2, 40, 3, 1200),
    "few of both, long sums": (1, 13, 7, 5000),
    "many chunks of columns": (1, 33, 1025, 129),
    "many chunks of rows": (1, 700, 40, 130),
}


@pytest.mark.parametrize("layout", ["NN", "NT", "TN", "TT"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", shapes)
@pytest.mark.parametrize("adds", [False, True])
def test_every_shape(name: str, dtype: str, layout: str, adds: bool) -> None:
    g = product(dtype, *shapes[name], layout[0] == "N", layout[1] == "T")
    check(g._replace(adds=adds))


large = {
    "one of everything": (1, 1, 1, 1),
    "less than a tile": (1, 3, 5, 7),
    "tiles and panels": (1, 64, 48, 32),
    "many blocks": (1, 128, 512, 784),
    "primes": (1, 127, 509, 787),
    "a batch": (3, 67, 75, 421),
    "long rows": (1, 70, 1024, 70),
    "many rows": (1, 1031, 33, 65),
    "long sums": (1, 65, 33, 2003),
}


@pytest.mark.parametrize("layout", ["NN", "NT", "TN", "TT"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", large)
@pytest.mark.parametrize("adds", [False, True])
def test_every_large_shape(name: str, dtype: str, layout: str, adds: bool) -> None:
    g = product(dtype, *large[name], layout[0] == "N", layout[1] == "T")
    check(g._replace(adds=adds), build=gemm_packed.build)


deep = {
    "squares": (1, 64, 64, 5000),
    "primes": (1, 101, 89, 5003),
    "few of both": (1, 5, 7, 130_001),
    "a last part of one step": (1, 64, 64, 2 * 640 + 1),
    "one part": (1, 3, 5, 70),
    "one row": (1, 1, 190, 30_001),
}


@pytest.mark.parametrize("layout", ["NN", "NT", "TN", "TT"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("name", deep)
@pytest.mark.parametrize("adds", [False, True])
def test_every_deep_shape(name: str, dtype: str, layout: str, adds: bool) -> None:
    g = product(dtype, *deep[name], layout[0] == "N", layout[1] == "T", gap=3)._replace(adds=adds)
    if dtype != "int32":
        check(g, build=gemm_deep.build)
        return
    left, right = (np.arange(x.size).reshape(x.shape[1:]) % 7 - 3 for x in operands(g)[0])
    sides = [left.astype(dtype), right.astype(dtype)]
    a = left[:, : g.k] if g.left[0] else left[:, : g.m].T
    b = right[:, : g.k].T if g.right[0] else right[:, : g.n]
    kernel = gemm_deep.build(g, "product", toolchain.machine().vector_bits)
    there = np.ones((g.m, g.n), dtype)
    found = Program(kernel)(sides, (g.m, g.n), dtype, there if adds else None)
    np.testing.assert_array_equal(found, a @ b + adds)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["float32", "float64"]),
    st.tuples(st.just(1), st.integers(1, 40), st.integers(1, 40), st.integers(1, 9000)),
    st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)),
    st.sampled_from([128, 256, 512]),
    st.booleans(),
)
def test_random_deep_products(dtype: str, sizes: Any, layout: Any, bits: int, adds: bool) -> None:
    check(product(dtype, *sizes, *layout)._replace(adds=adds), bits, gemm_deep.build)


def test_deep_products_have_the_same_bits_with_any_number_of_threads() -> None:
    x = np.random.default_rng(4).standard_normal((10_007, 99)).astype(np.float32)
    gram = funcgrad.jit(lambda x: x.T @ x)
    assert "parts of the contraction" in str(gram.lower(x).explain())
    found: list[np.ndarray] = []
    before = config.num_threads
    try:
        for threads in (1, 2, 3, 4):
            config.update("num_threads", threads)
            found.append(np.asarray(gram(x)))
    finally:
        config.update("num_threads", before)
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)
    np.testing.assert_allclose(found[0], x.astype("f8").T @ x, atol=2e-2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(1, 300, 70, 65), (1, 70, 300, 2003), (3, 5, 7, 9)])
def test_calls_of_blas_add(sizes: Any, dtype: str) -> None:
    g = product(dtype, *sizes, True, False)
    check(g._replace(adds=True), build=lambda g, name, bits: contract.blas_kernel(g, name))


small = st.integers(1, 40)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["float32", "float64"]),
    st.tuples(st.integers(1, 3), small, small, st.integers(1, 600)),
    st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)),
    st.sampled_from([128, 256, 512]),
    st.booleans(),
)
@example("float32", (1, 40, 3, 1200), (False, True, 0), 256, False)
def test_random_products(dtype: str, sizes: Any, layout: Any, bits: int, adds: bool) -> None:
    check(product(dtype, *sizes, *layout)._replace(adds=adds), bits)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["float32", "float64"]),
    st.tuples(st.integers(1, 3), st.integers(1, 300), st.integers(1, 100), st.integers(1, 900)),
    st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)),
    st.sampled_from([128, 256, 512]),
    st.booleans(),
)
@example("float64", (2, 33, 25, 833), (False, True, 3), 256, False)
def test_random_packed_products(dtype: str, sizes: Any, layout: Any, bits: int, adds: bool) -> None:
    check(product(dtype, *sizes, *layout)._replace(adds=adds), bits, gemm_packed.build)


@pytest.mark.parametrize("layout", ["NN", "NT", "TN", "TT"])
def test_what_is_not_finite_stays_in_its_row_or_column(layout: str) -> None:
    """Zeros that fill up panels meet infinities: nobody may see what comes of it."""
    g = product("float32", 1, 70, 85, 500, layout[0] == "N", layout[1] == "T")
    sides, (left, right) = operands(g)
    left[0, 13, 400], right[0, 84, 3] = np.inf, np.nan
    kernel = gemm_packed.build(g, "product", toolchain.machine().vector_bits)
    (found,) = Program(kernel)(sides, (1, 70, 85), g.dtype)
    finite = np.isfinite(found)
    assert not finite[13].any()
    assert not finite[:, 84].any()
    assert np.delete(np.delete(finite, 13, 0), 84, 1).all()
    assert np.isinf(found[13, :84]).all()


@pytest.mark.parametrize("build", [gemm.build, gemm_packed.build])
def test_several_batch_axes(build: Build) -> None:
    """A left side that is the same for all of one batch axis."""
    rng = np.random.default_rng(2)
    a, b = (rng.standard_normal(s).astype(np.float32) for s in ((2, 9, 20), (3, 2, 20, 11)))
    batch = (3, 0, 440, 198), (2, 180, 220, 99)
    g = Gemm("float32", batch, 9, 11, 20, (True, 20), (False, 11), 11)
    kernel = build(g, "product", toolchain.machine().vector_bits)
    found = Program(kernel)([a, b], (3, 2, 9, 11), np.float32)
    np.testing.assert_allclose(found, a @ b, rtol=1e-4, atol=1e-5)


def test_a_right_side_that_products_share_is_packed_once() -> None:
    rng = np.random.default_rng(2)
    a, b = (rng.standard_normal(s).astype(np.float32) for s in ((5, 9, 20), (20, 11)))
    g = Gemm("float32", ((5, 180, 0, 99),), 9, 11, 20, (True, 20), (False, 11), 11)
    kernel = gemm_packed.build(g, "product", toolchain.machine().vector_bits)
    alone = gemm_packed.build(g._replace(batch=()), "product", toolchain.machine().vector_bits)
    assert kernel.scratch == alone.scratch
    found = Program(kernel)([a, b], (5, 9, 11), np.float32)
    np.testing.assert_allclose(found, a @ b, rtol=1e-4, atol=1e-5)


def test_large_products_share_their_code() -> None:
    """What LLVM compiles for one more of them is two calls, whatever its sizes and layouts."""
    bits = toolchain.machine().vector_bits
    texts: dict[str, str] = {}
    for number, (m, n, k) in enumerate([(128, 512, 784), (1000, 500, 301), (97, 260, 128)]):
        for left, right in ((True, False), (True, True), (False, False)):
            name = f"k{number}{left:d}{right:d}"
            kernel = gemm_packed.build(product("float32", 1, m, n, k, left, right), name, bits)
            own = {x: text for x, text in kernel.functions.items() if x.startswith(name)}
            assert all(text.count("\n") < 8 for text in own.values())
            others = {x: text for x, text in kernel.functions.items() if x not in own}
            assert all(texts.setdefault(x, text) == text for x, text in others.items())
    # Blocks of rows, two packings, and tiles of each number of vectors.
    assert len(texts) <= 6


def test_sums_do_not_depend_on_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    g = product("float32", 1, 8, 2000, 300, True, False)
    texts: list[Any] = []
    for cores in (1, 64):
        machine = toolchain.machine()._replace(cores=cores)
        monkeypatch.setattr(contract, "machine", lambda machine=machine: machine)
        texts.append(contract.gemm_kernel(g, "product"))
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("g", "who", "wide"),
    [
        (product("float32", 256, 64, 64, 64, True, False), "small", "small"),
        (product("float64", 64, 20, 20, 100, True, True), "small", "small"),
        (product("float32", 1, 8, 1024, 1024, True, False), "small", "small"),
        (product("float32", 1, 32, 1024, 1024, True, True), "small", "small"),
        (product("float32", 1, 128, 128, 128, False, False), "small", "small"),
        (product("float32", 1, 32, 1024, 256, True, False), "small", "small"),
        (product("float32", 1, 32, 1024, 1024, True, False), "BLAS", "small"),
        (product("float32", 1, 1024, 1024, 1024, True, False), "packed", "packed"),
        (product("float64", 1, 1024, 512, 1024, False, True), "packed", "packed"),
        (product("float32", 1, 1024, 1100, 1024, True, False), "BLAS", "packed"),
        (product("float32", 1, 1024, 256, 16384, True, False), "BLAS", "BLAS"),
        (product("float32", 1, 128, 1024, 2048, False, False), "BLAS", "packed"),
        (product("float32", 1, 1024, 200, 512, True, False), "packed", "packed"),
        (product("float32", 1, 1024, 200, 512, False, False), "BLAS", "BLAS"),
        (product("float32", 1, 20, 20, 20, True, False), "BLAS", "BLAS"),
        (product("float32", 1, 100, 100, 10_000, False, False), "deep", "deep"),
        (product("float32", 1, 100, 100, 300, False, False), "BLAS", "BLAS"),
    ],
)
def test_who_does_which(g: Gemm, who: str, wide: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for bits, expected in ((256, who), (512, wide)):
        machine = toolchain.machine()._replace(vector_bits=bits)
        monkeypatch.setattr(contract, "machine", lambda machine=machine: machine)
        kernel = contract.gemm_kernel(g, "product")
        blas = any("gemm" in line for line in kernel.declarations)
        deep = "parts" in kernel.way
        assert (
            "deep" if deep else "BLAS" if blas else "packed" if kernel.scratch else "small"
        ) == expected


def attention(q: Any, k: Any, v: Any) -> Any:
    weights = funcgrad.numpy.einsum("bhqd,bhkd->bhqk", q, k) / 8.0
    return (funcgrad.numpy.einsum("bhqk,bhkd->bhqd", weights, v) ** 2).sum()


def test_programs_with_batches() -> None:
    rng = np.random.default_rng(3)
    args = [rng.standard_normal((4, 6, 40, 32)).astype(np.float32) for _ in range(3)]
    step = funcgrad.value_and_grad(attention, argnums=(0, 1, 2))
    compiled = funcgrad.jit(step)
    value, gradients = compiled(*args)
    wanted, expected = step(*args)
    np.testing.assert_allclose(value, wanted, rtol=1e-4)
    for found, e in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(np.asarray(found), np.asarray(e), rtol=1e-3, atol=1e-2)
    assert "gemm" not in compiled.lower(*args).stages.llvm


@pytest.mark.parametrize(
    ("subscripts", "left", "right"),
    [
        ("abc,bd->acd", (6, 30, 40), (30, 50)),
        ("ab,cbd->acd", (20, 30), (9, 30, 50)),
        ("abc,dbe->acde", (20, 30, 8), (9, 30, 50)),
        ("abc,acd->bd", (20, 30, 40), (20, 40, 50)),
        ("abc,bad->cd", (20, 30, 40), (30, 20, 50)),
        ("abh,bch->hac", (20, 40, 8), (40, 50, 8)),
        ("bqhd,bkhd->bhqk", (3, 40, 8, 16), (3, 50, 8, 16)),
        ("bhqd,hde->bqe", (3, 8, 40, 16), (8, 16, 64)),
        ("bqe,hed->bhqd", (3, 40, 64), (8, 64, 16)),
    ],
)
def test_programs_with_uneven_axes(subscripts: str, left: Any, right: Any) -> None:
    """Axes that are no matrix in memory: some of them become a batch, or an operand is copied."""
    rng = np.random.default_rng(4)
    a, b = (rng.standard_normal(s).astype(np.float32) for s in (left, right))
    found = funcgrad.jit(lambda a, b: funcgrad.numpy.einsum(subscripts, a, b))(a, b)
    np.testing.assert_allclose(np.asarray(found), np.einsum(subscripts, a, b), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("lowering", ["fast", "python"])
def test_programs_with_strided_operands(lowering: str, request: pytest.FixtureRequest) -> None:
    previous = config.override("lowering", lowering)
    request.addfinalizer(lambda: config.override("lowering", previous))
    rng = np.random.default_rng(5)
    a, b = (rng.standard_normal(s).astype(np.float32) for s in ((30, 20, 80), (40, 50)))

    def f(a: Any, b: Any) -> Any:
        turned = funcgrad.numpy.transpose(a, (1, 0, 2))
        return turned[:, :, ::2] @ b, turned[..., 20:60] @ b, turned[::2, :, :40] @ b

    found = funcgrad.jit(f)(a, b)
    for x, wanted in zip(found, f(a, b), strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(wanted), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("sizes", [(96, 96, 96), (17, 33, 19), (64, 3, 1000), (31, 130, 257)])
@pytest.mark.parametrize("sides", [(True, True), (True, False), (False, True), (False, False)])
def test_products_of_integers_wrap(
    dtype: str, sizes: tuple[int, int, int], sides: tuple[bool, bool]
) -> None:
    m, n, k = sizes
    g = product(dtype, 2, m, n, k, *sides)
    rng, info = np.random.default_rng(0), np.iinfo(dtype)
    a, b = (rng.integers(info.min, info.max, (2, *s), dtype) for s in ((m, k), (n, k)))
    given = [x if side else x.swapaxes(1, 2).copy() for x, side in zip((a, b), sides, strict=True)]
    kernel = gemm.build(g, "product", toolchain.machine().vector_bits)
    found = Program(kernel)(given, (2, m, n), dtype)
    np.testing.assert_array_equal(found, a @ b.swapaxes(1, 2))


def test_large_products_of_integers_are_kernels_of_products() -> None:
    x = np.arange(64 * 64, dtype=np.int32).reshape(64, 64)
    lowered = funcgrad.jit(lambda x: x @ x.T).lower(x)
    assert "0 kernels, 1 library call" in lowered.explain()
    np.testing.assert_array_equal(np.asarray(lowered.compile()(x)), x @ x.T)

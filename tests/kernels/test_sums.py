"""Products that are added to what is there, in its memory."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.config import enable_x64
from funcgrad.kernels import checking, contract
from funcgrad.kernels.library import gemm, gemm_packed
from funcgrad.kernels.memory import plan
from funcgrad.kernels.profiled import step_eqns
from funcgrad.kernels.program import LibraryCall, steps_of

pytestmark = pytest.mark.usefixtures("nothing_stored")
RNG = np.random.default_rng(0)


def drawn(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return (RNG.standard_normal(shape) / np.sqrt(shape[-1])).astype(dtype)


def arguments(m: int = 37, k: int = 61, n: int = 83, dtype: Any = np.float32) -> list[np.ndarray]:
    shapes = (m, k), (k, n), (m, k), (k, n)
    return [drawn(*s, dtype=dtype) for s in shapes]


def added(f: Any, *args: Any) -> int:
    """How many products of a program are added to what is there."""
    steps = steps_of(fg.jit(f).lower(*args).stages.block)
    return sum(isinstance(s, LibraryCall) and s.sum is not None for s in steps)


def assert_close(found: Any, expected: Any, tolerance: float = 2e-5) -> None:
    for x, y in zip(fg.tree.leaves(found), fg.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


def two(x: Any, a: Any, h: Any, b: Any) -> Any:
    return x @ a + h @ b


def gates(x: Any, a: Any, h: Any, b: Any) -> Any:
    return fnp.tanh(x @ a + h @ b + b[0]), x.sum(0)


def reshaped(x: Any, a: Any, h: Any, b: Any) -> Any:
    return (x @ a).reshape(-1) + (h @ b).reshape(-1)


def three(x: Any, a: Any, h: Any, b: Any) -> Any:
    return fnp.sin(x @ a + h @ b + (2 * h) @ b)


def transposed(x: Any, a: Any, h: Any, b: Any) -> Any:
    return (x @ a).T + (h @ b).T


def both_read(x: Any, a: Any, h: Any, b: Any) -> Any:
    p = x @ a
    return p + h @ b, p


def twice(x: Any, a: Any, h: Any, b: Any) -> Any:
    p = x @ a
    return p + p


def with_argument(x: Any, a: Any, h: Any, b: Any) -> Any:
    return x + (x @ a) @ a.T


def with_expression(x: Any, a: Any, h: Any, b: Any) -> Any:
    return fnp.sin(x) + (x @ a) @ a.T


def two_sums(x: Any, a: Any, h: Any, b: Any) -> Any:
    return (x @ a + h @ b) + (fnp.sin(x) @ a + fnp.cos(h) @ b)


def turns(x: Any, a: Any, h: Any, b: Any) -> Any:
    def turn(carry: Any, _: Any) -> Any:
        s, t = carry
        return (s @ a @ a.T + t @ b @ a.T, fnp.sin(t)), s[0]

    return lax.scan(turn, (x, h), length=3)


def while_turns(x: Any, a: Any, h: Any, b: Any) -> Any:
    def turn(carry: Any) -> Any:
        k, s = carry
        return k + 1, s @ a @ a.T + h @ b @ a.T

    return lax.while_loop(lambda c: c[0] < 3, turn, (0, x))[1]


def scattered(x: Any, a: Any, h: Any, b: Any) -> Any:
    places = fnp.arange(len(b)) % len(a)
    return x.T @ (x @ a) + fnp.zeros_like(a).at[places].add(b)


def behind_a_branch(x: Any, a: Any, h: Any, b: Any) -> Any:
    p = lax.cond(x[0, 0] > 0, lambda: h @ b, lambda: fnp.cumsum(h @ b, 0))
    return p + x @ a


# How many products are added: none where the other value is read elsewhere, or is no array here.
CASES = {
    two: 1, gates: 1, reshaped: 1, three: 2, transposed: 1, both_read: 0, twice: 0,
    with_argument: 0, with_expression: 0, two_sums: 2, turns: 1, while_turns: 1, scattered: 1,
    behind_a_branch: 1,
}  # fmt: skip


@pytest.mark.parametrize("f", CASES, ids=lambda f: f.__name__)
def test_lowerings_agree(f: Any, lowering: str) -> None:
    args = arguments()
    with fg.disable_jit():
        expected = f(*map(fnp.array, args))
    assert_close(fg.jit(f)(*args), expected)
    assert added(f, *args) == CASES[f]


SIZES = {
    "small": (37, 61, 83),
    "few rows": (5, 300, 1000),
    "few rows and columns, long sums": (7, 5000, 6),
    "packed": (300, 700, 301),
    "BLAS": (20, 20, 20),
    "a column": (300, 200, 1),
    "an element": (1, 5001, 1),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("f", [two, gates, three], ids=lambda f: f.__name__)
def test_every_kernel_of_products(f: Any, sizes: str, dtype: Any) -> None:
    args = arguments(*SIZES[sizes], dtype=dtype)
    with enable_x64():
        with fg.disable_jit():
            expected = f(*map(fnp.array, args))
        assert_close(fg.jit(f)(*args), expected, 2e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("build", [gemm.build, gemm_packed.build, contract.blas_kernel])
def test_bits_are_those_of_a_sum_where_the_contraction_is_one_block(
    build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kernel(g: Any, name: str) -> Any:
        return build(g, name) if build is contract.blas_kernel else build(g, name, 512)

    monkeypatch.setattr("funcgrad.kernels.program.gemm_kernel", kernel)
    args = arguments(64, 32, 48)
    apart = fg.jit(lambda x, a, h, b: (x @ a, h @ b))(*args)
    assert added(two, *args) == 1
    np.testing.assert_array_equal(fg.jit(two)(*args), np.asarray(apart[0]) + np.asarray(apart[1]))


def test_integers_wrap(lowering: str) -> None:
    args = [RNG.integers(-(2**31), 2**31, s).astype(np.int32) for s in ((50, 60), (60, 70)) * 2]
    np.testing.assert_array_equal(fg.jit(two)(*args), args[0] @ args[1] + args[2] @ args[3])
    assert added(two, *args) == 1


def test_products_of_narrow_integers_are_added_by_a_kernel() -> None:
    def f(x: Any, a: Any, h: Any, b: Any) -> Any:
        p, q = (lax.dot(*s, preferred_element_type=np.int32) for s in ((x, a), (h, b)))
        return p + q

    args = [RNG.integers(-128, 128, s).astype(np.int8) for s in ((50, 60), (60, 70)) * 2]
    x, a, h, b = (v.astype(np.int32) for v in args)
    np.testing.assert_array_equal(fg.jit(f)(*args), x @ a + h @ b)
    assert added(f, *args) == 0


def test_what_is_not_finite_stays_where_it_is() -> None:
    x, a, h, b = arguments(300, 400, 301)
    x[3, 5], h[7, 2], b[4, 300] = np.inf, np.nan, np.inf
    with np.errstate(invalid="ignore"):
        expected = x @ a + h @ b
    np.testing.assert_array_equal(np.isfinite(fg.jit(two)(x, a, h, b)), np.isfinite(expected))


@pytest.mark.parametrize("sizes", [(0, 4, 3), (5, 0, 3), (5, 4, 0), (5, 4, 3), (60, 70, 80)])
def test_nothing_of_something(sizes: Any) -> None:
    m, k, n = sizes
    args = [np.ones(s, np.float32) for s in ((m, k), (k, n), (m, 7), (7, n))]
    found = fg.jit(two)(*args)
    assert found.shape == (sizes[0], sizes[2])
    np.testing.assert_array_equal(found, np.full(found.shape, k + 7))


@pytest.mark.parametrize("sizes", [(127, 783, 511), (32, 256, 1024), (700, 100, 40)])
def test_threads_change_no_bits(sizes: Any) -> None:
    args, run, found = arguments(*sizes), fg.jit(gates), list[Any]()
    try:
        for threads in (1, 2, 3, 4):
            fg.config.update("num_threads", threads)
            found.append([np.asarray(x) for x in run(*args)])
    finally:
        fg.config.update("num_threads", None)
    for other in found[1:]:
        for x, y in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(x, y)


def test_batches_of_products() -> None:
    def f(q: Any, k: Any, r: Any) -> Any:
        s = fnp.einsum("bqd,bkd->bqk", q, k) + fnp.einsum("bqd,kd->bqk", q, r)
        return fnp.exp(s - s.max(-1, keepdims=True))

    args = drawn(6, 40, 33), drawn(6, 50, 33), drawn(50, 33)
    q, k, r = args
    s = q @ k.swapaxes(1, 2) + q @ r.T
    np.testing.assert_allclose(fg.jit(f)(*args), np.exp(s - s.max(-1, keepdims=True)), rtol=1e-5)


def test_gradients_of_a_hidden_state_and_their_derivatives() -> None:
    def loss(params: Any, x: Any) -> Any:
        w, v = params
        return (fnp.tanh(fnp.tanh(x @ w) @ v) ** 2).sum()

    def product(params: Any, along: Any, x: Any) -> Any:
        return fg.jvp(lambda p: fg.grad(loss)(p, x), (params,), (along,))[1]

    params, along = ((drawn(60, 70), drawn(70, 50)) for _ in range(2))
    x = drawn(90, 60)
    with fg.disable_jit():
        expected = product(*fg.tree.map(fnp.array, (params, along, x)))
    assert_close(fg.jit(product)(params, along, x), expected, 2e-4)
    assert added(product, params, along, x) == 3


def test_the_first_products_memory_is_the_sums() -> None:
    """An array less, and as many bytes of the arena."""

    def apart(x: Any, a: Any, h: Any, b: Any) -> Any:
        p = x @ a
        return fnp.tanh(p + h @ b).sum(), p[0, 0]

    def together(x: Any, a: Any, h: Any, b: Any) -> Any:
        return fnp.tanh(x @ a + h @ b).sum(), x[0, 0]

    args = arguments(300, 32, 400)
    sizes = [fg.jit(f).lower(*args).stages.memory.size for f in (apart, together)]
    assert sizes[0] - sizes[1] >= 300 * 400 * 4


def test_stages_and_explanation_say_what_is_added() -> None:
    lowered = fg.jit(gates).lower(*arguments())
    assert re.search(r"= add (\w) (\w)\n  added to \1, in its memory", lowered.explain())
    assert re.search(r"library, added to \w in its memory", str(lowered.schedule))
    assert "adds=True" in lowered.stages.python(numba=True)[0]
    block = lowered.stages.block
    told = [[e.primitive.name for e in step_eqns(s, block)] for s in block.steps]
    assert told[1] == ["dot_general", "add"]


def test_a_sum_that_somebody_reads_too_early_is_found() -> None:
    stages = fg.jit(gates).lower(*arguments()).stages
    block = stages.block
    checking.check(block, plan(block))
    (call,) = [s for s in block.steps if isinstance(s, LibraryCall) and s.sum is not None]
    block.steps.remove(call)
    block.steps.append(call)
    del block.uses
    with pytest.raises(AssertionError, match="is read at step"):
        checking.check(block, plan(block))


def test_a_sum_updated_where_it_lies_passes_the_checks() -> None:
    def f(x: Any, a: Any, h: Any, b: Any, c: Any) -> Any:
        total = x @ a + h @ b
        return fnp.sin(total @ c), fnp.cos(total.at[3:5].set(0.5) @ c)

    args = [*arguments(), drawn(83, 83)]
    assert added(f, *args) == 1
    x, a, h, b, c = (v.astype(np.float64) for v in args)
    total = x @ a + h @ b
    rest = total.copy()
    rest[3:5] = 0.5
    assert_close(fg.jit(f)(*args), (np.sin(total @ c), np.cos(rest @ c)))

"""Loops cut where conditions on their index change: what they give is the same, without masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.config import config
from funcgrad.ir.loops import Affine, Axis, Const, Index, apply, axis_index, boolean, int64
from funcgrad.ir.nests import Buffer, For, Store, expressions, loads_of, statements
from funcgrad.kernels.program import Launch
from funcgrad.kernels.stretches import stretches

COMPARISONS = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}


def kernels(function: Any, *args: Any) -> list[Any]:
    """The kernels of a program."""
    steps = fg.jit(function).lower(*args).stages.block.steps
    return [s.kernel for s in steps if isinstance(s, Launch)]


def guarded(kernel: Any) -> int:
    """How many loads of a kernel have a condition."""
    values = [x for s in statements(kernel.body) for x in expressions(s)]
    return sum(load.guard is not None for load in loads_of(*values))


def runs(answers: np.ndarray) -> np.ndarray:
    """The lengths of the stretches of equal answers."""
    changes = np.flatnonzero(np.diff(answers)) + 1
    return np.diff([0, *changes, len(answers)])


def drawn(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=shape) * 50).astype(dtype)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(sorted(COMPARISONS)),
    st.integers(-3, 3).filter(bool),
    st.integers(-90, 90),
    st.integers(-90, 90),
    st.booleans(),
)
def test_every_turn_has_its_answer(op: str, step: int, shift: int, number: int, swapped: bool):
    """The conditions of the turns, one after the other, as stretches know them."""
    axis, target = Axis(70, "j"), Buffer((70,), np.dtype(bool), "out")
    place, other = Index(Affine(shift, {axis: step})), Const(number, int64)
    condition = apply(op, *((other, place) if swapped else (place, other)))
    loop = For(axis, [Store(target, (Affine(0, {axis: 1}),), condition)], vector=True)
    sides = np.arange(70) * step + shift, np.full(70, number)
    wanted = COMPARISONS[op](*(sides[::-1] if swapped else sides))
    found = stretches(loop)
    if not found:
        assert len(set(wanted.tolist())) == 1 or max(runs(wanted)) < 16
        return
    answers: list[bool] = []
    for part in found:
        (store,) = part.body
        assert isinstance(store, Store)
        assert isinstance(store.value, Const)
        assert store.value.dtype == boolean
        assert store.index[0].same(axis_index(part.axis) + Affine(len(answers)))
        answers += [bool(store.value.value)] * part.axis.extent
    assert answers == wanted.tolist()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 70), min_size=2, max_size=6),
    st.sampled_from([np.float32, np.int8, np.int16, np.bool_]),
    st.sampled_from([0, 1, 2]),
)
def test_random_concatenations(extents: list[int], dtype: Any, axis: int) -> None:
    shapes = [(*(3, 5)[:axis], n, *(3, 5)[axis:]) for n in extents]
    arrays = [drawn(shape, dtype, k) for k, shape in enumerate(shapes)]
    found = fg.jit(lambda *xs: fnp.concatenate(xs, axis))(*arrays)
    np.testing.assert_array_equal(found, np.concatenate(arrays, axis))


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.tuples(*[st.integers(0, 20)] * 4),
    st.sampled_from([np.float32, np.int8]),
)
def test_random_paddings(shape: Any, widths: Any, dtype: Any) -> None:
    x, pairs = drawn(shape, dtype), (widths[:2], widths[2:])
    found = fg.jit(lambda x: fnp.pad(x, pairs, constant_values=7) + x.dtype.type(1))(x)
    np.testing.assert_array_equal(found, np.pad(x, pairs, constant_values=7) + x.dtype.type(1))


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 80), st.integers(1, 80)),
    st.tuples(st.integers(1, 4), st.integers(1, 40)),
    st.sampled_from([np.float32, np.int8]),
)
def test_random_tilings(shape: Any, reps: Any, dtype: Any) -> None:
    x = drawn(shape, dtype)
    found = fg.jit(lambda x: (fnp.tile(x, reps), fnp.tile(x[:, 0], reps[1])))(x)
    np.testing.assert_array_equal(found[0], np.tile(x, reps))
    np.testing.assert_array_equal(found[1], np.tile(x[:, 0], reps[1]))


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(st.integers(1, 70), st.integers(1, 70), st.integers(1, 4)),
    st.tuples(*[st.integers(-2, 9)] * 4),
    st.sampled_from(["fast", "python"]),
)
def test_random_images(shape: Any, widths: Any, lowering: str) -> None:
    """Rows, columns and channels; what is negative cuts."""
    x = drawn(shape, np.uint8)
    widths = [max(w, -((n - 1) // 2)) for w, n in zip(widths, np.repeat(shape[:2], 2), strict=True)]
    config = [(*widths[:2], 0), (*widths[2:], 0), (0, 0, 0)]

    def function(x: Any) -> Any:
        return fg.lax.pad(x, np.uint8(3), config), fnp.roll(x, (3, 20), (0, 1))

    previous = fg.config.lowering
    fg.config.update("lowering", lowering)
    try:
        padded, rolled = fg.jit(function)(x)
    finally:
        fg.config.update("lowering", previous)
    inner = x[max(-widths[0], 0) :, max(-widths[2], 0) :]
    inner = inner[: len(inner) - max(-widths[1], 0), : inner.shape[1] - max(-widths[3], 0)]
    around = [max(w, 0) for w in widths]
    wanted = np.pad(inner, (around[:2], around[2:], (0, 0)), constant_values=3)
    np.testing.assert_array_equal(padded, wanted)
    np.testing.assert_array_equal(rolled, np.roll(x, (3, 20), (0, 1)))


@pytest.mark.parametrize("lowering", ["fast", "python"])
def test_what_is_around_goes_along(lowering: str, request: pytest.FixtureRequest) -> None:
    x, y = drawn((37, 41), np.float32), drawn((37, 29), np.float32, 1)

    def function(x: Any, y: Any) -> Any:
        joined = fnp.concatenate([x * 2, y, x[:, ::-1]], 1)
        return joined + 1, fnp.roll(joined, 7, 1) * joined

    previous = config.override("lowering", lowering)
    request.addfinalizer(lambda: config.override("lowering", previous))
    whole = np.concatenate([x * 2, y, x[:, ::-1]], 1)
    one, other = fg.jit(function)(x, y)
    np.testing.assert_array_equal(one, whole + 1)
    np.testing.assert_array_equal(other, np.roll(whole, 7, 1) * whole)


def test_stretches_have_no_conditions() -> None:
    arrays = [drawn((64, n), np.int8, n) for n in (100, 31, 200)]
    (kernel,) = kernels(lambda *xs: fnp.concatenate(xs, 1), *arrays)
    assert guarded(kernel) == 0
    (lead,) = kernel.body
    assert [loop.axis.extent for loop in lead.body] == [100, 31, 200]


def test_a_loop_of_few_turns_is_left_whole() -> None:
    arrays = [drawn((64, n), np.int8, n) for n in (9, 9)]
    (kernel,) = kernels(lambda *xs: fnp.concatenate(xs, 1), *arrays)
    assert guarded(kernel) == 2


def test_long_stretches_are_kernels() -> None:
    """Threads share one after the other; what is short stays one kernel."""
    large = [drawn((n,), np.float32, n) for n in (700_000, 500_001)]

    def function(*xs: Any) -> Any:
        return fnp.concatenate(xs) * 2

    found = kernels(function, *large)
    assert [k.extent for k in found] == [700_000, 500_001]
    np.testing.assert_array_equal(fg.jit(function)(*large), np.concatenate(large) * 2)
    assert len(kernels(function, *(x[:1000] for x in large))) == 1


def test_rows_of_a_frame_are_kernels_of_their_own() -> None:
    """Nothing of an image asks within its rows whether it is in the frame."""
    x = drawn((400, 500, 3), np.uint8)
    found = kernels(lambda x: fnp.pad(x, ((4, 4), (5, 5), (0, 0))), x)
    assert [k.extent for k in found] == [4, 400, 4]
    assert sum(map(guarded, found)) == 0
    small = x[:40, :40]
    (kernel,) = kernels(lambda x: fnp.pad(x, ((4, 4), (5, 5), (0, 0))), small)
    assert guarded(kernel) == 0


def test_a_tiling_divides_nothing() -> None:
    x = drawn((30, 100), np.float32)
    (kernel,) = kernels(lambda x: fnp.tile(x, (1, 5)), x)
    values = [v for s in statements(kernel.body) for v in expressions(s)]
    assert all(not load.index[0].dynamic for load in loads_of(*values))


def test_a_donated_operand_is_read_before_it_is_written() -> None:
    x = drawn((1_000_000,), np.float32)

    def function(x: Any) -> Any:
        return fnp.roll(x, 400_000) - x

    given = fnp.array(x)
    found = fg.jit(function, donate_argnums=0)(given)
    np.testing.assert_array_equal(found, np.roll(x, 400_000) - x)
    assert len(kernels(function, x)) == 2


def test_a_comparison_of_two_indices_is_no_stretch() -> None:
    x = drawn((64, 64), np.float32)
    found = fg.jit(lambda x: fnp.tril(x))(x)
    np.testing.assert_array_equal(found, np.tril(x))

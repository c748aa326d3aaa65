"""Indexing against NumPy, on random indices: reading, assigning, adding, traced and not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import funcgrad.numpy as fnp
from funcgrad import errors, grad
from funcgrad.api.tracing import make_jaxpr
from funcgrad.core.evaluate import eval_closed

SHAPE = (2, 3, 4)
X = np.arange(24, dtype=np.float32).reshape(SHAPE)


def slices(n: int) -> st.SearchStrategy[slice]:
    bound = st.none() | st.integers(-n - 2, n + 2)
    return st.builds(slice, bound, bound, st.sampled_from([None, 1, 2, -1, -2]))


@st.composite
def indices(draw: st.DrawFn) -> tuple[Any, ...]:
    common = draw(st.sampled_from([(), (2,), (1,), (2, 2), (0,)]))
    entries: list[Any] = []
    axis = 0
    dots = draw(st.booleans())
    for _ in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["int", "slice", "array", "none", "mask", "dots"]))
        if kind == "none":
            entries.append(None)
        elif kind == "dots" and dots:
            entries.append(Ellipsis)
            dots = False
        elif axis < len(SHAPE) and kind != "dots":
            n = SHAPE[axis]
            if kind == "int":
                entries.append(draw(st.integers(-n, n - 1)))
            elif kind == "array":
                count = int(np.prod(common))
                flat = draw(st.lists(st.integers(-n, n - 1), min_size=count, max_size=count))
                # Every place in order is an axis gone over in step with the other indices.
                flat = list(range(n)) if common == (n,) and draw(st.booleans()) else flat
                entries.append(np.array(flat, np.int32).reshape(common))
            elif kind == "mask":
                entries.append(np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n))))
            else:
                entries.append(draw(slices(n)))
            axis += 1
    return tuple(entries)


def read(index: tuple[Any, ...]) -> Any:
    try:
        return X[index]
    except IndexError:
        return None


def same(got: Any, want: Any) -> None:
    assert got.shape == want.shape
    assert np.array_equal(np.asarray(got), want)


@given(indices())
def test_reading(index: tuple[Any, ...]) -> None:
    want = read(index)
    if want is None:
        return
    same(fnp.asarray(X)[index], want)
    closed = make_jaxpr(lambda x: x[index])(X)
    same(eval_closed(closed, fnp.asarray(X))[0], want)


@given(indices())
def test_reading_at_traced_integers(index: tuple[Any, ...]) -> None:
    want = read(index)
    if want is None:
        return
    moving = [i for i, e in enumerate(index) if type(e) is int or _is_integers(e)]

    def f(x: Any, *values: Any) -> Any:
        filled = list(index)
        for i, v in zip(moving, values, strict=True):
            filled[i] = v
        return x[tuple(filled)]

    args = [np.asarray(index[i], np.int32) for i in moving]
    same(eval_closed(make_jaxpr(f)(X, *args), X, *args)[0], want)


def _is_integers(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype == np.int32


@given(indices())
def test_assigning_and_adding(index: tuple[Any, ...]) -> None:
    if read(index) is None:
        return
    x = fnp.asarray(X)
    want = X.copy()
    want[index] = -1
    same(x.at[index].set(-1), want)
    values = np.arange(X[index].size, dtype=np.float32).reshape(X[index].shape)
    want = X.copy()
    np.add.at(want, index, values)
    same(x.at[index].add(values), want)


def test_other_updates() -> None:
    x, index = fnp.asarray(X), (0, np.array([0, 2, 2]))
    for name, ufunc in (
        ("subtract", np.subtract),
        ("multiply", np.multiply),
        ("mul", np.multiply),
        ("min", np.minimum),
        ("max", np.maximum),
        ("divide", np.divide),
    ):
        want = X.copy()
        ufunc.at(want, index, np.float32(2))
        same(getattr(x.at[index], name)(2.0), want)
    want = X.copy()
    want[:, 1] = np.sqrt(want[:, 1])
    same(x.at[:, 1].apply(fnp.sqrt), want)
    want = X.copy()
    want[1] **= 2
    same(x.at[1].power(2.0), want)


def test_values_of_updates_may_be_sequences() -> None:
    x = fnp.arange(4.0)
    for values in ([5.0, 7.0], (5.0, 7.0), [fnp.float32(5.0), 7.0]):
        assert x.at[1:3].set(values).tolist() == [0.0, 5.0, 7.0, 3.0]
        assert x.at[1:3].add(values).tolist() == [0.0, 6.0, 9.0, 3.0]
        assert x.at[1:3].power(values).tolist() == [0.0, 1.0, 128.0, 3.0]
        np.testing.assert_allclose(x.at[1:3].divide(values), [0.0, 1 / 5, 2 / 7, 3.0], rtol=1e-6)
    assert grad(lambda a: x.at[1:3].set([a, 2 * a]).sum())(3.0) == 3.0
    with pytest.raises(TypeError, match="None"):
        x.at[0].set(None)


def test_out_of_range() -> None:
    x = fnp.arange(3.0)
    far = fnp.array([5, -5, 1])
    assert x[far].tolist() == [2.0, 0.0, 1.0]
    assert x[10] == 2.0
    assert np.isnan(np.asarray(x.at[far].get(mode="fill"))).tolist() == [True, True, False]
    assert x.at[far].get(mode="fill", fill_value=-1).tolist() == [-1.0, -1.0, 1.0]
    assert x.at[far].set(7).tolist() == [0.0, 7.0, 2.0]
    assert x.at[7].set(1.0).tolist() == [0.0, 1.0, 2.0]
    assert x.at[far].set(7, mode="clip").tolist() == [7.0, 7.0, 7.0]
    assert np.isnan(np.asarray(fnp.take(x, 5)))


def test_traced_mask_is_refused() -> None:
    with pytest.raises(errors.NonConcreteBooleanIndexError):
        make_jaxpr(lambda x, m: x[m])(X, X > 0)


def test_traced_slice_bound_is_refused() -> None:
    with pytest.raises(IndexError, match="static start/stop/step"):
        make_jaxpr(lambda x, i: x[i:])(X, 1)


def test_lossy_values_are_announced() -> None:
    with pytest.warns(FutureWarning, match="incompatible types"):
        fnp.zeros(3, int).at[0].set(fnp.float32(1.5))


def test_assignment_is_refused_with_the_remedy() -> None:
    x = fnp.zeros(3)
    with pytest.raises(TypeError, match="at\\[index\\]"):
        x[0] = 1


@pytest.mark.parametrize("traced", [True, False])
def test_every_place_of_an_axis_is_gone_over_in_step(traced: bool) -> None:
    """`x[arange(n), i]` is the gather of `take_along_axis`, whose gradient adds in place."""
    i = np.array([2, 0, -1], np.int32)
    x = np.arange(12, dtype=np.float32).reshape(3, 4)

    def f(x: Any) -> Any:
        rows = fnp.arange(3) if traced else np.arange(3)
        return x[rows, i]

    text = str(make_jaxpr(f)(x))
    assert "operand_batching_dims=(0,)" in text and "start_index_map=(1,)" in text
    np.testing.assert_array_equal(f(fnp.asarray(x)), x[np.arange(3), i])
    # An order of its own is an index like any other.
    assert "operand_batching_dims=()" in str(make_jaxpr(lambda x: x[i, i])(x))

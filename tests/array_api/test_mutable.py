"""Arrays that can be assigned to: what they name, what they leave alone, how they are traced."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.experimental import mutable as mnp
from funcgrad.experimental.mutable import MutableArray

NO_SUCH = "no_such_function"
RAW = np.arange(12, dtype=np.float32).reshape(3, 4)


def test_the_namespace_takes_and_gives_mutable_arrays() -> None:
    x = MutableArray(RAW)
    assert x.__array_namespace__() is mnp
    assert mnp.__array_api_version__ == fnp.__array_api_version__
    for out in (mnp.sum(x), x.sum(), x + 1, 1 + x, RAW + x, x @ x.T, -x, x[1], mnp.zeros(3), x.T):
        assert isinstance(out, MutableArray)
    assert isinstance(mnp.linalg.qr(x).Q, MutableArray)
    assert isinstance(mnp.fft.fft(x), MutableArray)
    assert [type(v) for v in mnp.unique_inverse(x)] == [MutableArray, MutableArray]
    assert isinstance(mnp.stack([x, x]), MutableArray)
    assert isinstance(next(iter(x)), MutableArray)
    # Functions of funcgrad.numpy give arrays, whatever they take.
    assert isinstance(fg.jit(fnp.sum)(x), fg.Array)
    assert mnp.float32 is fnp.float32
    assert mnp.pi == fnp.pi
    assert {"zeros", "linalg", "MutableArray"} <= set(dir(mnp))
    with pytest.raises(AttributeError, match="no_such_function"):
        getattr(mnp, NO_SUCH)
    with pytest.raises(ValueError, match=r"2019\.1"):
        x.__array_namespace__(api_version="2019.1")


def test_conversions() -> None:
    x = MutableArray(RAW)
    np.testing.assert_array_equal(np.asarray(x), RAW)
    np.testing.assert_array_equal(np.from_dlpack(x), RAW)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(x)), RAW)
    np.testing.assert_array_equal(copy.deepcopy(x), RAW)
    assert x.__dlpack_device__() == (1, 0)
    assert len(x) == 3
    one = MutableArray(3)
    assert (int(one), float(one), complex(one), bool(one)) == (3, 3.0, 3 + 0j, True)
    assert [10, 20, 30, 40][one] == 40
    assert f"{one:03d}" == "003"
    assert repr(MutableArray([1, 2])) == "MutableArray([1, 2], dtype=int32)"
    with pytest.raises(TypeError, match="unhashable"):
        hash(x)


INDICES: list[Any] = [
    0,
    -1,
    (1, 2),
    (slice(None), 1),
    slice(0, 3, 2),
    ...,
    (..., None, 0),
    [0, 2],
    np.array([True, False, True]),
    (np.array([0, 2]), np.array([1, 3])),
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_assignment_is_numpys(index: Any) -> None:
    want, got = RAW.copy(), MutableArray(RAW)
    want[index] = -5
    got[index] = -5
    np.testing.assert_array_equal(got, want)
    value = 2 * RAW[index]
    want[index] = value
    got[index] = MutableArray(value)
    np.testing.assert_array_equal(got, want)


def test_keys_of_our_arrays() -> None:
    x = MutableArray(RAW)
    x[x > 5] = 0
    np.testing.assert_array_equal(x, np.where(RAW > 5, 0, RAW))
    x[MutableArray([0, 2]), fnp.asarray([1, 3])] = [7, 8]
    assert (float(x[0, 1]), float(x[2, 3])) == (7, 8)
    np.testing.assert_array_equal(x[MutableArray([1])], np.asarray(x)[[1]])


def test_nobody_else_sees_an_assignment() -> None:
    raw = RAW.copy()
    array = fnp.asarray(raw)
    x = MutableArray(array)
    others = [x.value, MutableArray(x), x[...], mnp.asarray(x, copy=True), x.T, +x]
    others += [mnp.astype(x, fnp.float32, copy=True), mnp.reshape(x, (4, 3)), np.asarray(x)]
    pullback = fg.vjp(lambda v: v * v, x.value)[1]
    compiled = fg.jit(lambda: fnp.sum(x.value))
    assert float(compiled()) == RAW.sum()
    x[...] = -1
    x += 5
    for other in (array, *others):
        np.testing.assert_array_equal(np.sort(np.ravel(other)), RAW.ravel())
    np.testing.assert_array_equal(raw, RAW)
    np.testing.assert_array_equal(pullback(fnp.ones((3, 4)))[0], 2 * RAW)
    assert float(compiled()) == RAW.sum()
    np.testing.assert_array_equal(x, np.full_like(RAW, 4))


def test_asarray_is_the_same_name_where_it_may_be() -> None:
    x = MutableArray(RAW)
    assert mnp.asarray(x) is x
    assert mnp.asarray(x, copy=False) is x
    assert mnp.asarray(x, copy=True) is not x
    assert mnp.astype(x, fnp.float32, copy=False) is x
    assert mnp.astype(x, fnp.int32, copy=False) is not x
    assert mnp.positive(x) is not x


def test_a_loop_of_assignments_copies_once() -> None:
    x = MutableArray(RAW)
    x[0] = 1
    memory = x._memory
    x[1] = 2
    assert x._memory is memory is not None
    held = x.value
    x[2] = 3
    assert x._memory is not memory
    assert float(held[2, 0]) == 8


def test_in_place_operators() -> None:
    x = y = MutableArray([1, 2, 3])
    x += 1
    x *= MutableArray([2, 2, 2])
    x **= 2
    assert x is y
    assert x.tolist() == [16, 36, 64]
    with pytest.raises(TypeError, match=r"__iadd__ would turn int32\[3\] into float32\[3\]"):
        x += 0.5
    with pytest.raises(TypeError, match="into int32"):
        x += fnp.ones((2, 3), int)
    assert x.tolist() == [16, 36, 64]


BAD: list[tuple[Callable[[Any], Any], type[Exception]]] = [
    (lambda x: x.__setitem__(3, 0.0), IndexError),
    (lambda x: x.__setitem__((0, 0, 0), 0.0), IndexError),
    (lambda x: x.__setitem__(0, [1.0, 2.0]), ValueError),
    (lambda x: x.__setitem__("a", 0.0), IndexError),
    (lambda x: x + "a", TypeError),
]


@pytest.mark.parametrize(("call", "error"), BAD)
def test_what_is_refused_changes_nothing(
    call: Callable[[Any], Any], error: type[Exception]
) -> None:
    x = MutableArray(RAW)
    with pytest.raises(error):
        call(x)
    np.testing.assert_array_equal(x, RAW)


def normalized(x: Any) -> Any:
    """A program of the array API that assigns."""
    xp = x.__array_namespace__()
    out = xp.zeros(x.shape, dtype=x.dtype)
    for i in range(x.shape[0]):
        out[i, :] = x[i, :] - xp.mean(x[i, :])
    out[0, :] *= 2
    return xp.sum(out**2)


def test_under_transformations() -> None:
    def f(x: Any) -> Any:
        return normalized(MutableArray(x)).value

    def plain(x: Any) -> Any:
        out = x - x.mean(axis=1, keepdims=True)
        return (out.at[0].multiply(2) ** 2).sum()

    x = fnp.asarray(RAW)
    np.testing.assert_allclose(f(x), plain(x), rtol=1e-6)
    np.testing.assert_allclose(fg.jit(f)(x), plain(x), rtol=1e-6)
    np.testing.assert_allclose(fg.grad(f)(x), fg.grad(plain)(x), rtol=1e-5, atol=1e-5)
    many = fnp.stack([x, 2 * x])
    np.testing.assert_allclose(fg.vmap(f)(many), fg.vmap(plain)(many), rtol=1e-6)
    np.testing.assert_allclose(fg.jit(fg.grad(f))(x), fg.grad(plain)(x), rtol=1e-5, atol=1e-5)
    # As an argument of a transformed function it is the array that it names.
    np.testing.assert_allclose(fg.jit(fnp.sum)(MutableArray(x)), RAW.sum())


keys = st.one_of(
    st.integers(-3, 2),
    st.slices(3),
    st.tuples(st.slices(3), st.integers(-4, 3)),
    st.lists(st.integers(-3, 2), min_size=1, max_size=3),
)


@given(st.lists(st.tuples(keys, st.integers(-9, 9), st.booleans()), max_size=8))
def test_programs_of_assignments(program: list[tuple[Any, int, bool]]) -> None:
    want, got, kept = RAW.copy(), MutableArray(RAW), []
    for key, value, keep in program:
        want[key] = value
        got[key] = value
        if keep:
            kept.append((got.value, want.copy()))
    np.testing.assert_array_equal(got, want)
    for array, then in kept:
        np.testing.assert_array_equal(array, then)

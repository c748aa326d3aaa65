"""Jitted calls on NumPy's arrays and numbers: the same as on Arrays of them, each time again."""

import enum
import threading
from collections import namedtuple
from dataclasses import dataclass

import ml_dtypes
import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax

SMALL, LARGE = 6, 60_000  # programs on few elements hold the GIL, those on many let go of it


class Sub(np.ndarray):
    pass


def misaligned(n):
    x = np.empty(4 * n + 1, np.uint8)[1:].view(np.float32)
    x[:] = np.arange(n)
    return x


def frozen(x):
    x.flags.writeable = False
    return x


ARRAYS = {
    "float32": lambda n: np.arange(n, dtype=np.float32),
    "float64": lambda n: np.arange(n) / 3,
    "int64, large": lambda n: np.arange(n) + 2**33,
    "int32": lambda n: np.arange(n, dtype=np.int32),
    "uint64": lambda n: np.arange(n, dtype=np.uint64),
    "uint8": lambda n: np.arange(n).astype(np.uint8),
    "bool": lambda n: np.arange(n) % 2 == 0,
    "float16": lambda n: np.arange(n).astype(np.float16),
    "bfloat16": lambda n: np.arange(n).astype(ml_dtypes.bfloat16),
    "complex64": lambda n: (np.arange(n) * (1 + 2j)).astype(np.complex64),
    "complex128": lambda n: np.arange(n) * (1 + 2j),
    "beyond float32": lambda n: np.full(n, -1e300),
    "other bytes": lambda n: np.arange(n).astype(">f4"),
    "other bytes, ints": lambda n: np.arange(n).astype(">i8"),
    "every second": lambda n: np.arange(2 * n, dtype=np.float32)[::2],
    "backwards": lambda n: np.arange(n, dtype=np.float32)[::-1],
    "by columns": lambda n: np.arange(n, dtype=np.float32).reshape(2, -1).T,
    "repeated": lambda n: np.broadcast_to(np.float32(3), (n,)),
    "misaligned": misaligned,
    "read-only": lambda n: frozen(np.arange(n, dtype=np.float32)),
    "read-only view": lambda n: frozen(np.arange(n, dtype=np.float32)[:]),
    "subclass": lambda n: np.arange(n, dtype=np.float32).view(Sub),
    "no elements": lambda n: np.empty((n, 0), np.float32),
    "no axes": lambda n: np.asarray(np.float32(n)),
    "a dtype of its own": lambda n: np.arange(n).astype(
        np.dtype(np.float32, metadata={"unit": "m"})
    ),
}
KINDS = (
    *(np.int8, np.int16, np.int32, np.int64, np.longlong, np.uint8, np.uint16, np.uint32),
    *(np.uint64, np.float16, np.float32, np.float64, np.complex64, np.complex128, np.bool_),
    ml_dtypes.bfloat16,
)
NUMBERS = {
    "True": True,
    "False": False,
    "int": 7,
    "negative int": -7,
    "least int": -(2**31),
    "greatest int": 2**31 - 1,
    "float": 0.1,
    "nan": float("nan"),
    "float beyond float32": 1e300,
    "small float": 1e-42,
    "complex": 0.1 - 2j,
    **{f"np.{kind.__name__}": kind(3) for kind in KINDS},
    "np.float64 beyond float32": np.float64(-1e300),
    "np.int64 beyond int32": np.int64(2**40 + 5),
}


def changed(x):
    """Whatever the dtype, something is computed of every element."""
    return (~x,) if x.dtype == bool else (x + x,)


def same(found, wanted):
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    assert found.weak_type == wanted.weak_type
    np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))


def check_calls(x):
    traces = []

    @fg.jit
    def f(x):
        traces.append(x.aval)
        return changed(x)

    wanted = changed(fnp.asarray(x))[0]
    for given in (x, x, fnp.asarray(x), x, x):
        same(f(given)[0], wanted)
    assert len(traces) == 1 and not np.shares_memory(f(x)[0], x)
    g = fg.jit(changed)
    for given in (fnp.asarray(x), x, x):
        same(g(given)[0], wanted)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("x64", [False, True], ids=["x32", "x64"])
@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("name", ARRAYS)
def test_numpy_arrays_are_taken_as_arrays_of_them(name, size, x64):
    x = ARRAYS[name](size)
    before = x.copy()
    with fg.enable_x64(x64):
        check_calls(x)
    np.testing.assert_array_equal(x, before)
    assert x.flags.writeable == ARRAYS[name](size).flags.writeable


WIDE = {
    "float64": lambda n: np.append(np.geomspace(1e-60, 1e60, n - 1), np.nan) * np.pi,
    "int64": lambda n: np.arange(n) * 3**25 - 2**40,
    "uint64": lambda n: np.arange(n, dtype=np.uint64) * np.uint64(3**30),
    "complex128": lambda n: np.geomspace(1e-60, 1e60, n) * (1 + 2j),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(1,), (7,), (8,), (9,), (5, 13), (2, 3, 4), (1, 0), (0,)])
@pytest.mark.parametrize("name", WIDE)
def test_arrays_of_64_bits_are_converted_by_machine_code(name, shape, monkeypatch):
    f = fg.jit(lambda x: (x, x + x))
    x = WIDE[name](max(int(np.prod(shape)), 1))[: int(np.prod(shape))].reshape(shape)
    wanted = fnp.asarray(x)
    f(wanted)

    def never(*_):
        raise AssertionError("Python converted it")

    monkeypatch.setattr("funcgrad.control.direct.memory_of", never)
    first = f(x)
    columns = f(np.asfortranarray(x))
    other = f(np.zeros_like(x))
    for found in (first, columns):
        same(found[0], wanted)
        same(found[1], wanted + wanted)
    same(other[0], fnp.zeros_like(wanted))
    with fg.enable_x64():
        monkeypatch.undo()
        same(f(x)[0], fnp.asarray(x))
    same(f(x)[0], wanted)


def test_threads_convert_arrays_in_memory_of_their_own():
    f = fg.jit(lambda x, y: x - y)
    f(np.zeros(40), np.zeros(40))
    wrong = []

    def work(k):
        x = np.full(40, float(k))
        for i in range(300):
            if not np.all(np.asarray(f(x, np.full(40, i))) == k - i):
                wrong.append((k, i))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("x64", [False, True], ids=["x32", "x64"])
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_taken_as_arrays_of_them(name, x64):
    with fg.enable_x64(x64):
        check_calls(NUMBERS[name])


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_kinds_of_arguments_in_turn(size):
    f = fg.jit(lambda x, y: x * y + y)
    rng = np.random.default_rng(0)
    xs = [rng.standard_normal(size, dtype=np.float32), np.arange(size), rng.standard_normal(size)]
    ys = [2, 0.5, True, np.float32(3), np.int32(4), np.float64(0.25), 1 + 1j]
    for _ in range(2):
        for x in xs + [fnp.asarray(x) for x in xs]:
            for y in ys + [fnp.asarray(y) for y in ys]:
                same(f(x, y), f(fnp.asarray(x), fnp.asarray(y)))


def test_a_changed_array_is_read_again_and_results_stay():
    f = fg.jit(lambda x: (x, x.reshape(2, 3), x + 1))
    x = np.arange(6, dtype=np.float32)
    f(x)
    outs = f(x)
    x[:] = 100
    for out in outs:
        assert not np.shares_memory(out, x) and np.asarray(out).max() < 10
    np.testing.assert_array_equal(f(x)[0], np.full(6, 100))


def test_one_array_twice_and_views_of_one():
    f = fg.jit(lambda x, y: x - 2 * y)
    x = np.arange(8, dtype=np.float32)
    for _ in range(3):
        np.testing.assert_array_equal(f(x, x), -x)
        np.testing.assert_array_equal(f(x[:4], x[2:6]), x[:4] - 2 * x[2:6])


@dataclass
class Layer:
    w: object
    b: object


fg.tree_util.register_dataclass(Layer, data_fields=["w", "b"], meta_fields=[])
Pair = namedtuple("Pair", "first second")
LEAVES = (np.ones(3, np.float32), 2.0, np.float32(3), np.arange(3), True)
TREES = {
    "dict": lambda a, b: {"a": a, "b": {"c": [b, a]}},
    "named tuple": lambda a, b: Pair(a, [b]),
    "dataclass": lambda a, b: Layer(a, (b, None)),
}


@pytest.mark.parametrize("make", TREES.values(), ids=TREES)
def test_trees_of_mixed_leaves(make):
    @fg.jit
    def f(t, *, k):
        return fg.tree.map(lambda x: x * k, t)

    for _ in range(2):
        for a in LEAVES:
            for b in LEAVES:
                for k in (2.0, fnp.asarray(2.0), np.float32(2)):
                    found = fg.tree.leaves(f(make(a, b), k=k))
                    arrays = fg.tree.map(fnp.asarray, make(a, b))
                    for x, y in zip(found, fg.tree.leaves(arrays), strict=True):
                        same(x, y * k)


@pytest.mark.parametrize("known", [np.ones(3, np.float32), np.int32(1), 1, 1.0], ids=repr)
def test_what_is_no_array_value_is_refused_by_known_functions_too(known):
    f = fg.jit(lambda x: x + 1)
    f(known), f(known)
    with pytest.raises(TypeError, match="not a valid array type"):
        f("text")
    with pytest.raises(TypeError):
        f(np.array([None, 1, "a"], object))
    with pytest.raises(TypeError):
        f(np.array(["a", "b"]))
    with pytest.raises(ValueError, match="masked"):
        f(np.ma.masked_array(np.ones(3, np.float32), [True, False, True]))
    with pytest.raises(TypeError):
        f(None)
    same(f(known), fnp.asarray(known) + 1)


@pytest.mark.parametrize("number", [2**31, -(2**31) - 1, 2**63, -(10**30)])
def test_ints_beyond_their_dtype_are_refused(number):
    f = fg.jit(lambda x: x + 1)
    f(1), f(2)
    with pytest.raises(OverflowError, match="too large"):
        f(number)
    assert int(f(3)) == 4
    with fg.enable_x64():
        assert int(f(1)) == 2
        if -(2**63) <= number < 2**63 - 1:
            assert int(f(number)) == number + 1
        else:
            with pytest.raises(OverflowError):
                f(number)


def test_kinds_of_ints_and_floats_are_ints_and_floats():
    class Colour(enum.IntEnum):
        RED = 4

    class Length(float):
        pass

    f = fg.jit(lambda x: x + 1)
    for known, x in ((1, Colour.RED), (1.0, Length(2.5))):
        for _ in range(2):
            same(f(known), fnp.asarray(known) + 1)
            same(f(x), fnp.asarray(known) * type(known)(x) + 1)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_donated_numpy_arrays_stay_as_they_are(size):
    f = fg.jit(lambda x, y: (x + 1, y * 2), donate_argnums=(0, 1))
    x = np.arange(size, dtype=np.float32)
    for _ in range(3):
        y = fnp.asarray(x)
        a, b = f(x, y)
        assert y.is_deleted() and x.flags.writeable
        np.testing.assert_array_equal(x, np.arange(size))
        np.testing.assert_array_equal(a, x + 1)
        np.testing.assert_array_equal(b, x * 2)
        c, _ = f(np.arange(size, dtype=np.float32), 2.0)
        np.testing.assert_array_equal(c, x + 1)


def test_static_values_are_kept_apart():
    traces = []

    def fun(n, x, flag=False, *, name="a"):
        traces.append((n, name))
        return x * n if flag else x + len(name)

    f = fg.jit(fun, static_argnums=(0, 2), static_argnames=("name",))
    x = np.ones(3, np.float32)
    for _ in range(3):
        for given in (x, fnp.asarray(x)):
            for n in (2, 3, 2.0):
                np.testing.assert_array_equal(f(n, given, True), x * n)
            np.testing.assert_array_equal(f(2, given), x + 1)
            np.testing.assert_array_equal(f(2, given, name="long"), x + 4)
            np.testing.assert_array_equal(f(2, x=given, name="long"), x + 4)
    assert len(traces) == 6
    with pytest.raises(ValueError, match="Non-hashable"):
        f([1], x)
    with fg.disable_jit():
        np.testing.assert_array_equal(f([1], x), x + 1)
    f.clear_cache()
    f(2, x)
    assert len(traces) == 8


def test_donation_beside_static_trees():
    f = fg.jit(lambda c, x, y: (x + c[0], y * c[1]), static_argnums=0, donate_argnums=2)
    for _ in range(3):
        x, y = fnp.ones(3), fnp.ones(3) * 2
        a, b = f((1, 5), x, y)
        assert y.is_deleted() and not x.is_deleted()
        np.testing.assert_array_equal(a, np.full(3, 2))
        np.testing.assert_array_equal(b, np.full(3, 10))


def test_branches_by_numbers():
    choose = fg.jit(lambda i, x: lax.switch(i, [lambda x: x, lambda x: x * 2, lambda x: x + 5], x))
    either = fg.jit(lambda p, x: lax.cond(p, lambda x: x + 1, lambda x: x - 1, x))
    x = np.arange(3, dtype=np.float32)
    for _ in range(2):
        for kind in (int, np.int32, np.int64, np.uint8, np.asarray):
            for k, wanted in enumerate((x, x * 2, x + 5)):
                np.testing.assert_array_equal(choose(kind(k), x), wanted)
        for kind in (bool, np.bool_, fnp.asarray, np.asarray):
            np.testing.assert_array_equal(either(kind(True), x), x + 1)
            np.testing.assert_array_equal(either(kind(False), x), x - 1)


def test_options_that_change_what_numbers_are():
    f = fg.jit(lambda x, y: x + y)
    x = np.ones(3)
    for x64 in (False, True, False, True):
        with fg.enable_x64(x64):
            for y in (0.1, 1, np.float64(0.1), np.float32(0.1)):
                same(f(x, y), fnp.asarray(x) + y)


def test_inside_of_transforms():
    f = fg.jit(lambda x, y: x * y)
    x = np.arange(3, dtype=np.float32)
    f(x, 2.0), f(x, 2.0)
    np.testing.assert_array_equal(fg.grad(lambda y: f(x, y).sum())(2.0), 3)
    np.testing.assert_array_equal(fg.vmap(f, (None, 0))(x, x), np.outer(x, x))
    np.testing.assert_array_equal(fg.jit(lambda y: f(x, y))(np.float32(2)), x * 2)


@pytest.mark.parametrize("lowering", ["numpy", "python"])
def test_other_lowerings_share_no_memory_with_arguments(lowering):
    before = fg.config.lowering
    fg.config.update("lowering", lowering)
    try:
        f = fg.jit(lambda x: (x, x[:2]))
        x = np.arange(4, dtype=np.float32)
        for _ in range(2):
            for out in f(x):
                assert not np.shares_memory(out, x)
    finally:
        fg.config.update("lowering", before)

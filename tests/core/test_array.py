"""The Array: immutable, shared with NumPy without copies, and honest about what it is."""

import copy
import pickle

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.config import enable_x64


def make(values=(1.0, 2.0, 3.0)):
    return fnp.asarray(np.array(values, np.float32))


def test_assignment_is_refused_with_a_remedy():
    x = make()
    with pytest.raises(TypeError, match=r"immutable.*\n?.*x\.at\[index\]\.set"):
        x[0] = 5.0
    with pytest.raises(AttributeError):
        x.shape = (1, 3)
    y = x
    y += 1
    np.testing.assert_array_equal(x, [1, 2, 3])
    np.testing.assert_array_equal(x.at[0].set(5.0), [5, 2, 3])


def test_numpy_sees_the_memory_and_cannot_write():
    x = make()
    view = np.asarray(x)
    assert np.shares_memory(view, x.numpy())
    assert not view.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1.0
    assert type(np.sin(x)) is np.ndarray


def test_array_protocol_with_dtype_and_copy():
    x = make()
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    copied = np.array(x)
    copied[0] = 9.0
    assert copied.flags.writeable
    assert float(x[0]) == 1.0
    assert np.shares_memory(np.array(x, copy=False), x.numpy())
    with pytest.raises(ValueError, match="a copy is needed"):
        np.array(x, dtype=np.int32, copy=False)


def test_a_changed_numpy_array_does_not_change_the_array():
    source = np.arange(3, dtype=np.float32)
    made = [fnp.asarray(source), fnp.array(source), fg.device_put(source), fnp.sin(source * 0)]
    kept = fg.jit(lambda x: x)(source)
    closed = fg.make_jaxpr(lambda x: x + source)(1.0)
    source[:] = 7
    for x in [*made[:3], kept]:
        np.testing.assert_array_equal(x, [0, 1, 2])
    np.testing.assert_array_equal(closed.consts[0], [0, 1, 2])


def test_views_of_writeable_memory_are_copied():
    source = np.arange(4, dtype=np.float32)
    view = source[:2]
    view.flags.writeable = False
    x = fnp.asarray(view)
    source[:] = 9
    np.testing.assert_array_equal(x, [0, 1])


def test_dtypes_become_32_bit_without_x64():
    wide = np.arange(2.0)
    assert fnp.asarray(wide).dtype == np.float32
    with enable_x64():
        assert fnp.asarray(wide).dtype == np.float64


@pytest.mark.parametrize("dtype", ["float32", "int8", "complex64", "bool", "bfloat16"])
def test_pickle_and_copy(dtype):
    x = fnp.asarray([1, 0, 2]).astype(dtype)
    for y in (pickle.loads(pickle.dumps(x)), copy.copy(x), copy.deepcopy(x)):
        assert isinstance(y, fg.Array)
        assert y.dtype == x.dtype
        assert y.aval == x.aval
        np.testing.assert_array_equal(y, x)


def test_pickle_keeps_weak_types():
    weak = fnp.asarray(1.0)
    assert weak.weak_type
    assert pickle.loads(pickle.dumps(weak)).weak_type


def test_repr_and_str():
    assert repr(make()) == "Array([1., 2., 3.], dtype=float32)"
    assert str(make()) == "[1. 2. 3.]"
    assert repr(fnp.asarray(2)) == "Array(2, dtype=int32, weak_type=True)"
    assert repr(fnp.zeros((0, 2), fnp.int8)) == "Array([], shape=(0, 2), dtype=int8)"
    assert repr(fnp.ones(2, fnp.bfloat16)) == "Array([1., 1.], dtype=bfloat16)"
    assert f"{fnp.float32(1.5):.3f}" == "1.500"


def test_deletion():
    x = make()
    assert not x.is_deleted()
    x.delete()
    assert x.is_deleted()
    assert x.shape == (3,)
    assert "deleted" in repr(x)
    for use in (np.asarray, lambda x: x + 1, lambda x: x[0], lambda x: x.block_until_ready()):
        with pytest.raises(RuntimeError, match=r"Array has been deleted.*float32\[3\]"):
            use(x)


def test_hash_is_refused():
    with pytest.raises(TypeError, match=r"unhashable type: 'Array'.*item\(\)"):
        hash(make())
    with pytest.raises(TypeError, match="unhashable"):
        {make(): 1}


def test_scalars():
    x = fnp.asarray([3], dtype=fnp.int32)
    assert range(5)[x[0]] == 3
    assert [10, 20, 30, 40][x[0]] == 40
    with pytest.raises(TypeError, match=r"only integer scalars.*int32\[1\]"):
        range(5)[x]
    with pytest.raises(TypeError, match="only integer scalars"):
        range(5)[fnp.float32(1)]
    assert float(fnp.float32(2.5)) == 2.5
    assert complex(fnp.complex64(1j)) == 1j
    assert bool(fnp.asarray([True]))
    with pytest.raises(ValueError, match="ambiguous.*any"):
        bool(make())


def test_lengths_and_iteration():
    x = fnp.arange(6).reshape(3, 2)
    assert len(x) == 3
    assert [row.tolist() for row in x] == [[0, 1], [2, 3], [4, 5]]
    assert all(isinstance(row, fg.Array) for row in x)
    with pytest.raises(TypeError, match="unsized"):
        len(fnp.float32(1))
    with pytest.raises(TypeError, match="0-d"):
        iter(fnp.float32(1))


def test_facts():
    x = fnp.zeros((2, 3), fnp.bfloat16)
    assert (x.shape, x.ndim, x.size, x.itemsize, x.nbytes) == ((2, 3), 2, 6, 2, 12)
    assert x.dtype == fnp.bfloat16
    assert np.asarray(x).dtype == fnp.bfloat16
    assert not x.weak_type
    assert x.tobytes() == bytes(12)
    assert x.unsafe_buffer_pointer() == np.asarray(x).ctypes.data


def test_place():
    x = make()
    assert x.block_until_ready() is x
    assert x.devices() == {fg.devices()[0]}
    assert x.device == fg.devices()[0]
    assert fg.block_until_ready({"a": x})["a"] is x


def test_array_api_namespace():
    assert make().__array_namespace__() is fnp


def test_weak_types_yield():
    weak, half = fnp.asarray(1.0), fnp.ones(2, fnp.float16)
    assert (weak + half).dtype == np.float16
    assert (np.float32(1) + half).dtype == np.float32
    assert (half + 1.0).dtype == np.float16


def test_operators_with_numpy_on_the_left_give_arrays():
    x = make()
    for out in (np.ones(3, np.float32) + x, np.float32(2) * x, np.ones((1, 3), np.float32) @ x):
        assert isinstance(out, fg.Array)


def test_arrays_and_tracers_are_instances_of_the_public_class():
    x = make()
    seen = []

    def watch(x):
        seen.append((isinstance(x, fg.Array), isinstance(x, fg.typing.ArrayLike)))
        return x * 2.0

    fg.jit(watch)(x)
    fg.vmap(watch)(x)
    fg.jvp(watch, (x,), (x,))
    fg.make_jaxpr(watch)(x)
    assert seen == [(True, True)] * 4
    assert isinstance(x, fg.Array)
    assert isinstance(fg.random.key(0), fg.typing.Array)
    for other in (np.ones(3), np.float32(1), 1.0, [x], fg.ShapeDtypeStruct((), "float32")):
        assert not isinstance(other, fg.Array)
    assert float(fg.Array.sum(x)) == 6.0
    assert repr(fg.Array) == "<class 'funcgrad.Array'>"
    assert pickle.loads(pickle.dumps(fg.Array)) is fg.Array
    with pytest.raises(TypeError, match=r"makes no arrays. Use numpy.array"):
        fg.Array(np.ones(3))


@pytest.mark.parametrize("kind", ["f2", "f4", "i4", "u2", "c8"])
def test_numpy_arrays_of_the_other_byte_order_are_turned(kind):
    native = np.arange(3).astype(kind)
    other = native.astype(native.dtype.newbyteorder())
    made = fnp.asarray(other), fg.jit(lambda x: x)(other), fnp.array([other[0], *other[1:]])
    for x in [*made, fnp.add(other, native - native)]:
        assert x.dtype == native.dtype
        assert x.numpy().dtype.isnative
        np.testing.assert_array_equal(x, native)


_warm = fg.jit(lambda x: x + 1)


@pytest.mark.parametrize(
    "use",
    [
        fnp.sin,
        fnp.asarray,
        fnp.array,
        fg.device_put,
        _warm,
        _warm.lower(np.zeros(3, "f4")).compile(),
        fg.grad(fnp.sum),
        fg.vmap(fnp.sin),
        lambda x: fnp.ones(3) + x,
        lambda x: x + fnp.ones(3),
        lambda x: fnp.stack([x, x]),
        lambda x: fg.jit(lambda y: x + y)(fnp.ones(3)),
    ],
)
def test_masked_arrays_are_refused_since_their_mask_would_be_lost(use):
    _warm(np.zeros(3, "f4"))
    masked = np.ma.array(np.zeros(3, "f4"), mask=[False, True, False])
    with pytest.raises(ValueError, match=r"masked array of NumPy, f32\[3\].*x\.filled"):
        use(masked)
    assert np.array_equal(use(masked.filled(2.0)), use(np.array([0, 2, 0], "f4")))

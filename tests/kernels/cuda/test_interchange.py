"""Arrays of a GPU go to other libraries and come from them without a copy, in order on the device.

The other library is a fake one, with memory and streams of the driver that emulates.
"""

import ctypes
import gc
import weakref

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import dlpack
from funcgrad.control import accelerators
from funcgrad.kernels.cuda.runtime import capsules
from funcgrad.kernels.cuda.runtime.capsules import Described, capsule, opened, row_strides
from funcgrad.kernels.cuda.runtime.driver import CudaError

THEIRS = 7  # their stream


class Owner:
    """Keeps memory of theirs."""


class Theirs:
    """An array of another library, written by work that is still in its stream."""

    def __init__(self, fake, values, strides=None, offset=0, read_only=False, device=0):
        values = np.asarray(values)
        self.fake, self.shape, self.dtype = fake, values.shape, values.dtype
        self.strides, self.read_only, self.device = strides, read_only, device
        fake.use(device)
        self.address = fake.allocate(values.nbytes + 64, 100) + offset
        flat = np.ascontiguousarray(values).reshape(-1).view(np.uint8).copy()
        address = self.address
        fake.streams.setdefault(THEIRS, []).append(
            lambda: fake.at(address, flat.size).__setitem__(slice(None), flat)
        )
        self.owner = Owner()
        fake.log.clear()


class ByDlpack(Theirs):
    def __dlpack_device__(self):
        return (2, self.device)

    def __dlpack__(self, *, stream=None, max_version=None):
        self.asked = stream, max_version
        self.fake.follow(stream, THEIRS)
        what = Described(
            self.address,
            self.shape,
            self.strides,
            self.dtype,
            (2, self.device),
            self.read_only,
            None,
        )
        return capsule(what, self.owner, max_version is not None)


class Old(ByDlpack):
    def __dlpack__(self, *, stream=None):
        return ByDlpack.__dlpack__(self, stream=stream)


class ByInterface(Theirs):
    stream = THEIRS

    @property
    def __cuda_array_interface__(self):
        steps = self.strides and tuple(s * self.dtype.itemsize for s in self.strides)
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, self.read_only),
            "strides": steps,
            "version": 3,
            "stream": self.stream,
        }


VALUES = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
FORMS = {"dlpack": ByDlpack, "old dlpack": Old, "interface": ByInterface}


def pool():
    return accelerators._homes[0].place.pool


# In.


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("read_only", [False, True])
def test_foreign_arrays_come_in_without_a_copy(gpu, form, read_only):
    theirs = FORMS[form](gpu, VALUES, read_only=read_only)
    x = fnp.asarray(theirs)
    assert x.unsafe_buffer_pointer() == theirs.address
    assert (x.shape, x.dtype, x.committed, x.device.platform) == ((5, 8), np.float32, True, "gpu")
    told = {entry[0] for entry in gpu.log}
    assert told == {"follow"}, gpu.log
    # Their work is still in their stream: what is computed here comes after it.
    np.testing.assert_array_equal(x * 2, VALUES * 2)
    np.testing.assert_allclose(fg.jit(fnp.sin)(x), np.sin(VALUES), rtol=1e-6)
    if form == "dlpack":
        assert theirs.asked == (100, (1, 0))
        np.testing.assert_array_equal(dlpack.from_dlpack(ByDlpack(gpu, VALUES)), VALUES)
        np.testing.assert_array_equal(fnp.from_dlpack(ByDlpack(gpu, VALUES)), VALUES)


def test_a_copy_is_made_on_the_device_where_it_is_asked_for(gpu):
    for make in (
        fnp.array,
        lambda t: fnp.asarray(t, copy=True),
        lambda t: dlpack.from_dlpack(t, copy=True),
    ):
        theirs = ByDlpack(gpu, VALUES)
        x = make(theirs)
        assert x.unsafe_buffer_pointer() != theirs.address
        np.testing.assert_array_equal(x, VALUES)
        assert "upload" not in {entry[0] for entry in gpu.log}


def test_the_owner_lives_until_the_work_that_reads_it_is_done(gpu):
    theirs = ByDlpack(gpu, VALUES)
    owner = weakref.ref(theirs.owner)
    x = fnp.asarray(theirs)
    del theirs
    y = x + 1
    del x
    gc.collect()
    pool().settle()
    assert owner() is not None
    y.block_until_ready()
    pool().settle()
    gpu.now()
    pool().settle()
    assert owner() is None


def test_a_capsule_that_nobody_takes_lets_go(gpu):
    theirs = ByDlpack(gpu, VALUES)
    owner = weakref.ref(theirs.owner)
    given = theirs.__dlpack__(stream=100)
    del theirs
    assert owner() is not None
    del given
    assert owner() is None


@pytest.mark.parametrize("form", ["dlpack", "interface"])
def test_memory_in_another_order_of_axes_is_turned_on_the_device(gpu, form):
    theirs = FORMS[form](gpu, VALUES, strides=(1, 5))
    with pytest.raises(ValueError, match="another order"):
        fnp.asarray(theirs, copy=False)
    gpu.log.clear()
    x = fnp.asarray(theirs)
    np.testing.assert_array_equal(x, VALUES.reshape(8, 5).T)
    assert not {"upload"} & {entry[0] for entry in gpu.log}
    # An axis of one element has any stride.
    row = FORMS[form](gpu, VALUES[:1], strides=(77, 1))
    assert fnp.asarray(row).unsafe_buffer_pointer() == row.address


@pytest.mark.parametrize("form", ["dlpack", "interface"])
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"strides": (16, 2)}, "gaps.*contiguous"),
        ({"offset": 2}, "no multiple of 4.*Copy it"),
    ],
)
def test_memory_that_no_kernel_could_read(gpu, form, options, told):
    theirs = FORMS[form](gpu, VALUES, **options)
    with pytest.raises(BufferError, match=told):
        fnp.asarray(theirs)
    assert not {"upload", "download"} & {entry[0] for entry in gpu.log}


def test_memory_that_begins_between_is_read_one_by_one(gpu):
    theirs = ByDlpack(gpu, np.arange(64, dtype=np.float32), offset=4)
    np.testing.assert_array_equal(fg.jit(lambda x: x * 2)(theirs_in(theirs)), np.arange(64) * 2)


def theirs_in(theirs):
    x = fnp.asarray(theirs)
    assert x.unsafe_buffer_pointer() == theirs.address
    return x


def test_arrays_of_another_device(gpus):
    fake = gpus(count=2)
    x = fnp.asarray(ByDlpack(fake, VALUES, device=1))
    assert str(x.device) == "GPU:1"
    y = fnp.asarray(ByInterface(fake, VALUES, device=1))
    assert str(y.device) == "GPU:1"
    with pytest.raises(BufferError, match=r"lies on GPU 4.*\[0, 1\]"):
        fnp.asarray(ByDlpack(fake, VALUES, device=4))
    fake.log.clear()
    moved = fg.device_put(x, fg.devices("gpu")[0])
    assert str(moved.device) == "GPU:0"
    assert {entry[0] for entry in fake.log} <= {"follow", "bring", "allocate", "share"}
    np.testing.assert_array_equal(moved, VALUES)


@pytest.mark.parametrize("take", [fnp.from_dlpack, dlpack.from_dlpack])
def test_arrays_of_ours_are_taken_where_they_are(gpu, take):
    x = fg.device_put(VALUES, "gpu")
    same, copied = take(x), take(x, copy=True)
    assert same.unsafe_buffer_pointer() == x.unsafe_buffer_pointer()
    assert copied.unsafe_buffer_pointer() != x.unsafe_buffer_pointer()
    # What both have is not written over.
    fg.jit(lambda v: v * 2, donate_argnums=0)(x)
    for y in (same, copied):
        assert str(y.device) == "GPU:0"
        np.testing.assert_array_equal(y, VALUES)
    empty = fg.device_put(VALUES[:0], "gpu")
    assert take(empty).shape == empty.shape


def test_wide_dtypes_become_their_kin_on_the_device(gpu):
    theirs = ByDlpack(gpu, np.arange(6))
    x = fnp.asarray(theirs)
    assert x.dtype == np.int32 and "upload" not in {entry[0] for entry in gpu.log}
    np.testing.assert_array_equal(x, np.arange(6))
    with pytest.raises(ValueError, match="would become int32"):
        fnp.asarray(theirs, copy=False)
    with fg.enable_x64():
        assert fnp.asarray(theirs).unsafe_buffer_pointer() == theirs.address


def test_interfaces_that_cannot_be_taken(gpu):
    theirs = ByInterface(gpu, VALUES)
    theirs.stream = 0
    with pytest.raises(BufferError, match="stream 0"):
        fnp.asarray(theirs)

    class Masked(ByInterface):
        @property
        def __cuda_array_interface__(self):
            return {**super().__cuda_array_interface__, "mask": self}

    with pytest.raises(BufferError, match="mask"):
        fnp.asarray(Masked(gpu, VALUES))

    class OnHost:
        __cuda_array_interface__ = {"shape": (1,), "typestr": "<f4", "data": (64, False)}

    with pytest.raises(CudaError, match="INVALID_VALUE"):
        fnp.asarray(OnHost())


def test_imported_memory_is_never_written_over(gpu):
    theirs = ByDlpack(gpu, VALUES)
    x = fnp.asarray(theirs)
    y = fg.jit(lambda v: v * 2, donate_argnums=0)(x)
    assert x.is_deleted() and y.unsafe_buffer_pointer() != theirs.address
    np.testing.assert_array_equal(y, VALUES * 2)
    gpu.now()
    assert gpu.at(theirs.address, VALUES.nbytes).tobytes() == VALUES.tobytes()


# Out.


def test_capsules_say_what_lies_where(gpu):
    x = fg.device_put(VALUES, "gpu")
    assert x.__dlpack_device__() == (2, 0)
    for options, version in (({}, None), ({"max_version": (1, 1)}, (1, 0))):
        what = opened(x.__dlpack__(stream=1, **options))
        assert what.address == x.unsafe_buffer_pointer()
        assert (what.shape, what.strides, what.dtype) == ((5, 8), (8, 1), np.float32)
        assert what.device == (2, 0) and what.read_only == (version is not None)
        what.release()
    # Who reads in the default stream comes after the upload.
    gpu.run(1)
    assert gpu.at(x.unsafe_buffer_pointer(), 160).tobytes() == VALUES.tobytes()
    given = x.__dlpack__(stream=1)
    opened(given).release()
    with pytest.raises(BufferError, match="nobody has used"):
        opened(given)


@pytest.mark.parametrize(
    ("stream", "followed"), [(None, 1), (1, 1), (2, 2), (THEIRS, THEIRS), (-1, None)]
)
def test_the_consumers_stream_waits_on_the_device(gpu, stream, followed):
    x = fg.device_put(VALUES, "gpu")
    gpu.streams[THEIRS] = []
    gpu.log.clear()
    before = gpu.waits
    what = opened(x.__dlpack__(stream=stream))
    assert gpu.waits == before
    assert gpu.log == ([] if followed is None else [("follow", followed, 100)])
    what.release()


@pytest.mark.parametrize("stream", [0, -2, "1", 1.0, True])
def test_streams_that_are_none(gpu, stream):
    x = fg.device_put(VALUES, "gpu")
    with pytest.raises(BufferError, match="Give 1 for the default stream"):
        x.__dlpack__(stream=stream)


def test_devices_and_copies_of_capsules(gpu):
    x = fg.device_put(VALUES, "gpu")
    np.testing.assert_array_equal(np.from_dlpack(x, device="cpu"), VALUES)
    for options in ({"dl_device": (2, 1)}, {"dl_device": (1, 0), "copy": False}):
        with pytest.raises(BufferError, match=r"(?s)asked for on DLPack's device.*device_put"):
            x.__dlpack__(max_version=(1, 0), **options)
    what = opened(x.__dlpack__(max_version=(1, 0), copy=True, dl_device=(2, 0)))
    assert what.address != x.unsafe_buffer_pointer() and not what.read_only
    gpu.run(1)
    assert gpu.at(what.address, 160).tobytes() == VALUES.tobytes()
    what.release()
    with pytest.raises(BufferError, match="key<fry>"):
        fg.device_put(fg.random.key(0), "gpu").__dlpack__()


def test_lent_memory_comes_back_behind_the_readers_stream(gpu):
    x = fg.device_put(VALUES, "gpu")
    address = x.unsafe_buffer_pointer()
    gpu.streams[THEIRS] = []
    what = opened(x.__dlpack__(stream=THEIRS))
    del x
    gc.collect()
    assert fg.device_put(VALUES * 0, "gpu").unsafe_buffer_pointer() != address
    seen = []
    gpu.streams[THEIRS].append(lambda: seen.append(gpu.at(address, 160).tobytes()))
    what.release()
    gpu.log.clear()
    again = [fg.device_put(VALUES * 0 + 3, "gpu") for _ in range(3)]
    assert address in [a.unsafe_buffer_pointer() for a in again]
    assert ("follow", 100, THEIRS) in gpu.log
    for a in again:
        np.testing.assert_array_equal(a, 3)
    assert seen == [VALUES.tobytes()]


def test_lent_memory_is_not_written_over_by_donation(gpu):
    x = fg.device_put(VALUES, "gpu")
    alias = fg.device_put(x, "gpu")
    what = opened(x.__dlpack__())
    y = fg.jit(lambda v: v * 2, donate_argnums=0)(x)
    assert y.unsafe_buffer_pointer() != what.address
    np.testing.assert_array_equal(alias, VALUES)
    what.release()
    twice = fg.device_put(VALUES, "gpu")
    z = fg.jit(lambda a, b: a * 2 + b[::-1], donate_argnums=0)(twice, twice)
    np.testing.assert_array_equal(z, VALUES * 2 + VALUES[::-1])


def test_the_interface_names_the_stream(gpu):
    x = fg.device_put(VALUES, "gpu")
    gpu.log.clear()
    before = gpu.waits
    told = x.__cuda_array_interface__
    assert told["stream"] == 100 and told["version"] == 3 and told["data"][1] is True
    assert gpu.waits == before and gpu.log == [("follow", 1, 100)]
    again = fnp.asarray(x)
    assert again is x


# The structures, beside NumPy's and PyTorch's.


class OnCpu:
    """Memory of NumPy in a capsule of ours."""

    def __init__(self, array, versioned, copied=False):
        self.array, self.versioned, self.copied = array, versioned, copied

    def __dlpack_device__(self):
        return (1, 0)

    def __dlpack__(self, **_):
        a = self.array
        what = Described(a.ctypes.data, a.shape, None, a.dtype, (1, 0), True, None)
        return capsule(what, self.array, self.versioned, self.copied)


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i1", "u2", "i8", "c8", "?"])
def test_numpy_reads_what_is_written_here(dtype, versioned):
    array = (VALUES * 9).astype(dtype)
    got = np.from_dlpack(OnCpu(array, versioned))
    np.testing.assert_array_equal(got, array)
    assert got.ctypes.data == array.ctypes.data and got.dtype == array.dtype
    if versioned:
        assert not got.flags.writeable
    own = weakref.ref(array)
    del array
    assert own() is not None
    del got
    gc.collect()
    assert own() is None


@pytest.mark.parametrize("dtype", ["f4", "c16", "bfloat16", "?"])
@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (1, 5), (5, 1), (2, 3, 4)])
@pytest.mark.parametrize("versioned", [False, True])
def test_what_is_written_here_is_read_here(shape, dtype, versioned):
    dtype = np.dtype(dtype) if dtype != "bfloat16" else np.dtype(fnp.bfloat16)
    owner = Owner()
    gone = weakref.ref(owner)
    said = Described(4096, shape, None, dtype, (2, 1), True, None)
    for taken in (False, True):
        made = capsule(said, owner, versioned)
        if taken:
            what = opened(made)
            assert (what.address, what.shape, what.dtype) == (4096, shape, dtype)
            assert what.strides in (None, row_strides(shape)) and what.device == (2, 1)
            assert what.read_only == versioned
            what.release()
        del made
    del owner
    assert gone() is None


def test_consumers_that_refuse_say_why_themselves(gpu):
    x = fg.device_put(VALUES, "gpu")
    own = weakref.ref(x)
    with pytest.raises((BufferError, RuntimeError), match="[Dd]evice"):
        np.from_dlpack(x)
    np.testing.assert_array_equal(np.asarray(x), VALUES)
    del x
    gc.collect()
    assert own() is None


@pytest.mark.parametrize("options", [{}, {"max_version": (1, 0)}])
def test_what_numpy_writes_is_read_here(options):
    array = VALUES.T
    what = opened(array.__dlpack__(**options))
    assert what.address == array.ctypes.data and what.shape == (8, 5) and what.strides == (1, 8)
    assert what.device == (1, 0) and what.dtype == np.float32
    what.release()


def test_pytorch_reads_and_writes_the_same():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    for dtype in (torch.float32, torch.bfloat16, torch.bool, torch.int64, torch.complex64):
        array = (torch.arange(6).reshape(2, 3) % 2).to(dtype)
        what = opened(array.__dlpack__())
        assert what.address == array.data_ptr() and what.shape == (2, 3)
        assert what.dtype.name == str(dtype).removeprefix("torch.")
        what.release()
    np.testing.assert_array_equal(torch.from_dlpack(OnCpu(VALUES, True)).numpy(), VALUES)


def test_versions_that_are_not_known():
    what = Described(64, (1,), None, np.dtype("f4"), (2, 0), False, None)
    made = capsule(what, None, True)
    address = capsules._pointer(id(made), b"dltensor_versioned")
    structure = capsules._Versioned.from_address(address)
    structure.version = (ctypes.c_uint32 * 2)(2, 0)
    with pytest.raises(BufferError, match=r"DLPack 2\.0 is not understood"):
        opened(made)
    del made
    with pytest.raises(BufferError, match="no DLPack capsule"):
        opened(3)

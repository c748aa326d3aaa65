"""DLPack, both ways with NumPy, and with PyTorch where it is installed."""

import importlib.util

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import dlpack


def test_numpy_takes_the_memory_read_only():
    x = fnp.arange(4.0)
    view = np.from_dlpack(x)
    assert np.shares_memory(view, np.asarray(x))
    assert not view.flags.writeable


@pytest.mark.parametrize("version", [None, (0, 0), (0, 8)])
@pytest.mark.parametrize("copy", [None, True])
def test_unversioned_capsules_hold_a_copy(version, copy):
    x = fnp.arange(4.0)

    class Old:
        def __dlpack__(self, **_):
            return x.__dlpack__(max_version=version, copy=copy)

        def __dlpack_device__(self):
            return x.__dlpack_device__()

    view = np.from_dlpack(Old())
    np.testing.assert_array_equal(view, x)
    assert not np.shares_memory(view, np.asarray(x))
    with pytest.raises(BufferError, match=r"max_version=\(1, 0\), or allow the copy"):
        x.__dlpack__(max_version=version, copy=False)


def test_from_numpy_shares_and_copies_on_request():
    source = np.arange(6, dtype=np.float32).reshape(2, 3)
    x = dlpack.from_dlpack(source)
    assert isinstance(x, fg.Array)
    assert np.shares_memory(np.asarray(x), source)
    assert source.flags.writeable
    copied = dlpack.from_dlpack(source, copy=True)
    assert not np.shares_memory(np.asarray(copied), source)
    np.testing.assert_array_equal(fnp.sin(x), fnp.sin(source))


def test_64_bit_data_follow_the_option():
    x = dlpack.from_dlpack(np.arange(3.0))
    assert x.dtype == np.float32
    with pytest.raises(ValueError, match="copy=False"):
        dlpack.from_dlpack(np.arange(3.0), copy=False)
    with fg.enable_x64():
        assert dlpack.from_dlpack(np.arange(3.0)).dtype == np.float64


def test_round_trip_of_an_array():
    x = fnp.arange(4)
    y = dlpack.from_dlpack(x)
    assert np.shares_memory(np.asarray(x), np.asarray(y))
    capsule = dlpack.to_dlpack(x)
    assert type(capsule).__name__ == "PyCapsule"


def test_refusals():
    with pytest.raises(TypeError, match="__dlpack__.*got list"):
        dlpack.from_dlpack([1.0])
    with pytest.raises(TypeError, match="[Rr]aw capsules"):
        dlpack.from_dlpack(dlpack.to_dlpack(fnp.arange(3)))

    class Remote:
        def __dlpack__(self, **_):
            raise AssertionError("is not asked for its memory")

        def __dlpack_device__(self):
            return (10, 0)

    with pytest.raises(BufferError, match="host"):
        dlpack.from_dlpack(Remote())


# PyTorch is a peer of the benchmarks, no dependency; DLPack with NumPy is tested above always.
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
def test_torch_both_ways():
    import torch

    given = torch.arange(4, dtype=torch.float32)
    x = dlpack.from_dlpack(given)
    np.testing.assert_array_equal(x, given.numpy())
    back = torch.from_dlpack(fnp.arange(3.0))
    np.testing.assert_array_equal(back.numpy(), [0, 1, 2])

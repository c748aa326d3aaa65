"""Copies between the host and a GPU go through pinned memory: the host waits where it reads."""

import gc

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.control import accelerators
from funcgrad.kernels.cuda.runtime import staging


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks so small that arrays are cut."""
    monkeypatch.setattr(staging, "SMALL", (256, 3))
    monkeypatch.setattr(staging, "LARGE", (1024, 2))


def f32(n):
    return np.arange(n, dtype=np.float32)


def test_an_upload_waits_for_nothing_and_reads_at_once(gpu):
    source = f32(20_000)
    x = fg.device_put(source, "gpu")
    source[:] = 0
    assert gpu.waits == 0 and ("upload", 80_000) in gpu.log
    np.testing.assert_array_equal(x, f32(20_000))


@pytest.mark.parametrize("count", [1, 64, 65, 100, 256, 257, 1000, 5000])
def test_arrays_are_cut_into_pieces(small_blocks, gpus, count):
    gpu = gpus()
    x = fg.device_put(f32(count), "gpu")
    np.testing.assert_array_equal(fnp.sin(x) * 0 + x, f32(count))
    sizes = [entry[1] for entry in gpu.log if entry[0] == "upload"]
    assert sizes[0] == min(4 * count, 256 if count <= 64 else 1024)
    assert max(sizes) <= (256 if count <= 64 else 1024)
    assert sum(1 for entry in gpu.log if entry == ("pinned", 1024)) <= 2


def test_blocks_are_used_again_only_behind_their_copies(small_blocks, gpus):
    gpu = gpus()
    arrays = [fg.device_put(f32(60) + k, "gpu") for k in range(12)]
    assert gpu.waits == 3  # each time that all blocks were on their way
    assert gpu.log.count(("pinned", 256)) == 3
    for k, x in enumerate(arrays):
        np.testing.assert_array_equal(x, f32(60) + k)


def test_a_copy_to_the_host_can_begin_before_it_is_read(gpu):
    x = fg.device_put(f32(3000), "gpu")
    y = fg.jit(lambda x: x * 2 + 1)(x)
    before = gpu.waits
    y.copy_to_host_async()
    y.copy_to_host_async()
    assert gpu.waits == before and gpu.log.count(("download", 12_000)) == 1
    assert not y.is_ready()
    np.testing.assert_array_equal(y, f32(3000) * 2 + 1)
    assert gpu.waits == before + 1 and gpu.log.count(("download", 12_000)) == 1
    assert y.is_ready()
    pool = accelerators._homes[0].place.pool
    for _ in range(2):
        pool.settle()
        gpu.now()
    pins = len(gpu.pins)
    z = x + 1
    z.copy_to_host_async()
    z.delete()
    gc.collect()
    pool.settle()
    assert len(gpu.pins) == pins + 1  # the device has not written there yet
    gpu.now()
    pool.settle()
    assert len(gpu.pins) == pins


def test_empty_arrays_and_arrays_on_the_cpu(gpu):
    x = fg.device_put(f32(0), "gpu")
    x.copy_to_host_async()
    assert x.tolist() == [] and x.on_device_size_in_bytes() == 0
    host = fg.device_put(f32(3), "cpu")
    host.copy_to_host_async()
    assert host.is_ready() and host.tolist() == [0, 1, 2]


def test_the_peak_of_a_step_is_reported(gpu):
    device = fg.devices("gpu")[0]
    before = device.memory_stats()
    f = fg.jit(lambda x: fnp.cumsum(fnp.sin(x) @ x.T, 1).sum())
    x = fg.device_put(np.ones((128, 64), np.float32), "gpu")
    f(x).block_until_ready()
    stats = device.memory_stats()
    assert stats["peak_bytes_in_use"] >= before["peak_bytes_in_use"] + 128 * 64 * 4
    assert stats["bytes_in_use"] <= stats["peak_bytes_in_use"] <= stats["bytes_limit"] == 1 << 30
    assert stats["num_allocs"] >= 2 and stats["largest_alloc_size"] >= 128 * 64 * 4
    assert fg.devices("cpu")[0].memory_stats() is None
    found = f.lower(x).compile().memory_analysis()
    assert found.argument_size_in_bytes == 128 * 64 * 4 and found.output_size_in_bytes == 4
    assert found.temp_size_in_bytes > 0

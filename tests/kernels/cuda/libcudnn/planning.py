"""What cuDNN itself proposes for an H200, without one: plans, not results.

    python -m tests.kernels.cuda.libcudnn.planning FOLDER

cuDNN plans for a device that is described to it in words. `FOLDER` holds what it loads for a driver
(`stubs.c`). Each convolution is asked for as programs ask for it, and must have a plan, within the
room it may take; what the frontend then checks of a call is checked up to the missing handle.
"""

import ctypes
import json
import sys
from importlib import import_module
from pathlib import Path

import pytest

from funcgrad.kernels.cuda.adapter import toolkit
from funcgrad.kernels.cuda.convolution_calls import NoOperation, asked_for
from funcgrad.kernels.cuda.cudnn import MOST_ROOM, Cudnn
from funcgrad.kernels.library.conv_spec import ConvSpec

NAMES = "libcuda.so.1", f"libcudart.so.{toolkit()}"
H200 = {
    "deviceName": "NVIDIA H200",
    "cudaDeviceId": 0,
    "deviceVer": 900,
    "driverVer": 13020,
    "maxGridSize": [2**31 - 1, 65535, 65535],
    "maxBlockSize": [1024, 1024, 64],
    "regsPerBlock": 65536,
    "multiProcessorCount": 132,
    "smClockRateKHz": 1980000,
    "memClockRateKHz": 3201000,
    "memoryBusWidth": 6144,
    "l2CacheSize": 60 << 20,
    "warpSize": 32,
    "maxSharedMemoryPerBlock": 48 << 10,
    "maxSharedMemoryPerBlockOptin": 227 << 10,
    "reservedSharedMemoryPerBlock": 1 << 10,
    "oversizedSharedMemoryPerBlock": 0,
    "maxRegistersPerSM": 65536,
    "maxCtasPerSM": 32,
    "maxThreadsPerBlock": 1024,
    "maxThreadsPerSM": 2048,
    "pciDeviceId": 0x2335,
    "isTccDriver": 0,
    "supportCoopLaunch": 1,
    "totalGlobalMem": 141 << 30,
}


class Planner(Cudnn):
    """cuDNN for a device that is described instead of opened."""

    def __init__(self):
        real = import_module("cudnn")
        self.device = real.create_device_properties(json.dumps(H200))
        self._cudnn = self
        self._real = real
        self._handle = None
        self._stream = 100
        self._plans = {}

    def __getattr__(self, name):
        return getattr(self._real, name)

    def pygraph(self, handle, **options):
        assert handle is None
        return self._real.pygraph(device_property=self.device, **options)


def build(folder, compiler, run):
    """The libraries, under the names by which they are looked for."""
    source = Path(__file__).with_name("stubs.c")
    for name in NAMES:
        flags = ["-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", str(Path(folder, name))]
        run([compiler, "-Wall", "-Wextra", "-Werror", str(source), *flags], check=True)


def specs():
    """Convolutions of networks, and of all that tests compute."""
    first, last = ((0, 1, 2, 3), (0, 1, 2, 3)), ((0, 3, 1, 2), (3, 2, 0, 1))
    for axes, kernel in (first, last):
        for n, c, k, size, taps, stride, groups in (
            (8, 64, 64, 56, 3, 1, 1),
            (8, 64, 128, 56, 3, 2, 1),
            (8, 64, 128, 56, 1, 2, 1),
            (8, 64, 256, 56, 1, 1, 1),
            (8, 3, 64, 64, 7, 2, 1),
            (2, 512, 512, 7, 3, 1, 1),
            (4, 128, 128, 28, 3, 1, 32),
            (2, 9, 11, 13, 3, 2, 1),
            (2, 18, 16, 13, 2, 1, 2),
        ):
            places = -(-size // stride)
            pad = max((places - 1) * stride + taps - size, 0)
            shapes = [0] * 4, [0] * 4
            for axis, extent in zip(axes, (n, c, size, size), strict=True):
                shapes[0][axis] = extent
            for axis, extent in zip(kernel, (k, c // groups, taps, taps), strict=True):
                shapes[1][axis] = extent
            pads = ((pad // 2, pad - pad // 2),) * 2
            once, steps = (1, 1), (stride, stride)
            x, w = map(tuple, shapes)
            yield ConvSpec("", x, w, axes, kernel, axes, steps, pads, once, once, groups)
            # The gradient by the kernel, and for one group that by the image, as they are written.
            y = ConvSpec("", x, w, axes, kernel, axes, steps, pads, once, once, groups).out
            swapped = [(a[1], a[0], *a[2:]) for a in (axes, kernel)]
            low = pad // 2
            high = (places - 1) * stride + 1 - size + taps - low - 1
            lows = ((low, high),) * 2
            yield ConvSpec(
                "", x, y, swapped[0], swapped[0], swapped[1], once, lows, once, steps, 1, groups
            )
            if groups == 1:
                before = taps - 1 - low
                back = ((before, size + taps - 1 - ((places - 1) * stride + 1) - before),) * 2
                flips = (True, True)
                yield ConvSpec(
                    "", y, w, axes, swapped[1], axes, once, back, steps, once, 1, 1, flips
                )


def main(folder):
    """Ask for all of them in each arithmetic."""
    for name in NAMES:
        ctypes.CDLL(str(Path(folder, name)), mode=ctypes.RTLD_GLOBAL)
    planner = Planner()
    absent = asked = 0
    for spec in specs():
        for given, tf32 in (
            ("float32", False), ("float32", True), ("float64", False),
            ("float16", False), ("bfloat16", False),
        ):  # fmt: skip
            try:
                c = asked_for(spec._replace(dtype=given), given, tf32).convolution
            except NoOperation as why:
                raise AssertionError(f"{spec}: {why}") from why
            room = planner.room(c)
            asked += 1
            if room is None:
                absent += 1
                sys.stdout.write(f"no plan: {c}\n")
                continue
            assert 0 <= room <= MOST_ROOM
            addresses = list(range(1 << 40, 4 << 40, 1 << 40))
            with pytest.raises(RuntimeError, match=r"(?i)handle"):
                planner.convolve(c, addresses, 1 << 44, 100)
    sys.stdout.write(f"{asked} convolutions, {absent} without a plan\n")
    assert not absent


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The same programs on a device: a GPU where there is one, else the driver that emulates one."""

import os

import numpy as np
import pytest

import funcgrad as fg
from funcgrad.control import accelerators
from funcgrad.control.accelerators import CudaHome
from funcgrad.core import remote
from funcgrad.kernels.cuda.runtime.driver import CudaError
from funcgrad.kernels.cuda.runtime.place import Place

from ..landmarks import LANDMARKS
from .fake import FakeDriver
from .test_emulated import TABLE, TOLERANCE


def there_is_a_gpu():
    try:
        return bool(fg.devices("gpu"))
    except CudaError:
        return False


HERE = there_is_a_gpu()
PROGRAMS = {f"landmark: {name}": entry for name, entry in LANDMARKS.items()}
if HERE:
    # The emulator has done these already.
    PROGRAMS |= {name: entry[1:] for name, entry in TABLE.items()}


def leave_if_broken():
    """A kernel that fails leaves nothing that its process could use: what is left needs another.

    pytest-xdist begins one for the tests that are left; of the one that was to come it says that
    its worker crashed.
    """
    try:
        accelerators.homes()[0].place.driver.wait(accelerators.homes()[0].place.stream)
    except CudaError as error:
        if "PYTEST_XDIST_WORKER" in os.environ:
            os._exit(1)
        pytest.fail(f"An earlier kernel failed in this process: {error} Run this test alone.")


@pytest.fixture(autouse=True)
def device(monkeypatch):
    """A GPU."""
    if HERE:
        leave_if_broken()
    else:
        monkeypatch.setattr(remote, "known", [])
        fake = FakeDriver()
        homes = [CudaHome(Place(fake, 0, fake.devices()[0], fake.compile))]
        monkeypatch.setattr(accelerators, "_homes", homes)
    return fg.devices("gpu")[0]


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_on_a_device(name, device):
    f, *args = PROGRAMS[name]
    f = fg.jit(f)
    want = fg.tree.leaves(f(*args))
    there = fg.device_put(tuple(args), device)
    # Launched, recorded, repeated.
    for _ in range(3):
        got = fg.tree.leaves(f(*there))
        for g, w in zip(got, want, strict=True):
            assert g.device == device and g.shape == w.shape and g.dtype == w.dtype
            rate = TOLERANCE.get(w.dtype.name, 0)
            g, w = np.asarray(g), np.asarray(w)
            if w.dtype.kind in "biu":
                np.testing.assert_array_equal(g, w)
                continue
            if w.dtype.isbuiltin != 1:
                g, w = g.astype(np.float64), w.astype(np.float64)
            np.testing.assert_allclose(g, w, rtol=rate, atol=rate)


def test_blocks_that_wait_for_each_other_give_the_same_bits(device):
    """Of a GPU, many more blocks than it has room for, in several groups of parts."""
    length = 30_000_001 if HERE else 9_001
    x = np.random.default_rng(1).normal(size=length).astype(np.float32)
    f = fg.jit(lambda x: fg.lax.cumsum(x, axis=0))
    there = fg.device_put(x, device)
    first, *others = (np.asarray(f(there)) for _ in range(12 if HERE else 3))
    assert all(other.tobytes() == first.tobytes() for other in others)
    want = np.cumsum(x, dtype=np.float64)
    np.testing.assert_allclose(first, want, rtol=1e-3, atol=1e-4 * length**0.5)

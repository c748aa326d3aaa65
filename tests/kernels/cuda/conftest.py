"""Fake GPUs, for tests of what runs on a device."""

import gc
import sys

import pytest

import funcgrad as fg
from funcgrad.control import accelerators
from funcgrad.control.accelerators import CudaHome
from funcgrad.core import remote

from .fake import FakeDriver, places_of
from .fake_nccl import FakeNccl


@pytest.fixture
def gpus(monkeypatch):
    """Gives a function that makes fake GPUs those of this machine."""
    monkeypatch.setattr(remote, "known", [])
    monkeypatch.setattr(sys.modules["funcgrad.config"], "elsewhere", remote.known)
    monkeypatch.setattr(accelerators, "_homes", [])

    def make(**options):
        fake = FakeDriver(**options)
        accelerators._homes[:] = map(CudaHome, places_of(fake))
        return fake

    yield make
    fg.config.update("default_device", None)
    accelerators._homes.clear()
    gc.collect()


@pytest.fixture
def gpu(gpus):
    """One fake GPU."""
    return gpus()


@pytest.fixture
def four(gpus, monkeypatch):
    """Four fake GPUs and their NCCL."""
    driver = gpus(count=4)
    return FakeNccl(driver).install(monkeypatch)

"""The benchmark of GPUs runs to its end, at small sizes on a driver that emulates one."""

import json
import runpy
from pathlib import Path

import pytest

from funcgrad.control import accelerators
from funcgrad.control.accelerators import CudaHome
from funcgrad.core import remote
from funcgrad.kernels.cuda.runtime import driver as drivers
from funcgrad.kernels.cuda.runtime.place import Place

from .fake import FakeDriver

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "gpu.py"


@pytest.fixture
def bench(monkeypatch):
    """The script's names, with two rounds of each work."""
    monkeypatch.setattr(remote, "known", [])
    monkeypatch.setattr(accelerators, "_homes", [])
    names = runpy.run_path(str(SCRIPT))
    inner = names["main"].__globals__
    inner["ROUNDS"] = 1
    return inner


@pytest.mark.slow
def test_every_work_is_measured(bench, tmp_path):
    fake = FakeDriver()
    accelerators._homes.append(CudaHome(Place(fake, 0, fake.devices()[0], fake.compile)))
    out = tmp_path / "gpu.json"
    assert bench["main"](["--scale", "1e-5", "--least", "0", "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["device"] == "Fake H200" and found["versions"]["numpy"]
    rows = found["seconds"]
    assert len(rows) >= 12 and all(row["funcgrad"] > 0 for row in rows.values()), rows
    assert "GB/s" in rows["sum"] and "TFLOP/s" in rows["product of 64"]


def test_without_a_gpu_nothing_is_written(bench, tmp_path, monkeypatch, capsys):
    def none():
        raise drivers.CudaError("There is no GPU.")

    monkeypatch.setattr(drivers, "NvidiaDriver", none)
    out = tmp_path / "gpu.json"
    assert bench["main"](["--out", str(out)]) == 1
    assert "Nothing was measured: There is no GPU." in capsys.readouterr().err
    assert not out.exists()

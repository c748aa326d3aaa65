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
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    names = runpy.run_path(str(SCRIPT))
    inner = names["main"].__globals__
    inner["ROUNDS"] = inner["WARM"] = 1
    return inner


@pytest.mark.slow
def test_every_work_is_measured(bench, tmp_path):
    fake = FakeDriver()
    accelerators._homes.append(CudaHome(Place(fake, 0, fake.devices()[0], fake.compile)))
    bench["FIRST"] = bench["FIRST"][:2]
    # What a process of its own would be asked, on the fake device of this one.
    bench["child"] = lambda asked, variables: bench["first_call"](*asked[1:3], float(asked[4]))
    out, page = tmp_path / "gpu.json", tmp_path / "benchmarks.md"
    page.write_text("# Benchmarks\n\nof CPUs\n\n## On a GPU\n\nearlier\n")
    told = ["--scale", "1e-5", "--least", "0", "--out", str(out), "--page", str(page)]
    assert bench["main"](told) == 0
    found = json.loads(out.read_text())
    assert found["device"] == "Fake H200" and found["versions"]["numpy"]
    rows = found["seconds"]
    assert len(rows) >= 16 and all(row["funcgrad"] > 0 for row in rows.values()), rows
    assert "GB/s" in rows["sum"] and "TFLOP/s" in rows["product of 64"]
    for name in ("LSTM", "ResNet-18", "6-layer Transformer", "MLP"):
        assert f"{name} train step" in rows
    for row in found["first"].values():
        assert row["funcgrad"]["cold"] > 0 and row["funcgrad"]["peak"] > 0
    text = page.read_text()
    assert text.startswith("# Benchmarks\n\nof CPUs\n\n## On a GPU\n") and "earlier" not in text
    assert found["date"] in text and "Fake H200" in text and "numpy " in text
    assert "| ResNet-18 train step | " in text and "MiB |" in text


def test_the_section_stays_when_the_page_is_written_anew(bench):
    table = bench["gpu_table"]
    page = table.with_section("# Benchmarks\n\nold\n", "## On a GPU\n\ntimes\n")
    assert table.with_section("# Benchmarks\n\nnew\n", table.section_of(page)) == (
        "# Benchmarks\n\nnew\n\n## On a GPU\n\ntimes\n"
    )
    assert "make gpu" in table.section_of("# Benchmarks\n")
    failed = {"date": "d", "device": "g", "python": "3", "versions": {}, "absent": {"jax": "no"}}
    failed["seconds"] = {"sum": {"funcgrad": 2e-6, "torch": 1e-6, "jax failed": "a | b"}}
    text = table.section(failed)
    assert "| sum | 2 µs | 1 µs |  | 2.00 | jax: a / b |" in text and "Without jax: no." in text


def test_without_a_gpu_nothing_is_written(bench, tmp_path, monkeypatch, capsys):
    def none():
        raise drivers.CudaError("There is no GPU.")

    monkeypatch.setattr(drivers, "NvidiaDriver", none)
    out = tmp_path / "gpu.json"
    assert bench["main"](["--out", str(out)]) == 1
    assert "Nothing was measured: There is no GPU." in capsys.readouterr().err
    assert not out.exists()

"""The benchmark of GPUs runs to its end, at small sizes on a driver that emulates one."""

import json
import runpy
import shutil
import subprocess
import time
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
    # What processes of their own would be asked, on the fake device of this one.
    bench["child"] = lambda asked, _, limit: bench["first_call"](*asked[1:3], float(asked[4]))
    asked_for = []

    def lines(asked, until):
        asked_for.append(asked[1:3])
        yield from bench["times_of"](asked[1], float(asked[4]), float(asked[6]), int(asked[2]))

    bench["lines_of"] = lines
    out, page = tmp_path / "gpu.json", tmp_path / "benchmarks.md"
    page.write_text("# Benchmarks\n\nof CPUs\n\n## On a GPU\n\nearlier\n")
    told = ["--scale", "1e-5", "--least", "0", "--out", str(out), "--page", str(page)]
    assert bench["main"](told) == 0
    found = json.loads(out.read_text())
    assert found["device"] == "Fake H200" and found["versions"]["numpy"]
    rows = found["seconds"]
    assert asked_for[0] == ["funcgrad", "0"] and set(found["absent"]) >= {"cupy"}
    assert len(rows) >= 16 and all(row["funcgrad"] > 0 for row in rows.values()), rows
    assert "GB/s" in rows["sum"] and "TFLOP/s" in rows["product of 64"]
    for name in (
        "product of 64, TF32",
        "product of 64 with bias and GELU, bfloat16",
        "attention over 16",
        "attention's gradient over 16",
    ):
        assert name in rows
    for name in ("LSTM", "ResNet-18", "6-layer Transformer", "MLP"):
        assert f"{name} train step" in rows
    for row in found["first"].values():
        assert row["funcgrad"]["cold"] > 0 and row["funcgrad"]["peak"] > 0
    text = page.read_text()
    assert text.startswith("# Benchmarks\n\nof CPUs\n\n## On a GPU\n") and "earlier" not in text
    assert found["date"] in text and "Fake H200" in text and "numpy " in text
    assert "| ResNet-18 train step | " in text and "MiB |" in text


def test_a_work_that_fails_or_kills_its_process_loses_no_other(bench, tmp_path):
    """The second fails, the fourth kills, and before the sixth the time is over."""
    names = [w.name for w in bench["works"](1e-5)]

    def lines(asked, until):
        name, begin = asked[1], int(asked[2])
        if name != "funcgrad":
            yield {"absent": "not here"}
            return
        yield {"device": "A GPU"}
        for k in range(begin, len(names)):
            if k == 3 and begin < 3:
                return
            if k == 5:
                yield None
                return
            yield {"work": names[k], **({"failed": "why"} if k == 1 else {"seconds": 1.0})}
            if k == 1:
                return

    bench["lines_of"] = lines
    options = type("Options", (), {"out": tmp_path / "o", "page": tmp_path / "p"})
    options.scale, options.least = 1e-5, 0
    table = bench["Table"](options, "A GPU")
    table.measure("funcgrad", 0)
    table.measure("jax", 0)
    rows = [table.found["seconds"][name] for name in names]
    told = [row.get("funcgrad failed", row.get("funcgrad")) for row in rows]
    assert told[:6] == [1.0, "why", 1.0, "its process died", 1.0, "no time was left"]
    assert set(told[5:]) == {"no time was left"} and table.found["absent"] == {"jax": "not here"}
    assert "its process died" in options.page.read_text()
    assert json.loads(options.out.read_text())["seconds"][names[0]]["funcgrad"] == 1.0


def test_lines_of_a_process_end_with_it_or_with_the_time(bench, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, time\n"
        "print('a word of a library')\n"
        'print(\'{"work": "one"}\', flush=True)\n'
        "time.sleep(float(sys.argv[1]))\n"
    )
    bench["__file__"] = str(script)
    lines = bench["lines_of"]
    assert list(lines(["0"], time.monotonic() + 60)) == [{"work": "one"}]
    start = time.monotonic()
    assert list(lines(["600"], start + 5)) == [{"work": "one"}, None]
    assert time.monotonic() - start < 60


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


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make to ask")
@pytest.mark.parametrize("goal", ["gpu", "gpu-sanitize"])
def test_a_python_that_is_there_is_taken_as_it_is(goal):
    """Where nothing can be installed, nothing is asked to be."""
    root = Path(__file__).parents[3]
    asked = ["make", "--dry-run", goal, "GPU_PYTHON=python3.x"]
    told = subprocess.run(asked, cwd=root, capture_output=True, text=True, check=True).stdout
    assert "pip" not in told and ".venv" not in told
    assert f"env PYTHONPATH={root}/src:$PYTHONPATH" in told and "python3.x -m pytest" in told

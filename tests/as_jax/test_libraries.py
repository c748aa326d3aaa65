"""Libraries written for JAX, used unchanged; those not installed are skipped."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("use_*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem.removeprefix("use_"))
def test_library_runs_unchanged(program: Path) -> None:
    name = program.stem.removeprefix("use_")
    if importlib.util.find_spec("flax" if name.startswith("flax_") else name) is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "funcgrad.as_jax", str(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

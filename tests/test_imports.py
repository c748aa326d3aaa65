"""Imports go down the layers only, and `import funcgrad` loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = (
    "numba llvmlite scipy scipy_openblas32 platformdirs jaxtyping beartype opt_einsum rich "
    "matplotlib mpi4py jax torch h5py lmdb PIL safetensors tensorboardX"
).split()


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """Top-level modules in a fresh interpreter after `import funcgrad`, warnings being errors."""
    code = "import sys, funcgrad; print(*{name.partition('.')[0] for name in sys.modules})"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


@pytest.mark.parametrize("package", HEAVY)
def test_import_of_funcgrad_does_not_load(loaded: set[str], package: str) -> None:
    assert "funcgrad" in loaded
    assert package not in loaded


def test_imports_go_down_the_layers() -> None:
    """The contracts in pyproject.toml; its report names the import that breaks one."""
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    run = subprocess.run(
        [sys.executable, "-c", code, "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr

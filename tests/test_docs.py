"""What the documents say is so: the page of rules, links, the example primitive, docstrings."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import funcgrad

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# Packages whose names are the library's own, not its users'.
INTERNAL = {"api", "control", "core", "ir", "kernels", "passes", "primitives", "transforms"}
SCIPY = (
    "cluster.vq fft integrate interpolate linalg ndimage optimize signal sparse.linalg "
    "spatial.transform special stats"
).split()
INNER = (
    *"experimental.ode lax.linalg nn.initializers numpy.linalg".split(),
    *(f"scipy.{name}" for name in SCIPY),
)


def public_modules() -> list[str]:
    """Names of the modules users import, without `funcgrad.`; the package itself is empty."""
    found = [m.name for m in pkgutil.iter_modules(funcgrad.__path__) if m.name not in INTERNAL]
    return ["", *sorted([*found, *INNER])]


def test_page_of_rules_is_current() -> None:
    """After a change to a primitive: `.venv/bin/python docs/make_rules.py`."""
    make = runpy.run_path(str(ROOT / "docs" / "make_rules.py"))
    assert make["PAGE"].read_text(encoding="utf-8") == make["page"]()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    here = [t for t in targets if "://" not in t]
    assert not [t for t in here if not (path.parent / t).exists()]


@pytest.mark.parametrize("name", public_modules())
def test_public_names_have_docstrings(name: str) -> None:
    module = importlib.import_module(f"funcgrad.{name}".rstrip("."))
    assert inspect.getdoc(module)
    silent: list[str] = []
    for public, value in vars(module).items():
        own = str(getattr(value, "__module__", "")).startswith("funcgrad")
        if public.startswith("_") or not own or not callable(value):
            continue
        text = inspect.getdoc(value) or ""
        if not text.strip() or (inspect.isclass(value) and not value.__dict__.get("__doc__")):
            silent.append(public)
    assert not silent


def test_example_primitive_passes_the_generated_tests(tmp_path: Path) -> None:
    """The class in CONTRIBUTING.md, defined before the rule tests look into the registry."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    (tmp_path / "example_primitive.py").write_text(code, encoding="utf-8")
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    options = "-q -p example_primitive -p no:cacheprovider -k hypot".split()
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "tests/primitives/test_rules.py"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"\d\d passed", run.stdout), run.stdout

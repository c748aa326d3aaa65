"""The house rules that can be counted. The lists of exceptions are empty and stay so."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "funcgrad"
FILES = sorted(PACKAGE.rglob("*.py"))

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
LONG_FILES: frozenset[str] = frozenset()
LONG_FUNCTIONS: frozenset[str] = frozenset()

ODDS_AND_ENDS = {"utils", "util", "helpers", "misc", "common"}
UNFINISHED = re.compile(
    r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b"
    r"|(?i:\b(place-?holders?|stubs?|for now|not yet implemented|not implemented)\b)"
)


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


every_file = pytest.mark.parametrize("path", FILES, ids=name_of)


def test_there_are_files_to_check() -> None:
    assert PACKAGE / "__init__.py" in FILES
    assert (PACKAGE / "py.typed").exists()


@every_file
def test_file_is_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_FILE_LINES or name_of(path) in LONG_FILES


@every_file
def test_functions_are_short(path: Path) -> None:
    """From `def` to the last line, docstring included."""
    too_long: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            if lines > MAX_FUNCTION_LINES and f"{name_of(path)}:{node.name}" not in LONG_FUNCTIONS:
                too_long.append(f"{node.name} at line {node.lineno}: {lines} lines")
    assert not too_long


@every_file
def test_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@every_file
def test_nothing_is_left_unfinished(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [f"{i}: {line}" for i, line in enumerate(lines, 1) if UNFINISHED.search(line)]
    # The class that JAX has for `out=` of every function.
    assert len(found) == (1 if name_of(path) == "numpy/promotion.py" else 0), found


@every_file
def test_file_name_says_what_it_holds(path: Path) -> None:
    assert path.stem not in ODDS_AND_ENDS


@pytest.mark.parametrize("path", sorted((PACKAGE / "primitives").glob("*.py")), ids=name_of)
def test_primitives_are_imported_from_the_file_that_defines_them(path: Path) -> None:
    """No file hands on another's names: a name is found where it is imported from."""
    imports = [n for n in ast.parse(path.read_text("utf-8")).body if isinstance(n, ast.ImportFrom)]
    assert not [a.name for n in imports for a in n.names if a.asname == a.name]

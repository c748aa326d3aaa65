"""Pages of reference have an entry for every public name of the modules they are about."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
SCIPY = (
    "cluster.vq fft integrate interpolate linalg ndimage optimize signal sparse.linalg "
    "spatial.transform special stats"
).split()

NUMPY = "funcgrad.numpy"

# A page, and the modules it is about: each has a heading with its full name in backticks. A
# module with many names may have several pages.
PAGES: dict[str, list[str]] = {
    "data.md": ["funcgrad.data"],
    "fft.md": ["funcgrad.numpy.fft", "funcgrad.ops", "funcgrad.image"],
    "lax.md": ["funcgrad.lax"],
    "linalg.md": ["funcgrad.numpy.linalg", "funcgrad.lax.linalg"],
    "nn.md": ["funcgrad.nn"],
    "numpy.md": [NUMPY],
    "numpy-creation.md": [NUMPY],
    "numpy-logic.md": [NUMPY],
    "numpy-maths.md": [NUMPY],
    "numpy-reductions.md": [NUMPY],
    "numpy-shapes.md": [NUMPY],
    "optim.md": ["funcgrad.optim"],
    "random.md": ["funcgrad.random"],
    "train.md": ["funcgrad.train"],
    "scipy.md": [f"funcgrad.scipy.{name}" for name in SCIPY],
    "transforms.md": ["funcgrad"],
    "tree.md": ["funcgrad.tree", "funcgrad.tree_util"],
    "zoo.md": ["funcgrad.nn.zoo"],
}
CASES = [(page, module) for page, modules in PAGES.items() for module in modules]
MODULES = sorted({module for _, module in CASES})
# They read files or make large networks: tests/data and tests/nn/test_zoo.py use each of them.
SHOWN_BY_EXAMPLES = {"funcgrad.data", "funcgrad.nn.zoo"}


def public_names(module: ModuleType) -> set[str]:
    """What users import from a module.

    What it imports by the form `from .a import b as b`, and the constants and classes that
    `numpy` binds; of a file its `__all__`, or also the classes and functions it defines.
    """
    if "__path__" not in vars(module) and "__all__" in vars(module):
        return set(module.__all__)
    path = Path(inspect.getfile(module))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = {a.name for node in imports for a in node.names if a.asname == a.name}
    if path.name != "__init__.py":
        defined = (ast.FunctionDef, ast.ClassDef)
        names |= {node.name for node in tree.body if isinstance(node, defined)}
    if module.__name__ == NUMPY:
        bound = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
        targets = [n for node in bound for n in ast.walk(node) if isinstance(n, ast.Name)]
        names |= {n.id for n in targets if isinstance(n.ctx, ast.Store)} | {"Array"}
    return {name for name in names if not name.startswith("_")}


def section(page: str, module: str) -> list[str]:
    """The lines below the heading that names a module, to the next heading of that level."""
    lines = (REFERENCE / page).read_text(encoding="utf-8").splitlines()
    (start,) = [i for i, v in enumerate(lines) if re.fullmatch(rf"#+ .*`{module}`.*", v)]
    level = len(lines[start]) - len(lines[start].lstrip("#"))
    ends = [i for i, v in enumerate(lines) if i > start and re.match(rf"#{{1,{level}}} ", v)]
    return lines[start + 1 : ends[0] if ends else len(lines)]


def entries(lines: list[str]) -> dict[str, str]:
    """Names that open a heading, a row of a table or an item of a list, with their lines."""
    found = [(re.match(r"\s*(?:#+|\||[-*]) ?`(\w+)(?:\(.*?\))?`", v), v) for v in lines]
    return {match[1]: line for match, line in found if match}


def test_every_page_is_held_to_its_modules() -> None:
    assert sorted(PAGES) == sorted(path.name for path in REFERENCE.glob("*.md"))


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_has_one_entry(name: str) -> None:
    module = importlib.import_module(name)
    found = [entries(section(page, about)) for page, about in CASES if about == name]
    known = {each: line for page in found for each, line in page.items()}
    assert len(known) == sum(map(len, found)), "entries of one name on two pages"
    public = public_names(module)
    assert public
    assert public <= set(known), f"without an entry: {sorted(public - set(known))}"
    for each in public:
        value = getattr(module, each)
        # Of the package itself, and where they have pages, modules need no list of their names.
        known_elsewhere = name == "funcgrad" or getattr(value, "__name__", "") in MODULES
        if isinstance(value, ModuleType) and not known_elsewhere:
            inner = public_names(value)
            missing = [inside for inside in inner if f"`{inside}`" not in known[each]]
            assert not missing, f"not in the entry of {each}: {missing}"


def code(page: str) -> str:
    """The lines of a page that are run."""
    text = (REFERENCE / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```python\n(.*?)^ *```", text, re.S | re.M)
    lines = [line for block in blocks for line in block.splitlines()]
    return "\n".join(line for line in lines if line.lstrip().startswith((">>>", "...")))


@pytest.mark.parametrize("name", sorted(set(MODULES) - SHOWN_BY_EXAMPLES))
def test_every_function_is_called_in_an_example(name: str) -> None:
    module = importlib.import_module(name)
    used = set(re.findall(r"\w+", "\n".join(code(page) for page, about in CASES if about == name)))
    silent = {n for n in public_names(module) - used if not n.endswith("_p")}
    if name != NUMPY:
        silent = {n for n in silent if inspect.isfunction(getattr(module, n))}
    assert not silent


def errors_raised(function: FunctionType) -> set[str]:
    """The classes of the errors in `raise` statements of a function and the functions in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            found.add(ast.unparse(raised).split(".")[-1])
    return {name for name in found if name[0].isupper()}  # others are variables


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_say_which_errors_are_raised(name: str) -> None:
    """By their classes, or by the function whose errors they share."""
    module = importlib.import_module(name)
    silent: dict[str, set[str]] = {}
    for each in public_names(module):
        function = inspect.unwrap(getattr(module, each))
        if isinstance(function, FunctionType):
            text = " ".join((inspect.getdoc(function) or "").split())
            missing = {error for error in errors_raised(function) if error not in text}
            if missing and not re.search(r"errors (are )?(as|those) (in|of) `", text):
                silent[each] = missing
    assert not silent


@pytest.mark.parametrize(("page", "name"), CASES)
def test_every_entry_is_a_public_name(page: str, name: str) -> None:
    strangers = set(entries(section(page, name))) - public_names(importlib.import_module(name))
    assert not strangers


def test_a_missing_name_is_noticed() -> None:
    lines = section("scipy.md", "funcgrad.scipy.fft")
    known = entries([line for line in lines if not line.startswith("| `idct`")])
    assert public_names(importlib.import_module("funcgrad.scipy.fft")) - set(known) == {"idct"}

"""Writes src/funcgrad/as_jax/names-VERSION.txt: which names the JAX installed here has.

    .venv/bin/python docs/make_jax_names.py

Run it with the versions named in `funcgrad.as_jax.names`; tests/as_jax holds the two together.
"""

from __future__ import annotations

import importlib
import pkgutil
import textwrap
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

TABLES = Path(__file__).parents[1] / "src" / "funcgrad" / "as_jax"
# Public by their spelling, and yet tools, or ways into XLA and MLIR.
INTERNAL = (
    "jax.cloud_tpu_init",
    "jax.collect_profile",
    "jax.experimental.array_serialization",
    "jax.experimental.colocated_python",
    "jax.experimental.compilation_cache",
    "jax.experimental.fused",
    "jax.experimental.jax2tf",
    "jax.experimental.mosaic",
    "jax.experimental.pallas",
    "jax.experimental.roofline",
    "jax.experimental.scheduling_groups",
    "jax.experimental.serialize_executable",
    "jax.experimental.source_mapper",
    "jax.experimental.sparse.",
    "jax.experimental.topologies",
    "jax.experimental.transfer",
    "jax.extend.ifrt_programs",
    "jax.extend.lowering",
    "jax.extend.mlir",
    "jax.extend.pallas",
    "jax.tools",
)
# Of what lies deeper in those, libraries have used these.
DEEPER = (
    "jax.extend",
    "jax.experimental.sparse",
    "jax.experimental.colocated_python",
    "jax.experimental.pallas",
)
# Modules of JAX that show what they import.
UNTIDY = ("jax.example", "jax.experimental", "jax.extend.linear")
BORROWED = "abc collections contextlib dataclasses enum functools itertools operator typing".split()
# Parts of JAX's inside that only its own tests and other platforms' code use.
UNUSED = ("cudnn", "mosaic", "pallas", "test", "tpu")


def package(name: str) -> Any:
    """JAX or a part of it, which is imported when the page is written, not when this file is."""
    return importlib.import_module(name)


def modules() -> tuple[list[str], list[str]]:
    """Names of the public modules, and of the internal ones outside of `jax._src`."""
    public, internal = ["jax"], []
    for found in pkgutil.walk_packages(package("jax").__path__, "jax."):
        name = found.name
        if any(part.startswith("_") for part in name.split(".")):
            continue
        if name.startswith(INTERNAL):
            if name.count(".") <= 2 or name.startswith(DEEPER):
                internal.append(name)
        else:
            public.append(name)
    return sorted(public), sorted(set(internal))


def is_own(module: ModuleType, name: str, public: set[str]) -> bool:
    """Whether a name is one the module offers, and not one it imported for itself."""
    if name.startswith("_") or name in ("annotations", "TYPE_CHECKING"):
        return False
    try:
        value: Any = getattr(module, name)
    except (AttributeError, ImportError):  # withdrawn: known only to say what to use instead
        return False
    if isinstance(value, ModuleType):
        # Submodules are found by their own entries.
        inner = f"{module.__name__}.{name}" == value.__name__
        return not inner and not module.__name__.startswith(UNTIDY) and value.__name__ in public
    home = str(getattr(value, "__module__", "")).partition(".")[0]
    return not (module.__name__.startswith(UNTIDY) and home in BORROWED)


def names_of(name: str, public: set[str]) -> list[str]:
    """The names of a module, those that warn of their end included."""
    module = importlib.import_module(name)
    known = {*dir(module), *getattr(module, "_deprecations", ())}
    return sorted(n for n in known if is_own(module, n, public))


def inside() -> list[str]:
    """Names of the modules under `jax._src`."""
    root = Path(package("jax").__path__[0]) / "_src"
    found = [path.relative_to(root).with_suffix("").parts for path in root.rglob("*.py")]
    kept = [parts for parts in found if not parts[0].startswith(UNUSED)]
    dotted = {".".join(parts).removesuffix(".__init__") for parts in kept}
    return sorted(dotted - {"__init__"})


def of_jaxlib() -> list[str]:
    """Names of the modules of jaxlib, and of those it had."""
    root = Path(package("jaxlib").__path__[0])
    files = [path for path in root.iterdir() if path.suffix in (".py", ".so")]
    found = {path.name.partition(".")[0] for path in files}
    kept = {name for name in found if "plugin" not in name and name != "__init__"}
    return sorted({*kept, "mlir", "xla_extension"})


def table() -> Path:
    """The file for the JAX installed here."""
    return TABLES / f"names-{package('jax').__version__}.txt"


def page() -> str:
    """The text of the table."""
    public, internal = modules()
    entries = [f"{name}: {' '.join(names_of(name, set(public)))}" for name in public]
    within = [name.removeprefix("jax.") for name in internal]
    lists = {"jax": within, "jax._src": inside(), "jaxlib": of_jaxlib()}
    rest = [f"{name}.*: {' '.join(found)}" for name, found in lists.items()]
    version = package("jax").__version__
    return "\n".join(
        [
            f"# Public names of JAX {version}, by module; by docs/make_jax_names.py.",
            *map(wrapped, entries),
            "# Modules that promise no names; every name in them is taken to be there.",
            *map(wrapped, rest),
            "",
        ]
    )


def wrapped(entry: str) -> str:
    """An entry in lines of the usual length, all but the first indented."""
    return textwrap.fill(
        entry, 100, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table().write_text(page(), encoding="utf-8")

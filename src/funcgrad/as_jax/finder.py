"""The import of `jax` and what lies under it, answered by modules that look names up in funcgrad.

In: the name of a module. Out: a `Served` module. The one idea: a served module holds nothing. It
knows which names JAX has, and finds the value of one when it is asked for: in the adapter of the
module (`funcgrad.as_jax.jax...`, where funcgrad's spelling differs), among its submodules, in the
module of funcgrad with the same name, or else as `Absent`. A name JAX does not have is an
AttributeError, so that programs which ask `hasattr(jax, name)` take the branch they take on JAX.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from .absent import Absent
from .names import names, version

roots = ("jax", "jaxlib")
_package = __name__.rpartition(".")[0]
# Where names are that funcgrad keeps elsewhere; None: funcgrad's module of that name is another.
_homes = {
    "jax.core": None,
    "jax.extend.core.primitives": "funcgrad.lax",
    "jax._src.numpy.util": f"{_package}.promotion",
}
_missing = object()


class Served(ModuleType):
    """A module of JAX whose names are funcgrad's."""

    def __getattr__(self, name: str) -> Any:
        value = _value(self.__name__, name)
        if value is _missing:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        setattr(self, name, value)
        return value

    @property
    def __dict__(self) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """All names with their values, which are found for whoever goes over them."""
        for name in names().public.get(ModuleType.__getattribute__(self, "__name__"), ()):
            getattr(self, name)
        return super().__dict__

    def __dir__(self) -> list[str]:
        return sorted({*super().__dict__, *names().public.get(self.__name__, ())})


def _value(module: str, name: str) -> Any:
    """What a name of a module of JAX stands for; `_missing` if JAX has no such name."""
    table = names()
    if name == "__all__":
        return sorted(table.public.get(module, ()))
    adapter = _module_of(f"{_package}.{module}")
    found = getattr(adapter, name, _missing) if adapter else _missing
    listed = name in table.public.get(module, ()) or (
        module in table.internal and not name.startswith("__")
    )
    if found is not _missing and (listed or name.startswith("__version")):
        return found
    if table.has_module(f"{module}.{name}"):
        return importlib.import_module(f"{module}.{name}")
    if not listed:
        return _missing
    home = _home(module)
    found = getattr(home, name, _missing) if home else _missing
    return Absent(f"{module}.{name}") if found is _missing else found


def _home(module: str) -> ModuleType | None:
    """The module of funcgrad with the names of a module of JAX."""
    if module in names().internal and module not in _homes:
        return None
    name = _homes.get(module, "funcgrad" + module.removeprefix("jax"))
    return _module_of(name) if name else None


def _module_of(name: str) -> ModuleType | None:
    """A module, or None where there is none of that name."""
    spec = None
    with suppress(ModuleNotFoundError):  # a parent is missing, or is no package
        spec = importlib.util.find_spec(name)
    return importlib.import_module(name) if spec else None


class _Loader(importlib.abc.Loader):
    """Makes served modules."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return Served(spec.name, f"{spec.name} of JAX {version}, served by funcgrad.")

    def exec_module(self, module: ModuleType) -> None:
        """Nothing runs: names are found when they are asked for."""


class _Distribution(metadata.Distribution):
    """What `importlib.metadata` says of jax and jaxlib: that they are there, and their version."""

    def __init__(self, name: str) -> None:
        self._name = name

    def read_text(self, filename: str) -> str | None:
        if filename != "METADATA":
            return None
        return f"Metadata-Version: 2.1\nName: {self._name}\nVersion: {version}\n"

    def locate_file(self, path: Any) -> Any:
        return Path(path)


class Finder(metadata.DistributionFinder):
    """Finds `jax`, `jaxlib` and their submodules, before anything on `sys.path`."""

    _loader = _Loader()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of a served module.

        Raises:
            ModuleNotFoundError: JAX has no such module; a JAX on `sys.path` is not looked at.
        """
        if fullname.partition(".")[0] not in roots:
            return None
        if not names().has_module(fullname):
            raise ModuleNotFoundError(
                f"No module named {fullname!r}: JAX {version}, whose names funcgrad serves here, "
                "has no such module.",
                name=fullname,
            )
        return importlib.machinery.ModuleSpec(fullname, self._loader, is_package=True)

    def find_distributions(
        self, context: metadata.DistributionFinder.Context | None = None
    ) -> Iterable[metadata.Distribution]:
        """The distributions of the served packages."""
        name = context.name if context else None
        return [_Distribution(root) for root in roots if name in (None, root)]

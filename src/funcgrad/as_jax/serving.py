"""The context in which `jax` is funcgrad, and how it is left without a trace."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from ..config import config
from ..core.array import Array
from ..core.staging import StagingTracer
from ..ir.avals import AnyArray
from ..locks import lock
from ..transforms.batch import BatchTracer
from ..transforms.jvp import JVPTracer
from .finder import Finder, Served, roots

# Libraries for several frameworks ask the module of a value's class whose value it is.
_homes: dict[type, str] = {
    AnyArray: "jax",
    Array: "jaxlib._jax",
    StagingTracer: "jax._src.interpreters.partial_eval",
    JVPTracer: "jax._src.interpreters.ad",
    BatchTracer: "jax._src.interpreters.batching",
}
_own = {kind: kind.__module__ for kind in _homes}
_lock = lock()
_finder = Finder()
_depth = 0
_before: frozenset[str] = frozenset()


@contextmanager
def serve() -> Generator[None]:
    """While entered, `import jax` gives funcgrad under JAX's names, in every module of the process.

    On leaving, the served modules are taken out of `sys.modules`, and with them the packages that
    were first imported inside and hold on to them, such as optax: imported again, they find
    what `jax` is then. Objects made inside stay as they are. The context nests, and it counts for
    all threads: `sys.modules` is the process's, and the last one to leave cleans up.

    Raises:
        RuntimeError: JAX itself is loaded; modules that hold on to it would mix with ours.

    >>> from funcgrad import as_jax
    >>> with as_jax.serve():  # doctest: +SKIP
    ...     import jax
    ...     jax.grad(jax.numpy.sin)(0.0)
    Array(1., dtype=float32, weak_type=True)
    """
    global _depth
    with _lock:
        if not _depth:
            _install()
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if not _depth:
                _remove()


def _devices_asked_for() -> int | None:
    """How many devices JAX's variables say that the CPU counts as, if they do."""
    flag = re.search(
        r"--xla_force_host_platform_device_count=(\d+)", os.environ.get("XLA_FLAGS", "")
    )
    asked = os.environ.get("JAX_NUM_CPU_DEVICES", flag[1] if flag else "")
    return int(asked) if asked.isdecimal() and int(asked) else None


def _install() -> None:
    global _before
    for name, module in list(sys.modules.items()):
        if _root(name) in roots:
            raise RuntimeError(
                f"as_jax: {name} is loaded already, from {getattr(module, '__file__', None)}. "
                "Its modules and those served here cannot be told apart by the libraries that use "
                "them. Enter serve() before anything imports jax, or start the program with "
                "`python -m funcgrad.as_jax`."
            )
    count = _devices_asked_for()
    if count is not None and config.num_cpu_devices is None:
        config.update("num_cpu_devices", count)
    _before = frozenset(sys.modules)
    sys.meta_path.insert(0, _finder)
    _say(_homes)


def _say(homes: dict[type, str]) -> None:
    for kind, home in homes.items():
        kind.__module__ = home


def _remove() -> None:
    _say(_own)
    sys.meta_path.remove(_finder)
    held = _dependents()
    for name in list(sys.modules):
        if name not in _before and _root(name) in held:
            del sys.modules[name]


def _root(name: str) -> str:
    return name.partition(".")[0]


def _dependents() -> set[str]:
    """Packages first imported inside that hold a served module, or a name of one of them."""
    new = {
        name: module
        for name, module in list(sys.modules.items())
        if name not in _before
        and _root(name) not in (*roots, "funcgrad", "__main__", "__mp_main__")
    }
    uses = {name: _packages_of(module) for name, module in new.items()}
    held = {*roots, "funcgrad"}
    while more := {_root(n) for n, used in uses.items() if _root(n) not in held and used & held}:
        held |= more
    # A package that was there before is left whole: part of it would be loaded twice.
    return held - {_root(name) for name in _before} - {"funcgrad"}


def _packages_of(module: ModuleType) -> set[str]:
    """The packages that the values of a module's names come from."""
    found: set[str] = set()
    values: list[Any] = list(vars(module).values())
    for value in values:
        if isinstance(value, Served):
            found.add("jax")
        elif isinstance(value, ModuleType):
            found.add(_root(_said(value, "__name__")))
        else:
            found.add(_root(_said(value, "__module__")))
    return found


def _said(value: Any, name: str) -> str:
    """What a value says of its home; proxies that are not ready may raise anything instead."""
    try:
        said = getattr(value, name, "")
    except Exception:
        return ""
    return said if isinstance(said, str) else ""

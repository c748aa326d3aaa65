"""`jax._src.traceback_util`: which files JAX leaves out of tracebacks. funcgrad shows all."""

from __future__ import annotations

from typing import Any


def register_exclusion(path: str) -> None:
    """A file whose frames could be left out; none are."""


def api_boundary(fun: Any, **_: Any) -> Any:
    """The function: its frames are shown as they are."""
    return fun

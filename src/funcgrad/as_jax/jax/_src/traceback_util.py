"""`jax._src.traceback_util`: which files JAX leaves out of tracebacks. funcgrad shows all."""

from __future__ import annotations

from typing import Any


def register_exclusion(path: str) -> None:
    """A file whose frames could be left out; none are."""


def include_frame(frame: Any) -> bool:
    """Whether a frame is the user's."""
    return not frame.f_globals.get("__name__", "").startswith("funcgrad.")


def api_boundary(fun: Any, **_: Any) -> Any:
    """The function: its frames are shown as they are."""
    return fun

"""`jax.extend.backend`: which platforms are present."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from .... import devices

__all__ = ["backends"]


def backends() -> dict[str, list[Any]]:
    """The devices of each platform that is present, by the name that JAX has for it."""
    found: dict[str, list[Any]] = {"cpu": devices("cpu")}
    with suppress(RuntimeError):  # says why there are none
        found["cuda"] = devices("gpu")
    return found

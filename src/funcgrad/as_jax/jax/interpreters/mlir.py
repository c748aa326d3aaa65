"""`jax.interpreters.mlir`: lowerings that are functions; there is no MLIR to write others in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...primitives import Primitive, lowerings


class Lowering:
    """A lowering given as a function of arrays."""

    def __init__(self, fun: Callable[..., Any]) -> None:
        self.fun = fun


def lower_fun(fun: Callable[..., Any], multiple_results: bool = True) -> Lowering:
    """A lowering by tracing a function; here it is called."""
    return Lowering(fun)


def register_lowering(
    prim: Primitive, rule: Any, platform: str | None = None, inline: bool = True, **_: Any
) -> Any:
    """Say how a primitive is compiled.

    A function stands in for `def_impl` where none was given. A rule that writes MLIR is not
    called, so that its primitive runs by `def_impl`.
    """
    if isinstance(rule, Lowering) and platform in (None, "cpu"):
        lowerings[prim] = rule.fun
    return rule


def cache_lowering(rule: Any) -> Any:
    """The lowering itself."""
    return rule

"""`jax._src.api_util`: which arguments are meant where only their numbers or names are given."""

from __future__ import annotations

import inspect
from collections.abc import Iterable


def infer_argnums_and_argnames(
    sig: inspect.Signature,
    argnums: int | Iterable[int] | None,
    argnames: str | Iterable[str] | None,
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Positions and names of marked arguments; what is None is inferred from the other."""
    named = {
        i: p.name
        for i, p in enumerate(sig.parameters.values())
        if p.kind is p.POSITIONAL_OR_KEYWORD
    }
    nums = (argnums,) if isinstance(argnums, int) else tuple(argnums or ())
    names = (argnames,) if isinstance(argnames, str) else tuple(argnames or ())
    if argnums is None:
        nums = tuple(i for i, name in named.items() if name in names)
    elif argnames is None:
        names = tuple(name for i, name in named.items() if i in nums)
    return nums, names

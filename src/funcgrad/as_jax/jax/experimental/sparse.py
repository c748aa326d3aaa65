"""`jax.experimental.sparse`: there are no sparse arrays, so functions get dense ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["sparsify"]


def sparsify(f: Callable[..., Any], use_tracer: bool = False) -> Callable[..., Any]:
    """A function of sparse arrays from one of dense ones: of dense arguments, `f` itself.

    `BCOO` and its like are absent, so their constructors say so before anybody could call this.

    Args:
        use_tracer: which of JAX's two ways it is done in; both do the same.
    """
    return f

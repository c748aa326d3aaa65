"""`jax._src.numpy.einsum`: einsum in an order that opt_einsum has found already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...numpy import einsum

__all__ = ["_einsum"]


def _einsum(
    operands: Sequence[Any],
    contractions: Sequence[tuple[tuple[int, ...], frozenset[str], str]],
    precision: Any,
    preferred_element_type: Any,
    _dot_general: Any = None,
    out_sharding: Any = None,
) -> Any:
    """The last of the contractions, each of which takes one or two operands out of the list.

    Args:
        contractions: of each the positions, the letters summed, and the subscripts.
    """
    left = list(operands)
    for positions, _, subscripts in contractions:
        chosen = [left.pop(i) for i in positions]
        product = einsum(
            subscripts,
            *chosen,
            precision=precision,
            preferred_element_type=preferred_element_type,
            _dot_general=_dot_general,
        )
        left.append(product)
    return left[0]

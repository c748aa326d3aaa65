"""What the functions of `scipy.linalg` do to their operands first."""

from __future__ import annotations

from typing import Any

from ...core.trace import as_array
from ...numpy.promotion import promote_dtypes_inexact, to_array
from ...primitives.broadcasting import broadcast_shapes, broadcast_to


def arrays(*args: Any) -> list[Any]:
    """Operands, lists among them, as arrays of one inexact dtype."""
    from ...numpy.creation import asarray

    given = [asarray(x) if isinstance(x, (list, tuple)) else as_array(x) for x in args]
    return [to_array(x) for x in promote_dtypes_inexact(*given)]


def square(name: str, x: Any) -> Any:
    """x, checked to be square matrices."""
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError(f"{name} takes square matrices [..., n, n], got shape {x.shape}.")
    return x


def columns_like(name: str, a: Any, b: Any) -> tuple[Any, Any, bool]:
    """a [..., n, n] and b [..., n, k] with common leading axes, and whether b was a vector."""
    square(name, a)
    vector = b.ndim == 1
    b = b[:, None] if vector else b
    if b.ndim < 2 or b.shape[-2] != a.shape[-1]:
        raise ValueError(
            f"{name} takes b [n] or [..., n, k] for matrices [..., n, n], got {b.shape} for "
            f"{a.shape}. Of several vectors, add an axis: b[..., None]."
        )
    lead = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return spread(a, lead), spread(b, lead), vector


def spread(x: Any, lead: tuple[int, ...], core: int = 2) -> Any:
    """x with its leading axes broadcast; the last `core` stay."""
    return broadcast_to(x, (*lead, *x.shape[x.ndim - core :]))

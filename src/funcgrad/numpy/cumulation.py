"""Running sums, products and extrema along an axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..control.plans import planned
from ..ir.avals import canonical_axis
from ..primitives import cumulative as ops
from ..typing import Array, ArrayLike, DTypeLike
from .promotion import check_arraylike, dtype_of, requested_dtype, strong, to_array
from .reductions import refuse_out, sum_dtype

if TYPE_CHECKING:
    from jaxtyping import Shaped


def _run(name: str, op: Callable[..., Any], a: Any, axis: int | None, dtype: Any, out: Any) -> Any:
    check_arraylike(name, a)
    refuse_out(name, out)
    wanted = requested_dtype(dtype, name)
    x = strong(a)
    if axis is None or not x.ndim:
        canonical_axis(axis or 0, 1)
        x, axis = x.reshape(-1), 0
    if wanted is None and dtype_of(x).kind == "b":
        wanted = requested_dtype(int, name)
    if wanted is not None:
        x = x.astype(wanted)
    return op(x, canonical_axis(axis, x.ndim))


@planned
def cumsum(
    a: Shaped[ArrayLike, "..."],
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    out: None = None,
) -> Array:
    """Running sum along an axis, or of the raveled array; booleans are counted."""
    return _run("cumsum", ops.cumsum, a, axis, dtype, out)


@planned
def cumprod(
    a: Shaped[ArrayLike, "..."],
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    out: None = None,
) -> Array:
    """Running product along an axis, or of the raveled array."""
    return _run("cumprod", ops.cumprod, a, axis, dtype, out)


def _with_initial(
    name: str, run: Callable[..., Any], start: int, x: Any, axis: Any, dtype: Any, initial: bool
) -> Any:
    from .creation import full
    from .manipulation import concatenate

    check_arraylike(name, x)
    value = to_array(x)
    if value.ndim == 0:
        raise ValueError(f"The input must be non-scalar to take {name}. Reshape it to (1,).")
    if axis is None:
        if value.ndim > 1:
            raise ValueError(f"{name} needs an axis for an array of {value.ndim} axes.")
        axis = 0
    result = run(value, axis, sum_dtype(value) if dtype is None else dtype)
    if not initial:
        return result
    shape = list(result.shape)
    shape[axis] = 1
    return concatenate([full(shape, start, dtype_of(result)), result], axis=axis)


@planned
def cumulative_sum(
    x: Shaped[ArrayLike, "..."],
    /,
    *,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    include_initial: bool = False,
) -> Array:
    """Running sum along an axis; with include_initial, a 0 comes first.

    Args:
        dtype: small integers become the default one by default, as in `sum`.
    """
    return _with_initial("cumulative_sum", cumsum, 0, x, axis, dtype, include_initial)


@planned
def cumulative_prod(
    x: Shaped[ArrayLike, "..."],
    /,
    *,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    include_initial: bool = False,
) -> Array:
    """Running product along an axis; with include_initial, a 1 comes first.

    Args:
        dtype: small integers become the default one by default, as in `prod`.
    """
    return _with_initial("cumulative_prod", cumprod, 1, x, axis, dtype, include_initial)

"""Choosing between values by conditions: where, select, choose, piecewise.

In: conditions and arrays to choose from, promoted and broadcast. Out: one array. Both branches are
computed; a derivative reaches only the one chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..core.sources import user_line
from ..ir import dtypes
from ..primitives import comparison
from ..primitives.broadcasting import broadcast_shapes, broadcast_to
from ..primitives.elementwise import constant_like
from ..primitives.selection import select_n
from ..typing import Array, ArrayLike
from .promotion import (
    check_arraylike,
    check_rank_promotion,
    convert,
    dtype_of,
    promote_dtypes,
    refuse_key,
    refuse_out,
    shape_of,
    to_array,
)

if TYPE_CHECKING:
    from jaxtyping import Shaped


def as_mask(x: Any) -> Any:
    """A condition as booleans: what is not zero is true."""
    value = to_array(x)
    if dtype_of(value).kind == "b":
        return value
    if dtypes.is_key_dtype(dtype_of(value)):
        return convert(value, np.dtype(bool))  # says that keys do not convert
    return comparison.ne(value, constant_like(value, 0))


@planned
def where(
    condition: Shaped[ArrayLike, "*#shape"],
    x: Shaped[ArrayLike, "*#shape"] | None = None,
    y: Shaped[ArrayLike, "*#shape"] | None = None,
    /,
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """x where the condition holds, else y; with the condition alone, the indices where it does.

    Args:
        condition: booleans, or numbers that count as true when not zero.
        x, y: values to choose from; the three broadcast.
        size: for the condition alone: how many indices to return, as in `nonzero`.
        fill_value: for the condition alone: what stands where there are fewer.
    Raises:
        ValueError: only one of x and y is given, or size together with them.
    """
    if x is None and y is None:
        from .search import nonzero

        check_arraylike("where", condition)
        return nonzero(condition, size=size, fill_value=fill_value)
    if x is None or y is None:
        raise ValueError("Either both or neither of the x and y arguments should be given.")
    if size is not None or fill_value is not None:
        raise ValueError("where takes size and fill_value only when x and y are left out.")
    check_arraylike("where", condition, x, y)
    refuse_key("where", condition)
    mask = as_mask(condition)
    a, b = promote_dtypes(x, y)
    shapes = shape_of(mask), shape_of(a), shape_of(b)
    if shapes[0] == shapes[1] == shapes[2]:
        return select_n(mask, b, a)
    if len({len(s) for s in shapes if s}) > 1:
        _check_ranks(shapes)
    shape = broadcast_shapes(*shapes)
    if shapes[0]:
        mask = broadcast_to(mask, shape)
    return select_n(mask, broadcast_to(b, shape), broadcast_to(a, shape))


def _check_ranks(shapes: Sequence[tuple[int, ...]]) -> None:
    from ..config import config

    if config.numpy_rank_promotion != "allow":
        check_rank_promotion("where", shapes)


@planned
def select(
    condlist: Sequence[Shaped[ArrayLike, "*#shape"]],
    choicelist: Sequence[Shaped[ArrayLike, "*#shape"]],
    default: Shaped[ArrayLike, "*#shape"] = 0,
) -> Array:
    """The choice that goes with the first condition that holds, else the default.

    Raises:
        ValueError: the lists are empty or differ in length.
    """
    if len(condlist) != len(choicelist):
        raise ValueError(
            f"condlist must have length equal to choicelist ({len(condlist)} vs "
            f"{len(choicelist)}). Give one choice for each condition."
        )
    if not condlist:
        raise ValueError("condlist must be non-empty: give at least one condition.")
    check_arraylike("select", *condlist, *choicelist, default)
    values = promote_dtypes(*choicelist, default)
    result = values[-1]
    for condition, choice in zip(reversed(condlist), reversed(values[:-1]), strict=True):
        result = where(condition, choice, result)
    return result


def choose(
    a: Shaped[ArrayLike, "*#shape"],
    choices: Sequence[Shaped[ArrayLike, "*#shape"]] | Shaped[ArrayLike, "n ..."],
    out: None = None,
    mode: str = "raise",
) -> Array:
    """choices[a[i]][i] at every index i, after broadcasting.

    Args:
        a: integers.
        choices: arrays to choose from, or one array whose first axis counts them.
        mode: "wrap" or "clip" indices out of range; "raise" needs them concrete.
    Raises:
        ValueError: mode="raise" and an index is out of range.
    """
    from .manipulation import broadcast_arrays

    check_arraylike("choose", a, *choices)
    refuse_out("choose", out)
    count = len(choices)
    index = to_array(a)
    if dtype_of(index).kind not in "iu":
        raise ValueError("`a` array must be integer typed. Convert with astype.")
    if mode == "raise":
        _check_choices(index, count)
    elif mode == "wrap":
        index = index % count
    elif mode == "clip":
        from .arithmetic import clip

        index = clip(index, 0, count - 1)
    else:
        raise ValueError(f"choose takes mode 'raise', 'wrap' or 'clip', got {mode!r}.")
    index, *arrays = broadcast_arrays(index, *promote_dtypes(*choices))
    from .creation import astype

    return select_n(astype(index, np.int32), *arrays)


def _check_choices(index: Any, count: int) -> None:
    from ..core.trace import Tracer, value_of
    from ..errors import ConcretizationTypeError

    found = value_of(index)
    if isinstance(found, Tracer):
        raise ConcretizationTypeError(
            found, "choose with mode='raise' has to see the indices; use mode='clip' or 'wrap'."
        )
    values = np.asarray(found)
    if values.size and (values.min() < 0 or values.max() >= count):
        raise ValueError(
            f"invalid entry in choice array: indices lie in [{values.min()}, {values.max()}], "
            f"there are {count} choices.\n  {user_line()}"
        )


def piecewise(
    x: Shaped[ArrayLike, "*#shape"],
    condlist: Sequence[Shaped[ArrayLike, "*#shape"]] | Shaped[ArrayLike, "n ..."],
    funclist: Sequence[Shaped[ArrayLike, "*#shape"] | Callable[..., Any]],
    *args: Any,
    **kw: Any,
) -> Array:
    """The value or function that goes with the last condition that holds, at every element.

    One more function than conditions is the default; without it, that is 0. All functions are
    evaluated on all elements.

    Raises:
        ValueError: the numbers of conditions and functions do not fit.
    """
    check_arraylike("piecewise", x)
    value = to_array(x)
    conditions = [as_mask(c) for c in condlist]
    if len(funclist) not in (len(conditions), len(conditions) + 1):
        raise ValueError(
            f"with {len(conditions)} condition(s), either {len(conditions)} or "
            f"{len(conditions) + 1} functions are expected; got {len(funclist)}."
        )
    results: list[Any] = [f(value, *args, **kw) if callable(f) else f for f in funclist]
    default: Any = results.pop() if len(results) > len(conditions) else 0
    from .creation import full_like

    dtype = dtype_of(value)
    out: Any = full_like(value, default, dtype=dtype) if not shape_of(default) else default
    for condition, result in zip(conditions, results, strict=True):
        out = where(condition, result, out)
    return out.astype(dtype)

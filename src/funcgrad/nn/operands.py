"""Operands of losses and metrics: floats where floats are needed, shapes that fit.

In: what users give. Out: arrays, or a ValueError with both shapes, the user's line and a remedy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import numpy as fnp
from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import canonical_axis


def floats(x: Any) -> Any:
    """x as an array of floats: integers and booleans become the default float."""
    x = fnp.asarray(x)
    return x if dtypes.issubdtype(x.dtype, np.inexact) else x.astype(fnp.result_type(float))


def normalize_axes(axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Axes as numbers from 0; None for all of them."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(canonical_axis(i, ndim) for i in ((axis,) if isinstance(axis, int) else axis))


def is_integer(x: Any) -> bool:
    """Whether an array holds class numbers rather than shares."""
    return bool(dtypes.issubdtype(x.dtype, np.integer))


def paired(name: str, a: Any, b: Any, words: tuple[str, str]) -> tuple[Any, Any]:
    """Two arrays of floats of one shape; a scalar fits every shape.

    Nothing else is broadcast: f32[n] against f32[n, 1] would give n² errors in silence.

    Raises:
        ValueError: the shapes differ.
    """
    a, b = floats(a), floats(b)
    if a.shape != b.shape and a.ndim and b.ndim:
        raise ValueError(
            f"{name} got {words[0]} of shape {a.shape} and {words[1]} of shape {b.shape}.\n"
            f"  {user_line()}\n"
            f"  Give both one shape, or one of them as a scalar."
        )
    return a, b


def fitting(name: str, found: Any, wanted: tuple[int, ...], words: tuple[str, str]) -> None:
    """Check the shape of an array against the one that the other operand calls for.

    Raises:
        ValueError: another shape.
    """
    if found.shape != wanted:
        raise ValueError(
            f"{name} got {words[0]} of shape {found.shape} and dtype {found.dtype.name}, where "
            f"{words[1]}.\n  {user_line()}\n  Give {words[0]} of shape {wanted}."
        )


def class_numbers(name: str, labels: Any, logits: Any) -> Any:
    """Labels as integers, one for each row of logits.

    Raises:
        TypeError: labels are no integers.
        ValueError: the shapes do not fit.
    """
    labels = fnp.asarray(labels)
    if not is_integer(labels):
        raise TypeError(
            f"{name} got labels of dtype {labels.dtype.name}.\n  {user_line()}\n"
            f"  Give class numbers: labels.astype(int)."
        )
    fitting(name, labels, logits.shape[:-1], ("labels", f"the logits have shape {logits.shape}"))
    return labels


def at_labels(values: Any, labels: Any) -> Any:
    """values[..., labels[...]], NaN where the label is out of range; the derivative too."""
    classes = values.shape[-1]
    inside = (labels >= 0) & (labels < classes)
    index = fnp.where(inside, labels, fnp.zeros_like(labels))
    found = fnp.take_along_axis(values, index[..., None], axis=-1)[..., 0]
    # A factor and not a choice: a choice would give such rows a gradient of 0.
    return found * fnp.where(inside, 1.0, fnp.nan).astype(values.dtype)


def safe_root(squares: Any) -> Any:
    """√squares with derivative 0, and not NaN, at 0."""
    positive = squares > 0
    return fnp.where(positive, fnp.sqrt(fnp.where(positive, squares, 1)), 0).astype(squares.dtype)

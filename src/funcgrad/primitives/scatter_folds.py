"""What scatters do to memory: replace, fold with a ufunc, apply a function again and again.

In: a writable view whose leading axes the rows index, rows (one integer array for each of those
axes, all of one length), and as many updates. The one idea: updates are sorted by the place they
go to and folded in runs, so that no place is written twice and no element is visited in Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.evaluate import run_numpy
from ..ir.jaxpr import ClosedJaxpr, Jaxpr, subjaxprs
from .kinds import Elementwise

NDArray = np.ndarray[Any, Any]
_elementwise_names = frozenset({"convert_element_type", "copy", "select_n"})


def replace(view: NDArray, rows: Sequence[NDArray], updates: NDArray) -> None:
    """Write the updates; where several meet, the last one stays."""
    view[tuple(rows)] = updates


def fold(
    ufunc: np.ufunc,
    inner: np.ufunc,
    view: NDArray,
    rows: Sequence[NDArray],
    updates: NDArray,
    unique: bool,
) -> None:
    """view[row] = ufunc(view[row], all updates for that row folded by `inner`).

    Args:
        inner: folds updates that meet: add for subtract, else the ufunc itself.
        unique: promises that no two rows are equal.
    """
    if unique:
        view[tuple(rows)] = ufunc(view[tuple(rows)], updates)
        return
    if view.ndim == 1 and view.dtype.isbuiltin == 1 and view.dtype.itemsize > 2:
        # NumPy's own loop for one axis of native numbers beats sorting.
        ufunc.at(view, rows[0], updates)
        return
    order, heads = runs(rows, view.shape)
    totals = inner.reduceat(updates[order], np.flatnonzero(heads), axis=0)
    places = tuple(row[order[heads]] for row in rows)
    view[places] = ufunc(view[places], totals)


def runs(rows: Sequence[NDArray], shape: tuple[int, ...]) -> tuple[NDArray, NDArray]:
    """A stable order in which equal rows are neighbours, and where a new row begins in it."""
    extents = shape[: len(rows)]
    flat = rows[0] if len(rows) == 1 else np.ravel_multi_index(tuple(rows), extents)
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    heads = np.ones(len(order), bool)
    heads[1:] = ordered[1:] != ordered[:-1]
    return order, heads


def apply_repeatedly(
    view: NDArray, rows: Sequence[NDArray], jaxpr: Jaxpr, consts: Sequence[Any]
) -> None:
    """Replace each element named by the rows by the function of it, once for each naming."""
    order, heads = runs(rows, view.shape)
    starts = np.flatnonzero(heads)
    counts = np.diff(np.append(starts, len(order)))
    places = tuple(row[order[starts]] for row in rows)
    closed = ClosedJaxpr(jaxpr, tuple(consts))
    for done in range(int(counts.max(initial=0))):
        again = tuple(place[counts > done] for place in places)
        view[again] = map_scalar(closed, view[again])


def map_scalar(closed: ClosedJaxpr, values: NDArray) -> NDArray:
    """A function of two scalars, of which it ignores the second, at every element."""
    flat = values.ravel()
    if is_elementwise(closed.jaxpr):
        (out,) = run_numpy(closed, [flat, np.zeros_like(flat)])
        return np.broadcast_to(out, flat.shape).reshape(values.shape)
    unused = np.zeros((), values.dtype)
    outs = [run_numpy(closed, [np.asarray(x), unused])[0] for x in flat]
    return np.array(outs, values.dtype).reshape(values.shape)


def is_elementwise(jaxpr: Jaxpr) -> bool:
    """Whether a program of scalars means the same on arrays, element by element."""
    for eqn in jaxpr.eqns:
        if isinstance(eqn.primitive, Elementwise) or eqn.primitive.name in _elementwise_names:
            continue
        inner = subjaxprs(eqn.params)
        if eqn.primitive.name != "jit" or not all(map(is_elementwise, inner)):
            return False
    return True

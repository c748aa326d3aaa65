"""Whole Jacobians: jacfwd, jacrev, hessian. A mapped jvp or vjp over the standard basis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..control.flat import canonical_argnums, name_of, wraps
from ..core.array import Array
from ..core.axes import move_axis
from ..core.trace import current_trace, eval_trace
from ..ir.avals import ShapedArray, aval_of
from ..primitives.arithmetic import add
from ..primitives.casting import convert_element_type
from ..primitives.comparison import eq
from ..primitives.creation import broadcasted_iota, full
from ..primitives.movement import reshape
from ..primitives.slicing import slice_in_dim
from .forward import jvp
from .mapping import vmap
from .reverse import check_callable, check_grad_input, check_output_dtype, partial_at, vjp

# Elements of a basis from which on it is a constant of the program.
_LARGE = 1 << 16


def basis(avals: Sequence[ShapedArray]) -> list[Any]:
    """The standard basis of a list of arrays: for each array, `[total, *shape]`.

    While a program is staged a small one is an expression, which kernels need not read.
    """
    sizes = [a.size for a in avals]
    total, offset = sum(sizes), 0
    staged = current_trace() is not eval_trace
    found: list[Any] = []
    for aval, size in zip(avals, sizes, strict=True):
        if staged and total == 1:
            found.append(full((1, *aval.shape), 1, aval.dtype))
        elif staged and total * size < _LARGE:
            rows, columns = (broadcasted_iota(np.int32, (total, size), k) for k in range(2))
            ones = eq(rows, add(columns, np.int32(offset)) if offset else columns)
            found.append(reshape(convert_element_type(ones, aval.dtype), (total, *aval.shape)))
        else:
            values = np.zeros((total, size), aval.dtype)
            values[np.arange(offset, offset + size), np.arange(size)] = 1
            found.append(Array(values.reshape(total, *aval.shape)))
        offset += size
    return found


def split_rows(x: Any, avals: Sequence[ShapedArray], treedef: Any, last: bool) -> Any:
    """Split the basis axis (0) of x into a tree of arrays of these avals.

    Args:
        last: put the axes of the avals last instead of first.
    """
    rest = aval_of(x).shape[1:]
    offset = 0
    parts: list[Any] = []
    for aval in avals:
        part = slice_in_dim(x, offset, offset + aval.size)
        offset += aval.size
        if last:
            part = reshape(move_axis(part, 0, len(rest)), (*rest, *aval.shape))
        else:
            part = reshape(part, (*aval.shape, *rest))
        parts.append(part)
    return tree.unflatten(treedef, parts)


def jacfwd(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """A function giving the Jacobian of fun column by column, in forward mode.

    Suited to functions with few inputs and many outputs.

    Returns:
        A function giving a tree of fun's result; each leaf a tree of the chosen argument with
        arrays of shape `(*output shape, *input shape)`; with has_aux the pair (Jacobian, aux).
    Raises:
        TypeError: inputs are not real (complex, with holomorphic).
        ValueError: argnums out of range.
    """
    check_callable(fun, "jacfwd")
    name = name_of(fun)

    @wraps(fun)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        positions = canonical_argnums(argnums, len(args), "argnums", name, TypeError)
        partial_fun, chosen = partial_at(fun, positions, args, kwargs)
        whole = chosen[0] if isinstance(argnums, int) else chosen
        leaves, treedef = tree.flatten(whole)
        for leaf in leaves:
            check_forward_input(leaf, holomorphic)
        avals = [aval_of(x).strong() for x in leaves]

        def push(*tangents: Any) -> Any:
            given = tree.unflatten(treedef, tangents)
            given = (given,) if isinstance(argnums, int) else given
            return jvp(partial_fun, chosen, given, has_aux=has_aux)

        out_axes: Any = (None, 0, None) if has_aux else (None, 0)
        out = vmap(push, out_axes=out_axes)(*basis(avals))
        if holomorphic:
            for leaf in tree.leaves(out[0]):
                check_output_dtype(aval_of(leaf), holomorphic, "jacfwd")

        def columns(x: Any) -> Any:
            return split_rows(x, avals, treedef, last=True)

        found = tree.map(columns, out[1])
        return (found, out[2]) if has_aux else found

    return jacobian


def check_forward_input(x: Any, holomorphic: bool) -> None:
    """Raise TypeError unless jacfwd can be taken with respect to x."""
    from ..ir import dtypes

    check_grad_input(x, holomorphic, False, "jacfwd")
    dtype = aval_of(x).dtype
    if not holomorphic and not dtypes.issubdtype(dtype, np.floating):
        raise TypeError(
            "jacfwd requires real-valued inputs (input dtype that is a sub-dtype of np.floating), "
            f"but got {dtype.name}. For holomorphic functions pass holomorphic=True; otherwise "
            "use jvp directly."
        )


def jacrev(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., Any]:
    """A function giving the Jacobian of fun row by row, in reverse mode.

    Suited to functions with many inputs and few outputs. Result as in `jacfwd`.

    Raises:
        TypeError: inputs or outputs have dtypes without this derivative.
        ValueError: argnums out of range.
    """
    check_callable(fun, "jacrev")
    name = name_of(fun)

    @wraps(fun)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        positions = canonical_argnums(argnums, len(args), "argnums", name, TypeError)
        partial_fun, chosen = partial_at(fun, positions, args, kwargs)
        for leaf in tree.leaves(chosen):
            check_grad_input(leaf, holomorphic, allow_int, "jacrev")
        out = vjp(partial_fun, *chosen, has_aux=has_aux)
        leaves, treedef = tree.flatten(out[0])
        avals = [aval_of(x).strong() for x in leaves]
        for aval in avals:
            check_output_dtype(aval, holomorphic, "jacrev")

        def pull(*cts: Any) -> Any:
            return out[1](tree.unflatten(treedef, cts))

        rows = vmap(pull)(*basis(avals))
        rows = rows[0] if isinstance(argnums, int) else rows
        in_leaves, in_tree = tree.flatten(rows)
        parts = [split_rows(x, avals, treedef, last=False) for x in in_leaves]
        columns = [tree.leaves(part) for part in parts]
        found = [
            tree.unflatten(in_tree, [column[i] for column in columns]) for i in range(len(avals))
        ]
        result = tree.unflatten(treedef, found)
        return (result, out[2]) if has_aux else result

    return jacobian


def hessian(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """A function giving the Hessian of fun: forward over reverse.

    Returns:
        A function giving a tree of trees of arrays of shape
        `(*output shape, *input shape, *input shape)`; with has_aux the pair (Hessian, aux).
    """
    inner = jacrev(fun, argnums, has_aux=has_aux, holomorphic=holomorphic)
    return jacfwd(inner, argnums, has_aux=has_aux, holomorphic=holomorphic)


jacobian = jacrev

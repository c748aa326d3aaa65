"""Batches of convolutions as one convolution.

In: operands with batch axes. Out: the output with its batch axis. The one idea: a batch of images
joins the batch, a batch of kernels the output features, and a batch of both becomes groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.axes import move_axis
from ..core.primitive import Primitive
from ..ir.avals import ShapedArray, aval_of


def split_axis(x: Any, axis: int, count: int) -> Any:
    """The array with `axis` cut into `count` parts: a new axis before it."""
    from .movement import reshape

    shape = aval_of(x).shape
    return reshape(x, (*shape[:axis], count, shape[axis] // count, *shape[axis + 1 :]))


def merge_axis(x: Any, source: int, target: int) -> Any:
    """The array with axis `source` made the outer part of axis `target`, counted without it."""
    from .movement import reshape

    shape = list(aval_of(x).shape)
    extent = shape.pop(source)
    shape[target] *= extent
    return reshape(move_axis(x, source, target), tuple(shape))


def batch_conv(
    conv_p: Primitive,
    size: int,
    args: Sequence[Any],
    dims: Sequence[int | None],
    params: dict[str, Any],
) -> tuple[Any, int]:
    """A batch of convolutions as one: the batch joins the images, the kernels or the groups."""
    lhs, rhs = args
    lhs_dim, rhs_dim = dims
    lhs_spec, rhs_spec, out_spec = params["dimension_numbers"]
    groups, batch_groups = params["feature_group_count"], params["batch_group_count"]
    if size == 0:
        return _empty_batch(conv_p, lhs, rhs, dims, params), 0
    if lhs_dim is not None and rhs_dim is not None:
        into, grown = (
            (lhs_spec[0], "batch_group_count")
            if batch_groups > 1
            else (lhs_spec[1], "feature_group_count")
        )
        lhs = merge_axis(lhs, lhs_dim, into)
        rhs = merge_axis(rhs, rhs_dim, rhs_spec[0])
        changed = {**params, grown: params[grown] * size}
        out = conv_p.bind(lhs, rhs, **changed)
        return split_axis(out, out_spec[1], size), out_spec[1]
    if lhs_dim is not None:
        # Groups of the batch stay outermost: group, then vmapped axis, then the rest.
        lhs = _merge_below(lhs, lhs_dim, lhs_spec[0], batch_groups)
        out = conv_p.bind(lhs, rhs, **params)
        return split_axis(out, out_spec[0], size), out_spec[0]
    assert rhs_dim is not None
    count = max(groups, batch_groups)
    rhs = _merge_below(rhs, rhs_dim, rhs_spec[0], count)
    out = conv_p.bind(lhs, rhs, **params)
    at = out_spec[1]
    if count == 1:
        return split_axis(out, at, size), at
    out = split_axis(split_axis(out, at, count), at + 1, size)
    return merge_axis(move_axis(out, at + 1, 0), at + 1, at + 1), 0


def _merge_below(x: Any, dim: int, axis: int, groups: int) -> Any:
    """Axis `dim` made a part of `axis` (counted without it), below its groups."""
    if groups == 1:
        return merge_axis(x, dim, axis)
    x = split_axis(move_axis(x, dim, 0), axis + 1, groups)
    # Now: dim, ..., groups at axis + 1, rest at axis + 2.
    x = merge_axis(x, 0, axis + 1)
    return merge_axis(x, axis, axis)


def _empty_batch(
    conv_p: Primitive, lhs: Any, rhs: Any, dims: Sequence[int | None], params: dict[str, Any]
) -> Any:
    from .creation import full

    avals: list[ShapedArray] = []
    for x, dim in zip((lhs, rhs), dims, strict=True):
        aval = aval_of(x)
        shape = aval.shape if dim is None else aval.shape[:dim] + aval.shape[dim + 1 :]
        avals.append(aval.update(shape=shape))
    out = conv_p.abstract_eval(*avals, **params)
    return full((0, *out.shape), 0, out.dtype)

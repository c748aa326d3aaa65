"""Batching: a trace whose tracers carry a value with one more axis.

In: a flat function, values, their batch axes. Out: outputs and their batch axes. The one idea: a
primitive's `batch` rule says how to apply it to whole batches at once, under the parent trace.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from ..core.axes import to_front
from ..core.context import context, extend_axes, set_trace
from ..core.evaluate import eval_closed
from ..core.primitive import AxisData
from ..core.staging import stage
from ..core.trace import Trace, Tracer, eval_trace
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import ClosedJaxpr

Dim = int | None


def unmapped(aval: ShapedArray, dim: int) -> ShapedArray:
    """The aval of one element of a batch along `dim`."""
    return ShapedArray(aval.shape[:dim] + aval.shape[dim + 1 :], aval.dtype, aval.weak_type)


class BatchTracer(Tracer):
    """A batch of values along axis `dim` of `val`."""

    __slots__ = ("dim", "val")

    def __init__(self, trace: BatchTrace, val: Any, dim: int) -> None:
        self.owner = trace
        self.val = val
        self.dim = dim
        self.aval = unmapped(aval_of(val), dim)

    def origin(self) -> str:
        return self.val.origin() if isinstance(self.val, Tracer) else ""


class BatchTrace(Trace):
    """Applies primitives to whole batches."""

    __slots__ = ("axis",)

    def __init__(self, parent: Trace | None, axis: AxisData) -> None:
        super().__init__(parent)
        self.axis = axis

    def split(self, x: Any) -> tuple[Any, Dim]:
        """Value and batch axis."""
        if type(x) is BatchTracer and x.owner is self:
            return x.val, x.dim
        return x, None

    def owns(self, x: Any) -> bool:
        """Whether x is a tracer of this trace."""
        return type(x) is BatchTracer and x.owner is self

    def join(self, val: Any, dim: Dim) -> Any:
        """A tracer, or the value alone when it is the same for the whole batch."""
        return val if dim is None else BatchTracer(self, val, dim)

    def process(self, primitive: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        for x in args:
            if type(x) is BatchTracer and x.owner is self:
                break
        else:
            if not (primitive.named_axes and self.concerns(primitive, params)):
                with set_trace(self.parent):
                    return self.parent.process(primitive, args, params)
        pairs = [self.split(x) for x in args]
        with set_trace(self.parent):
            out, dims = primitive.batch(
                self.axis, [v for v, _ in pairs], [d for _, d in pairs], **params
            )
        if primitive.multiple_results:
            return [self.join(v, d) for v, d in zip(out, dims, strict=True)]
        return self.join(out, dims)

    def concerns(self, primitive: Any, params: dict[str, Any]) -> bool:
        """Whether a primitive over named axes names this trace's axis."""
        return self.axis.name is not None and self.axis.name in primitive.axis_names(params)

    def process_custom_jvp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        return self._custom(call, args, "process_custom_jvp")

    def process_custom_vjp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        return self._custom(call, args, "process_custom_vjp")

    def _custom(self, call: Any, args: Sequence[Any], process: str) -> list[Any]:
        if not any(self.owns(x) for x in args) and not call.may_close_over(self.axis.name):
            return self.parent_handles(lambda trace: getattr(trace, process)(call, args))
        pairs = [self.split(x) for x in args]
        batched, out_dims = call.batched(self, [d for _, d in pairs])
        values = [v for v, _ in pairs]
        with set_trace(self.parent):
            outs = getattr(self.parent, process)(batched, values)
        return [self.join(v, d) for v, d in zip(outs, out_dims(), strict=True)]


def batch_flat(
    fun: Callable[..., Sequence[Any]],
    axis: AxisData,
    values: Sequence[Any],
    dims: Sequence[Dim],
) -> tuple[list[Any], list[Dim]]:
    """Outputs of a flat function applied to batches, and their batch axes."""
    parent = context.trace
    trace = BatchTrace(parent or eval_trace, axis)
    try:
        ins = [trace.join(v, d) for v, d in zip(values, dims, strict=True)]
        names = [(axis.name, axis.size)] if axis.name is not None else []
        with extend_axes(*names), set_trace(trace):
            outs = fun(*ins)
        pairs = [trace.split(out) for out in outs]
    finally:
        trace.live = False
    return [v for v, _ in pairs], [d for _, d in pairs]


_batch_cache: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()


def batch_jaxpr(
    closed: ClosedJaxpr,
    axis: AxisData,
    batched: Sequence[bool],
    force: bool | Sequence[bool] = False,
) -> tuple[ClosedJaxpr, list[bool]]:
    """The jaxpr on batches (axis 0 of the inputs marked `batched`); batched outputs at axis 0.

    Args:
        force: which outputs must be batched even when they are the same for the whole batch.
    Returns:
        The jaxpr, and which outputs are batched.
    """
    forced = (force,) * len(closed.jaxpr.outvars) if isinstance(force, bool) else tuple(force)
    key = (axis, tuple(batched), forced)
    known = _batch_cache.setdefault(closed, {})
    if key not in known:
        known[key] = _batch_jaxpr(closed, axis, batched, forced)
    return known[key]


def _batch_jaxpr(
    closed: ClosedJaxpr, axis: AxisData, batched: Sequence[bool], forced: Sequence[bool]
) -> tuple[ClosedJaxpr, list[bool]]:
    out_batched: list[bool] = []

    def run(*values: Any) -> list[Any]:
        dims = [0 if b else None for b in batched]
        outs, out_dims = batch_flat(lambda *xs: eval_closed(closed, *xs), axis, values, dims)
        out_batched[:] = [d is not None or f for d, f in zip(out_dims, forced, strict=True)]
        return [
            to_front(x, d, axis.size) if b else x
            for x, d, b in zip(outs, out_dims, out_batched, strict=True)
        ]

    avals = [
        a.update(shape=(axis.size, *a.shape)) if b else a
        for a, b in zip(closed.in_avals, batched, strict=True)
    ]
    staged = stage(run, avals, closed.jaxpr.debug_name)
    return staged, list(out_batched)

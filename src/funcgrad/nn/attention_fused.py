"""Attention as one operation: on a GPU one kernel, elsewhere the program of scores or of tiles.

In: the operands of `attention_scores` in the order of `names`, but with heads inside of positions,
as layers have them: query f[batch, T, heads, group, H], key and value f[batch, S, heads, H]; out is
f[batch, T, heads, group, V]. A kernel strides over heads, so that nothing is transposed for it; the
program for others has the transpositions. The one idea: forward mode is one
more operation, linear in the tangents, whose transpose is a third one; each has the scores made
again from the largest one and the sum of each query, so that none of them is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .. import numpy as fnp
from ..api.forward import jvp
from ..api.reverse import linear_transpose
from ..control.fused import Computation, fused
from ..core.axes import to_front
from ..core.zeros import UndefinedPrimal, Zero, instantiate
from ..ir.avals import ShapedArray, aval_of
from .attention_scores import Pattern, direct
from .attention_tiles import Blocks, tangents, tiled

# The order of the axes for `attention_scores`.
_OUTSIDE = {"query": (0, 2, 3, 1, 4), "key": (0, 2, 1, 3), "value": (0, 2, 1, 3)}
# What the kernels of a GPU hold of a head in registers.
_WIDEST = 256
_FLOATS = ("float32", "bfloat16", "float16")


def _turned(name: str, x: Any) -> Any:
    return fnp.transpose(x, _OUTSIDE[name]) if name in _OUTSIDE else x


def _heads_outside(operands: dict[str, Any]) -> dict[str, Any]:
    """Operands, or their tangents, in the form of `attention_scores`."""
    return {name: _turned(name, x) for name, x in operands.items()}


def _heads_inside(out: Any) -> Any:
    """f[batch, heads, group, T, V] as f[batch, T, heads, group, V]."""
    return fnp.transpose(out, (0, 3, 1, 2, 4))


@dataclass(frozen=True)
class _Attending(Computation):
    """What all three have in common.

    Attributes:
        names: of the operands.
        blocks: of queries and keys, where the scores of all pairs are too many.
    """

    pattern: Pattern
    names: tuple[str, ...]
    blocks: tuple[Blocks, Blocks] | None

    def operands(self, args: Sequence[Any]) -> dict[str, Any]:
        """The operands by name."""
        return dict(zip(self.names, args, strict=False))

    def has_kernel(self, avals: Sequence[ShapedArray]) -> bool:
        known = self.operands(avals)
        query, value = known["query"], known["value"]
        small = max(query.shape[-1], value.shape[-1]) <= _WIDEST and 0 not in query.shape
        same = {query.dtype, known["key"].dtype, value.dtype} == {query.dtype}
        some = 0 not in value.shape and "dropout" not in known
        return small and same and some and query.dtype.name in _FLOATS

    def batch(
        self, size: int, args: Sequence[Any], dims: Sequence[int | None]
    ) -> tuple[list[Any], list[int | None]] | None:
        """One attention of all batches: their axis and the axis of the batch become one."""
        if "dropout" in self.names or not self.by_batch():
            return None
        at = self.names.index("query")
        batch = aval_of(args[at]).shape[dims[at] == 0]
        if dims[at] not in (None, 0):
            return None
        joined: list[Any] = []
        for x, d in zip(args, dims, strict=True):
            x = to_front(x, d, size)
            if x.shape[1] != batch:
                x = fnp.broadcast_to(x, (size, batch, *x.shape[2:]))
            joined.append(x.reshape(size * batch, *x.shape[2:]))
        outs = fused(self, *joined)
        return [x.reshape(size, batch, *x.shape[1:]) for x in outs], [0] * len(outs)

    def by_batch(self) -> bool:
        """Whether every result has the axis of the batch."""
        return True


@dataclass(frozen=True)
class Attention(_Attending):
    """Operands to (out, largest score of each query, sum of exp(score − largest))."""

    kernel = "attention"

    def run(self, *args: Any) -> list[Any]:
        operands = _heads_outside(self.operands(args))
        if self.blocks is None:
            out, top, total = direct(self.pattern, operands)
        else:
            out, top, total = tiled(self.pattern, *self.blocks, operands)
        return [_heads_inside(out).astype(operands["query"].dtype), top, total]

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        outs = fused(self, *primals)
        moving = [(n, t) for n, t in zip(self.names, tangents, strict=True) if _moves(t)]
        zeros = [Zero(aval_of(x).to_tangent()) for x in outs]
        if not moving:
            return outs, zeros
        names = tuple(n for n, _ in moving)
        tangent = AttentionTangent(self.pattern, self.names, self.blocks, names)
        d_out, d_total = fused(tangent, *primals, *outs, *(t for _, t in moving))
        return outs, [d_out, zeros[1], d_total]


def _moves(tangent: Any) -> bool:
    return not isinstance(tangent, Zero)


@dataclass(frozen=True)
class AttentionTangent(_Attending):
    """Operands, results and tangents of `moving` operands to the tangents of out and sum."""

    moving: tuple[str, ...] = ()
    kernel = "attention_tangent"

    def has_kernel(self, avals: Sequence[ShapedArray]) -> bool:
        return False

    def run(self, *args: Any) -> list[Any]:
        operands, count = self.operands(args), len(self.names)
        found, given = args[count : count + 3], args[count + 3 :]
        if self.blocks is not None:
            moving = _heads_outside(dict(zip(self.moving, given, strict=True)))
            out, top, total = found
            wide = _turned("query", out).astype(top.dtype), top, total
            fixed = _heads_outside(operands)
            d_out, d_total = tangents(self.pattern, *self.blocks, fixed, wide, moving)
            return [_heads_inside(d_out).astype(out.dtype), d_total]

        def attend(*moved: Any) -> tuple[Any, Any]:
            new = dict(zip(self.moving, moved, strict=True))
            out, _, total = direct(self.pattern, _heads_outside({**operands, **new}))
            return _heads_inside(out), total

        primals = tuple(operands[name] for name in self.moving)
        return list(jvp(attend, primals, tuple(given))[1])

    def transpose(self, cts: Sequence[Any], args: Sequence[Any]) -> list[Any] | None:
        count = len(self.names) + 3
        if any(isinstance(x, UndefinedPrimal) for x in args[:count]):
            return None
        # What is not asked for is left out.
        linear = [isinstance(x, UndefinedPrimal) for x in args[count:]]
        if not all(linear):
            return None
        with_total = not isinstance(cts[1], Zero)
        gradient = AttentionGradient(self.pattern, self.names, self.blocks, self.moving, with_total)
        given = [instantiate(cts[0]), *([cts[1]] if with_total else [])]
        return [*[None] * count, *fused(gradient, *args[:count], *given)]

    def by_batch(self) -> bool:
        return True


@dataclass(frozen=True)
class AttentionGradient(_Attending):
    """Operands, results and cotangents of out and sum to the cotangents of `moving` operands."""

    moving: tuple[str, ...] = ()
    with_total: bool = False
    kernel = "attention_gradient"

    def has_kernel(self, avals: Sequence[ShapedArray]) -> bool:
        known = super().has_kernel(avals)
        return known and not self.with_total and set(self.moving) <= {"query", "key", "value"}

    def by_batch(self) -> bool:
        return "bias" not in self.moving

    def run(self, *args: Any) -> list[Any]:
        count = len(self.names) + 3
        fixed, cts = args[:count], args[count:]
        operands = self.operands(args)
        tangent = AttentionTangent(self.pattern, self.names, self.blocks, self.moving)
        given = [operands[name] for name in self.moving]

        def outs(*moved: Any) -> tuple[Any, ...]:
            found = tangent.run(*fixed, *moved)
            return tuple(found if self.with_total else found[:1])

        return list(linear_transpose(outs, *given)(tuple(cts)))

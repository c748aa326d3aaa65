"""Attention by tiles: long sequences without a matrix of all scores.

In: the operands of `attention_scores`. The one idea: a softmax can be summed block by block of
keys, when the running maximum and the running sum are carried along and what was summed before is
scaled to the new maximum. Derivatives compute the tiles again from the final maximum and sum; the
rule is written once, forward, and is linear in the tangents, so that reverse mode is its transpose
(`attention_fused` says so).

Blocks have one size. Where the size does not divide the length the last block starts earlier;
queries that come twice are dropped from the result, keys that come twice weigh nothing.

Source: Milakov & Gimelshein, arXiv:1805.02867 (the running softmax); Dao et al., arXiv:2205.14135
(tiles, and recomputing them).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import lax
from .. import numpy as fnp
from ..control.checkpoint import checkpoint
from .attention_scores import (
    Pattern,
    by_group,
    counting,
    dropped,
    products,
    score_dtype,
    scores,
)

# Elements of a tile of scores, of all heads together: 16 MiB of float32.
TILE = 1 << 22


class Blocks(NamedTuple):
    """How the positions of one axis are divided.

    Attributes:
        length: number of positions.
        size: of a block.
    """

    length: int
    size: int

    @property
    def number(self) -> int:
        return -(-self.length // self.size)

    def start(self, i: Any) -> Any:
        """The first position of block i."""
        return fnp.minimum(i * self.size, self.length - self.size)

    def positions(self, i: Any) -> Any:
        """i32[size]."""
        return self.start(i) + fnp.arange(self.size, dtype=fnp.int32)

    def split(self, x: Any, axis: int) -> Any:
        """The blocks of an axis, stacked in front; an axis of size 1 stays and is repeated."""
        if x.shape[axis] != self.length:
            return fnp.broadcast_to(x, (self.number, *x.shape))
        x = fnp.moveaxis(x, axis, 0)
        whole = self.length // self.size
        found = x[: whole * self.size].reshape(whole, self.size, *x.shape[1:])
        if whole < self.number:
            found = fnp.concatenate([found, x[self.length - self.size :][None]])
        return fnp.moveaxis(found, 1, axis + 1)

    def join(self, blocks: Any, axis: int) -> Any:
        """What `split` was applied to: each position from the first block that has it."""
        x = fnp.moveaxis(blocks, axis + 1, 1)
        if self.length % self.size == 0:
            joined = x.reshape(self.length, *x.shape[2:])
        else:
            full = x[:-1].reshape((self.number - 1) * self.size, *x.shape[2:])
            joined = fnp.concatenate([full, x[-1, self.number * self.size - self.length :]])
        return fnp.moveaxis(joined, 0, axis)


def divided(operands: dict[str, Any]) -> tuple[Blocks, Blocks]:
    """Blocks of queries and of keys, such that the tile of all heads is of about TILE elements.

    Args:
        operands: with heads inside of positions, as `attention_fused` has them.
    """
    batch, rows, heads, group, _ = operands["query"].shape
    columns = operands["key"].shape[1]
    height, width = min(rows, 128), min(columns, 512)
    while batch * heads * group * height * width > TILE and max(height, width) > 16:
        height, width = (height, -(-width // 2)) if width > height else (-(-height // 2), width)
    return Blocks(rows, height), Blocks(columns, width)


def tiled(
    pattern: Pattern, rows: Blocks, columns: Blocks, operands: dict[str, Any]
) -> tuple[Any, Any, Any]:
    """Attention, tile by tile.

    Returns:
        f32[batch, heads, group, T, H], and f32[batch, heads, group, T] twice: the largest score
        of a query, and the sum of exp(score − largest). The largest counts as a constant.
    """
    queries = rows.split(operands["query"], 3)
    keys, values = (columns.split(operands[name], 2) for name in ("key", "value"))
    dtype = score_dtype(operands["query"])

    def row(_: None, block: Any) -> tuple[None, Any]:
        i, query = block

        def column(carry: Any, tile: Any) -> tuple[Any, None]:
            top, total, out = carry
            j, key, value = tile
            places = rows.positions(i), columns.positions(j)
            s = _tile_scores(pattern, operands, places, query, key, j * columns.size)
            new = fnp.maximum(top, fnp.max(s, axis=-1))
            finite = fnp.where(new > -fnp.inf, new, fnp.zeros_like(new))
            weights = fnp.exp(s - finite[..., None])
            before = fnp.exp(top - finite)
            total = before * total + fnp.sum(weights, axis=-1)
            weights = dropped(pattern, operands, weights, *places)
            return (new, total, before[..., None] * out + _weighted(weights, value)), None

        start = (fnp.full(query.shape[:-1], -fnp.inf, dtype), *_no_sums(query, values, dtype))
        (top, total, out), _ = lax.scan(column, start, (_numbers(columns), keys, values))
        return None, (out / total[..., None], top, total)

    _, (out, top, total) = lax.scan(row, None, (_numbers(rows), queries))
    return rows.join(out, 3), rows.join(top, 3), rows.join(total, 3)


def _no_sums(query: Any, values: Any, dtype: Any) -> tuple[Any, Any]:
    """Sums over keys before the first key: one number and one vector for each query."""
    shape = query.shape[:-1]
    return fnp.zeros(shape, dtype), fnp.zeros((*shape, values.shape[-1]), dtype)


def _numbers(blocks: Blocks) -> Any:
    return fnp.arange(blocks.number, dtype=fnp.int32)


def _tile_scores(
    pattern: Pattern, operands: Any, places: tuple[Any, Any], query: Any, key: Any, first: Any
) -> Any:
    """Scores of a tile, −∞ for keys before the position `first`: the block before had them."""
    s = scores(pattern, operands, query, key, *places)
    return fnp.where(places[1] >= first, s, -fnp.inf)


def _weighted(weights: Any, value: Any) -> Any:
    """Σ weights · value over the keys, in the dtype of the weights."""
    return fnp.einsum(
        "bngts,bnsh->bngth",
        weights.astype(value.dtype),
        value,
        preferred_element_type=weights.dtype,
    )


def tangents(
    pattern: Pattern,
    rows: Blocks,
    columns: Blocks,
    operands: dict[str, Any],
    found: tuple[Any, Any, Any],
    moving: dict[str, Any],
) -> tuple[Any, Any]:
    """d out = Σ p · d value + Σ p · ds · (value − out), with p the weights and ds of the scores.

    Args:
        found: what `tiled` gave; `moving`: the tangents of operands, by name.
    Returns:
        The tangents of the first and the last of what `tiled` gives; the largest scores have none.
    """
    out, top, total = found
    queries, tops, totals = (rows.split(x, 3) for x in (operands["query"], top, total))
    keys, values = (columns.split(operands[name], 2) for name in ("key", "value"))
    of_columns = {n: columns.split(moving[n], 2) for n in ("key", "value") if n in moving}
    of_rows = {"query": rows.split(moving["query"], 3)} if "query" in moving else {}
    if "bias" in moving:
        bias = by_group(moving["bias"], operands)
        of_rows["bias"] = fnp.moveaxis(columns.split(rows.split(bias, 3), 5), 0, 1)

    def row(_: None, block: Any) -> tuple[None, Any]:
        i, query, top, total, (d_row, d_bias) = block

        @checkpoint
        def tile(j: Any, key: Any, value: Any, d_tile: Any, d_score_bias: Any) -> tuple[Any, Any]:
            places = rows.positions(i), columns.positions(j)
            s = _tile_scores(pattern, operands, places, query, key, j * columns.size)
            p = fnp.exp(s - top[..., None]) / total[..., None]
            ds: Any = 0
            if d_row is not None:
                ds = ds + products(d_row, key) * pattern.scale
            if "key" in d_tile:
                ds = ds + products(query, d_tile["key"]) * pattern.scale
            if d_score_bias is not None:
                ds = ds + d_score_bias
            counts = counting(pattern, operands, *places)
            ds = ds if counts is None else fnp.where(counts, ds, 0)
            slope = fnp.broadcast_to(p * ds, p.shape)
            moved = _weighted(dropped(pattern, operands, slope, *places), value)
            if "value" in d_tile:
                moved = moved + _weighted(dropped(pattern, operands, p, *places), d_tile["value"])
            return fnp.sum(slope, axis=-1), moved

        def column(carry: Any, step: Any) -> tuple[Any, None]:
            return tuple(fnp.add(a, b) for a, b in zip(carry, tile(*step), strict=True)), None

        start = _no_sums(query, values, out.dtype)
        steps = (_numbers(columns), keys, values, of_columns, d_bias)
        return None, lax.scan(column, start, steps)[0]

    d_rows = (of_rows.get("query"), of_rows.get("bias"))
    _, (sums, moved) = lax.scan(row, None, (_numbers(rows), queries, tops, totals, d_rows))
    moved, sums = rows.join(moved, 3), rows.join(sums, 3)
    return moved - out * sums[..., None], total * sums

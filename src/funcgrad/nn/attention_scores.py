"""Scores of attention: what each query makes of each key, and which of them count.

Operands of one attention, with query heads grouped by the key heads that they share:

    query f[batch, heads, group, T, H]    bias, mask [batch, heads · group, T, S], any axis may be 1
    key, value f[batch, heads, S, H]      query_lengths, key_lengths i32[batch]
    dropout u32[2], the words of a key

The one idea: which scores count follows from positions, so that a tile of scores knows its own
part of the mask, and no mask of all positions is made.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import lax, random
from .. import numpy as fnp
from ..api.mapping import vmap
from ..ir import dtypes


class Pattern(NamedTuple):
    """What is static in an attention.

    Attributes:
        scale: factor of the scores.
        causal: queries see no later key.
        window: how far a query sees to the left and to the right, or None.
        dropout: the share of weights that are dropped.
    """

    scale: float
    causal: bool
    window: tuple[int, int] | None
    dropout: float = 0.0


def score_dtype(x: Any) -> Any:
    """Scores are at least float32."""
    return dtypes.promote_types(x.dtype, fnp.float32)


def masked_score() -> float:
    """The score of a pair that does not count: finite, so that a row of them is a mean."""
    return -0.7 * float(fnp.finfo(fnp.float32).max)


def scores(
    pattern: Pattern, operands: dict[str, Any], query: Any, key: Any, rows: Any, columns: Any
) -> Any:
    """Scores of queries at positions `rows` for keys at `columns`; consecutive positions.

    Args:
        operands: bias, mask and lengths, whole.
        query: f[batch, heads, group, t, H], a part of the queries.
        key: f[batch, heads, s, H], a part of the keys.
        rows: i32[t], positions of the queries.
        columns: i32[s], positions of the keys.
    Returns:
        f32[batch, heads, group, t, s], the masked ones `masked_score()`.
    """
    found = products(query, key) * pattern.scale
    if "bias" in operands:
        found = (found + _part(operands, "bias", rows, columns)).astype(found.dtype)
    counts = counting(pattern, operands, rows, columns)
    return found if counts is None else fnp.where(counts, found, masked_score())


def products(query: Any, key: Any) -> Any:
    """⟨query, key⟩ for all pairs, in the dtype of scores."""
    return fnp.einsum("bngth,bnsh->bngts", query, key, preferred_element_type=score_dtype(query))


def counting(pattern: Pattern, operands: dict[str, Any], rows: Any, columns: Any) -> Any:
    """Which pairs count, bool that broadcasts to [batch, heads, group, t, s]; None for all."""
    rows, columns = rows[:, None], columns[None]
    conditions: list[Any] = []
    if pattern.causal:
        conditions.append(columns <= rows)
    if pattern.window is not None:
        left, right = pattern.window
        conditions += [rows <= columns + left, rows >= columns - right]
    for name, positions in (("query_lengths", rows), ("key_lengths", columns)):
        if name in operands:
            lengths = operands[name][:, None, None, None, None]
            conditions.append(positions < lengths)
    if "mask" in operands:
        conditions.append(_part(operands, "mask", rows[:, 0], columns[0]))
    if not conditions:
        return None
    counts = conditions[0]
    for condition in conditions[1:]:
        counts = counts & condition
    return counts


def dropped(
    pattern: Pattern, operands: dict[str, Any], weights: Any, rows: Any, columns: Any
) -> Any:
    """The weights f32[batch, heads, group, t, s], some of them 0 and the others larger for it.

    Which ones follows from the key and the two positions, so that it is the same for any tiles.
    """
    if not pattern.dropout:
        return weights
    key = random.wrap_key_data(operands["dropout"])
    of_rows = vmap(random.fold_in, in_axes=(None, 0))(key, rows)
    of_pairs = vmap(vmap(random.fold_in, in_axes=(None, 0)), in_axes=(0, None))(of_rows, columns)
    share = 1 - pattern.dropout

    def draw(own: Any) -> Any:
        return random.bernoulli(own, share, weights.shape[:3])

    kept = fnp.moveaxis(vmap(vmap(draw))(of_pairs), (0, 1), (3, 4))
    return fnp.where(kept, weights / share if share else 0, 0).astype(weights.dtype)


def _part(operands: dict[str, Any], name: str, rows: Any, columns: Any) -> Any:
    """The part of a bias or mask at these positions, by groups; an axis of size 1 stays."""
    part = operands[name]
    for axis, positions in ((2, rows), (3, columns)):
        size = positions.shape[0]
        if part.shape[axis] not in (1, size):
            part = lax.dynamic_slice_in_dim(part, positions[0], size, axis)
    return by_group(part, operands)


def by_group(x: Any, operands: dict[str, Any]) -> Any:
    """[batch, heads · group, …] as [batch, heads, group, …]; an axis of size 1 makes two."""
    inner = (1, 1) if x.shape[1] == 1 else operands["query"].shape[1:3]
    return x.reshape(x.shape[0], *inner, *x.shape[2:])


def direct(pattern: Pattern, operands: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Attention with all scores at once, for short sequences.

    Returns:
        f[batch, heads, group, T, H], and f32[batch, heads, group, T] twice: the largest score
        of a query, and the sum of exp(score − largest). The largest counts as a constant.
    """
    query, key, value = (operands[name] for name in ("query", "key", "value"))
    positions = [fnp.arange(x.shape[-2], dtype=fnp.int32) for x in (query, key)]
    s = scores(pattern, operands, query, key, *positions)
    top = lax.stop_gradient(fnp.max(s, axis=-1, keepdims=True))
    weights = fnp.exp(s - top)
    total = fnp.sum(weights, axis=-1, keepdims=True)
    shares = dropped(pattern, operands, weights / total, *positions).astype(key.dtype)
    out = fnp.einsum("bngts,bnsh->bngth", shares, value, preferred_element_type=score_dtype(query))
    return out.astype(query.dtype), top[..., 0], total[..., 0]

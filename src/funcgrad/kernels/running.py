"""One turn of a running fold: what the loop carries, and the statements of its body."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..ir.loops import DType, Expr, apply, const, select
from ..ir.nests import Acc, Accumulate, Advance, Node


def running_turn(
    op: str, dtype: DType, value: Expr, keep: Callable[[Expr], Node]
) -> tuple[list[Acc], list[Node]]:
    """The carried values of a running fold and its body; `keep` stores what it has come to."""
    if op == "logaddexp":
        return _log_of_sums(dtype, value, keep)
    acc = Acc(op, dtype, "acc1")
    return [acc], [Accumulate(acc, value), keep(acc)]


def _log_of_sums(
    dtype: DType, value: Expr, keep: Callable[[Expr], Node]
) -> tuple[list[Acc], list[Node]]:
    """log Σ exp as a pair: the greatest element m, and r = Σ exp(x - m) over all others.

        m' = max(m, x),  t = exp(-|x - m|),  r' = (r + 1) t if x > m else r + t

    The result m + log1p(r) is no part of what is carried, so that turns overlap.
    """
    minus_infinity, zero = const(-np.inf, dtype), const(0.0, dtype)
    most = Acc("set", dtype, "greatest", None, minus_infinity)
    rest = Acc("set", dtype, "others", None, zero)
    # Equal infinities are at no distance.
    apart = apply("neg", apply("abs", apply("sub", value, most)))
    apart = select(apply("eq", value, most), zero, apart)
    share = apply("exp", apart)
    scaled = apply("mul", apply("add", rest, const(1.0, dtype)), share)
    after = apply("max", most, value)
    others = select(apply("gt", value, most), scaled, apply("add", rest, share))
    total = apply("add", after, apply("log1p", others))
    return [most, rest], [keep(total), Advance([(most, after), (rest, others)])]

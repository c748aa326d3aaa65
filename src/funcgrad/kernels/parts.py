"""Complex expressions as pairs of real ones.

In: an expression of `ir.loops`. Out: its real and its imaginary part, or the same real expression
without complex numbers inside. The one idea: a pair is two expressions that share what they have
in common, so nothing behind this file knows complex numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir import dtypes
from ..ir.loops import Apply, Const, Expr, apply, cast, const
from ..ir.nests import rewrite
from .emit.complex_pairs import Pair, expand_complex, expand_to_real


class NoParts(Exception):
    """An operation of complex numbers has no formula in real ones."""


def part_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of the parts of a complex number; any other dtype as it is."""
    return np.dtype(dtypes.to_floating_dtype(dtype)) if dtype.kind == "c" else dtype


class Parts:
    """The parts of expressions; equal expressions have the same parts."""

    def __init__(self) -> None:
        self._pairs: dict[int, tuple[Pair, Expr]] = {}
        self._reals: dict[int, Expr] = {}

    def pair(self, x: Expr) -> Pair:
        """The real and the imaginary part.

        Raises:
            NoParts: an operation inside has no formula in real numbers.
        """
        found = self._pairs.get(id(x))
        if found is None:
            # The expression must outlive its entry, for ids are reused.
            found = self._pairs[id(x)] = self._made(x), x
        return found[0]

    def _made(self, x: Expr) -> Pair:
        if x.dtype.kind != "c":
            return self.real(x), const(0, x.dtype)
        dtype = part_dtype(x.dtype)
        if isinstance(x, Const):
            value: Any = np.asarray(x.value, x.dtype)[()]
            return const(value.real, dtype), const(value.imag, dtype)
        if not isinstance(x, Apply):
            raise NoParts(repr(x))
        if x.op == "complex":
            return self.real(x.args[0]), self.real(x.args[1])
        if x.op == "select":
            which = self.real(x.args[0])
            yes, no = self.pair(x.args[1]), self.pair(x.args[2])
            pairs = ((which, yes[k], no[k]) for k in range(2))
            real, imag = (Apply("select", pair, dtype, x.name) for pair in pairs)
            return real, imag
        pairs = tuple(self.pair(a) for a in x.args)
        if x.op == "cast":
            return cast(pairs[0][0], dtype), cast(pairs[0][1], dtype)
        made = expand_complex(x.op, pairs)
        if made is None:
            raise NoParts(x.op)
        return made

    def real(self, x: Expr) -> Expr:
        """A real expression without complex numbers inside.

        Raises:
            NoParts: an operation inside has no formula in real numbers.
        """
        return rewrite(x, self._leaf, self._reals)

    def _leaf(self, x: Expr, again: Any) -> Expr | None:
        if not isinstance(x, Apply) or all(a.dtype.kind != "c" for a in x.args):
            return None
        pairs = tuple(self.pair(a) for a in x.args)
        if x.op == "cast":
            # Of a complex number only whether it is zero, or its real part, is converted.
            return nonzero(pairs[0]) if x.dtype.kind == "b" else cast(pairs[0][0], x.dtype)
        made = expand_to_real(x.op, pairs)
        if made is None:
            raise NoParts(x.op)
        return made


def nonzero(x: Pair) -> Expr:
    """Whether a complex number is not 0."""
    zero = const(0, x[0].dtype)
    return apply("or", apply("ne", x[0], zero), apply("ne", x[1], zero))

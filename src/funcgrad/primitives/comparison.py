"""Comparisons: two operands of one dtype, booleans out.

The `_to` forms compare floats in the total order -NaN < -inf < ... < -0 < 0 < ... < inf < NaN, in
which every value equals itself.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from ..core.primitive import Example, NotDifferentiable
from ..ir import dtypes
from ..ir.avals import ShapedArray
from ..ir.loops import Affine, Expr, IndexTuple, Lowered, Map, Operand, apply
from . import scalars
from .elementwise import complex_plane
from .kinds import Binary, draw, integers, stretched


class Comparison(Binary):
    """A truth value for every pair; its derivative is zero."""

    accepts = (np.integer, np.floating, np.bool_)
    ufunc: ClassVar[Any]
    jvp_term = NotDifferentiable("its result is a truth value", zero=True)

    def result_dtype(self, *operand_dtypes: np.dtype[Any], **params: Any) -> Any:
        return np.dtype(np.bool_)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return self.ufunc(arrays[0], arrays[1])

    def prepared(
        self, avals: Sequence[ShapedArray], params: dict[str, Any]
    ) -> Callable[..., Any] | None:
        return self.ufunc

    def examples(self) -> Iterator[Example]:
        yield from super().examples()
        yield Example((draw(integers(0, 3), (3, 4), 3), draw(integers(0, 3), (3, 4), 4)))
        yield Example((draw(integers(0, 2, bool), (5,), 3), draw(integers(0, 2, bool), (), 4)))
        yield Example((draw(self.domains[0], (0, 3), 3), draw(self.domains[1], (0, 3), 4)))
        special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0])
        yield Example((special[:, None], special[None, :]), differentiable=())


class Equality(Comparison):
    """A comparison that any dtype allows, complex numbers and PRNG keys as well.

    The operators of Python, unlike NumPy's functions, compare the structured elements of keys.
    """

    accepts = (np.number, np.bool_)

    def check_dtypes(self, avals: Sequence[ShapedArray]) -> None:
        keys = all(dtypes.is_key_dtype(a.dtype) for a in avals)
        if not keys:
            super().check_dtypes(avals)

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        (out,) = outs
        if all(len(x.shape) <= len(out.shape) for x in operands):
            return super().lower(operands, outs, **params)

        # Keys have a last axis of two words, and both have to agree.
        def word(x: Operand, index: IndexTuple, i: int) -> Expr:
            last = Affine(i)
            return x.at((last,)) if len(x.shape) == 1 else stretched(x, (*index, last))

        def at(index: IndexTuple) -> Expr:
            halves = [apply(self.name, *[word(x, index, i) for x in operands]) for i in (0, 1)]
            return apply("and" if self.name == "eq" else "or", *halves)

        return Map(at)

    def examples(self) -> Iterator[Example]:
        yield from super().examples()
        yield Example((draw(complex_plane, (3,), 3), draw(complex_plane, (3,), 4)))
        keys = np.array([[(1, 2)], [(1, 3)]], dtypes.key_dtype)
        yield Example((keys, keys[:1]), differentiable=())


class Eq(Equality):
    """x = y."""

    name = "eq"
    ufunc = operator.eq


class Ne(Equality):
    """x ≠ y."""

    name = "ne"
    ufunc = operator.ne


class Lt(Comparison):
    """x < y."""

    name = "lt"
    ufunc = np.less


class Le(Comparison):
    """x ≤ y."""

    name = "le"
    ufunc = np.less_equal


class Gt(Comparison):
    """x > y."""

    name = "gt"
    ufunc = np.greater


class Ge(Comparison):
    """x ≥ y."""

    name = "ge"
    ufunc = np.greater_equal


def total_order_key(x: Any) -> Any:
    """Integers that compare as the floats do in their total order."""
    if x.dtype.kind in "biu":
        return x
    bits = x.view(np.dtype(f"i{x.dtype.itemsize}"))
    # The magnitude bits of a negative float grow as the float falls: flip them.
    return bits ^ ((bits < 0) * np.iinfo(bits.dtype).max)


class TotalOrder(Comparison):
    """A comparison in the total order of floats."""

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return self.ufunc(total_order_key(arrays[0]), total_order_key(arrays[1]))

    def scalar(self, x: Expr, y: Expr) -> Expr:
        return apply(self.op, scalars.total_order_key(x), scalars.total_order_key(y))


class EqTo(TotalOrder):
    """x = y in the total order."""

    name = "eq_to"
    op = "eq"
    ufunc = np.equal


class LeTo(TotalOrder):
    """x ≤ y in the total order."""

    name = "le_to"
    op = "le"
    ufunc = np.less_equal


class LtTo(TotalOrder):
    """x < y in the total order."""

    name = "lt_to"
    op = "lt"
    ufunc = np.less


eq_p = Eq()
ne_p = Ne()
lt_p = Lt()
le_p = Le()
gt_p = Gt()
ge_p = Ge()
eq_to_p = EqTo()
le_to_p = LeTo()
lt_to_p = LtTo()


def eq(x: Any, y: Any) -> Any:
    """Whether x = y, as booleans; NaN equals nothing."""
    return eq_p.bind(x, y)


def ne(x: Any, y: Any) -> Any:
    """Whether x ≠ y, as booleans; NaN differs from all."""
    return ne_p.bind(x, y)


def lt(x: Any, y: Any) -> Any:
    """Whether x < y, as booleans."""
    return lt_p.bind(x, y)


def le(x: Any, y: Any) -> Any:
    """Whether x ≤ y, as booleans."""
    return le_p.bind(x, y)


def gt(x: Any, y: Any) -> Any:
    """Whether x > y, as booleans."""
    return gt_p.bind(x, y)


def ge(x: Any, y: Any) -> Any:
    """Whether x ≥ y, as booleans."""
    return ge_p.bind(x, y)


def eq_to(x: Any, y: Any) -> Any:
    """Whether x = y in the total order: NaN equals itself, and 0 differs from -0."""
    return eq_to_p.bind(x, y)


def le_to(x: Any, y: Any) -> Any:
    """Whether x ≤ y in the total order."""
    return le_to_p.bind(x, y)


def lt_to(x: Any, y: Any) -> Any:
    """Whether x < y in the total order."""
    return lt_to_p.bind(x, y)

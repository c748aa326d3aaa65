"""Choices between values: select_n and clamp.

In: a choice (booleans or integers) and cases, or bounds and a value. Out: at every index one of
them. The one idea: select_n is linear in its cases, so derivatives and batching choose likewise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..core.array import to_ndarray
from ..core.axes import to_front
from ..core.primitive import AxisData, Example, Primitive
from ..core.sources import user_line
from ..core.zeros import UndefinedPrimal, Zero, instantiate, zero_tangent
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import Atom, Eqn, Literal
from ..ir.loops import Expr, IndexTuple, Lowered, Map, Operand
from . import scalars
from .kinds import Elementwise, draw, integers, reals


class SelectN(Primitive):
    """Case which[i] at every index i; `which` may be a scalar. A boolean chooses between two."""

    name = "select_n"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        which, *cases = avals
        listed = f"which {which.long()}, cases {', '.join(c.long() for c in cases)}"
        first = cases[0]
        problem, remedy = None, ""
        if any(c.shape != first.shape for c in cases):
            problem, remedy = "cases must have the same shapes", "Broadcast them to one shape."
        elif any(c.dtype != first.dtype for c in cases):
            problem, remedy = "cases must have the same dtypes", "Convert them with astype."
        elif which.shape and which.shape != first.shape:
            problem = "`which` must be scalar or have the same shape as cases"
            remedy = "Broadcast `which` to the shape of the cases."
        elif which.dtype.kind not in "biu":
            problem = "`which` must be boolean or integer type"
            remedy = "Compare it with something, or convert it with astype."
        elif which.dtype.kind == "b" and len(cases) > 2:
            problem, remedy = "with boolean `which` cannot have > 2 cases", "Use an integer."
        if problem:
            raise TypeError(f"select {problem}: got {listed}.\n  {user_line()}\n  {remedy}")
        return ShapedArray(first.shape, first.dtype, all(c.weak_type for c in cases))

    def impl(self, *arrays: Any, **params: Any) -> Any:
        which: np.ndarray[Any, Any] = arrays[0]
        cases = arrays[1:]
        last = len(cases) - 1
        if which.ndim == 0:
            return cases[min(max(int(which), 0), last)]
        # Out of range the nearest case is taken, for booleans and integers alike.
        out = cases[0].copy()
        for i, case in enumerate(cases[1:], 1):
            np.copyto(out, case, where=which if which.dtype.kind == "b" else which >= i)
        return out

    def prepared(
        self, avals: Sequence[ShapedArray], params: dict[str, Any]
    ) -> Callable[..., Any] | None:
        which = avals[0]
        if len(avals) != 3 or not which.shape or which.dtype.kind != "b":
            return None
        copyto = np.copyto

        def chosen(which: Any, no: Any, yes: Any) -> Any:
            out = no.copy()
            copyto(out, yes, where=which)
            return out

        return chosen

    def forwards(self, eqn: Eqn) -> Atom | None:
        """The case that a literal chooses."""
        which, *cases = eqn.invars
        if not isinstance(which, Literal):
            return None
        return cases[min(max(int(to_ndarray(which.val)), 0), len(cases) - 1)]

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        out = select_n(*primals)
        if all(isinstance(t, Zero) for t in tangents[1:]):
            return out, zero_tangent(aval_of(out))
        return out, select_n(primals[0], *map(instantiate, tangents[1:]))

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        from .comparison import eq
        from .creation import zeros_like

        which, *cases = args
        zeros = zeros_like(ct)
        result: list[Any] = [None]
        for i, case in enumerate(cases):
            if not isinstance(case, UndefinedPrimal):
                result.append(None)
            elif aval_of(which).dtype.kind == "b":
                result.append(select_n(which, zeros, ct) if i else select_n(which, ct, zeros))
            else:
                index = np.asarray(i, aval_of(which).dtype)
                result.append(select_n(eq(which, index), zeros, ct))
        return result

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        which, *cases = args
        dim, *case_dims = dims
        first = case_dims[0]
        together = first is not None and all(d == first for d in case_dims)
        if together and aval_of(which).shape == () and dim is None:
            return select_n(which, *cases), first
        if together and dim == first and aval_of(which).shape == aval_of(cases[0]).shape:
            return select_n(which, *cases), first
        if dim is not None and all(aval_of(c).shape == () for c in cases):
            # Numbers are as many as there are choices, of any shape: programs rely on it.
            which = to_front(which, dim, axis.size)
            return select_n(which, *(stretch(c, aval_of(which).shape) for c in cases)), 0
        cases = [to_front(c, d, axis.size) for c, d in zip(cases, case_dims, strict=True)]
        if aval_of(which).shape != () or dim is not None:
            which = to_front(which, dim, axis.size)
            if aval_of(which).ndim == 1:
                which = stretch(which, aval_of(cases[0]).shape)
        return select_n(which, *cases), 0

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        which, *cases = operands
        rank = len(which.shape)

        def at(index: IndexTuple) -> Expr:
            return scalars.choice(which.at(index[:rank]), [c.at(index) for c in cases])

        return Map(at)

    def examples(self) -> Iterator[Example]:
        x, y, z = (draw(reals(-1.0, 1.0), (2, 3), 5 + i) for i in range(3))
        yield Example((draw(integers(0, 2, np.bool_), (2, 3), 3), x, y))
        yield Example((np.asarray(True), x, y))
        yield Example((draw(integers(0, 3), (2, 3), 4), x, y, z))
        yield Example((np.asarray(1, np.int32), x, y, z))
        yield Example((np.asarray(False), np.asarray(1.0), np.asarray(2.0)))
        yield Example((draw(integers(0, 2), (2, 3), 4), x, y))
        yield Example((np.zeros((0, 2), bool), np.ones((0, 2)), np.ones((0, 2))))
        yield Example((np.asarray(0, np.int32), x))


class Clamp(Elementwise):
    """x limited to [min, max]: min(max(x, lower), upper). The bounds may be scalars."""

    name = "clamp"
    scalar = staticmethod(scalars.clamped)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        lower, x, upper = avals
        self.check_dtypes(avals)
        for word, bound in (("min", lower), ("max", upper)):
            if bound.shape and bound.shape != x.shape:
                raise TypeError(
                    f"clamp requires {word}.shape == operand.shape or {word}.shape == (), got "
                    f"{word} {bound.long()} and operand {x.long()}.\n  {user_line()}\n"
                    "  Broadcast the bound to the operand's shape."
                )
        return ShapedArray(x.shape, x.dtype, all(a.weak_type for a in avals))

    def impl(self, *arrays: Any, **params: Any) -> Any:
        lower, x, upper = arrays
        if x.dtype.kind == "c":
            out = x.copy()
            np.copyto(out, lower, where=lexicographic_less(out, lower))
            np.copyto(out, upper, where=lexicographic_less(upper, out))
            return out
        return np.asarray(np.minimum(np.maximum(x, lower), upper))

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        from .bits import and_
        from .comparison import gt, lt

        shape = aval_of(primals[1]).shape
        lower, x, upper = (stretch(p, shape) for p in primals)
        within = (
            lambda: and_(gt(lower, x), lt(lower, upper)),
            lambda: and_(gt(x, lower), lt(x, upper)),
            lambda: lt(upper, x),
        )[i]()
        return select(within, stretch(t, shape), zeros_of(x))

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        lower, x, upper = args
        scalars = not aval_of(lower).shape and not aval_of(upper).shape
        if dims[1] is not None and scalars:
            return clamp(lower, x, upper), dims[1]
        x = to_front(x, dims[1], axis.size)
        shape = aval_of(x).shape
        bounds = [
            b if d is None and not aval_of(b).shape else stretch(to_front(b, d, axis.size), shape)
            for b, d in ((lower, dims[0]), (upper, dims[2]))
        ]
        return clamp(bounds[0], x, bounds[1]), 0

    def examples(self) -> Iterator[Example]:
        x = draw(reals(-2.0, 2.0), (3, 4), 3)
        low, high = draw(reals(-1.0, -0.5), (3, 4), 4), draw(reals(0.5, 1.0), (3, 4), 5)
        yield Example((low, x, high))
        yield Example((np.asarray(-0.5), x, np.asarray(0.7)))
        yield Example((np.asarray(-0.5), x, high))
        yield Example((np.asarray(-0.5), np.asarray(2.0), np.asarray(0.7)))
        yield Example((low[:0], x[:0], high[:0]))
        yield Example((np.int32(-1), draw(integers(-5, 5), (4,), 6), np.int32(2)))


select_n_p = SelectN()
clamp_p = Clamp()


def lexicographic_less(x: Any, y: Any) -> Any:
    """Whether complex x lies before y: by real part, then by imaginary part."""
    return (x.real < y.real) | ((x.real == y.real) & (x.imag < y.imag))


def stretch(x: Any, shape: tuple[int, ...]) -> Any:
    """A scalar, or an array of the leading axes, repeated to a shape."""
    from .broadcasting import broadcast_in_dim

    own = aval_of(x).shape
    return x if own == shape else broadcast_in_dim(x, shape, tuple(range(len(own))))


def zeros_of(x: Any) -> Any:
    """Zeros of the aval of x."""
    from .creation import zeros_like_aval

    return zeros_like_aval(aval_of(x))


def select(pred: Any, on_true: Any, on_false: Any) -> Any:
    """on_true where pred holds, else on_false; pred is a scalar or has their shape."""
    return select_n_p.bind(pred, on_false, on_true)


def select_n(which: Any, *cases: Any) -> Any:
    """Case which[i] at every index i.

    Args:
        which: bool (two cases) or integer, a scalar or of the cases' shape; integers out of
            range take the nearest case.
        cases: arrays of one shape and dtype.
    Raises:
        ValueError: no cases.
        TypeError: shapes or dtypes do not fit.
    """
    if not cases:
        raise ValueError(f"select_n() got no case.\n  {user_line()}\n  Give at least one.")
    return select_n_p.bind(which, *cases)


def clamp(min: Any, x: Any, max: Any) -> Any:
    """x limited to [min, max], whose bounds are scalars or have the shape of x.

    Raises:
        TypeError: shapes or dtypes differ.
    """
    return clamp_p.bind(min, x, max)

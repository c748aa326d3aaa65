"""Tokens: values without content, whose only use is that eqns can depend on them.

A token is bool[0]. Programs run their eqns in order here, so nothing needs a token to wait; they
are there for programs that pass them on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.primitive import AxisData, Example, NotDifferentiable, Primitive
from ..core.sources import user_line
from ..ir.avals import ShapedArray
from ..ir.loops import Expr, IndexTuple, Lowered, Map, Operand, const

token_aval = ShapedArray((0,), np.dtype(bool))


class TokenPrimitive(Primitive):
    """Gives a token, for tokens."""

    jvp_term = NotDifferentiable("a token has no content", zero=True)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        for aval in avals:
            if aval.strong() != token_aval:
                raise TypeError(
                    f"{self.name} takes tokens, got {aval.long()}.\n  {user_line()}\n"
                    "  Make one with lax.create_token."
                )
        return token_aval

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return np.zeros(0, bool)

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        def at(index: IndexTuple) -> Expr:
            return const(False, bool)

        return Map(at)

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], /, **params: Any
    ) -> tuple[Any, Any]:
        # A batch of nothings is one.
        return create_token(), None


class CreateToken(TokenPrimitive):
    """A token that depends on nothing."""

    name = "create_token"

    def examples(self) -> Iterator[Example]:
        yield Example(())


class AfterAll(TokenPrimitive):
    """A token that depends on all of the operands."""

    name = "after_all"

    def examples(self) -> Iterator[Example]:
        yield Example(())
        yield Example((np.zeros(0, bool),))
        yield Example((np.zeros(0, bool), np.zeros(0, bool)))


create_token_p, after_all_p = CreateToken(), AfterAll()


def create_token(_: Any = None) -> Any:
    """A token that depends on nothing; the argument is ignored."""
    return create_token_p.bind()


def after_all(*operands: Any) -> Any:
    """A token that depends on all of the given ones.

    Raises:
        TypeError: an operand is not a token.
    """
    return after_all_p.bind(*operands)

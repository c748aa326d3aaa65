"""`jax.interpreters.ad`: the rules of differentiation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ....core.primitive import add_tangents as add_tangents
from ....core.zeros import UndefinedPrimal as UndefinedPrimal
from ....core.zeros import Zero as Zero
from ....core.zeros import instantiate as instantiate_zeros
from ....core.zeros import is_undefined as is_undefined_primal
from ....transforms.jvp import JVPTrace as JVPTrace
from ....transforms.jvp import JVPTracer as JVPTracer
from ...primitives import Primitive
from ...primitives import jvps as primitive_jvps
from ...primitives import transposes as primitive_transposes

__all__ = [
    "JVPTrace",
    "JVPTracer",
    "UndefinedPrimal",
    "Zero",
    "add_tangents",
    "deflinear",
    "deflinear2",
    "defjvp",
    "instantiate_zeros",
    "is_undefined_primal",
    "primitive_jvps",
    "primitive_transposes",
    "zeros_like_aval",
]


def zeros_like_aval(aval: Any) -> Any:
    """An array of zeros."""
    return instantiate_zeros(Zero(aval))


def deflinear2(primitive: Primitive, transpose_rule: Callable[..., Any]) -> None:
    """Declare a primitive linear; the rule is given the cotangent and the operands."""

    def jvp(primals: Any, tangents: Any, **params: Any) -> Any:
        out = primitive.bind(*primals, **params)
        if all(isinstance(t, Zero) for t in tangents):
            zeros = [Zero(o.aval.to_tangent()) for o in (out if _many(primitive) else [out])]
            return out, zeros if _many(primitive) else zeros[0]
        return out, primitive.bind(*map(instantiate_zeros, tangents), **params)

    primitive_jvps[primitive] = jvp
    primitive_transposes[primitive] = transpose_rule


def deflinear(primitive: Primitive, transpose_rule: Callable[..., Any]) -> None:
    """Declare a primitive linear; the rule is given the cotangent alone."""

    def rule(ct: Any, *_: Any, **params: Any) -> Any:
        return transpose_rule(ct, **params)

    deflinear2(primitive, rule)


def defjvp(primitive: Primitive, *rules: Callable[..., Any] | None) -> None:
    """Give the tangent due to each operand: `rule(tangent, *primals, **params)`; None: zero."""

    def jvp(primals: Any, tangents: Any, **params: Any) -> Any:
        out = primitive.bind(*primals, **params)
        total: Any = Zero(out.aval.to_tangent())
        for rule, t in zip(rules, tangents, strict=True):
            if rule is not None and not isinstance(t, Zero):
                total = add_tangents(total, rule(t, *primals, **params))
        return out, total

    primitive_jvps[primitive] = jvp


def _many(primitive: Primitive) -> bool:
    return primitive.multiple_results

"""Primitives that libraries define with `jax.extend.core.Primitive`, as primitives of funcgrad.

JAX keeps the rules of a primitive in tables, one for each transform; funcgrad in its class. Here is
the class whose rules look into the tables. What the tables' functions are given is the same in
both: values of the current trace, `Zero` for a zero tangent, `UndefinedPrimal` for a linear
operand, `None` for an operand that is not mapped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..core.array import Array, to_ndarray
from ..core.context import set_trace
from ..core.primitive import AxisData
from ..core.primitive import Primitive as Primitive_
from ..core.sources import user_line
from ..core.trace import as_array, eval_trace
from ..ir.avals import ShapedArray
from ..ir.jaxpr import Effects, no_effects
from .absent import Absent

Rule = Callable[..., Any]


class Rules(dict[Any, Rule]):
    """The rules of one transform by primitive. funcgrad's own primitives have theirs in a class."""

    def __init__(self, of: str) -> None:
        super().__init__()
        self._of = of

    def __setitem__(self, primitive: Any, rule: Rule) -> None:
        # An absent primitive occurs in no program, so its rules may say what they like.
        if not isinstance(primitive, Primitive | Absent):
            raise TypeError(
                f"The {self._of} rule of {primitive!r} cannot be replaced: it is funcgrad's.\n"
                f"  {user_line()}\n  Define a primitive of your own, or use custom_jvp, custom_vjp."
            )
        super().__setitem__(primitive, rule)

    def find(self, primitive: Primitive) -> Rule:
        """The rule of a primitive.

        Raises:
            TypeError: it has none.
        """
        rule = self.get(primitive)
        if rule is None:
            raise TypeError(
                f"{primitive} has no {self._of} rule: whoever defined it gave none.\n"
                f"  {user_line()}"
            )
        return rule


jvps = Rules("jvp")
transposes = Rules("transposition")
batchers = Rules("batching")
axis_batchers = Rules("batching")
fancy_batchers = Rules("batching")
lowerings = Rules("lowering")


class Primitive(Primitive_):
    """An operation named by a library, whose rules it registers."""

    cache_inference = False
    widens = False
    tested_in = "tests/as_jax"

    def __init__(self, name: str) -> None:
        # Not in the registry of funcgrad's primitives: names there are ours to give.
        self.name = name  # pyright: ignore[reportAttributeAccessIssue]
        self.multiple_results = False  # pyright: ignore[reportAttributeAccessIssue]
        self._inferred = {}
        # A class of a library's may have them as methods.
        kind = type(self)
        defined = kind.abstract_eval is not Primitive_.abstract_eval
        self._abstract: Rule | None = self.abstract_eval if defined else None
        self._run: Rule | None = self.impl if kind.impl is not Primitive.impl else None
        self._custom_bind: Rule | None = None

    # What the library calls to define it.

    def def_impl(self, impl: Rule) -> Rule:
        """Set how it is evaluated on arrays."""
        self._run = impl
        return impl

    def def_abstract_eval(self, rule: Rule) -> Rule:
        """Set what avals come of which."""
        self._abstract = lambda *avals, **params: (rule(*avals, **params), no_effects)
        return rule

    def def_effectful_abstract_eval(self, rule: Rule) -> Rule:
        """Set what avals and effects come of which avals."""
        self._abstract = rule
        return rule

    def def_custom_bind(self, bind: Rule) -> Rule:
        """Set what a call does, before any trace is asked."""
        self._custom_bind = bind
        return bind

    def bind(self, *args: Any, **params: Any) -> Any:
        if self._custom_bind is not None:
            return self._custom_bind(*args, **params)
        return super().bind(*args, **params)

    # What the traces ask for.

    def infer(
        self, avals: tuple[ShapedArray, ...], params: dict[str, Any]
    ) -> tuple[tuple[ShapedArray, ...], Effects]:
        if self._abstract is None:
            raise TypeError(f"{self} has no abstract evaluation rule.\n  {user_line()}")
        out, effects = self._abstract(*avals, **params)
        outs = tuple(out) if self.multiple_results else (out,)
        return outs, frozenset(effects)

    def evaluate(self, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        run = self._run or lowerings.get(self)
        if run is None:
            raise TypeError(f"{self} has no rule for its evaluation (def_impl).\n  {user_line()}")
        out = run(*[as_array(x) for x in args], **params)
        return [as_array(x) for x in out] if self.multiple_results else as_array(out)

    def rule(self, avals: Sequence[ShapedArray], outs: Sequence[ShapedArray]) -> Any:
        return self._on_memory

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return self._on_memory(*arrays, **params)

    def _on_memory(self, *arrays: Any, **params: Any) -> Any:
        with set_trace(eval_trace):
            out = self.evaluate(tuple(Array(x.view()) for x in arrays), params)
        return [to_ndarray(x) for x in out] if self.multiple_results else to_ndarray(out)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        return jvps.find(self)(tuple(primals), tuple(tangents), **params)

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        found = transposes.find(self)(ct, *args, **params)
        # A rule may answer with the class of zeros alone, for all operands.
        return [None] * len(args) if isinstance(found, type) else list(found)

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], /, **params: Any
    ) -> tuple[Any, Any]:
        if self in fancy_batchers:
            return fancy_batchers[self](axis, args, dims, **params)
        if self in axis_batchers:
            return axis_batchers[self](axis.size, axis.name, None, args, dims, **params)
        return batchers.find(self)(tuple(args), tuple(dims), **params)

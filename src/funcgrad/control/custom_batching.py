"""custom_vmap: a function with a batching rule of the user's own.

In: a function, and a rule from whole batches to whole batches. The one idea: a call is one eqn
whose `batch` is the user's rule; its jvp is such a call again, with the jvp of the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, update_wrapper
from typing import Any

from .. import tree
from ..core.axes import to_front
from ..core.evaluate import run_numpy
from ..core.primitive import AxisData, Primitive
from ..core.sources import user_line
from ..core.zeros import instantiate
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import ClosedJaxpr, Effects, Eqn
from ..transforms.jvp import jvp_flat, jvp_jaxpr
from .custom_calls import positional
from .flat import check_leaves, name_of
from .scan import map as map_elements
from .tracing import trace_body

Batches = tuple[list[Any], list[bool]]


class VmapRule:
    """The user's rule on leaves."""

    def __init__(self, rule: Callable[..., Any], in_tree: Any, out_tree: Any) -> None:
        self.rule = rule
        self.in_tree = in_tree
        self.out_tree = out_tree
        self.__name__ = name_of(rule)

    def __call__(self, size: int, batched: Sequence[bool], values: Sequence[Any]) -> Batches:
        flags = list(tree.unflatten(self.in_tree, batched))
        result = self.rule(size, flags, *tree.unflatten(self.in_tree, values))
        if not isinstance(result, (tuple, list)) or len(result) != 2:  # pyright: ignore[reportUnknownArgumentType]
            raise TypeError(
                f"custom vmap rule {self.__name__} must return a pair (output, out_batched), but "
                f"got {result!r}.\n  {user_line()}"
            )
        outs, out_tree = tree.flatten(result[0])
        marks, marks_tree = tree.flatten(result[1])
        if out_tree != marks_tree:
            raise ValueError(
                f"structure of output value and output batching specification returned by custom "
                f"vmap rule ({self.__name__}) do not match: {out_tree} and {marks_tree}. "
                f"{tree.structure_difference(out_tree, marks_tree)}\n  {user_line()}"
            )
        if out_tree != self.out_tree:
            raise ValueError(
                f"structure of output returned by custom vmap rule ({self.__name__}) does not "
                f"match that of the original function: {out_tree} and {self.out_tree}. "
                f"{tree.structure_difference(self.out_tree, out_tree)}\n  {user_line()}"
            )
        check_leaves(result[0], outs, f"the output of {self.__name__}")
        return outs, [bool(m) for m in marks]


class ConstRule:
    """The rule of a function that closes over its first operands, which are not batched."""

    def __init__(self, rule: Any, count: int) -> None:
        self.rule = rule
        self.count = count
        self.__name__ = rule.__name__

    def __call__(self, size: int, batched: Sequence[bool], values: Sequence[Any]) -> Batches:
        if any(batched[: self.count]):
            raise ValueError(
                f"a custom_vmap function with the rule {self.__name__} closes over a batched "
                f"value, of which the rule knows nothing.\n  {user_line()}\n"
                "  Pass that value as an argument."
            )
        return self.rule(size, batched[self.count :], values[self.count :])


class JVPOfRule:
    """The rule for outputs and tangents, by pushing tangents through the rule."""

    def __init__(self, rule: Any) -> None:
        self.rule = rule
        self.__name__ = f"jvp_{rule.__name__}"

    def __call__(self, size: int, batched: Sequence[bool], values: Sequence[Any]) -> Batches:
        count = len(values) // 2
        # A primal and its tangent go through the rule together: both are batched or neither.
        either = [a or b for a, b in zip(batched[:count], batched[count:], strict=True)]
        aligned = [
            to_front(x, 0 if b else None, size) if e else x
            for x, b, e in zip(values, batched, [*either, *either], strict=True)
        ]
        marks: list[bool] = []

        def run(*primals: Any) -> list[Any]:
            outs, found = self.rule(size, either, primals)
            marks[:] = found
            return outs

        outs, tangents = jvp_flat(run, aligned[:count], aligned[count:])
        return [*outs, *[instantiate(t) for t in tangents]], [*marks, *marks]


class CustomVmapCall(Primitive):
    """A call of a custom_vmap function."""

    name = "custom_vmap_call"
    multiple_results = True
    widens = False
    cache_inference = False
    tested_in = "tests/control/test_custom_batching.py"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        return params["call"].out_avals

    def effects(self, params: dict[str, Any]) -> Effects:
        return params["call"].effects

    def impl(self, *arrays: Any, **params: Any) -> list[Any]:
        return run_numpy(params["call"], arrays)

    def inlined(self, eqn: Eqn) -> ClosedJaxpr:
        """The program without the rule, for evaluation."""
        return eqn.params["call"]

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        if any(aval_of(p).to_tangent().dtype == dtypes.float0 for p in primals):
            raise TypeError(
                "a custom_vmap function with integer arguments cannot be differentiated.\n"
                f"  {user_line()}\n  Wrap it in a custom_jvp or custom_vjp."
            )
        given = [instantiate(t) for t in tangents]
        call, moving = jvp_jaxpr(params["call"], [True] * len(primals), True)
        if not all(moving):
            raise TypeError(
                "a custom_vmap function with integer results cannot be differentiated.\n"
                f"  {user_line()}\n  Wrap it in a custom_jvp or custom_vjp."
            )
        outs = self.bind(*primals, *given, call=call, rule=JVPOfRule(params["rule"]))
        return outs[: len(moving)], outs[len(moving) :]

    def partial_eval(self, trace: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Refuse: the rule speaks of the whole function, not of its linear part."""
        raise TypeError(
            "custom_vmap functions do not support reverse-mode differentiation.\n"
            f"  {user_line()}\n  Wrap the function in a custom_vjp, with custom_vmap inside."
        )

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        batched = [d is not None for d in dims]
        values = [
            x if d is None else to_front(x, d, axis.size) for x, d in zip(args, dims, strict=True)
        ]
        outs, marks = params["rule"](axis.size, batched, values)
        return outs, [0 if m else None for m in marks]


custom_vmap_p = CustomVmapCall()


class custom_vmap:
    """A function whose vmap is given by a rule.

    Args:
        fun: a function of pytrees of arrays; it is traced at each call.
    """

    def __init__(self, fun: Callable[..., Any]) -> None:
        update_wrapper(self, fun, updated=())
        self.fun = fun
        self.vmap_rule: Callable[..., Any] | None = None

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else partial(self, instance)

    def def_vmap(self, vmap_rule: Callable[..., Any]) -> Callable[..., Any]:
        """Set the rule.

        Args:
            vmap_rule: takes the size of the axis, a list with a tree of booleans for each
                argument (which leaves are batched, at axis 0), and the arguments; returns the
                pair of output and a tree of booleans for it.
        Returns:
            The rule, so that this serves as a decorator.
        """
        self.vmap_rule = vmap_rule
        return vmap_rule

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = name_of(self.fun)
        args = positional(self.fun, args, kwargs, "custom_vmap")
        if self.vmap_rule is None:
            raise AttributeError(
                f"No batching rule defined for custom_vmap function {name} using def_vmap."
            )
        leaves, in_tree = tree.flatten(args)
        check_leaves(args, leaves, f"the arguments of {name} ")
        body = trace_body(self.fun, in_tree, [aval_of(x) for x in leaves], name)
        rule: Any = VmapRule(self.vmap_rule, in_tree, body.out_tree)
        if body.captured:
            rule = ConstRule(rule, len(body.captured))
        outs = custom_vmap_p.bind(*body.captured, *leaves, call=body.closed, rule=rule)
        return tree.unflatten(body.out_tree, outs)


def sequential_vmap(f: Callable[..., Any]) -> custom_vmap:
    """A function that vmap calls for one element after the other, in a loop.

    For functions that cannot take batches, such as callbacks.
    """
    mapped = custom_vmap(f)

    @mapped.def_vmap
    def rule(axis_size: int, in_batched: Sequence[Any], *args: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        leaves, in_tree = tree.flatten(args)
        marks = tree.leaves(tuple(in_batched))

        def element(xs: Sequence[Any]) -> Any:
            given = iter(xs)
            whole = [next(given) if m else x for x, m in zip(leaves, marks, strict=True)]
            return mapped(*tree.unflatten(in_tree, whole))

        out = map_elements(element, [x for x, m in zip(leaves, marks, strict=True) if m])
        return out, tree.map(lambda _: True, out)

    return mapped

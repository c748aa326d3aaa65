"""Forward mode: jvp and linearize."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import tree
from ..control.flat import FlatFunction, check_leaves
from ..core.evaluate import eval_jaxpr
from ..core.sources import user_line
from ..core.trace import as_array
from ..core.zeros import instantiate, zero_tangent
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import Jaxpr
from ..transforms.jvp import JVPTracer, jvp_flat
from ..transforms.linearize import Linearized, linearize_flat
from ..tree_util import Partial


def strip(x: Any) -> Any:
    """An auxiliary value without the tangents of a transform that has ended."""
    while isinstance(x, JVPTracer) and not x.owner.live:
        x = x.primal
    return x


def jvp(
    fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> Any:
    """The result of a function and its Jacobian-vector product.

    jvp(f, x, v) = (f(x), ∂f(x) · v)

    Args:
        fun: takes pytrees of arrays, returns one; with has_aux a pair (result, auxiliary data).
        primals: tuple or list of arguments.
        tangents: tuple or list with the trees, shapes and dtypes of the primals; float0 arrays
            for integers.
    Returns:
        `(result, tangent of the result)`, or these and aux.
    Raises:
        TypeError: primals or tangents are no tuples, or trees or dtypes differ.
        ValueError: shapes differ.
    """
    if not callable(fun):
        raise TypeError(f"Expected a callable value, got {fun!r}. jvp takes a function.")
    for what, value in (("primal", primals), ("tangent", tangents)):
        if not isinstance(value, (tuple, list)):
            raise TypeError(
                f"{what} arguments to jvp must be tuples or lists; found "
                f"{type(value).__name__}.\n  {user_line()}\n  Write jvp(f, (x,), (v,))."
            )
    leaves, in_tree = tree.flatten((tuple(primals), {}))
    tangent_leaves, tangent_tree = tree.flatten((tuple(tangents), {}))
    if in_tree != tangent_tree:
        raise TypeError(
            "primal and tangent arguments to jvp must have the same tree structure; primals have "
            f"{in_tree} and tangents have {tangent_tree}. "
            f"{tree.structure_difference(in_tree, tangent_tree)}\n  {user_line()}"
        )
    check_leaves(primals, leaves, "the primals of jvp")
    ready = [check_tangent(aval_of(p), t) for p, t in zip(leaves, tangent_leaves, strict=True)]
    flat = FlatFunction(fun, in_tree, has_aux)
    outs, out_tangents = jvp_flat(flat, leaves, ready)
    result = tree.unflatten(flat.out_tree, [as_array(x) for x in outs])
    pushed = tree.unflatten(flat.out_tree, [_tangent_value(t) for t in out_tangents])
    if flat.aux is None:
        return result, pushed
    return result, pushed, tree.unflatten(flat.aux[1], [strip(x) for x in flat.aux[0]])


def _tangent_value(t: Any) -> Any:
    value = instantiate(t)
    return value if getattr(value, "dtype", None) == dtypes.float0 else as_array(value)


def check_tangent(aval: ShapedArray, tangent: Any) -> Any:
    """The tangent of a primal of this aval, checked; a symbolic zero for float0.

    Raises:
        TypeError: the dtype is not the tangent dtype of the primal.
        ValueError: the shapes differ.
    """
    want = aval.to_tangent()
    if getattr(tangent, "dtype", None) == dtypes.float0:
        got = ShapedArray(tuple(tangent.shape), dtypes.float0)
    else:
        got = aval_of(tangent)
    if want.dtype != got.dtype:
        raise TypeError(
            "primal and tangent arguments to jvp do not match; dtypes must be equal, or in case "
            f"of int/bool primal dtype the tangent dtype must be float0. Got primal {aval.long()} "
            f"and so expected tangent {want.long()}, but got {got.long()}.\n  {user_line()}"
        )
    if got.shape != want.shape:
        raise ValueError(
            f"jvp called with different primal and tangent shapes; got primal shape {aval.shape} "
            f"and tangent shape {got.shape}.\n  {user_line()}"
        )
    return zero_tangent(aval) if want.dtype == dtypes.float0 else tangent


def linearize(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The result of a function and its linear approximation at these arguments.

    The function is run once; applying the linear function repeats none of that work.

    Returns:
        `(result, f_jvp)`, where `f_jvp(*tangents)` gives the tangent of the result; with has_aux
        `(result, f_jvp, aux)`. `f_jvp` is a pytree of what it keeps, so a jitted function may
        return it.
    Raises:
        TypeError: fun is not callable; f_jvp gets tangents of other trees or dtypes.
        ValueError: f_jvp gets tangents of other shapes.
    """
    if not callable(fun):
        raise TypeError(f"Expected a callable value, got {fun!r}. linearize takes a function.")
    leaves, in_tree = tree.flatten((primals, {}))
    check_leaves(primals, leaves, "the arguments of linearize")
    flat = FlatFunction(fun, in_tree, has_aux)
    outs, linear = linearize_flat(flat, leaves)
    result = tree.unflatten(flat.out_tree, [as_array(x) for x in outs])
    avals = [aval_of(x) for x in leaves]
    pushforward = _Pushforward(linear, avals, in_tree, flat.out_tree, flat.name)
    f_jvp = Partial(pushforward, linear.residuals)
    if flat.aux is None:
        return result, f_jvp
    return result, f_jvp, tree.unflatten(flat.aux[1], [strip(x) for x in flat.aux[0]])


class _Pushforward:
    """Applies a linear program to a tuple of tangent trees."""

    def __init__(
        self, linear: Linearized, avals: list[ShapedArray], in_tree: Any, out_tree: Any, name: str
    ) -> None:
        self.jaxpr: Jaxpr = linear.jaxpr
        self.in_avals = avals
        self.out_avals = linear.out_avals
        self.nonzero_outs = linear.nonzero_outs
        self.in_tree = in_tree
        self.out_tree = out_tree
        self.name = name

    def __call__(self, residuals: list[Any], *tangents: Any) -> Any:
        given, tangent_tree = tree.flatten((tangents, {}))
        if tangent_tree != self.in_tree:
            raise TypeError(
                f"linearized function called with tangents of structure {tangent_tree}, but "
                f"{self.name} was linearized at {self.in_tree}. "
                f"{tree.structure_difference(self.in_tree, tangent_tree)}\n  {user_line()}"
            )
        ready = [
            instantiate(check_tangent(a, t)) for a, t in zip(self.in_avals, given, strict=True)
        ]
        results = iter(eval_jaxpr(self.jaxpr, residuals, *ready))
        out_tangents = [
            next(results) if nz else zero_tangent(a)
            for nz, a in zip(self.nonzero_outs, self.out_avals, strict=True)
        ]
        return tree.unflatten(self.out_tree, [_tangent_value(t) for t in out_tangents])

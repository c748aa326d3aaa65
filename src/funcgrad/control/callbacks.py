"""Calls from a program back into Python: pure_callback, io_callback, and those for debugging.

In: a Python function and arrays. The one idea: a callback is a primitive whose `impl` calls the
function with Arrays; an effect keeps it in the program and in its order, since programs run
their eqns in sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .. import tree
from ..core.array import Array, to_ndarray
from ..core.axes import move_axis, to_front
from ..core.primitive import AxisData, NotDifferentiable, Primitive
from ..core.sources import user_line
from ..core.zeros import Zero
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of, is_value
from ..ir.jaxpr import Effects
from .flat import check_leaves, name_of
from .scan import map as map_elements
from .scan import scan

_methods = (
    "sequential",
    "sequential_unrolled",
    "expand_dims",
    "broadcast_all",
    "legacy_vectorized",
    None,
)


class Effect:
    """What a program does besides computing its outputs; compared by identity.

    Attributes:
        ordered: whether it must keep its place among its like.
        harmless_when_batched: whether it may happen for elements a condition leaves out.
    """

    def __init__(self, name: str, ordered: bool, harmless_when_batched: bool) -> None:
        self.name = name
        self.ordered = ordered
        self.harmless_when_batched = harmless_when_batched

    def __repr__(self) -> str:
        return self.name


io_effect = Effect("IO", ordered=False, harmless_when_batched=False)
ordered_io_effect = Effect("OrderedIO", ordered=True, harmless_when_batched=False)
debug_effect = Effect("Debug", ordered=False, harmless_when_batched=True)
ordered_debug_effect = Effect("OrderedDebug", ordered=True, harmless_when_batched=False)


class FlatCallback:
    """A Python function called with leaves, giving leaves."""

    def __init__(self, fun: Callable[..., Any], in_tree: Any) -> None:
        self.fun = fun
        self.in_tree = in_tree
        self.__name__ = name_of(fun)

    def __call__(self, *leaves: Any) -> Any:
        args, kwargs = tree.unflatten(self.in_tree, leaves)
        return self.fun(*args, **kwargs)

    def __repr__(self) -> str:
        return self.__name__


class Callback(Primitive):
    """A call whose results have the avals `result_avals`."""

    multiple_results = True
    widens = False
    of_host = True
    cache_inference = False
    unprinted = ("sharding",)
    tested_in = "tests/control/test_callbacks.py"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        return list(params["result_avals"])

    def impl(self, *arrays: Any, **params: Any) -> list[np.ndarray[Any, Any]]:
        out = params["callback"](*[Array(x.view()) for x in arrays])
        return self.checked(out, params)

    def checked(self, out: Any, params: dict[str, Any]) -> list[np.ndarray[Any, Any]]:
        """The leaves of what the function returned, as arrays of the promised types.

        Raises:
            RuntimeError: number, shape or dtype of the results are not as promised.
        """
        wanted: Sequence[ShapedArray] = params["result_avals"]
        what = f"{self.name}: {params['callback']!r}"
        leaves = tree.leaves(out)
        check_leaves(out, leaves, f"the result of {what} ")
        if len(leaves) != len(wanted):
            raise RuntimeError(
                f"{what} returned {len(leaves)} arrays, but result_shape_dtypes has {len(wanted)}."
            )
        arrays: list[np.ndarray[Any, Any]] = []
        for i, (leaf, aval) in enumerate(zip(leaves, wanted, strict=True)):
            value = to_ndarray(leaf)
            weak = isinstance(leaf, (bool, int, float, complex))
            if weak and np.can_cast(value.dtype, aval.dtype, "same_kind"):
                value = value.astype(aval.dtype)
            if value.shape != aval.shape or value.dtype != aval.dtype:
                got = ShapedArray(value.shape, value.dtype)
                raise RuntimeError(
                    f"{what} returned {got.long()} as result {i}, but result_shape_dtypes promises "
                    f"{aval.long()}. Return that shape and dtype, or change the promise."
                )
            arrays.append(value)
        return arrays

    def sequential(
        self,
        args: Sequence[Any],
        dims: Sequence[int | None],
        params: dict[str, Any],
        unroll: bool = False,
    ) -> tuple[list[Any], list[int | None]]:
        """One call for each element, in order."""
        moved = [move_axis(x, d, 0) for x, d in zip(args, dims, strict=True) if d is not None]

        def call(elements: Any) -> Any:
            given = iter(elements)
            whole = [x if d is None else next(given) for x, d in zip(args, dims, strict=True)]
            return self.bind(*whole, **params)

        if unroll:
            outs = scan(lambda _, x: (None, call(x)), None, moved, unroll=True)[1]
        else:
            outs = map_elements(call, moved)
        return list(outs), [0] * len(outs)


class PureCallback(Callback):
    """A call without effects: may be repeated or left out."""

    name = "pure_callback"
    jvp_term = NotDifferentiable(
        "pure callbacks do not support jvp; wrap the call in a function with a custom_jvp"
    )

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        if all(isinstance(t, Zero) for t in tangents):
            return super().jvp(primals, tangents, **params)
        raise ValueError(
            f"Pure callbacks do not support JVP: {params['callback']!r} was differentiated.\n"
            f"  {user_line()}\n  Wrap the call in a function with a custom_jvp or custom_vjp."
        )

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        method = params["vmap_method"]
        if method is None:
            raise ValueError(
                f"vmap of pure_callback ({params['callback']!r}) needs a vmap_method.\n"
                f"  {user_line()}\n  Give pure_callback vmap_method='sequential', 'expand_dims' or "
                "'broadcast_all'."
            )
        if method.startswith("sequential"):
            return self.sequential(args, dims, params, method == "sequential_unrolled")
        avals = tuple(a.update(shape=(axis.size, *a.shape)) for a in params["result_avals"])
        if method == "legacy_vectorized":
            given = [
                x if d is None else move_axis(x, d, 0) for x, d in zip(args, dims, strict=True)
            ]
        else:
            size = axis.size if method == "broadcast_all" else 1
            given = [to_front(x, d, size) for x, d in zip(args, dims, strict=True)]
        outs = self.bind(*given, **{**params, "result_avals": avals})
        return outs, [0] * len(outs)


class IOCallback(Callback):
    """A call with effects: happens exactly once, in its order when ordered."""

    name = "io_callback"

    def effects(self, params: dict[str, Any]) -> Effects:
        return frozenset({ordered_io_effect if params["ordered"] else io_effect})

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        if all(isinstance(t, Zero) for t in tangents):
            return super().jvp(primals, tangents, **params)
        raise ValueError(
            f"IO callbacks do not support JVP: {params['callback']!r} was differentiated.\n"
            f"  {user_line()}\n  Apply lax.stop_gradient to its arguments."
        )

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        if params["ordered"]:
            raise ValueError(
                f"Cannot vmap the ordered io_callback {params['callback']!r}: a batch has no order."
                f"\n  {user_line()}\n  Use ordered=False, or lax.map in place of vmap."
            )
        return self.sequential(args, dims, params)


class DebugCallback(Primitive):
    """A call for its effect only; derivatives pass it by, a batch calls it for each element."""

    name = "debug_callback"
    multiple_results = True
    widens = False
    of_host = True
    cache_inference = False
    tested_in = "tests/control/test_callbacks.py"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        return []

    def effects(self, params: dict[str, Any]) -> Effects:
        return frozenset({ordered_debug_effect if params["ordered"] else debug_effect})

    def impl(self, *arrays: Any, **params: Any) -> list[Any]:
        params["callback"](*[Array(x.view()) for x in arrays])
        return []

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        return self.bind(*primals, **params), []

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        return [None] * len(args)

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        from ..primitives.indexing import index_in_dim

        for i in range(axis.size):
            element = [
                x if d is None else index_in_dim(x, i, d, keepdims=False)
                for x, d in zip(args, dims, strict=True)
            ]
            self.bind(*element, **params)
        return [], []


pure_callback_p, io_callback_p = PureCallback(), IOCallback()
debug_callback_p = DebugCallback()


def result_types(result_shape_dtypes: Any) -> tuple[tuple[ShapedArray, ...], Any]:
    """The avals of promised results, and their tree.

    Raises:
        ValueError: a leaf has no shape and dtype.
    """
    leaves, treedef = tree.flatten(result_shape_dtypes)
    avals: list[ShapedArray] = []
    for leaf in leaves:
        if isinstance(leaf, (bool, int, float, complex)):
            avals.append(aval_of(leaf).strong())
        elif not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
            raise ValueError(
                f"result_shape_dtypes must be a tree of values with shape and dtype, got {leaf!r}. "
                "Give a ShapeDtypeStruct, or an array of the result's type."
            )
        else:
            dtype = dtypes.canonicalize_dtype(leaf.dtype, allow_extended_dtype=True)
            avals.append(ShapedArray(tuple(leaf.shape), dtype))
    return tuple(avals), treedef


def pure_callback(
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    sharding: Any = None,
    vmap_method: str | None = None,
    **kwargs: Any,
) -> Any:
    """The result of a Python function without side effects; works under every transform.

    It may be called several times, or not at all when its result is unused.

    Args:
        callback: gets the arguments as Arrays, returns a tree of arrays.
        result_shape_dtypes: tree of values with the shapes and dtypes of the result.
        args: trees of arrays.
        sharding: accepted for the one device there is.
        vmap_method: how vmap calls it: `"sequential"`, once for each element;
            `"sequential_unrolled"`, the same without a loop; `"expand_dims"`, once with a leading
            axis of size 1 on arguments that are not mapped; `"broadcast_all"`, once with all
            arguments repeated; `"legacy_vectorized"`, once, such arguments as they are.
    Raises:
        ValueError: an unknown vmap_method; under vmap none was given; it is differentiated.
        RuntimeError: the result is not of the promised types.
    """
    if vmap_method not in _methods:
        raise ValueError(f"vmap_method must be one of {_methods}, but got: {vmap_method!r}.")
    flat, leaves = flat_callback(callback, args, kwargs)
    avals, out_tree = result_types(result_shape_dtypes)
    outs = pure_callback_p.bind(
        *leaves, callback=flat, result_avals=avals, sharding=sharding, vmap_method=vmap_method
    )
    return tree.unflatten(out_tree, outs)


def io_callback(
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    sharding: Any = None,
    ordered: bool = False,
    **kwargs: Any,
) -> Any:
    """The result of a Python function with side effects, called exactly once a run.

    Args:
        callback: gets the arguments as Arrays, returns a tree of arrays.
        result_shape_dtypes: tree of values with the shapes and dtypes of the result.
        args: trees of arrays.
        sharding: accepted for the one device there is.
        ordered: keep its place among the other ordered calls; such a call cannot be vmapped.
    Raises:
        ValueError: it is differentiated; ordered and vmapped.
        RuntimeError: the result is not of the promised types.
    """
    flat, leaves = flat_callback(callback, args, kwargs)
    avals, out_tree = result_types(result_shape_dtypes)
    outs = io_callback_p.bind(
        *leaves, callback=flat, result_avals=avals, sharding=sharding, ordered=ordered
    )
    return tree.unflatten(out_tree, outs)


def flat_callback(
    callback: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[FlatCallback, list[Any]]:
    """The function on leaves, and the leaves of its arguments.

    Raises:
        TypeError: callback cannot be called, or an argument is no array value.
    """
    if not callable(callback):
        raise TypeError(f"the first argument of a callback must be callable, got {callback!r}.")
    leaves, in_tree = tree.flatten((tuple(args), kwargs))
    check_leaves((tuple(args), kwargs), leaves, f"the arguments of {name_of(callback)} ")
    return FlatCallback(callback, in_tree), leaves


def debug_callback(
    callback: Callable[..., Any] | None = None,
    *args: Any,
    ordered: bool = False,
    partitioned: bool = False,
    **kwargs: Any,
) -> Any:
    """Call a Python function for its effect, from under any transform.

    Its result is ignored. Arguments that are no array values are passed as they are. Under grad
    it sees the primal values, under vmap it is called for each element.

    Args:
        callback: gets the arguments, arrays as Arrays; left out, the rest of the call
            is awaited: `debug.callback(ordered=True)(f, x)`.
        ordered: keep its place among the other ordered calls.
        partitioned: accepted for compatibility.
    """
    if callback is None:
        return partial(debug_callback, ordered=ordered, partitioned=partitioned)
    if not callable(callback):
        raise TypeError(f"debug.callback takes a function first, got {callback!r}.")
    flat, leaves = with_static_leaves(callback, args, kwargs)
    debug_callback_p.bind(*leaves, callback=flat, ordered=ordered)
    return None


def with_static_leaves(
    callback: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[Any, list[Any]]:
    """The function on those leaves that are array values, the others put in place."""
    leaves, in_tree = tree.flatten((tuple(args), kwargs))
    dynamic = [is_value(x) for x in leaves]
    flat = FlatCallback(callback, in_tree)
    if all(dynamic):
        return flat, leaves
    kept = [None if d else x for x, d in zip(leaves, dynamic, strict=True)]

    def call(*values: Any) -> Any:
        given = iter(values)
        return flat(*[next(given) if d else x for x, d in zip(kept, dynamic, strict=True)])

    call.__name__ = flat.__name__
    return call, [x for x, d in zip(leaves, dynamic, strict=True) if d]

"""Reverse mode: vjp, grad, value_and_grad, linear_transpose. Linearize, then transpose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..control.flat import FlatFunction, canonical_argnums, check_leaves, name_of, wraps
from ..control.jitted import jit
from ..core.array import Array
from ..core.sources import user_line
from ..core.staging import stage
from ..core.trace import as_array
from ..core.zeros import UndefinedPrimal, Zero, instantiate
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import Jaxpr
from ..transforms.linearize import Linearized, linearize_flat
from ..transforms.transpose import backward_pass
from ..tree_util import Partial
from .forward import strip


def vjp(
    fun: Callable[..., Any], *primals: Any, has_aux: bool = False, reduce_axes: Sequence[Any] = ()
) -> Any:
    """The result of a function and its vector-Jacobian product at these arguments.

    vjp_fun(ct) = ctᵀ · ∂fun(primals), for a ct of the tree, shapes and dtypes of the result.

    Args:
        fun: takes pytrees of arrays, returns one; with has_aux a pair (result, auxiliary data).
        primals: arguments of fun.
        has_aux: whether fun returns auxiliary data that is not differentiated.
        reduce_axes: accepted for compatibility; must be empty.
    Returns:
        `(result, vjp_fun)`, or `(result, vjp_fun, aux)`. `vjp_fun` gives one cotangent tree for
        each primal; integer inputs get float0 arrays.
    Raises:
        TypeError: fun is not callable, or a leaf is not an array value.
    """
    check_callable(fun, "vjp")
    _no_reduce_axes(reduce_axes, "vjp")
    leaves, in_tree = tree.flatten((primals, {}))
    check_leaves(primals, leaves, "the arguments of vjp")
    flat = FlatFunction(fun, in_tree, has_aux)
    outs, linear = linearize_flat(flat, leaves)
    pullback = _Pullback(linear, flat.out_tree, tree.structure(primals), flat.name)
    result = tree.unflatten(flat.out_tree, [as_array(x) for x in outs])
    vjp_fun = Partial(pullback, linear.residuals)
    if flat.aux is None:
        return result, vjp_fun
    return result, vjp_fun, tree.unflatten(flat.aux[1], [strip(x) for x in flat.aux[0]])


class _Pullback:
    """Applies the transpose of a linear program to a cotangent tree."""

    def __init__(self, linear: Linearized, out_tree: Any, in_tree: Any, name: str) -> None:
        self.jaxpr: Jaxpr = linear.jaxpr
        self.in_avals = linear.in_avals
        self.out_avals = linear.out_avals
        self.nonzero_outs = linear.nonzero_outs
        self.out_tree = out_tree
        self.in_tree = in_tree
        self.name = name

    def __call__(self, residuals: list[Any], ct: Any) -> Any:
        leaves, ct_tree = tree.flatten(ct)
        if ct_tree != self.out_tree:
            raise ValueError(
                f"unexpected tree structure of argument to vjp function: got {ct_tree}, but "
                f"{self.name} returned {self.out_tree}. "
                f"{tree.structure_difference(self.out_tree, ct_tree)}\n  {user_line()}"
            )
        for leaf, aval in zip(leaves, self.out_avals, strict=True):
            check_cotangent(leaf, aval, self.name)
        cts = [x for x, nz in zip(leaves, self.nonzero_outs, strict=True) if nz]
        args = [UndefinedPrimal(v.aval) for v in self.jaxpr.invars]
        results = backward_pass(self.jaxpr, residuals, args, cts)
        grads = [
            instantiate(Zero(a) if isinstance(r, Zero) else r)
            for r, a in zip(results, self.in_avals, strict=True)
        ]
        return tree.unflatten(self.in_tree, [_finished(g) for g in grads])


def _finished(x: Any) -> Any:
    """An Array or tracer; float0 zeros stay NumPy arrays."""
    return x if getattr(x, "dtype", None) == dtypes.float0 else as_array(x)


def check_cotangent(ct: Any, aval: ShapedArray, name: str) -> None:
    """Raise ValueError unless ct can be a cotangent of a result of this aval."""
    got, want = aval_of_tangent(ct), aval.to_tangent()
    if got.shape != want.shape or got.dtype != want.dtype:
        raise ValueError(
            f"unexpected type (e.g. shape/dtype) for argument to vjp function: got {got.long()}, "
            f"but expected {want.long()} because {name} has an output of type {aval.long()}.\n"
            f"  {user_line()}"
        )


def aval_of_tangent(x: Any) -> ShapedArray:
    """The aval of a tangent or cotangent, float0 arrays among them."""
    if getattr(x, "dtype", None) == dtypes.float0:
        return ShapedArray(x.shape, dtypes.float0)
    return aval_of(x)


def value_and_grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence[Any] = (),
) -> Callable[..., Any]:
    """A function giving the value of a scalar function and its gradient.

    Args:
        fun: returns a scalar of a floating dtype; with has_aux a pair (scalar, auxiliary data).
        argnums: which positional arguments to differentiate with respect to.
        has_aux: whether fun returns auxiliary data.
        holomorphic: fun is complex differentiable; inputs and output must be complex.
        allow_int: integer inputs are allowed; their gradients are float0 arrays.
        reduce_axes: accepted for compatibility; must be empty.
    Returns:
        A function of fun's arguments giving `(value, gradient)`, or `((value, aux), gradient)`;
        the gradient has the tree of the chosen argument, or is a tuple of such trees.
    Raises:
        TypeError: the output is not a scalar, or dtypes cannot be differentiated.
        ValueError: argnums out of range.
    """
    check_callable(fun, "value_and_grad")
    _no_reduce_axes(reduce_axes, "value_and_grad")
    name = name_of(fun)

    @wraps(fun)
    def value_and_grad_of(*args: Any, **kwargs: Any) -> Any:
        positions = canonical_argnums(argnums, len(args), "argnums", name, TypeError)
        partial_fun, chosen = partial_at(fun, positions, args, kwargs)
        for leaf in tree.leaves(chosen):
            check_grad_input(leaf, holomorphic, allow_int)
        out = vjp(partial_fun, *chosen, has_aux=has_aux)
        value, pullback = out[0], out[1]
        check_grad_output(value, holomorphic)
        aval = aval_of(value)
        grads = pullback(Array(np.ones((), aval.dtype), aval))
        grads = grads[0] if isinstance(argnums, int) else grads
        return ((value, out[2]), grads) if has_aux else (value, grads)

    return value_and_grad_of


def grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence[Any] = (),
) -> Callable[..., Any]:
    """A function giving the gradient of a scalar function; arguments as in `value_and_grad`.

    Returns:
        A function of fun's arguments giving the gradient, or `(gradient, aux)`.
    Raises:
        TypeError: the output is not a scalar, or dtypes cannot be differentiated.
        ValueError: argnums out of range.
    """
    check_callable(fun, "grad")
    both = value_and_grad(fun, argnums, has_aux, holomorphic, allow_int, reduce_axes)

    @wraps(fun)
    def grad_of(*args: Any, **kwargs: Any) -> Any:
        value, grads = both(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return grad_of


def partial_at(
    fun: Callable[..., Any], positions: Sequence[int], args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """A function of the arguments at these positions only, and those arguments."""

    @wraps(fun)
    def call(*chosen: Any) -> Any:
        whole = list(args)
        for i, x in zip(positions, chosen, strict=True):
            whole[i] = x
        return fun(*whole, **kwargs)

    return call, tuple(args[i] for i in positions)


def check_callable(fun: Any, what: str) -> None:
    """Raise TypeError unless fun can be called."""
    if not callable(fun):
        raise TypeError(f"Expected a callable value, got {fun!r}. {what} takes a function.")


def _no_reduce_axes(reduce_axes: Sequence[Any], what: str) -> None:
    if tuple(reduce_axes):
        raise ValueError(f"{what}: reduce_axes is not supported, got {reduce_axes!r}.")


def check_grad_input(x: Any, holomorphic: bool, allow_int: bool, what: str = "grad") -> None:
    """Raise TypeError unless what can be taken with respect to x."""
    try:
        dtype = aval_of(x).dtype
    except TypeError as error:
        raise TypeError(
            f"{what}: argument {x!r} of type {type(x).__name__} is not a valid array type.\n"
            f"  {user_line()}\n  Give arrays or numbers, or choose other argnums."
        ) from error
    name = dtypes.long_name(dtype)
    if dtypes.issubdtype(dtype, dtypes.prng_key):
        if not allow_int:
            raise TypeError(
                f"{what} with respect to a random key ({name}) is not defined.\n  {user_line()}"
            )
    elif holomorphic:
        if not dtypes.issubdtype(dtype, np.complexfloating):
            raise TypeError(
                f"{what} with holomorphic=True requires inputs with complex dtype, but got "
                f"{name}.\n  {user_line()}\n  Convert it with astype, or drop holomorphic."
            )
    elif not dtypes.issubdtype(dtype, np.inexact) and not allow_int:
        raise TypeError(
            f"{what} requires real- or complex-valued inputs (input dtype that is a sub-dtype of "
            f"np.inexact), but got {name}.\n  {user_line()}\n  Convert it to a float, choose "
            "other argnums, or use vjp or allow_int=True."
        )


def check_grad_output(out: Any, holomorphic: bool, what: str = "grad") -> None:
    """Raise TypeError unless out is a scalar that has a gradient."""
    try:
        aval = aval_of(out)
    except TypeError as error:
        raise TypeError(
            f"Gradient only defined for scalar-output functions. Output was {out}.\n"
            f"  {user_line()}\n  Return one scalar, or use has_aux=True for more."
        ) from error
    if aval.shape != ():
        raise TypeError(
            f"Gradient only defined for scalar-output functions. Output had shape: {aval.shape}.\n"
            f"  {user_line()}\n  Reduce it (sum, mean), or use jacrev or vjp."
        )
    check_output_dtype(aval, holomorphic, what)


def check_output_dtype(aval: ShapedArray, holomorphic: bool, what: str) -> None:
    """Raise TypeError unless outputs of this dtype have a derivative of this kind."""
    kind = np.complexfloating if holomorphic else np.floating
    if not dtypes.issubdtype(aval.dtype, kind):
        word = "complex" if holomorphic else "real"
        name = dtypes.long_name(aval.dtype)
        raise TypeError(
            f"{what}{' with holomorphic=True' if holomorphic else ''} requires {word}-valued "
            f"outputs (output dtype that is a sub-dtype of np.{kind.__name__}), but got {name}.\n"
            f"  {user_line()}\n  For functions of another kind use jvp and vjp directly."
        )


def fwd_and_bwd(
    fun: Callable[..., Any],
    argnums: int | Sequence[int],
    has_aux: bool = False,
    jitted: bool = True,
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The two passes of reverse mode, as functions that are each compiled once.

    `fwd(*args)` gives what `vjp` gives, with residuals in the place of a function, and
    `bwd(residuals, ct) = ctᵀ · ∂fun(args)`. What `vjp` returns would be jitted
    anew at each call.

    Args:
        fun: takes pytrees of arrays, returns one; with has_aux a pair (result, auxiliary data).
        argnums: the positional arguments to differentiate with respect to.
        has_aux: whether fun returns auxiliary data that is not differentiated.
        jitted: whether both are jitted.
    Returns:
        `(fwd, bwd)`: fwd gives `(result, residuals)`, or `(result, residuals, aux)`; bwd gives one
        cotangent tree for each position in argnums, and one alone if argnums is an int.
    Raises:
        TypeError: fun is not callable, or an argument at argnums is missing.
    """
    check_callable(fun, "fwd_and_bwd")
    name = name_of(fun)

    def fwd(*args: Any, **kwargs: Any) -> Any:
        positions = canonical_argnums(argnums, len(args), "argnums", name, TypeError)
        partial_fun, chosen = partial_at(fun, positions, args, kwargs)
        return vjp(partial_fun, *chosen, has_aux=has_aux)

    def bwd(residuals: Any, ct: Any) -> Any:
        found = residuals(ct)
        return found[0] if isinstance(argnums, int) else found

    return (jit(fwd), jit(bwd)) if jitted else (fwd, bwd)


def linear_transpose(
    fun: Callable[..., Any], *primals: Any, reduce_axes: Sequence[Any] = ()
) -> Callable[..., Any]:
    """The transpose of a linear function, traced at the shapes and dtypes of its arguments.

    Args:
        fun: linear in all of its arguments.
        primals: arrays or ShapeDtypeStructs; only shapes and dtypes are used.
        reduce_axes: accepted for compatibility; must be empty.
    Returns:
        A function from a cotangent of the result to a tuple of cotangents, one for each argument;
        a pytree of the arrays that fun captured.
    Raises:
        TypeError: inputs are neither floating nor complex, the result depends on values (fun is
            not linear), or the cotangent has another tree, shape or dtype.
    """
    check_callable(fun, "linear_transpose")
    _no_reduce_axes(reduce_axes, "linear_transpose")
    leaves, in_tree = tree.flatten((primals, {}))
    avals = [aval_of(x) for x in leaves]
    flat = FlatFunction(fun, in_tree)
    closed = stage(flat, avals, flat.name)
    for aval in [*avals, *closed.out_avals]:
        if not dtypes.issubdtype(aval.dtype, np.inexact):
            raise TypeError(
                "linear_transpose only supports floating and complex inputs and outputs, got "
                f"{aval.long()}.\n  {user_line()}"
            )
    out_tree, jaxpr, out_avals = flat.out_tree, closed.jaxpr, closed.out_avals

    def transposed(consts: list[Any], ct: Any) -> Any:
        cts, ct_tree = tree.flatten(ct)
        if ct_tree != out_tree:
            raise TypeError(
                f"cotangent tree does not match function output, expected {out_tree} but got "
                f"{ct_tree}. {tree.structure_difference(out_tree, ct_tree)}\n  {user_line()}"
            )
        for x, aval in zip(cts, out_avals, strict=True):
            got = aval_of(x)
            if (got.shape, got.dtype) != (aval.shape, aval.dtype):
                raise TypeError(
                    f"cotangent type does not match function output, expected {aval.long()} but "
                    f"got {got.long()}.\n  {user_line()}"
                )
        args = [UndefinedPrimal(a) for a in avals]
        results = backward_pass(jaxpr, consts, args, cts)
        done: list[Array] = [as_array(instantiate(r)) for r in results]
        return tree.unflatten(in_tree, done)[0]

    return Partial(transposed, list(closed.consts))

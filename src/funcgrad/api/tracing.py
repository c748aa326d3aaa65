"""Looking at what a function does: make_jaxpr, eval_shape, names, evaluation while tracing."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

from .. import tree
from ..control.flat import FlatFunction, canonical_argnums, check_leaves, name_of, wraps
from ..control.jitted import StaticValue, with_static
from ..core.context import extend_axes, push_name, set_trace
from ..core.shapes import ShapeDtypeStruct
from ..core.staging import stage
from ..core.trace import FoldingTrace, current_trace
from ..core.zeros import Zero, instantiate
from ..errors import InconclusiveDimensionOperation
from ..ir.avals import aval_of
from ..ir.dimensions import Dimension, SymbolicScope, has_unknown


def make_jaxpr(
    fun: Callable[..., Any],
    static_argnums: int | Sequence[int] = (),
    axis_env: Sequence[tuple[Any, int]] | None = None,
    return_shape: bool = False,
    abstracted_axes: Any = None,
) -> Callable[..., Any]:
    """A function giving the jaxpr of fun for its arguments.

    Args:
        fun: a function of pytrees of arrays.
        static_argnums: positions of arguments that are Python values.
        axis_env: pairs of name and size of axes that fun's collectives may name.
        return_shape: give the pair (jaxpr, tree of ShapeDtypeStructs) instead.
        abstracted_axes: must be None; shapes are static.
    Returns:
        A function of fun's arguments (arrays or ShapeDtypeStructs) giving a ClosedJaxpr.
    Raises:
        TypeError: fun is not callable, or an argument is no array value.
        ValueError: abstracted_axes is given.
    """
    if not callable(fun):
        raise TypeError(f"Expected a callable value, got {fun!r}. make_jaxpr takes a function.")
    if abstracted_axes is not None:
        raise ValueError("make_jaxpr: abstracted_axes must be None; shapes are static here.")

    @wraps(fun)
    def make(*args: Any, **kwargs: Any) -> Any:
        nums = canonical_argnums(static_argnums, len(args), "static_argnums", name_of(fun))
        static = tuple((i, StaticValue(args[i], name_of(fun), i)) for i in sorted(nums))
        dynamic = tuple(x for i, x in enumerate(args) if i not in nums)
        leaves, in_tree = tree.flatten((dynamic, kwargs))
        check_leaves((dynamic, kwargs), leaves, f"the arguments of {name_of(fun)} ")
        call = with_static(fun, (static, ()) if static else ())
        flat = FlatFunction(call, in_tree)
        with extend_axes(*(axis_env or ())):
            closed = stage(flat, [aval_of(x) for x in leaves], flat.name)
        if not return_shape:
            return closed
        shapes = [
            ShapeDtypeStruct(a.shape, a.dtype, weak_type=a.weak_type) for a in closed.out_avals
        ]
        return closed, tree.unflatten(flat.out_tree, shapes)

    return make


def eval_shape(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Shapes and dtypes of `fun(*args, **kwargs)`, without any arithmetic.

    Args:
        args: arrays, or anything with shape and dtype. Extents may be `Dimension`s, which depend on
            sizes unknown: then fun is traced for two choices of these, and must give the same tree.
    Returns:
        The tree of the result with ShapeDtypeStructs as leaves.
    Raises:
        InconclusiveDimensionOperation: the tree or a dtype of the result depends on sizes unknown.
    """
    leaves: list[Any] = tree.leaves((args, kwargs))
    unknown = [d for x in leaves for d in getattr(x, "shape", ()) if isinstance(d, Dimension)]
    if unknown:
        return _shape_of_unknown(fun, unknown[0].scope, args, kwargs)

    def struct(x: Any) -> Any:
        if hasattr(x, "shape") and hasattr(x, "dtype") and not hasattr(x, "aval"):
            return ShapeDtypeStruct(x.shape, x.dtype)
        return x

    def traceable(x: Any) -> Any:
        # A stand-in that the function returns stands for an array of its type.
        return instantiate(Zero(x.aval)) if isinstance(x, ShapeDtypeStruct) else x

    def traced(*args: Any, **kwargs: Any) -> Any:
        return tree.map(traceable, fun(*args, **kwargs))

    args, kwargs = tree.map(struct, (args, kwargs))
    return make_jaxpr(wraps(fun)(traced), return_shape=True)(*args, **kwargs)[1]


def _shape_of_unknown(fun: Any, scope: SymbolicScope, args: Any, kwargs: Any) -> Any:
    def chosen(which: int) -> Any:
        def known(x: Any) -> Any:
            if not has_unknown(getattr(x, "shape", None)):
                return x
            shape = [d.values[which] if isinstance(d, Dimension) else d for d in x.shape]
            return ShapeDtypeStruct(shape, x.dtype, weak_type=getattr(x, "weak_type", False))

        given, named = tree.map(known, (args, kwargs))
        return tree.flatten(eval_shape(fun, *given, **named))

    (first, structure), (second, other) = chosen(0), chosen(1)
    alike = structure == other and all(
        (a.ndim, a.dtype, a.weak_type) == (b.ndim, b.dtype, b.weak_type)
        for a, b in zip(first, second, strict=True)
    )
    if not alike:
        raise InconclusiveDimensionOperation(
            f"What {name_of(fun)} gives depends on sizes unknown: {first} and {second}, "
            f"in the trees {structure} and {other}."
        )
    shapes = [
        tuple(map(scope.extent, zip(a.shape, b.shape, strict=True)))
        for a, b in zip(first, second, strict=True)
    ]
    made = [
        ShapeDtypeStruct(shape, a.dtype, weak_type=a.weak_type)
        for shape, a in zip(shapes, first, strict=True)
    ]
    return tree.unflatten(structure, made)


@contextmanager
def ensure_compile_time_eval() -> Generator[None]:
    """Evaluate operations on concrete values at once, even inside a traced function.

    Operations with a traced operand are traced as they are outside of the with-statement.
    """
    with set_trace(FoldingTrace(current_trace())):
        yield


class named_scope:
    """A name for the eqns traced in a with-statement, or in a decorated function."""

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"named_scope takes a string, got {name!r}.")
        self.name = name

    def __enter__(self) -> None:
        self._scope = push_name(self.name)
        self._scope.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._scope.__exit__(*error)

    def __call__(self, fun: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(fun)
        def named(*args: Any, **kwargs: Any) -> Any:
            with push_name(self.name):
                return fun(*args, **kwargs)

        return named


def named_call(fun: Callable[..., Any], *, name: str | None = None) -> Callable[..., Any]:
    """The function, its eqns named after it."""
    return named_scope(name or name_of(fun))(fun)


def typeof(x: Any) -> Any:
    """The aval of a value: shape, dtype and weak type."""
    return aval_of(x)

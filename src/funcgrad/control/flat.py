"""From user functions on pytrees to flat functions on lists of arrays, and back.

`FlatFunction` is a user's function with its static arguments put in place: called with leaves, it
rebuilds the arguments, runs the function, and returns the leaves of the result, whose tree it
keeps.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from functools import WRAPPER_ASSIGNMENTS, partial
from typing import Any, TypeVar

from .. import tree
from ..core.array import Array
from ..core.sources import user_line
from ..core.trace import Tracer
from ..ir.avals import is_value

F = TypeVar("F", bound=Callable[..., Any])

# What a function may be given of another, and as what.
_kinds: dict[str, type] = {
    name: {
        "__name__": str,
        "__qualname__": str,
        "__annotations__": dict,
        "__type_params__": tuple,
    }.get(name, object)
    for name in WRAPPER_ASSIGNMENTS
}


class FlatFunction:
    """A function of leaves.

    Attributes:
        in_tree: tree of `(args, kwargs)`.
        out_tree: tree of the result of the last call.
        aux: with `has_aux`, the second part of the result, as leaves and tree.
    """

    def __init__(
        self, fun: Callable[..., Any], in_tree: Any, has_aux: bool = False, name: str = ""
    ) -> None:
        self.fun = fun
        self.in_tree = in_tree
        self.has_aux = has_aux
        self.name = name or name_of(fun)
        self.out_tree: Any = None
        self.aux: tuple[list[Any], Any] | None = None

    def __call__(self, *leaves: Any) -> list[Any]:
        args, kwargs = tree.unflatten(self.in_tree, leaves)
        out = self.fun(*args, **kwargs)
        if self.has_aux:
            out, aux = split_aux(out, self.name)
            self.aux = tree.flatten(aux)
        leaves_out, self.out_tree = tree.flatten(out)
        check_leaves(out, leaves_out, f"the result of {self.name}")
        return leaves_out


def split_aux(out: Any, name: str) -> tuple[Any, Any]:
    """The result and the auxiliary data of a function with has_aux=True.

    Raises:
        TypeError: the function did not return a pair.
    """
    given: Any = out
    if not isinstance(out, (tuple, list)) or len(out) != 2:  # pyright: ignore[reportUnknownArgumentType]
        raise TypeError(
            f"expected function {name} with aux output to return a two-element tuple "
            f"(result, aux), but got type {given.__class__.__name__} with value {out!r}."
        )
    return out[0], out[1]  # pyright: ignore[reportUnknownVariableType]


def name_of(fun: Any) -> str:
    """The name a function is printed with."""
    while isinstance(fun, partial):
        fun = fun.func  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    name = getattr(fun, "__name__", None)
    return name if isinstance(name, str) else type(fun).__name__


def wraps(fun: Callable[..., Any]) -> Callable[[F], F]:
    """`functools.wraps`, also of callables whose fields have such names and hold something else."""
    held = [name for name, kind in _kinds.items() if isinstance(getattr(fun, name, None), kind)]
    wrapping: Any = functools.wraps(fun, held)
    return wrapping


_plain = (Array, bool, int, float, complex)


def check_leaves(whole: Any, leaves: Sequence[Any], what: str) -> None:
    """Raise TypeError, with the path, for a leaf that is not an array value."""
    for leaf in leaves:
        if type(leaf) in _plain or isinstance(leaf, Tracer) or is_value(leaf):
            continue
        paths = [tree.keystr(path) for path, x in tree.leaves_with_path(whole) if x is leaf]
        at = f" at {paths[0]}" if paths and paths[0] else ""
        where = f", in {what.strip()}{at}"
        raise TypeError(
            f"Value {leaf!r} with type {type(leaf)} is not a valid array type{where}. Give "
            "arrays or numbers; mark other arguments static (static_argnums, static_argnames)."
        )


def signature_of(fun: Any) -> inspect.Signature | None:
    """The signature of a function, where it has one."""
    try:
        return inspect.signature(fun)
    except (ValueError, TypeError):
        return None


def argument_names(fun: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> list[str]:
    """A name for each leaf of the arguments: `x`, `params['w']`, for error messages."""
    signature = signature_of(fun)
    names: list[str] = []
    bound: dict[str, Any] = {}
    if signature is not None:
        try:
            bound = dict(signature.bind(*args, **kwargs).arguments)
        except TypeError:
            bound = {}
    if not bound:
        bound = {f"args[{i}]": x for i, x in enumerate(args)} | dict(kwargs)
    for name, value in bound.items():
        names += [name + tree.keystr(path) for path, _ in tree.leaves_with_path(value)]
    return names


def canonical_argnums(
    argnums: int | Sequence[int],
    count: int,
    what: str,
    fun_name: str = "the function",
    error: type[Exception] = ValueError,
) -> tuple[int, ...]:
    """Positions counted from the front.

    Raises:
        TypeError: a position is not an integer.
        ValueError: a position is out of range (or the class given as `error`).
    """
    if isinstance(argnums, int):
        argnums = (argnums,)
    result: list[int] = []
    for i in argnums:
        if isinstance(i, bool) or not hasattr(i, "__index__"):
            raise TypeError(f"{what} must be an int or a tuple of ints, got {argnums!r}.")
        if not -count <= i < count:
            raise error(
                f"{what}={i} is out of range: {fun_name} was called with {count} positional "
                f"argument{'s' if count != 1 else ''}.\n  {user_line()}\n"
                "  Pass that argument by position."
            )
        result.append(i % count)
    return tuple(result)

"""Functions wrapped in transformations, as `jax.extend.linear_util` and `jax.api_util` have them.

A transformation is a generator: it yields the arguments for the function it wraps, is sent the
result, and yields the result of the whole. It may store one more value on the way, as the tree of
the result. The transformations of a `WrappedFun` run from the last added to the first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .. import tree
from ..core.shapes import ShapeDtypeStruct
from ..ir.avals import aval_of

_unset: Any = object()


class StoreException(Exception):
    """A value was asked for before it was stored, or stored twice."""


class Store:
    """One value, stored once."""

    def __init__(self) -> None:
        self._value = _unset

    def store(self, value: Any) -> None:
        """Keep the value.

        Raises:
            StoreException: there is one already.
        """
        if self._value is not _unset:
            raise StoreException("a value is stored already")
        self._value = value

    def reset(self) -> None:
        """Forget the value."""
        self._value = _unset

    def __call__(self) -> Any:
        """The value.

        Raises:
            StoreException: nothing was stored: the function was not called.
        """
        if self._value is _unset:
            raise StoreException("no value is stored: call the wrapped function first")
        return self._value

    val = property(__call__)


class WrappedFun:
    """A function and the transformations around it; called by `call_wrapped`."""

    def __init__(self, f: Callable[..., Any], params: Any = None, debug_info: Any = None) -> None:
        self.f = f
        self.f_transformed = f
        self.params: dict[str, Any] = params or {}
        self.debug_info = debug_info

    @property
    def __name__(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return getattr(self.f, "__name__", "<unnamed wrapped function>")

    def call_wrapped(self, *args: Any, **kwargs: Any) -> Any:
        """The function called through its transformations."""
        return self.f_transformed(*args, **kwargs)

    def wrap(self, around: Callable[..., Any]) -> WrappedFun:
        """One more transformation: `around` is given the inner function and the arguments."""
        out = WrappedFun(self.f, self.params, self.debug_info)
        out.f_transformed = partial(around, self.f_transformed)
        return out


def wrap_init(f: Callable[..., Any], params: Any = None, *, debug_info: Any = None) -> WrappedFun:
    """A function without transformations, its keywords bound."""
    bound = partial(f, **params) if params else f
    return WrappedFun(bound, params, debug_info)


def transformation(generator: Callable[..., Any]) -> Callable[..., WrappedFun]:
    """A transformation written as a generator, applied to a WrappedFun and its own arguments."""

    def applied(fun: WrappedFun, *static: Any) -> WrappedFun:
        def around(inner: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            return _drive(generator(*static, *args, **kwargs), inner)

        return fun.wrap(around)

    return applied


def transformation_with_aux(generator: Callable[..., Any]) -> Callable[..., Any]:
    """As `transformation`; its last yield is the result and the value that is stored."""

    def applied(fun: WrappedFun, *static: Any) -> tuple[WrappedFun, Store]:
        kept = Store()

        def around(inner: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            result, aux = _drive(generator(*static, *args, **kwargs), inner)
            kept.store(aux)
            return result

        return fun.wrap(around), kept

    return applied


def _drive(running: Any, inner: Callable[..., Any]) -> Any:
    args, kwargs = next(running)
    result = running.send(inner(*args, **kwargs))
    running.close()
    return result


def transformation2(function: Callable[..., Any]) -> Callable[..., WrappedFun]:
    """A transformation written as a function of the inner function and the arguments."""

    def applied(fun: WrappedFun, *static: Any) -> WrappedFun:
        def around(inner: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            return function(inner, *static, *args, **kwargs)

        return fun.wrap(around)

    return applied


def transformation_with_aux2(function: Callable[..., Any]) -> Callable[..., Any]:
    """As `transformation2`; the function is also given where to store a value."""

    def applied(fun: WrappedFun, *static: Any) -> tuple[WrappedFun, Store]:
        kept = Store()

        def around(inner: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            return function(inner, kept, *static, *args, **kwargs)

        return fun.wrap(around), kept

    return applied


def merge_linear_aux(first: Store, second: Store) -> tuple[bool, Any]:
    """The value of the one that has one, and whether it is the first.

    Raises:
        StoreException: both have a value, or neither.
    """
    try:
        value = first()
    except StoreException:
        return False, second()
    try:
        second()
    except StoreException:
        return True, value
    raise StoreException("both values are stored")


@transformation_with_aux
def flatten_fun(in_tree: Any, *leaves: Any) -> Any:
    """The function on the leaves of `(args, kwargs)`; what is stored is the tree of the result."""
    args, kwargs = tree.unflatten(in_tree, leaves)
    yield tree.flatten((yield args, kwargs))


@transformation_with_aux
def flatten_fun_nokwargs(in_tree: Any, *leaves: Any) -> Any:
    """The function on the leaves of `args`; what is stored is the tree of the result."""
    yield tree.flatten((yield tree.unflatten(in_tree, leaves), {}))


def shaped_abstractify(x: Any) -> Any:
    """The aval of a value, or of what stands for one."""
    return x.aval if isinstance(x, ShapeDtypeStruct) else aval_of(x)

"""Arrays that can be assigned to, for array API programs that assign: `x[i] = value`.

In: arrays. Out: a `MutableArray`, and by this module's attributes all functions of `funcgrad.numpy`
that take and return them. The one idea: a MutableArray is a name for one immutable array after
another. Traces, derivatives and compiled functions only ever see the array of the moment, so what
they keep does not change under them; assignment through one name is never seen through another.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from .. import numpy as fnp
from .. import tree
from ..core.array import Array
from ..ir.avals import AnyArray
from ..numpy import namespace_info

# Functions that may return an argument itself, which then keeps its name, and where they do.
_SAME: dict[str, tuple[bool | None, ...]] = {"asarray": (None, False), "astype": (False,)}


class MutableArray:
    """A name for an array, to which elements can be assigned.

    It has the methods, properties and operators of arrays, which return a MutableArray for each
    array; `at` alone is that of the array it names, and gives arrays. Its namespace of the array
    API is this module. Indexing copies: there are no views. Assignment has NumPy's meaning; it
    copies the memory where another array still shares it, so a loop of assignments copies once.
    Under a trace it is `x.at[index].set(value)`, which can be differentiated. Functions of
    `funcgrad` that are given one take the array it names.

    Args:
        x: array-like; its memory is shared until the first assignment.
    """

    # NumPy's operators leave the work to ours.
    __array_priority__ = 1001
    __slots__ = ("__weakref__", "_memory", "_value")

    def __init__(self, x: Any) -> None:
        self._value: Any = fnp.asarray(x)
        # While nobody else holds it: the memory that assignment writes to, instead of `_value`.
        self._memory: np.ndarray[Any, Any] | None = None

    @property
    def value(self) -> Any:
        """The immutable array that it names at this moment."""
        if self._memory is not None:
            self._value, self._memory = Array(self._memory), None
        return self._value

    def __setitem__(self, index: Any, value: Any) -> None:
        index, value = _plain(index), _plain(value)
        leaves: list[Any] = tree.leaves((self._value, index, value))
        held = [x for x in leaves if isinstance(x, AnyArray)]
        if any(type(x) is not Array for x in held):
            # Traced, or in the memory of another device.
            self._value = self.value.at[index].set(value)
            return
        if self._memory is None:
            self._memory, self._value = np.array(self._value.numpy()), None
        self._memory[_host(index)] = _host(value)

    def __getitem__(self, index: Any) -> Any:
        return _named(self.value[_plain(index)])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        found = getattr(self.value, name)
        return _lifted(found) if callable(found) else _named(found)

    def __array_namespace__(self, /, *, api_version: str | None = None) -> types.ModuleType:
        namespace_info.check_version(api_version)
        return sys.modules[__name__]

    def __hash__(self) -> NoReturn:
        raise TypeError("unhashable type: 'MutableArray'. Use .item() or .tobytes() as a key.")

    # What asks for the array of the moment.

    def __jax_array__(self) -> Any:
        return self.value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return self.value.__array__(dtype, copy)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        return self.value.__dlpack__(
            stream=stream, max_version=max_version, dl_device=dl_device, copy=copy
        )

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.value.__dlpack_device__()

    def __reduce__(self) -> Any:
        return MutableArray, (self.value,)

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return (_named(x) for x in self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __float__(self) -> float:
        return float(self.value)

    def __complex__(self) -> complex:
        return complex(self.value)

    def __index__(self) -> int:
        return self.value.__index__()

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

    def __repr__(self) -> str:
        return f"Mutable{self.value!r}"


def _plain(x: Any) -> Any:
    """The same with the arrays that MutableArrays name at this moment."""
    return tree.map(lambda v: v.value if isinstance(v, MutableArray) else v, x)


def _named(x: Any) -> Any:
    """The same with a new name for each array."""
    return tree.map(lambda v: MutableArray(v) if isinstance(v, AnyArray) else v, x)


def _host(x: Any) -> Any:
    """The same with arrays as NumPy's."""
    return tree.map(lambda v: v.numpy() if isinstance(v, Array) else v, x)


def _lifted(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of arrays as one that takes and returns MutableArrays."""
    keeps = _SAME.get(getattr(function, "__name__", ""), ())

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        out = function(*_plain(args), **_plain(kwargs))
        if keeps and kwargs.get("copy") in keeps:
            for x in args[:1]:
                if isinstance(x, MutableArray) and out is x.value:
                    return x
        return _named(out)

    return call


def _operator(name: str) -> Callable[..., Any]:
    """An operator on the arrays that are named."""
    method = getattr(AnyArray, name)

    def call(self: MutableArray, *others: Any) -> Any:
        out = method(self.value, *_plain(others))
        return out if out is NotImplemented else _named(out)

    call.__name__ = name
    return call


def _in_place(name: str) -> Callable[..., Any]:
    """An operator that changes its left side, which keeps its shape and dtype."""
    method = getattr(AnyArray, name)

    def call(self: MutableArray, other: Any) -> Any:
        value = self.value
        out = method(value, _plain(other))
        if out is NotImplemented:
            return out
        if (out.shape, out.dtype) != (value.shape, value.dtype):
            raise TypeError(
                f"__i{name.strip('_')}__ would turn {value.dtype}{list(value.shape)} into "
                f"{out.dtype}{list(out.shape)}, which assignment in place cannot. "
                "Write x = x + y instead, or convert the right side."
            )
        self[...] = out
        return self

    call.__name__ = f"__i{name.strip('_')}__"
    return call


_BINARY = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split()
_OTHERS = "divmod rdivmod eq ne lt le gt ge neg pos abs invert round".split()
for _name in [*_BINARY, *(f"r{x}" for x in _BINARY), *_OTHERS]:
    setattr(MutableArray, f"__{_name}__", _operator(f"__{_name}__"))
for _name in _BINARY:
    setattr(MutableArray, f"__i{_name}__", _in_place(f"__{_name}__"))


@functools.cache
def _namespace_of(name: str, source: types.ModuleType) -> types.ModuleType:
    """The functions of a module, lifted, as a module."""
    module = types.ModuleType(f"{__name__}.{name}", source.__doc__)
    for key, found in vars(source).items():
        if not key.startswith("_"):
            setattr(module, key, _lifted(found) if isinstance(found, types.FunctionType) else found)
    return module


@functools.cache
def __getattr__(name: str) -> Any:
    """What `funcgrad.numpy` has under a name, on MutableArrays."""
    if name.startswith("__") and not name.startswith("__array_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(fnp, name)
    if isinstance(found, types.ModuleType):
        return _namespace_of(name, found)
    return found if isinstance(found, type) or not callable(found) else _lifted(found)


def __dir__() -> list[str]:
    return sorted({"MutableArray", *(x for x in dir(fnp) if not x.startswith("_"))})

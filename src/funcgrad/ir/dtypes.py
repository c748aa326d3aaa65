"""Element types of values: which there are, which are canonical, and how they promote.

In come dtypes, scalar types and values; out go NumPy dtypes. The one idea: a dtype belongs to a
node of the promotion lattice (`lattice.py`), and operands combine in the least upper bound of
their nodes. All answers are cached, because every eager operation asks.
"""

from __future__ import annotations

import functools
from typing import Any, Literal, cast, overload

import ml_dtypes
import numpy as np

from ..config import config
from . import narrow
from .cautions import caution
from .lattice import Node, least_upper_bound
from .lattice import TypePromotionError as TypePromotionError
from .sources import in_line

DType = np.dtype[Any]


class extended(np.void):
    """Abstract scalar class of dtypes that are not numbers, for use with `issubdtype`."""


class prng_key(extended):
    """Abstract scalar class of the dtypes of PRNG keys, for use with `issubdtype`."""


class fry(prng_key):
    """Scalar class of keys of the Threefry generator: two 32-bit words."""


bfloat16: type[Any] = ml_dtypes.bfloat16
key_dtype: DType = np.dtype((fry, [("hi", np.uint32), ("lo", np.uint32)]))
float0: DType = np.dtype([("float0", np.void, 0)])

_SHORT_NAMES: dict[DType, Node] = {
    np.dtype(type_): name
    for type_, name in (
        (np.bool_, "bool"),
        (np.int8, "i8"),
        (np.int16, "i16"),
        (np.int32, "i32"),
        (np.int64, "i64"),
        (np.uint8, "u8"),
        (np.uint16, "u16"),
        (np.uint32, "u32"),
        (np.uint64, "u64"),
        (np.float16, "f16"),
        (bfloat16, "bf16"),
        (np.float32, "f32"),
        (np.float64, "f64"),
        (np.complex64, "c64"),
        (np.complex128, "c128"),
        *((type_, name) for name, type_ in narrow.SHORT_NAMES.items()),
    )
}
_BY_SHORT_NAME: dict[Node, DType] = {name: dt for dt, name in _SHORT_NAMES.items()}
_HALVED: dict[DType, DType] = {
    np.dtype(np.int64): np.dtype(np.int32),
    np.dtype(np.uint64): np.dtype(np.uint32),
    np.dtype(np.float64): np.dtype(np.float32),
    np.dtype(np.complex128): np.dtype(np.complex64),
}
_PYTHON_SCALARS: dict[type, DType] = {
    bool: np.dtype(np.bool_),
    int: np.dtype(np.int64),
    float: np.dtype(np.float64),
    complex: np.dtype(np.complex128),
}
_WIDEST_OF_KIND: dict[str, DType] = {
    "b": np.dtype(np.bool_),
    "i": np.dtype(np.int64),
    "u": np.dtype(np.uint64),
    "f": np.dtype(np.float64),
    "c": np.dtype(np.complex128),
}
_WEAK_NODES: dict[Node, DType] = {
    "i*": np.dtype(np.int64),
    "f*": np.dtype(np.float64),
    "c*": np.dtype(np.complex128),
}
_WEAK_TYPES: dict[type, Node] = {int: "i*", float: "f*", complex: "c*"}

_BFLOAT16_ANCESTORS = frozenset({bfloat16, np.floating, np.inexact, np.number, np.generic})

supported_dtypes: frozenset[DType] = frozenset(_SHORT_NAMES)


# Classes of dtypes


def _scalar_class(x: Any) -> type[Any]:
    """The NumPy scalar class of a dtype, of a scalar class or of a Python scalar type."""
    if isinstance(x, type) and issubclass(x, np.generic):
        return cast("type[Any]", x)
    return cast(DType, x if isinstance(x, np.dtype) else np.dtype(cast(Any, x))).type


@functools.lru_cache(maxsize=1024)
def _is_subclass(a: type, b: type) -> bool:
    if a is bfloat16:
        return b in _BFLOAT16_ANCESTORS
    if a in narrow.ancestors:
        return b in narrow.ancestors[a]
    return issubclass(a, b)


def issubdtype(a: Any, b: Any) -> bool:
    """Whether dtype `a` lies at or below `b` in the hierarchy of scalar types.

    Like `numpy.issubdtype`, but bfloat16 and narrow floats count as `np.floating`, narrow integers
    as such, and the dtype of PRNG keys lies below `prng_key` and `extended`.
    """
    return _is_subclass(_scalar_class(a), _scalar_class(b))


def is_key_dtype(dtype: Any) -> bool:
    """Whether `dtype` is the dtype of PRNG keys."""
    # A plain struct of two words equals key_dtype; only the scalar class tells them apart.
    return isinstance(dtype, np.dtype) and issubclass(_scalar_class(dtype), prng_key)


def is_opaque(dtype: Any) -> bool:
    """Whether a dtype is no number: keys and float0 (NumPy's kind V holds bfloat16 and others)."""
    return dtype.kind == "V" and dtype not in supported_dtypes


def long_name(dtype: Any) -> str:
    """The dtype for error messages: `float32`, `bfloat16`, `key<fry>`."""
    return short_name(dtype) if is_opaque(dtype) else dtype.name


def kind_of(dtype: DType) -> str:
    """The letter of NumPy's kinds, where NumPy itself has V for bfloat16 and narrow dtypes."""
    return "f" if dtype.type is bfloat16 else narrow.kinds.get(dtype.type, dtype.kind)


# Canonical dtypes


def _supported(dtype: Any) -> DType:
    try:
        found = np.dtype(dtype)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{dtype!r} is not a dtype. Give a NumPy dtype, its name or a scalar type, "
            f"such as 'float32' or np.int32.{in_line()}"
        ) from error
    if found in _SHORT_NAMES or found == float0 or is_key_dtype(found):
        return found
    names = ", ".join(dt.name for dt in _SHORT_NAMES if not narrow.is_narrow(dt))
    raise TypeError(
        f"dtype {found} is not supported. Convert the value with .astype to one of {names}."
        f"{in_line()}"
    )


@functools.lru_cache(maxsize=1024)
def _canonicalize(dtype: Any, scalar_class: Any, x64: bool) -> DType:
    del scalar_class  # part of the cache key only: a plain struct equals key_dtype and hashes alike
    if isinstance(dtype, np.dtype) and not dtype.isnative:
        # Values from files and networks may have it; their bytes are turned when they enter.
        dtype = cast(DType, dtype).newbyteorder("=")
    found = _supported(dtype)
    return found if x64 else _HALVED.get(found, found)


def canonicalize_dtype(dtype: Any, allow_extended_dtype: bool = False) -> DType:
    """The dtype that a value asked for as `dtype` has: 32 bits in place of 64 unless x64 is on.

    The byte order of the result is the machine's.

    Args:
        dtype: a dtype, its name, a NumPy scalar type, or bool, int, float or complex.
        allow_extended_dtype: pass dtypes of PRNG keys through instead of refusing them.
    Raises:
        TypeError: values of this dtype are not supported.
        ValueError: a dtype of PRNG keys where a numeric one is needed, or an array.
    """
    try:
        found = _canonicalize(dtype, getattr(dtype, "type", None), config.enable_x64)
    except TypeError:
        if isinstance(dtype, np.dtype) or not hasattr(dtype, "aval"):
            raise
        raise ValueError(
            f"A dtype is needed, got {type(dtype).__name__}. Give a dtype such as 'float32', or "
            f"x.dtype for that of a value x.{in_line()}"
        ) from None
    if not allow_extended_dtype and issubclass(found.type, extended):
        raise ValueError(
            f"dtype {short_name(found)} is not numeric. Use random.key_data to get the words of a "
            "key as uint32 values."
        )
    return found


def _canonicalize_requested(dtype: DType, fun_name: str) -> DType:
    canonical = canonicalize_dtype(dtype, allow_extended_dtype=True)
    if canonical != dtype:
        where = f" asked for in {fun_name}" if fun_name else ""
        caution(
            f"dtype {dtype.name}{where} is not available while x64 is off; {canonical.name} is "
            f"used instead. Ask for {canonical.name}, or turn 64-bit values on with "
            "config.update('enable_x64', True) or FUNCGRAD_ENABLE_X64=1 in the environment."
        )
    return canonical


def check_user_dtype_supported(dtype: Any, fun_name: str = "") -> DType:
    """The canonical form of a dtype that a user asked for by name.

    Python's bool, int, float and complex ask for the default of their kind and never warn.

    Args:
        dtype: what the user gave as ``dtype=``.
        fun_name: the public function it was given to, for the message.
    Raises:
        TypeError: values of this dtype are not supported.
        ValueError: `dtype` is None or a value rather than a dtype.
    Warns:
        UserWarning: a 64-bit dtype was asked for while x64 is off.
    """
    if dtype is None or (hasattr(dtype, "shape") and not isinstance(dtype, (np.dtype, type))):
        where = f" in {fun_name}" if fun_name else ""
        raise ValueError(
            f"A dtype is needed{where}, got {type(dtype).__name__}. "
            f"Give a dtype such as 'float32', or x.dtype for that of a value x.{in_line()}"
        )
    if isinstance(dtype, type) and dtype in _PYTHON_SCALARS:
        return canonicalize_dtype(_PYTHON_SCALARS[dtype])
    return _canonicalize_requested(_supported(dtype), fun_name)


# Dtypes of values


def is_weakly_typed(x: Any) -> bool:
    """Whether the dtype of `x` gives way to those it meets.

    So do Python's int, float and complex, and values computed from nothing else. A Python bool has
    the lowest dtype anyhow and counts as strong.
    """
    if type(x) in _WEAK_TYPES:
        return True
    return not isinstance(x, (np.ndarray, np.generic, type)) and (
        getattr(x, "weak_type", False) is True
    )


def dtype(x: Any) -> DType:
    """The dtype of a value, a dtype or a scalar type.

    Python scalars and NumPy arrays have the canonical form of their dtype; values of funcgrad keep
    the dtype they have.

    Raises:
        TypeError: `x` has no dtype, or one that is not supported.
        ValueError: `x` is None.
    Warns:
        UserWarning: `x` is a 64-bit dtype or NumPy scalar type while x64 is off.
    """
    python = _PYTHON_SCALARS.get(cast("type[Any]", type(x)))
    if python is not None:
        return canonicalize_dtype(python)
    if isinstance(x, (type, str, np.dtype)):
        return _dtype_of_type(x)
    found: DType | None = getattr(x, "dtype", None)
    if isinstance(found, np.dtype):
        if hasattr(x, "weak_type"):
            return found
        return canonicalize_dtype(found, allow_extended_dtype=True)
    if x is None:
        raise ValueError("None has no dtype. Give a value, a dtype or a scalar type.")
    if isinstance(x, (int, float, complex)):
        return canonicalize_dtype(np.asarray(x).dtype)
    raise TypeError(
        f"A value of type {type(x).__name__} has no dtype: {x!r}. "
        "Convert it to an array first, for example with numpy.asarray."
    )


def _dtype_of_type(x: Any) -> DType:
    if x in _PYTHON_SCALARS:
        return canonicalize_dtype(_PYTHON_SCALARS[x])
    return _canonicalize_requested(_supported(x), "dtype")


def scalar_type_of(x: Any) -> type:
    """The Python type (bool, int, float or complex) of the elements of `x`.

    Raises:
        TypeError: the elements of `x` are not numbers.
    """
    found = dtype(x)
    kinds: dict[str, type] = {"b": bool, "i": int, "u": int, "f": float, "c": complex}
    kind = kind_of(found)
    if kind not in kinds:
        raise TypeError(
            f"dtype {short_name(found)} has no Python scalar type. "
            "Only booleans, integers, floats and complex numbers have one."
        )
    return kinds[kind]


@functools.lru_cache(maxsize=256)
def _short_name(dtype: DType, scalar_class: Any) -> str:
    if issubclass(scalar_class, prng_key):
        return f"key<{scalar_class.__name__}>"
    if dtype == float0:
        return "float0"
    return _SHORT_NAMES.get(dtype, dtype.name)


def short_name(dtype: Any) -> str:
    """The name of a dtype in jaxprs and messages: ``f32``, ``bf16``, ``i32``, ``key<fry>``, ..."""
    found = np.dtype(dtype)
    return _short_name(found, found.type)


# Neighbours of a dtype


def to_numeric_dtype(dtype: Any) -> DType:
    """`dtype` itself, or int32 for booleans."""
    found = np.dtype(dtype)
    return np.dtype(np.int32) if found.kind == "b" else found


def to_inexact_dtype(dtype: Any) -> DType:
    """`dtype` itself if it is inexact; float64 for 64-bit integers, float32 for the others."""
    found = np.dtype(dtype)
    if kind_of(found) not in "biu":
        return found
    return np.dtype(np.float64 if found.itemsize == 8 else np.float32)


def to_floating_dtype(dtype: Any) -> DType:
    """The real inexact dtype of `dtype`: that of the parts of a complex number."""
    found = to_inexact_dtype(dtype)
    if found.kind == "c":
        return np.dtype(np.float64 if found.itemsize == 16 else np.float32)
    return finfo(found).dtype


def to_complex_dtype(dtype: Any) -> DType:
    """complex128 for dtypes whose inexact form is float64 or complex128, complex64 for the rest."""
    double = to_inexact_dtype(dtype) in (np.dtype(np.float64), np.dtype(np.complex128))
    return np.dtype(np.complex128 if double else np.complex64)


def tangent_dtype(dtype: Any) -> DType:
    """The dtype of tangents of values of `dtype`: its own if inexact, else `float0`."""
    found = np.dtype(dtype)
    return found if kind_of(found) in "fc" else float0


def finfo(dtype: Any) -> Any:
    """Limits of a floating or complex dtype, bfloat16 included."""
    return cast(Any, ml_dtypes.finfo)(dtype)


def iinfo(dtype: Any) -> Any:
    """Limits of an integer dtype."""
    return ml_dtypes.iinfo(dtype)


def itemsize_bits(dtype: Any) -> int:
    """Bits per element of a numeric dtype.

    Raises:
        ValueError: `dtype` is None or not numeric.
    """
    if dtype is None or np.dtype(dtype) not in _SHORT_NAMES:
        raise ValueError(f"A numeric dtype is needed, got {dtype!r}. Give one such as 'float32'.")
    return narrow.bits_of(np.dtype(dtype))


# Promotion


def _node(dtype: DType, weak: bool) -> Node:
    node = _SHORT_NAMES.get(dtype)
    if node is None:
        raise TypePromotionError(
            f"dtype {short_name(dtype)} does not promote with other dtypes. "
            "All operands must have it, or none."
        )
    return {"b": node, "i": "i*", "u": "i*", "f": "f*", "c": "c*"}[kind_of(dtype)] if weak else node


@functools.lru_cache(maxsize=4096)
def _promote(operands: tuple[tuple[DType, bool], ...], mode: str, x64: bool) -> tuple[DType, bool]:
    """The dtype and weakness of the result of combining (dtype, weak) pairs."""
    first = operands[0][0]
    all_weak = all(weak for _, weak in operands)
    # Among weak operands alone their dtypes decide, and the result is weak again; not so in strict
    # mode, which combines only their kinds.
    by_kind = not all_weak or mode == "strict"
    same = all(dt == first for dt, _ in operands)
    if len(operands) == 1 or (same and not (all_weak and by_kind)):
        found, weak = first, all_weak
    else:
        nodes = [_node(dt, weak and by_kind) for dt, weak in operands]
        bound = least_upper_bound(nodes, mode == "strict", x64)
        weak = all_weak or bound in _WEAK_NODES
        found = _WEAK_NODES[bound] if bound in _WEAK_NODES else _BY_SHORT_NAME[bound]
        found = found if x64 else _HALVED.get(found, found)
    if weak and found.kind != "b":
        found = _WIDEST_OF_KIND[kind_of(found)]
        return (found if x64 else _HALVED[found]), True
    return found, False


def _operand(x: Any) -> tuple[DType, bool]:
    if isinstance(x, type):
        return dtype(x), x in _WEAK_TYPES
    if x is None:
        return canonicalize_dtype(float), False
    return dtype(x), is_weakly_typed(x)


@overload
def result_type(*args: Any, return_weak_type_flag: Literal[True]) -> tuple[DType, bool]: ...
@overload
def result_type(*args: Any, return_weak_type_flag: Literal[False] = False) -> DType: ...
def result_type(*args: Any, return_weak_type_flag: bool = False) -> DType | tuple[DType, bool]:
    """The dtype in which values and dtypes combine: their least upper bound in the lattice.

    Args:
        args: values, dtypes, or scalar types; int, float and complex are weak, None is the
            default float.
        return_weak_type_flag: return (dtype, weak) instead of the dtype.
    Raises:
        TypePromotionError: there is no such dtype.
        ValueError: no arguments.
    """
    if not args:
        raise ValueError("result_type needs at least one value or dtype.")
    operands = tuple(map(_operand, args))
    first, weak = operands[0]
    # The common case on the path of every eager operation: one strong dtype throughout.
    if not weak and all(dt is first and not other for dt, other in operands):
        result = (first, False)
    else:
        result = _promote(operands, config.numpy_dtype_promotion, config.enable_x64)
    return result if return_weak_type_flag else result[0]


def promote_types(a: Any, b: Any) -> DType:
    """The least upper bound of two dtypes; int, float and complex stand for the weak nodes.

    Raises:
        TypePromotionError: there is no such dtype.
    """
    nodes = [
        _WEAK_TYPES[t] if isinstance(t, type) and t in _WEAK_TYPES else _node(_supported(t), False)
        for t in (a, b)
    ]
    bound = least_upper_bound(nodes, config.numpy_dtype_promotion == "strict", config.enable_x64)
    return _WEAK_NODES[bound] if bound in _WEAK_NODES else _BY_SHORT_NAME[bound]

"""Bringing operands together: what is accepted as one, one dtype for all, one rank for all.

In: the arguments of a NumPy function. Out: values primitives accept. The one idea: Python scalars
become arrays of the common dtype at once, so that a jaxpr shows a literal and no conversion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..config import config
from ..core.array import Array
from ..core.sources import user_line
from ..core.trace import Tracer, as_array
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of, is_value
from ..ir.cautions import caution
from ..primitives.broadcasting import broadcast_shapes, expand_dims
from ..primitives.casting import convert_element_type_p


def check_arraylike(name: str, *args: Any) -> None:
    """Raise TypeError unless every argument is an array or a number; lists and None are not."""
    for i, x in enumerate(args):
        if isinstance(x, (Array, Tracer)) or is_value(x):
            continue
        remedy = "Convert it with asarray first: sequences are never converted silently."
        raise TypeError(
            f"{name} requires ndarray or scalar arguments, got {type(x)} at position {i}. "
            f"{remedy}\n  {user_line()}"
        )


def is_sequence(x: Any) -> bool:
    """Whether x is a list or a tuple; a type checker learns nothing from the answer."""
    return isinstance(x, (list, tuple))


def is_ndarray(x: Any) -> bool:
    """Whether x is a NumPy array; a type checker learns nothing from the answer."""
    return isinstance(x, np.ndarray)


def is_array(x: Any) -> bool:
    """Whether x is an array of NumPy's or ours."""
    return isinstance(x, (np.ndarray, Array, Tracer))


def counting(*bounds: int) -> Any:
    """NumPy's arange of concrete integers."""
    return np.arange(*bounds)


def is_tuple(x: Any) -> bool:
    """Whether x is a tuple; a type checker learns nothing from the answer."""
    return isinstance(x, tuple)


def is_list(x: Any) -> bool:
    """Whether x is a list; a type checker learns nothing from the answer."""
    return isinstance(x, list)


def unwrap(x: Any) -> Any:
    """The value itself, or the one an object offers by `__jax_array__`."""
    if is_array(x) or not hasattr(x, "__jax_array__"):
        return x
    return x.__jax_array__()


def refuse_out(name: str, out: Any) -> None:
    """Raise for an `out` argument: arrays are immutable."""
    if out is not None:
        raise NotImplementedError(
            f"{name} does not take out: arrays are immutable. Use the result."
        )


def convert(x: Any, dtype: np.dtype[Any], weak: bool = False) -> Any:
    """The value in a dtype; scalars that are no arrays yet are converted on the spot."""
    aval = getattr(x, "aval", None)
    if aval is None:
        if isinstance(x, (bool, int, float, complex, np.generic)):
            return scalar(x, dtype, weak)
        x = unwrap(x)
        aval = aval_of(x)
    if aval.dtype == dtype:
        if aval.weak_type == weak:
            return x
        if type(x) is Array:
            return Array(x.numpy(), aval.update(weak_type=weak))
    return convert_element_type_p.bind(x, new_dtype=dtype, weak_type=weak)


_scalar_avals: dict[tuple[np.dtype[Any], bool], ShapedArray] = {}
_scalars: dict[Any, Array] = {}
_scalar_limit = 1024


def scalar(x: Any, dtype: np.dtype[Any], weak: bool = False) -> Array:
    """A number as an array of a dtype; integers wrap."""
    # Programs meet the same few numbers again and again. 0.0 and -0.0 are one key but two numbers.
    key: Any = (x, x.__class__, dtype, weak) if x else None
    found = _scalars.get(key) if key is not None else None
    if found is not None:
        return found
    made = make_scalar(x, dtype, weak)
    if key is not None and len(_scalars) < _scalar_limit:
        _scalars[key] = made
    return made


def make_scalar(x: Any, dtype: np.dtype[Any], weak: bool) -> Array:
    """A number as a new array of a dtype; integers wrap."""
    aval = _scalar_avals.get((dtype, weak))
    if aval is None:
        aval = _scalar_avals[dtype, weak] = ShapedArray((), dtype, weak)
    with np.errstate(all="ignore"):
        return Array(np.asarray(np.asarray(x).astype(dtype)), aval)


def to_array(x: Any) -> Any:
    """The value as an Array or Tracer; Python scalars keep their weak type."""
    return x if isinstance(x, (Array, Tracer)) else as_array(unwrap(x))


def strong(x: Any) -> Any:
    """The value as an Array or Tracer that is not weak: what folds give has the dtype it has."""
    value = to_array(x)
    return convert(value, value.dtype) if value.weak_type else value


def _refuse_keys(name: str, args: Sequence[Any]) -> None:
    """Raise for keys beside numbers: an operation on elements takes one or the other."""
    found = [dtype_of(x) for x in args]
    keys = [dtypes.is_key_dtype(dtype) for dtype in found]
    if any(keys) and not all(keys):
        raise TypeError(
            f"{name} does not accept dtypes {', '.join(map(dtypes.short_name, found))}.\n"
            f"  {user_line()}\n  Keys are no numbers; random.key_data gives the words of a key."
        )


def refuse_key(name: str, x: Any) -> None:
    """Raise for a random key where numbers are asked about."""
    if dtypes.is_key_dtype(dtype_of(x)):
        raise TypeError(
            f"{name} does not accept dtype {dtypes.short_name(dtype_of(x))}.\n  {user_line()}\n"
            "  Keys are no numbers; random.key_data gives the words of a key."
        )


def promote_dtypes(*args: Any) -> list[Any]:
    """The values in their common dtype."""
    args = tuple(map(unwrap, args))
    dtype, weak = dtypes.result_type(*args, return_weak_type_flag=True)
    return [convert(x, dtype, weak) for x in args]


def promote_dtypes_inexact(*args: Any) -> list[Any]:
    """The values in their common dtype, or the float that goes with it."""
    args = tuple(map(unwrap, args))
    dtype, weak = dtypes.result_type(*args, return_weak_type_flag=True)
    inexact = dtypes.to_inexact_dtype(dtype)
    return [convert(x, inexact, weak) for x in args]


def promote_shapes(name: str, *args: Any) -> Sequence[Any]:
    """The values in one rank; scalars and axes of size 1 are left to the primitives.

    Raises:
        ValueError: the shapes do not broadcast, or ranks differ and the config forbids it.
    """
    shapes = [aval_of(x).shape for x in args]
    ranks = {len(s) for s in shapes if s}
    if len(ranks) < 2:
        return args
    if config.numpy_rank_promotion != "allow":
        check_rank_promotion(name, shapes)
    rank = len(broadcast_shapes(*shapes))
    return [
        expand_dims(x, tuple(range(rank - len(s)))) if 0 < len(s) < rank else x
        for x, s in zip(args, shapes, strict=True)
    ]


def check_rank_promotion(name: str, shapes: Sequence[tuple[int, ...]]) -> None:
    """Warn or raise because operands of unequal rank broadcast."""
    text = (
        f"Operands could not be broadcast together for {name} on shapes "
        f"{' '.join(map(str, shapes))} and with the config option numpy_rank_promotion="
        f"'{config.numpy_rank_promotion}'.\n  {user_line()}\n"
        "  Add axes with expand_dims or reshape, or set numpy_rank_promotion to 'allow'."
    )
    if config.numpy_rank_promotion == "raise":
        raise ValueError(text)
    caution(text)


_scalars_below = {"f": (float, int), "c": (float, int, complex), "i": (int,), "u": (int,)}


def _ready_pair(x: Any, y: Any) -> tuple[Any, Any] | None:
    """Two operands that need little promotion, which eager code meets at most operations.

    Either both have one aval, or one is a Python number that cannot change the other's dtype.
    """
    first, second = getattr(x, "aval", None), getattr(y, "aval", None)
    if first is not None:
        if first == second:
            return x, y
        if type(y) in _scalars_below.get(first.dtype.kind, ()):
            return x, scalar(y, first.dtype, first.weak_type)
    elif second is not None and type(x) in _scalars_below.get(second.dtype.kind, ()):
        return scalar(x, second.dtype, second.weak_type), y
    return None


def _of_one_dtype(x: Any, y: Any) -> bool:
    """Whether two operands are arrays of one dtype of numbers, so that only shapes are promoted."""
    first, second = getattr(x, "aval", None), getattr(y, "aval", None)
    if first is None or second is None or first.dtype.kind not in "biufc":
        return False
    return first.dtype == second.dtype and first.weak_type == second.weak_type


def promote_args(name: str, *args: Any) -> Sequence[Any]:
    """The checked arguments in one dtype and rank."""
    if len(args) == 2:
        ready = _ready_pair(*args)
        if ready is not None:
            return ready
        if _of_one_dtype(*args):
            return promote_shapes(name, *args)
    check_arraylike(name, *args)
    _refuse_keys(name, args)
    return promote_shapes(name, *promote_dtypes(*args))


def promote_args_inexact(name: str, *args: Any) -> Sequence[Any]:
    """The checked arguments in one inexact dtype and one rank."""
    first = getattr(args[0], "aval", None)
    if first is not None and first.dtype.kind in "fc":
        ready = args if len(args) == 1 else _ready_pair(*args) if len(args) == 2 else None
        if ready is not None:
            return ready
        if len(args) == 2 and _of_one_dtype(*args):
            return promote_shapes(name, *args)
    check_arraylike(name, *args)
    _refuse_keys(name, args)
    return promote_shapes(name, *promote_dtypes_inexact(*args))


def promote_args_numeric(name: str, *args: Any) -> Sequence[Any]:
    """The checked arguments in one dtype that is not bool, and one rank."""
    values = promote_args(name, *args)
    if aval_of(values[0]).dtype.kind != "b":
        return values
    numeric = np.dtype(np.int32)
    return [convert(x, numeric) for x in values]


def kind_of(x: Any) -> str:
    """The letter of the kind of x: b, i, u, f or c."""
    return dtypes.kind_of(dtype_of(x))


def dtype_of(x: Any) -> np.dtype[Any]:
    """The dtype of a checked value."""
    return aval_of(x).dtype


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of a checked value."""
    return aval_of(x).shape


def extents_of(name: str, x: Any) -> tuple[int, ...]:
    """The shape of any value; what is neither an array nor a number is deprecated, as in JAX."""
    if isinstance(x, (Array, Tracer)) or is_value(x):
        return shape_of(x)
    caution(
        f"{name} requires ndarray or scalar arguments, got {type(x)} at position 0. This will be "
        "an error, as in JAX: convert it with asarray first.",
        DeprecationWarning,
    )
    return np.shape(x)


def requested_dtype(dtype: Any, name: str) -> np.dtype[Any] | None:
    """The canonical form of a `dtype=` argument, `None` where none was given."""
    return None if dtype is None else dtypes.check_user_dtype_supported(dtype, name)

"""Dtypes as callables: float32(1.5), int32(3), bool_(x); and questions about dtypes.

Each is a class whose only use is to be called, or to be given as a dtype. Calling it makes an
array of that dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir import dtypes, narrow
from .creation import asarray


class ScalarMeta(type):
    """The class of scalar types: calling one makes an array, and all stand for their dtype."""

    dtype: np.dtype[Any]

    def __call__(cls, x: Any) -> Any:
        return asarray(x, dtype=cls.dtype)

    def __eq__(cls, other: object) -> bool:
        # Neither None nor a name is a dtype, though np.dtype takes both for one.
        given: Any = other
        return cls is other or cls.dtype.type == given

    def __ne__(cls, other: object) -> bool:
        return not cls == other

    def __hash__(cls) -> int:
        return hash(cls.dtype.type)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.dtype.type)


def _scalar_type(name: str, dtype: Any) -> Any:
    found = np.dtype(dtype)
    text = f"Makes arrays of {found.name}; stands for that dtype."
    return ScalarMeta(name, (object,), {"dtype": found, "__doc__": text, "__module__": __package__})


bool_ = _scalar_type("bool_", np.bool_)
int8 = _scalar_type("int8", np.int8)
int16 = _scalar_type("int16", np.int16)
int32 = _scalar_type("int32", np.int32)
int64 = _scalar_type("int64", np.int64)
uint8 = _scalar_type("uint8", np.uint8)
uint16 = _scalar_type("uint16", np.uint16)
uint32 = _scalar_type("uint32", np.uint32)
uint64 = _scalar_type("uint64", np.uint64)
int1 = _scalar_type("int1", narrow.int1)
int2 = _scalar_type("int2", narrow.int2)
int4 = _scalar_type("int4", narrow.int4)
uint1 = _scalar_type("uint1", narrow.uint1)
uint2 = _scalar_type("uint2", narrow.uint2)
uint4 = _scalar_type("uint4", narrow.uint4)
float4_e2m1fn = _scalar_type("float4_e2m1fn", narrow.float4_e2m1fn)
float6_e2m3fn = _scalar_type("float6_e2m3fn", narrow.float6_e2m3fn)
float6_e3m2fn = _scalar_type("float6_e3m2fn", narrow.float6_e3m2fn)
float8_e3m4 = _scalar_type("float8_e3m4", narrow.float8_e3m4)
float8_e4m3 = _scalar_type("float8_e4m3", narrow.float8_e4m3)
float8_e4m3b11fnuz = _scalar_type("float8_e4m3b11fnuz", narrow.float8_e4m3b11fnuz)
float8_e4m3fn = _scalar_type("float8_e4m3fn", narrow.float8_e4m3fn)
float8_e4m3fnuz = _scalar_type("float8_e4m3fnuz", narrow.float8_e4m3fnuz)
float8_e5m2 = _scalar_type("float8_e5m2", narrow.float8_e5m2)
float8_e5m2fnuz = _scalar_type("float8_e5m2fnuz", narrow.float8_e5m2fnuz)
float8_e8m0fnu = _scalar_type("float8_e8m0fnu", narrow.float8_e8m0fnu)
float16 = _scalar_type("float16", np.float16)
bfloat16 = _scalar_type("bfloat16", dtypes.bfloat16)
float32 = _scalar_type("float32", np.float32)
float64 = _scalar_type("float64", np.float64)
complex64 = _scalar_type("complex64", np.complex64)
complex128 = _scalar_type("complex128", np.complex128)

single, double, csingle, cdouble = float32, float64, complex64, complex128
int_, uint, float_, complex_ = int64, uint64, float64, complex128


def can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    """Whether NumPy would cast between the dtypes by the given rule."""
    source = getattr(from_, "dtype", from_)
    return bool(np.can_cast(np.dtype(source), np.dtype(to), casting))


def issubdtype(arg1: Any, arg2: Any) -> bool:
    """Whether a dtype lies at or below another in the hierarchy of scalar types."""
    return dtypes.issubdtype(arg1, arg2)


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind: a dtype, a name such as "real floating", or any of a tuple.

    Raises:
        ValueError: there is no kind of that name.
    """
    found = np.dtype(dtype)
    if isinstance(kind, tuple):
        return any(isdtype(found, k) for k in kind)  # pyright: ignore[reportUnknownVariableType]
    classes: dict[str, tuple[Any, ...]] = {
        "bool": (np.bool_,),
        "signed integer": (np.signedinteger,),
        "unsigned integer": (np.unsignedinteger,),
        "integral": (np.integer,),
        "real floating": (np.floating,),
        "complex floating": (np.complexfloating,),
        "numeric": (np.number,),
    }
    if isinstance(kind, str) and kind in classes:
        return any(dtypes.issubdtype(found, c) for c in classes[kind])
    try:
        return found == np.dtype(kind)
    except TypeError as error:
        names = ", ".join(classes)
        raise ValueError(f"Unrecognized kind {kind!r}: give a dtype or one of {names}.") from error

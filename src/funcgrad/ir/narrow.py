"""Element types of fewer bits than a byte has use for: which there are, and what computes for them.

They are for storage. A value of one is held in a byte; NumPy's rules compute on the dtype of
`wide_of` and what they give is converted back, so that every operation rounds or wraps once.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

DType = np.dtype[Any]

int1: type[Any] = ml_dtypes.int1
int2: type[Any] = ml_dtypes.int2
int4: type[Any] = ml_dtypes.int4
uint1: type[Any] = ml_dtypes.uint1
uint2: type[Any] = ml_dtypes.uint2
uint4: type[Any] = ml_dtypes.uint4
float4_e2m1fn: type[Any] = ml_dtypes.float4_e2m1fn
float6_e2m3fn: type[Any] = ml_dtypes.float6_e2m3fn
float6_e3m2fn: type[Any] = ml_dtypes.float6_e3m2fn
float8_e3m4: type[Any] = ml_dtypes.float8_e3m4
float8_e4m3: type[Any] = ml_dtypes.float8_e4m3
float8_e4m3b11fnuz: type[Any] = ml_dtypes.float8_e4m3b11fnuz
float8_e4m3fn: type[Any] = ml_dtypes.float8_e4m3fn
float8_e4m3fnuz: type[Any] = ml_dtypes.float8_e4m3fnuz
float8_e5m2: type[Any] = ml_dtypes.float8_e5m2
float8_e5m2fnuz: type[Any] = ml_dtypes.float8_e5m2fnuz
float8_e8m0fnu: type[Any] = ml_dtypes.float8_e8m0fnu

# Their names in jaxprs.
SIGNED: dict[str, type[Any]] = {"i1": int1, "i2": int2, "i4": int4}
UNSIGNED: dict[str, type[Any]] = {"u1": uint1, "u2": uint2, "u4": uint4}
FLOATS: dict[str, type[Any]] = {
    "f4_e2m1fn": float4_e2m1fn,
    "f6_e2m3fn": float6_e2m3fn,
    "f6_e3m2fn": float6_e3m2fn,
    "f8_e3m4": float8_e3m4,
    "f8_e4m3": float8_e4m3,
    "f8_e4m3b11fnuz": float8_e4m3b11fnuz,
    "f8_e4m3fn": float8_e4m3fn,
    "f8_e4m3fnuz": float8_e4m3fnuz,
    "f8_e5m2": float8_e5m2,
    "f8_e5m2fnuz": float8_e5m2fnuz,
    "f8_e8m0fnu": float8_e8m0fnu,
}
SHORT_NAMES: dict[str, type[Any]] = {**SIGNED, **UNSIGNED, **FLOATS}

# What NumPy's own hierarchy does not know of them: they all lie right below `np.generic` there.
_ABSTRACT = (
    (SIGNED, "i", np.int8, (np.signedinteger, np.integer)),
    (UNSIGNED, "u", np.uint8, (np.unsignedinteger, np.integer)),
    (FLOATS, "f", np.float32, (np.floating, np.inexact)),
)
kinds: dict[type[Any], str] = {}
ancestors: dict[type[Any], frozenset[type[Any]]] = {}
wide: dict[DType, DType] = {}
for _types, _kind, _wide, _above in _ABSTRACT:
    for _type in _types.values():
        kinds[_type] = _kind
        ancestors[_type] = frozenset({_type, *_above, np.number, np.generic})
        wide[np.dtype(_type)] = np.dtype(_wide)
_BITS: dict[type[Any], int] = {
    **{int1: 1, uint1: 1, int2: 2, uint2: 2, int4: 4, uint4: 4},
    **{float4_e2m1fn: 4, float6_e2m3fn: 6, float6_e3m2fn: 6},
}


def is_narrow(dtype: Any) -> bool:
    """Whether a dtype is one of these."""
    return dtype in wide


def wide_of(dtype: Any) -> DType:
    """The dtype that holds every value of a narrow one and is computed in; others are their own."""
    found: DType = dtype
    return wide.get(found, found)


def bits_of(dtype: DType) -> int:
    """How many bits a number has; each is held in whole bytes."""
    return _BITS.get(dtype.type, 8 * dtype.itemsize)

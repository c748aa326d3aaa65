"""The signatures of the Python array API standard, 2025.12, written as calls with their defaults.

Source: https://data-apis.org/array-api/2025.12/API_specification/
"""

from __future__ import annotations

import inspect
from typing import Any

UNARY = """
abs acos acosh asin asinh atan atanh bitwise_invert ceil conj cos cosh exp expm1 floor imag isfinite
isinf isnan log log1p log2 log10 logical_not negative positive real reciprocal round sign signbit
sin sinh square sqrt tan tanh trunc
""".split()

BINARY = """
add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign divide
equal floor_divide greater greater_equal hypot less less_equal logaddexp logical_and logical_or
logical_xor maximum minimum multiply nextafter not_equal pow remainder subtract
""".split()

SIGNATURES = [
    *(f"{name}(x, /)" for name in UNARY),
    *(f"{name}(x1, x2, /)" for name in BINARY),
    "clip(x, /, min=None, max=None)",
    # creation
    "arange(start, /, stop=None, step=1, *, dtype=None, device=None)",
    "asarray(obj, /, *, dtype=None, device=None, copy=None)",
    *(f"{n}(shape, *, dtype=None, device=None)" for n in ("empty", "ones", "zeros")),
    *(f"{n}_like(x, /, *, dtype=None, device=None)" for n in ("empty", "ones", "zeros")),
    "eye(n_rows, n_cols=None, /, *, k=0, dtype=None, device=None)",
    "from_dlpack(x, /, *, device=None, copy=None)",
    "full(shape, fill_value, *, dtype=None, device=None)",
    "full_like(x, /, fill_value, *, dtype=None, device=None)",
    "linspace(start, stop, /, num, *, dtype=None, device=None, endpoint=True)",
    "meshgrid(*arrays, indexing='xy')",
    "tril(x, /, *, k=0)",
    "triu(x, /, *, k=0)",
    # dtypes
    "astype(x, dtype, /, *, copy=True, device=None)",
    "can_cast(from_, to, /)",
    "finfo(type, /)",
    "iinfo(type, /)",
    "isdtype(dtype, kind)",
    "result_type(*arrays_and_dtypes)",
    # indexing, products, movements
    "take(x, indices, /, *, axis=None)",
    "take_along_axis(x, indices, /, *, axis=-1)",
    "matmul(x1, x2, /)",
    "matrix_transpose(x, /)",
    "tensordot(x1, x2, /, *, axes=2)",
    "vecdot(x1, x2, /, *, axis=-1)",
    "broadcast_arrays(*arrays)",
    "broadcast_shapes(*shapes)",
    "broadcast_to(x, /, shape)",
    "concat(arrays, /, *, axis=0)",
    "expand_dims(x, /, axis)",
    "flip(x, /, *, axis=None)",
    "moveaxis(x, source, destination, /)",
    "permute_dims(x, /, axes)",
    "repeat(x, repeats, /, *, axis=None)",
    "reshape(x, /, shape, *, copy=None)",
    "roll(x, /, shift, *, axis=None)",
    "squeeze(x, /, axis)",
    "stack(arrays, /, *, axis=0)",
    "tile(x, repetitions, /)",
    "unstack(x, /, *, axis=0)",
    # searching, sets, sorting
    *(f"{n}(x, /, *, axis=None, keepdims=False)" for n in ("argmax", "argmin", "count_nonzero")),
    "nonzero(x, /)",
    "searchsorted(x1, x2, /, *, side='left', sorter=None)",
    "where(condition, x1, x2, /)",
    "isin(x1, x2, /, *, invert=False)",
    *(f"unique_{n}(x, /)" for n in ("all", "counts", "inverse", "values")),
    "argsort(x, /, *, axis=-1, descending=False, stable=True)",
    "sort(x, /, *, axis=-1, descending=False, stable=True)",
    # statistics
    "cumulative_prod(x, /, *, axis=None, dtype=None, include_initial=False)",
    "cumulative_sum(x, /, *, axis=None, dtype=None, include_initial=False)",
    *(f"{n}(x, /, *, axis=None, keepdims=False)" for n in ("all", "any", "max", "mean", "min")),
    *(f"{n}(x, /, *, axis=None, dtype=None, keepdims=False)" for n in ("prod", "sum")),
    *(f"{n}(x, /, *, axis=None, correction=0.0, keepdims=False)" for n in ("std", "var")),
    "diff(x, /, *, axis=-1, n=1, prepend=None, append=None)",
    # the extension for linear algebra
    "linalg.cholesky(x, /, *, upper=False)",
    "linalg.cross(x1, x2, /, *, axis=-1)",
    *(
        f"linalg.{n}(x, /)"
        for n in "det eig eigh eigvals eigvalsh inv matrix_transpose slogdet svdvals".split()
    ),
    "linalg.diagonal(x, /, *, offset=0)",
    "linalg.matmul(x1, x2, /)",
    "linalg.matrix_norm(x, /, *, keepdims=False, ord='fro')",
    "linalg.matrix_power(x, n, /)",
    "linalg.matrix_rank(x, /, *, rtol=None)",
    "linalg.outer(x1, x2, /)",
    "linalg.pinv(x, /, *, rtol=None)",
    "linalg.qr(x, /, *, mode='reduced')",
    "linalg.solve(x1, x2, /)",
    "linalg.svd(x, /, *, full_matrices=True)",
    "linalg.tensordot(x1, x2, /, *, axes=2)",
    "linalg.trace(x, /, *, offset=0, dtype=None)",
    "linalg.vecdot(x1, x2, /, *, axis=-1)",
    "linalg.vector_norm(x, /, *, axis=None, keepdims=False, ord=2)",
    # the extension for Fourier transforms
    *(
        f"fft.{n}(x, /, *, n=None, axis=-1, norm='backward')"
        for n in "fft ifft rfft irfft hfft ihfft".split()
    ),
    *(
        f"fft.{n}(x, /, *, s=None, axes=None, norm='backward')"
        for n in "fftn ifftn rfftn irfftn".split()
    ),
    "fft.fftfreq(n, /, *, d=1.0, dtype=None, device=None)",
    "fft.rfftfreq(n, /, *, d=1.0, dtype=None, device=None)",
    "fft.fftshift(x, /, *, axes=None)",
    "fft.ifftshift(x, /, *, axes=None)",
]

# Of arrays: `self` is bound.
METHODS = [
    *(
        f"__{n}__()"
        for n in "abs bool complex dlpack_device float index int invert neg pos".split()
    ),
    *(
        f"__{r}{n}__(other, /)"
        for n in "add and floordiv lshift matmul mod mul or pow rshift sub truediv xor".split()
        for r in ("", "r")
    ),
    *(f"__{n}__(other, /)" for n in "eq ge gt le lt ne".split()),
    "__array_namespace__(*, api_version=None)",
    "__dlpack__(*, stream=None, max_version=None, dl_device=None, copy=None)",
    "__getitem__(key, /)",
    "__setitem__(key, value, /)",
    "to_device(device, /, *, stream=None)",
]

ATTRIBUTES = "dtype device mT ndim shape size T".split()
CONSTANTS = "e inf nan newaxis pi".split()

# Of the answers of a namespace about itself.
INSPECTION = [
    "capabilities()",
    "default_device()",
    "default_dtypes(*, device=None)",
    "devices()",
    "dtypes(*, device=None, kind=None)",
]


def parsed(signature: str) -> tuple[str, inspect.Signature]:
    """The dotted name of a line of the tables, and what it is called with."""
    name, _, rest = signature.partition("(")
    space: dict[str, Any] = {}
    exec(f"def f({rest}: ...", space)
    return name, inspect.signature(space["f"])

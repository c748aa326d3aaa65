"""Complex numbers: made of two parts, taken apart, conjugated.

All four are linear over the reals. A cotangent of z = x + iy is ∂x - i∂y (the convention of JAX:
no conjugate in the chain rule), which is where the minus signs in the transposes come from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.primitive import Example
from ..core.zeros import UndefinedPrimal
from ..ir import dtypes
from ..ir.avals import aval_of
from ..ir.loops import Expr, apply
from . import scalars
from .elementwise import complex_plane, constant_like
from .kinds import Binary, Unary, draw, reals, unbroadcast


class Complex(Binary):
    """x + iy."""

    name = "complex"
    accepts = (np.float32, np.float64)
    linear = "joint"
    scalar = staticmethod(scalars.complex_of)

    def result_dtype(self, *operand_dtypes: np.dtype[Any], **params: Any) -> Any:
        return dtypes.to_complex_dtype(operand_dtypes[0])

    def impl(self, *arrays: Any, **params: Any) -> Any:
        x, y = arrays
        shape = np.broadcast_shapes(x.shape, y.shape)
        # Not x + 1j·y, which turns infinite parts into NaN and loses signs of zeros.
        out = np.empty(shape, dtypes.to_complex_dtype(x.dtype))
        out.real = x
        out.imag = y
        return out

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        x, y = args
        return [
            unbroadcast(real(ct), x.aval) if isinstance(x, UndefinedPrimal) else None,
            unbroadcast(negated_imag(ct), y.aval) if isinstance(y, UndefinedPrimal) else None,
        ]

    def examples(self) -> Iterator[Example]:
        yield from super().examples()
        yield Example((draw(reals(-1.0, 1.0), (0, 3), 3), np.array(0.5)))


class Part(Unary):
    """One of the parts of a complex number."""

    accepts = (np.complexfloating,)
    domains = (complex_plane,)
    linear = "joint"

    def scalar(self, x: Expr) -> Expr:
        return scalars.part(self.name, x)

    def result_dtype(self, *operand_dtypes: np.dtype[Any], **params: Any) -> Any:
        return dtypes.to_floating_dtype(operand_dtypes[0])


class Real(Part):
    """The real part of z."""

    name = "real"

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return arrays[0].real

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        return [complex(ct, constant_like(ct, 0))]


class Imag(Part):
    """The imaginary part of z."""

    name = "imag"

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return arrays[0].imag

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        from .arithmetic import neg

        return [complex(constant_like(ct, 0), neg(ct))]


class Conj(Unary):
    """x - iy of z = x + iy; a real operand becomes complex."""

    name = "conj"
    accepts = (np.float32, np.float64, np.complexfloating)
    linear = "joint"

    def result_dtype(self, *operand_dtypes: np.dtype[Any], **params: Any) -> Any:
        return dtypes.to_complex_dtype(operand_dtypes[0])

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        # A real operand gets the imaginary part 0, not -0.
        return np.conjugate(x) if x.dtype.kind == "c" else x.astype(self.result_dtype(x.dtype))

    def scalar(self, x: Expr, input_dtype: Any) -> Expr:
        is_complex = x.dtype.kind == "c"
        return apply("conj", x) if is_complex else scalars.complex_of(x, scalars.like(x, 0))

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        return [conj(ct) if params["input_dtype"].kind == "c" else real(ct)]

    def examples(self) -> Iterator[Example]:
        for shape in ((2, 3), (), (0, 3)):
            for domain in (reals(-2.0, 2.0), complex_plane):
                x = draw(domain, shape, 3)
                yield Example((x,), {"input_dtype": x.dtype})


complex_p = Complex()
real_p = Real()
imag_p = Imag()
conj_p = Conj()


def complex(x: Any, y: Any) -> Any:
    """x + iy: complex64 of float32 parts, complex128 of float64 parts."""
    return complex_p.bind(x, y)


def real(x: Any) -> Any:
    """The real part of complex x."""
    return real_p.bind(x)


def imag(x: Any) -> Any:
    """The imaginary part of complex x."""
    return imag_p.bind(x)


def negated_imag(x: Any) -> Any:
    """The imaginary part of -x."""
    from .arithmetic import neg

    return imag(neg(x))


def conj(x: Any) -> Any:
    """The complex conjugate of x, complex also for real x."""
    return conj_p.bind(x, input_dtype=aval_of(x).dtype)

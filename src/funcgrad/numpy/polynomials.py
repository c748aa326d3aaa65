"""Polynomials by their coefficients, highest power first: values, arithmetic, roots, fits."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from ..control.scan import scan
from ..core.sources import user_line
from ..core.trace import value_of
from ..ir import dtypes
from ..typing import Array, ArrayLike
from .arithmetic import sqrt
from .contraction import convolve, dot, outer
from .creation import array, full, ones, zeros
from .diagonals import diag, vander
from .joining import concatenate, stack
from .manipulation import atleast_1d, roll, trim_zeros
from .padding import pad
from .promotion import check_arraylike, promote_dtypes, promote_dtypes_inexact, shape_of, to_array
from .ranges import arange
from .search import concrete
from .selection import where

if TYPE_CHECKING:
    from jaxtyping import Shaped


def polyval(
    p: Shaped[ArrayLike, "n ..."], x: Shaped[ArrayLike, "..."], *, unroll: int = 16
) -> Array:
    """The polynomial with coefficients p, highest power first, at x.

    Args:
        p: one polynomial, or several along further axes that broadcast with x.
        unroll: how many steps stand in the program one after the other; beyond them it loops.
    Source: Horner's rule.
    """
    check_arraylike("polyval", p, x)
    coefficients, at = map(to_array, promote_dtypes(p, x))
    rest = coefficients.shape[1:]
    start = at * 0 if not rest else at * 0 + zeros(rest, coefficients.dtype)
    count = coefficients.shape[0]
    if count <= unroll:
        result = start
        for i in range(count):
            result = result * at + coefficients[i]
        return result
    return scan(lambda y, c: (y * at + c, None), start, coefficients, unroll=unroll)[0]


def polyadd(a1: Shaped[ArrayLike, "n"], a2: Shaped[ArrayLike, "m"]) -> Array:
    """The coefficients of the sum of two polynomials, highest power first."""
    check_arraylike("polyadd", a1, a2)
    x, y = map(to_array, promote_dtypes(a1, a2))
    size = max(x.shape[0], y.shape[0])
    return pad(x, (size - x.shape[0], 0)) + pad(y, (size - y.shape[0], 0))


def polysub(a1: Shaped[ArrayLike, "n"], a2: Shaped[ArrayLike, "m"]) -> Array:
    """The coefficients of the difference of two polynomials, highest power first."""
    check_arraylike("polysub", a1, a2)
    x, y = map(to_array, promote_dtypes(a1, a2))
    return polyadd(x, -y)


def _check_vector(name: str, p: Any) -> None:
    if p.ndim != 1:
        raise ValueError(f"{name} takes a vector of coefficients, got shape {p.shape}: ravel it.")


def polymul(
    a1: Shaped[ArrayLike, "n"], a2: Shaped[ArrayLike, "m"], *, trim_leading_zeros: bool = False
) -> Array:
    """The coefficients of the product of two polynomials, highest power first.

    Args:
        trim_leading_zeros: drop zeros at the start of both first; needs concrete arrays.
    """
    check_arraylike("polymul", a1, a2)
    x, y = map(to_array, promote_dtypes_inexact(a1, a2))
    for each in (x, y):
        _check_vector("polymul", each)
    if trim_leading_zeros and max(x.shape[0], y.shape[0]) > 1:
        x, y = trim_zeros(x, "f"), trim_zeros(y, "f")
    return convolve(*[v if v.shape[0] else zeros(1, v.dtype) for v in (x, y)])


def polydiv(
    u: Shaped[ArrayLike, "n"], v: Shaped[ArrayLike, "m"], *, trim_leading_zeros: bool = False
) -> tuple[Array, Array]:
    """Quotient and remainder of two polynomials, highest power first.

    Args:
        trim_leading_zeros: drop leading coefficients of the remainder that are zero but for
            rounding; needs concrete arrays. Without it the remainder has the length of u.
    """
    check_arraylike("polydiv", u, v)
    rest, divisor = map(to_array, promote_dtypes_inexact(u, v))
    for each in (rest, divisor):
        _check_vector("polydiv", each)
    steps = rest.shape[0] - divisor.shape[0] + 1
    scale = 1.0 / divisor[0]
    factors: list[Any] = []
    for k in range(steps):
        factors.append(scale * rest[k])
        rest = rest.at[k : k + divisor.shape[0]].add(-factors[-1] * divisor)
    quotient = stack(factors) if factors else zeros(1, rest.dtype)
    if trim_leading_zeros:
        known = abs(concrete("polydiv", rest, "leave trim_leading_zeros off."))
        large = known > float(dtypes.finfo(rest.dtype).eps) ** 0.5
        rest = rest[int(large.argmax()) if large.any() else large.size :]
    return quotient, rest


def polyder(p: Shaped[ArrayLike, "n"], m: int = 1) -> Array:
    """The coefficients of the m-th derivative of a polynomial, highest power first.

    Raises:
        ValueError: m is negative.
    """
    check_arraylike("polyder", p)
    (x,) = map(to_array, promote_dtypes_inexact(p))
    _check_vector("polyder", x)
    if operator.index(m) < 0:
        raise ValueError(f"Order of derivative must be positive, got m={m}. Use polyint.")
    for _ in range(operator.index(m)):
        size = shape_of(x)[0]
        x = x[:-1] * arange(size - 1, 0, -1).astype(x.dtype) if size else x
    return x


def polyint(
    p: Shaped[ArrayLike, "n"], m: int = 1, k: Shaped[ArrayLike, "..."] | None = None
) -> Array:
    """The coefficients of the m-th integral of a polynomial, highest power first.

    Args:
        k: the constants, first to last, or one for all; 0 by default.
    Raises:
        ValueError: m is negative, or the number of constants is neither 1 nor m.
    """
    constants: Any = 0 if k is None else k
    check_arraylike("polyint", p, constants)
    x, constants = map(to_array, promote_dtypes_inexact(p, constants))
    _check_vector("polyint", x)
    times = operator.index(m)
    if times < 0:
        raise ValueError(f"Order of integral must be positive, got m={m}. Use polyder.")
    constants = atleast_1d(constants)
    if constants.shape == (1,):
        constants = full((times,), constants[0])
    if constants.shape != (times,):
        raise ValueError(
            f"k must be a scalar or a vector of length 1 or m={times}, got shape {constants.shape}."
        )
    for i in range(times):
        size = shape_of(x)[0]
        x = concatenate([x / arange(size, 0, -1).astype(x.dtype), constants[i : i + 1]])
    return x


def poly(seq_of_zeros: Shaped[ArrayLike, "..."]) -> Array:
    """The coefficients of the polynomial with these roots, highest power first, leading one 1.

    Args:
        seq_of_zeros: the roots, or a square matrix whose characteristic polynomial is meant.
    Raises:
        ValueError: neither a vector nor a square matrix.
    """
    check_arraylike("poly", seq_of_zeros)
    (zeroes,) = promote_dtypes_inexact(seq_of_zeros)
    zeroes = atleast_1d(zeroes)
    shape = zeroes.shape
    if len(shape) == 2 and shape[0] == shape[1] and shape[0]:
        from .linalg import eigvals

        zeroes = eigvals(zeroes)
    if zeroes.ndim != 1:
        raise ValueError(f"input must be 1d or non-empty square 2d array, got shape {shape}.")
    if not zeroes.shape[0]:
        return ones((), zeroes.dtype)
    result = ones(1, zeroes.dtype)
    for i in range(zeroes.shape[0]):
        result = pad(result, (0, 1)) - zeroes[i] * pad(result, (1, 0))
    return result


def roots(p: Shaped[ArrayLike, "..."], *, strip_zeros: bool = True) -> Array:
    """The roots of a polynomial with coefficients p, highest power first.

    Args:
        strip_zeros: drop leading zeros first, which needs concrete coefficients. Without it there
            are n - 1 values for n coefficients, and for each leading zero the last is NaN.
    Returns:
        complex64[k] or complex128[k].
    Raises:
        ValueError: p is not a vector.
        ConcretizationTypeError: p is traced and strip_zeros is not False.
    Source: eigenvalues of the companion matrix.
    """
    check_arraylike("roots", p)
    (x,) = promote_dtypes_inexact(p)
    x = atleast_1d(x)
    if x.ndim != 1:
        raise ValueError(f"Input must be a rank-1 array: roots got shape {x.shape}.")
    size = x.shape[0]
    if strip_zeros:
        known = concrete("roots", x, "give strip_zeros=False; roots of leading zeros are NaN.")
        return _companion_roots(x[int((known != 0).argmax()) if known.any() else size :])
    leading = where((x == 0).all(), size, (x != 0).argmax()) if size else array(0)
    rolled = roll(where(leading == size, 1.0, x), -leading) if size else x
    found = _companion_roots(rolled)
    if not found.shape[0]:
        return found
    # Where zeros were rolled to the end there are as many roots 0: they go last, and are no roots.
    place = (found == 0).argsort()
    count = found.shape[0]
    return where(arange(count) < count - leading, found[place], complex("nan+nanj"))


def _companion_roots(x: Any) -> Any:
    """The roots of a polynomial whose leading coefficient is not zero."""
    from .linalg import eigvals

    size = x.shape[0]
    if size < 2:
        return zeros(0, dtypes.to_complex_dtype(x.dtype))
    matrix = diag(ones(size - 2, x.dtype), -1)
    return eigvals(matrix.at[0].set(-x[1:] / x[0]))


def polyfit(
    x: Shaped[ArrayLike, "n"],
    y: Shaped[ArrayLike, "n"] | Shaped[ArrayLike, "n k"],
    deg: int,
    rcond: float | None = None,
    full: bool = False,
    w: Shaped[ArrayLike, "n"] | None = None,
    cov: bool | str = False,
) -> Any:
    """The polynomial of degree `deg` with least Σ w² (p(x) - y)², highest power first.

    Args:
        y: values, or one set of them in each column.
        rcond: singular values below this part of the greatest count as zero.
        full: return (coefficients, residuals, rank, singular values, rcond).
        w: weights of the samples.
        cov: return (coefficients, their covariance); "unscaled" takes w as 1/standard deviation.
    Raises:
        ValueError: deg is negative, or there are too few samples for a covariance.
        TypeError: shapes that do not fit.
    """
    from .linalg import inv, lstsq

    check_arraylike("polyfit", x, y, *([] if w is None else [w]))
    degree = operator.index(value_of(deg))
    points, values = map(to_array, promote_dtypes_inexact(x, y))
    _check_samples(degree, points, values)
    if rcond is None:
        rcond = points.shape[0] * float(dtypes.finfo(points.dtype).eps)
    left, right = vander(points, degree + 1), values
    if w is not None:
        weights = to_array(promote_dtypes_inexact(w)[0])
        if weights.shape != points.shape:
            raise TypeError(
                "expected w and y to have the same length, and a 1-d array for weights: got "
                f"{weights.shape} for {points.shape}."
            )
        left = left * weights[:, None]
        right = right * (weights[:, None] if right.ndim == 2 else weights)
    # Columns of length 1 make the singular values comparable.
    scale = sqrt((left * left).sum(axis=0))
    left = left / scale
    solution, residuals, rank, singular = lstsq(left, right, rcond)
    found = solution / (scale[:, None] if solution.ndim > 1 else scale)
    if full:
        return found, residuals, rank, singular, array(rcond)
    if not cov:
        return found
    covariance = inv(dot(left.T, left)) / outer(scale, scale)
    freedom = points.shape[0] - degree - 1
    factor = atleast_1d(_spread(residuals, freedom) if cov != "unscaled" else 1.0)
    return found, (covariance if values.ndim == 1 else covariance[..., None]) * factor


def _spread(residuals: Any, freedom: int) -> Any:
    """The variance of the samples about the polynomial."""
    if freedom <= 0:
        raise ValueError(
            "the number of data points must exceed order to scale the covariance matrix. Give "
            "more samples, or cov='unscaled'."
        )
    return residuals / freedom


def _check_samples(degree: int, x: Any, y: Any) -> None:
    """Raise for samples that no polynomial can be fitted to."""
    if degree < 0:
        raise ValueError(f"expected deg >= 0, got {degree}.\n  {user_line()}")
    if x.ndim != 1 or not x.shape[0]:
        raise TypeError(f"expected a non-empty 1D vector for x, got {x.shape}.\n  {user_line()}")
    if y.ndim not in (1, 2) or y.shape[0] != x.shape[0]:
        raise TypeError(
            "expected a 1D or 2D array for y, of the length of x: got "
            f"{y.shape} for {x.shape}.\n  {user_line()}"
        )

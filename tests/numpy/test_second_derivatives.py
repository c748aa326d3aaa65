"""Second derivatives of the smooth functions of the namespace, from one table, in float64.

Forward and reverse mode over `grad` against central differences of `grad`, at points away from
singularities; the same compiled and mapped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp

RNG = np.random.default_rng(3)
# Of each letter that a case takes its arguments by, an array away from singular points.
POINTS: dict[str, Any] = {
    "x": RNG.normal(size=(2, 3)),
    "y": RNG.normal(size=(2, 3)) + 0.1,
    "p": RNG.uniform(0.2, 0.8, size=(2, 3)),  # inside of (0, 1)
    "q": RNG.uniform(0.3, 0.7, size=(2, 3)),
    "r": RNG.uniform(1.2, 3.0, size=(2, 3)),  # above 1
    "v": RNG.normal(size=3),
    "w": RNG.uniform(0.5, 2.0, size=3),
    "u": RNG.normal(size=3),
    "a": RNG.normal(size=(3, 3)) + 3 * np.eye(3),
    "b": RNG.normal(size=(3, 3)),
    "t": np.sort(RNG.normal(size=4)) + np.arange(4),
}

UNARY = {
    "x": """
        sin cos sinh cosh tanh arctan atan arcsinh asinh exp exp2 expm1 square negative positive
        sinc deg2rad rad2deg degrees radians real conj conjugate i0 nan_to_num
        """,
    "y": "absolute abs fabs reciprocal cbrt",
    "p": "tan arcsin asin arccos acos arctanh atanh",
    "r": "arccosh acosh log log2 log10 log1p sqrt",
}
BINARY = {
    "x y": """
        add subtract multiply divide true_divide hypot arctan2 atan2 logaddexp logaddexp2
        maximum minimum fmax fmin copysign
        """,
    "r y": "power pow float_power",
    "r p": "remainder mod fmod",
}
REDUCTIONS = """
    sum prod mean var std nansum nanprod nanmean nanvar nanstd cumsum cumprod nancumsum nancumprod
    max min amax amin nanmax nanmin ptp median nanmedian cumulative_sum cumulative_prod sort flip
    diff roll
""".split()
EXTRA: dict[str, tuple[Any, ...]] = {"roll": (1,)}

# Expressions, with the letters of their arguments.
OTHERS: dict[str, str] = {
    "n.ldexp(x, 3)": "x",
    "n.clip(x, -0.4, 0.7)": "x",
    "n.where(x > 0, n.sin(x), x * y)": "x y",
    "n.select([x > 1, x > 0], [x * y, n.exp(x)], y)": "x y",
    "n.piecewise(x, [x < 0, x >= 0], [n.sin, n.exp])": "x",
    "n.modf(x)[0]": "x",
    "n.frexp(r)[0]": "r",
    "n.divmod(r, p)[1]": "r p",
    "n.unwrap(x)": "x",
    "n.angle(x + 1j * y)": "x y",
    "n.abs(x + 1j * y)": "x y",
    "n.imag(n.exp(x + 1j * y))": "x y",
    "n.real(n.log(x + 1j * y))": "x y",
    "n.real(n.sqrt(x + 1j * y))": "x y",
    "n.real(n.arctan(x + 1j * y))": "x y",
    "n.real((r + 1j * y) ** (x + 0.5j))": "r y x",
    "n.dot(x, a)": "x a",
    "n.vdot(x, y)": "x y",
    "n.vecdot(x, y)": "x y",
    "n.inner(x, y)": "x y",
    "n.outer(v, u)": "v u",
    "n.matmul(x, a)": "x a",
    "n.matvec(a, v)": "a v",
    "n.vecmat(v, a)": "v a",
    "n.tensordot(x, y, [[0], [0]])": "x y",
    "n.einsum('ij,jk,ik->i', x, a, y)": "x a y",
    "n.kron(x, v)": "x v",
    "n.cross(v, u)": "v u",
    "n.trace(a)": "a",
    "n.convolve(v, u)": "v u",
    "n.correlate(v, u, 'full')": "v u",
    "n.polyval(v, u)": "v u",
    "n.polymul(v, u)": "v u",
    "n.polyadd(v, u)": "v u",
    "n.polysub(v, u)": "v u",
    "n.polyder(v)": "v",
    "n.polyint(v)": "v",
    "n.polydiv(n.concatenate([w, v]), w)[0]": "w v",
    "n.polyfit(t, n.sin(t), 2)": "t",
    "n.poly(v)": "v",
    "n.vander(v)": "v",
    "n.interp(u, n.sort(t)[:3], v)": "u t v",
    "n.average(x, weights=r)": "x r",
    "n.percentile(x, 30.0)": "x",
    "n.quantile(x, 0.4, axis=0)": "x",
    "n.nanpercentile(x, 30.0)": "x",
    "n.nanquantile(x, 0.4)": "x",
    "n.cov(x)": "x",
    "n.cov(x, aweights=w)": "x w",
    "n.corrcoef(a)": "a",
    "n.gradient(x, 0.5)[0]": "x",
    "n.gradient(v, n.cumsum(w))": "v w",
    "n.ediff1d(v)": "v",
    "n.trapezoid(v, n.cumsum(w))": "v w",
    "n.heaviside(x, 0.5) * x": "x",
    "n.partition(v, 1)": "v",
    "n.take(x, n.array([1, 0]), axis=1)": "x",
    "n.take_along_axis(x, n.array([[1], [0]]), axis=1)": "x",
    "n.put_along_axis(x, n.array([[1], [0]]), v[0], axis=1, inplace=False)": "x v",
    "n.choose(n.array([0, 1, 0]), [v, u])": "v u",
    "n.compress(n.array([True, False, True]), v)": "v",
    "n.extract(n.array([True, False, True]), v)": "v",
    "n.place(v, n.array([True, False, True]), u, inplace=False)": "v u",
    "n.insert(v, 1, u)": "v u",
    "n.append(v, u)": "v u",
    "n.delete(v, 1)": "v",
    "n.pad(x, 1, mode='linear_ramp', end_values=0.3)": "x",
    "n.pad(x, 1, mode='mean')": "x",
    "n.tril(a) @ n.triu(b)": "a b",
    "n.diag(v) @ n.diagflat(u)": "v u",
    "n.diagonal(a)": "a",
    "n.fill_diagonal(a, v, inplace=False)": "a v",
    "n.block([[a, b]])": "a b",
    "n.meshgrid(v, u)[0]": "v u",
    "n.linspace(v, u, 4)": "v u",
    "n.logspace(v, u, 4)": "v u",
    "n.geomspace(w, w + 1, 4)": "w",
    "n.apply_along_axis(n.cumprod, 1, x)": "x",
    "n.vectorize(lambda s, k: s * k**2)(x, y)": "x y",
    "n.multiply.reduce(x, axis=1)": "x",
    "n.add.accumulate(x)": "x",
    "n.multiply.outer(v, u)": "v u",
    "n.add.reduceat(v, n.array([0, 1]))": "v",
    "n.kaiser(4, w[0])": "w",
    "n.histogram(n.array([0.0, 1.0, 1.5]), 2, weights=w)[0]": "w",
    "n.bincount(n.array([0, 1, 1]), weights=w)": "w",
    "n.linalg.inv(a)": "a",
    "n.linalg.det(a)": "a",
    "n.linalg.slogdet(a)[1]": "a",
    "n.linalg.solve(a, b)": "a b",
    "n.linalg.cholesky(a @ a.T + n.eye(3))": "a",
    "n.linalg.qr(a)[1]": "a",
    "n.linalg.eigvalsh(a + a.T)": "a",
    "n.linalg.eigh(a + a.T)[1] ** 2": "a",
    "n.linalg.svd(a, compute_uv=False)": "a",
    "n.linalg.svdvals(a)": "a",
    "n.linalg.pinv(a)": "a",
    "n.linalg.lstsq(a, v)[0]": "a v",
    "n.linalg.norm(a)": "a",
    "n.linalg.norm(a, 'nuc')": "a",
    "n.linalg.norm(a, 2)": "a",
    "n.linalg.norm(v, 3)": "v",
    "n.linalg.vector_norm(v)": "v",
    "n.linalg.matrix_norm(a)": "a",
    "n.linalg.matrix_power(a, 3)": "a",
    "n.linalg.multi_dot([x, a, b])": "x a b",
    "n.linalg.cond(a)": "a",
    "n.linalg.tensorinv(a.reshape(3, 3), ind=1)": "a",
    "n.linalg.tensorsolve(a, v)": "a v",
    "n.abs(n.fft.fft(x)) ** 2": "x",
    "n.fft.irfft(n.fft.rfft(x))": "x",
    "n.real(n.fft.ifft2(n.fft.fft2(x) ** 2))": "x",
    "n.fft.hfft(x[0] + 1j * y[0])": "x y",
}


def cases() -> Iterator[tuple[str, str]]:
    for letters, names in UNARY.items():
        yield from ((f"n.{name}({letters})", letters) for name in names.split())
    for letters, names in BINARY.items():
        arguments = ", ".join(letters.split())
        yield from ((f"n.{name}({arguments})", letters) for name in names.split())
    for name in REDUCTIONS:
        extra = "".join(f", {each!r}" for each in EXTRA.get(name, ()))
        yield f"n.{name}(x{extra}, axis=0)", "x"
    yield from OTHERS.items()


CASES = [*cases()]


def bent(case: str, letters: list[str]) -> Callable[..., Any]:
    """The sum of the sine of a case's result, as a function of its arguments as one vector.

    Even where a case itself is linear, the sine has second derivatives that mix its elements.
    """
    shapes = [POINTS[letter].shape for letter in letters]
    ends = np.cumsum([POINTS[letter].size for letter in letters])
    code = compile(case, "<case>", "eval")

    def total(flat: Any) -> Any:
        parts = fnp.split(flat, ends[:-1])
        given = {k: v.reshape(s) for k, v, s in zip(letters, parts, shapes, strict=True)}
        return fnp.sum(fnp.sin(eval(code, {"n": fnp, **given})))

    return total


@pytest.fixture(autouse=True)
def wide() -> Iterator[None]:
    with fg.enable_x64(True):
        yield


@pytest.mark.parametrize(("case", "letters"), CASES)
def test_second_derivatives(case: str, letters: str) -> None:
    names = letters.split()
    slope = fg.grad(bent(case, names))
    at = np.concatenate([POINTS[name].ravel() for name in names])
    along = np.random.default_rng(len(case)).normal(size=at.shape)
    along /= np.linalg.norm(along)
    step = 1e-5
    want = (np.asarray(slope(at + step * along)) - np.asarray(slope(at - step * along))) / 2 / step
    assert np.isfinite(want).all()

    def bend(at: Any) -> Any:
        return fg.jvp(slope, (at,), (along,))[1]

    found = np.asarray(bend(at))
    scale = max(1.0, float(np.abs(want).max()))
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-7 * scale)
    # A matrix of second derivatives is symmetric: its rows along a vector are its columns.
    (back,) = fg.vjp(slope, at)[1](along)
    np.testing.assert_allclose(back, found, rtol=1e-9, atol=1e-10 * scale)
    # Code of LLVM takes long to make: of every eighth case. The others run as calls to NumPy.
    how = "fast" if CASES.index((case, letters)) % 8 == 0 else "numpy"
    compiled = fg.jit(fg.vmap(bend))
    try:
        fg.config.update("lowering", how)
        for run in (fg.vmap(bend), compiled):
            for row in np.asarray(run(np.stack([at, at]))):
                np.testing.assert_allclose(row, found, rtol=1e-9, atol=1e-10 * scale)
    finally:
        fg.config.update("lowering", "fast")

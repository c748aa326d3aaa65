"""Compiled programs of complex numbers: by parts, without call-outs, the same as step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.kernels.program import HostCall, Launch

ROW = np.array([3, 0, 9])
PROGRAMS: dict[str, Any] = {
    "elementwise": lambda z, w: z * w + 1j - z / w,
    "functions": lambda z, w: z**3 + fnp.log(w) + fnp.log1p(z) * w.conj(),
    "exponentials": lambda z, w: fnp.exp(z) * fnp.expm1(w) + fnp.exp2(z) / lax.logistic(w),
    "roots": lambda z, w: fnp.sqrt(z) * lax.rsqrt(w) + fnp.sign(z),
    "powers": lambda z, w: z**w + lax.pow(w, z),
    "hyperbolic": lambda z, w: (fnp.sinh(z) + fnp.cosh(w)) * fnp.tanh(z - w),
    "circular": lambda z, w: (fnp.sin(z) + fnp.cos(w)) * fnp.tan(z - w),
    "inverse hyperbolic": lambda z, w: fnp.arcsinh(z) * fnp.arccosh(w) + fnp.arctanh(z * w),
    "inverse circular": lambda z, w: fnp.arcsin(z) * fnp.arccos(w) + fnp.arctan(z * w),
    "real results": lambda z, w: fnp.abs(z) + fnp.angle(w) + z.real * w.imag,
    "comparisons": lambda z, w: (z == w) | (z != z) | fnp.isfinite(w),
    "sum": lambda z, w: (z * w).sum(0),
    "sum of all": lambda z, w: (z * w).sum() + z.mean(),
    "small product": lambda z, w: z.T @ w,
    "conjugate product": lambda z, w: fnp.einsum("ij,kj->ik", z, w.conj()),
    "cumsum": lambda z, w: fnp.cumsum(z * w, axis=1) + fnp.cumsum(z[::-1], axis=0),
    "where": lambda z, w: fnp.where(z.real > 0, z, w),
    "shapes": lambda z, w: (z * 2).reshape(5, 4)[1:].T[..., None],
    "update": lambda z, w: z.at[1].add(w[0]).at[2].set(1j),
    "scatter": lambda z, w: z.at[ROW].add(w[:3], mode="drop"),
    "gather": lambda z, w: (z * w)[ROW],
    "constants": lambda z, w: z * np.complex64(2 + 1j) + np.arange(5) * 1j,
    "convolution": lambda z, w: fnp.convolve(z[0], w[0]),
    "scan": lambda z, w: lax.scan(lambda a, x: (a * x, a + x), z[0], w),
    "while": lambda z, w: lax.while_loop(
        lambda s: fnp.abs(s[0]).max() < 100, lambda s: (s[0] * 2, s[1] + 1), (z, 0)
    ),
    "cond": lambda z, w: lax.cond(z[0, 0].real > 0, lambda a, b: a * b, lambda a, b: a - b, z, w),
    "kinds": lambda z, w: (z.astype(bool), z.real.astype(np.complex64), (w + 0).astype(z.dtype)),
    "fft": lambda z, w: fnp.fft.fft(z * w) * 2,
    "nothing": lambda z, w: (z[:0] * 1j, w[:0].sum(0)),
    "passed on": lambda z, w: (z, w.T, z.reshape(-1)),
    "gradient": lambda z, w: fg.grad(lambda a: fnp.abs(a * a * w).sum())(z),
    "holomorphic": lambda z, w: fg.grad(lambda a: (a * a * w).sum(), holomorphic=True)(z),
    "sort": lambda z, w: fnp.sort(z * w, axis=1) + 1j,
    "product": lambda z, w: fnp.prod(z * 2, axis=1) * w[:, 0],
    "product of all": lambda z, w: fnp.prod(z[:, :3]) + fnp.prod(w, axis=0),
    "products of prefixes": lambda z, w: fnp.cumprod(z, 1) + lax.cumprod(w, 0, reverse=True),
    "extremes": lambda z, w: fnp.max(z.round(0), 1) + fnp.min(w.round(0), 1),
    "extremes of all": lambda z, w: fnp.max(z.at[1, 2].set(fnp.nan)) + fnp.min(w),
    "extremes of prefixes": lambda z, w: lax.cummax(z.round(0), 1) - lax.cummin(w, 0),
    "matrices": lambda z, w: (fnp.tile(z, (20, 40)) @ fnp.tile(w, (20, 40)).T) * 2j,
}


def operands(dtype: Any) -> tuple[Any, Any]:
    rng = np.random.default_rng(7)

    def one() -> Any:
        return fnp.asarray((rng.normal(size=(4, 5)) + 1j * rng.normal(size=(4, 5))).astype(dtype))

    return one(), one()


def same(got: Any, want: Any, rtol: float) -> None:
    for a, b in zip(fg.tree.leaves(got), fg.tree.leaves(want), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("lowering", ["fast", "python"])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128], ids=lambda d: d.__name__)
@pytest.mark.parametrize("name", PROGRAMS)
def test_compiled_equals_step_by_step(name: str, dtype: Any, lowering: str) -> None:
    f = PROGRAMS[name]
    double = dtype == np.complex128
    with fg.enable_x64(double):
        z, w = operands(dtype)
        want = f(z, w)
        fg.config.update("lowering", lowering)
        try:
            same(fg.jit(f)(z, w), want, 1e-11 if double else 3e-5)
        finally:
            fg.config.update("lowering", "fast")


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_is_called_out(name: str) -> None:
    lowered = fg.jit(PROGRAMS[name]).lower(*operands(np.complex64))
    lowered.check()
    assert not [s for s in lowered.stages.block.steps if isinstance(s, HostCall)]


def test_both_parts_are_made_by_one_kernel() -> None:
    z, w = operands(np.complex64)
    lowered = fg.jit(lambda z, w: (z * w / 3).sum(1)).lower(z, w)
    kernels = [s.kernel for s in lowered.stages.block.steps if isinstance(s, Launch)]
    assert len(kernels) == 1


def test_results_are_memory_of_their_own() -> None:
    z, w = operands(np.complex64)
    out = fg.jit(lambda z, w: z * w)(z, w)
    array = np.asarray(out)
    assert array.flags.c_contiguous
    assert array.base is None
    assert not array.flags.writeable

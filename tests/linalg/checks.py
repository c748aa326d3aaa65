"""Calls of linear algebra on a table: against JAX, traced, mapped, and differentiated.

A call is Python text. `n` is the numpy namespace, `la` lax.linalg, `s` scipy.linalg; the other
names are arrays, made by `data` in float64 or complex128.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.core.zeros import instantiate
from funcgrad.transforms.jvp import jvp_flat


def data() -> dict[str, Any]:
    """a [4, 4], t [5, 3], w [3, 5], b [2, 3, 3], z and y complex, p and h definite, vectors."""
    rng = np.random.default_rng(3)
    draw = rng.normal
    a, b = draw(size=(4, 4)) + 2 * np.eye(4), draw(size=(2, 3, 3)) + 2 * np.eye(3)
    z = draw(size=(3, 3)) + 1j * draw(size=(3, 3)) + 2 * np.eye(3)
    p, h = a @ a.T + np.eye(4), z @ z.conj().T + np.eye(3)
    return {
        **{"a": a, "b": b, "z": z, "p": p, "h": h},
        "t": draw(size=(5, 3)),
        "w": draw(size=(3, 5)),
        "y": draw(size=(4, 2)) + 1j * draw(size=(4, 2)),
        "f": draw(size=(2, 2, 2)),
        "v": draw(size=4),
        "u": draw(size=3),
        "r": draw(size=(4, 2)),
        "k": rng.integers(-5, 5, size=(3, 3)).astype(np.int32),
    }


RAW = data()


def arrays_in(call: str) -> list[str]:
    """The names of arrays that a call uses."""
    return [name for name in RAW if re.search(rf"(?<![\w.'\"]){name}\b(?!\s*=)", call)]


def namespaces(package: Any) -> dict[str, Any]:
    """What calls are evaluated with, besides arrays."""
    import importlib

    name = package.__name__
    return {
        "n": importlib.import_module(f"{name}.numpy"),
        "la": importlib.import_module(f"{name}.lax.linalg"),
        "s": importlib.import_module(f"{name}.scipy.linalg"),
        "top": package,
    }


def function(call: str, package: Any) -> tuple[Any, list[str]]:
    """The call as a function of the arrays it names, with a flat list of arrays for a result."""
    names = arrays_in(call)
    given = namespaces(package)

    def fun(*arrays: Any) -> list[Any]:
        out = eval(call, {**given, **dict(zip(names, arrays, strict=True))})
        flat = list(out) if isinstance(out, (tuple, list)) else [out]
        return [x for x in flat if hasattr(x, "dtype")]

    return fun, names


def ours(call: str) -> tuple[Any, list[Any]]:
    """The function of a call and its arguments."""
    fun, names = function(call, fg)
    return fun, [fnp.asarray(RAW[name]) for name in names]


def assert_close(got: Any, want: Any, tolerance: float = 1e-10) -> None:
    got, want = np.asarray(got), np.asarray(want)
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    if got.dtype.name in ("float32", "complex64"):
        tolerance = max(tolerance, 2e-6)
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def check_against_jax(call: str) -> None:
    """Values, shapes and dtypes, in float64 and in float32."""
    jax = pytest.importorskip("jax")

    for bits, tolerance in ((64, 1e-9), (32, 2e-3)):
        theirs, names = function(call, jax)
        values = [narrowed(RAW[name], bits) for name in names]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with jax.enable_x64(bits == 64), fg.enable_x64(bits == 64):
                want = theirs(*[jax.numpy.asarray(x) for x in values])
                got = function(call, fg)[0](*[fnp.asarray(x) for x in values])
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            assert_close(g, w, tolerance)


def narrowed(x: Any, bits: int) -> Any:
    """x in the dtype of half the bits, for 32."""
    if bits == 64 or x.dtype.kind == "i":
        return x
    return x.astype(np.complex64 if x.dtype.kind == "c" else np.float32)


def check_traced_and_mapped(call: str) -> None:
    """jit gives the same, and vmap the same as a loop."""
    fun, args = ours(call)
    want = fun(*args)
    for got, w in zip(fg.jit(fun)(*args), want, strict=True):
        assert_close(got, w)
    moved = [[x, x * x.dtype.type(2), x + x.dtype.type(1)] for x in args]
    rows = [fun(*row) for row in zip(*moved, strict=True)]
    mapped = fg.vmap(fun)(*[fnp.stack(x) for x in moved])
    for got, column in zip(mapped, zip(*rows, strict=True), strict=True):
        assert_close(got, np.stack([np.asarray(x) for x in column]), 1e-9)


def random_like(x: Any, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    x = np.asarray(x)
    value = rng.normal(size=x.shape)
    return (value + 1j * rng.normal(size=x.shape) if x.dtype.kind == "c" else value).astype(x.dtype)


def difference(fun: Any, args: list[Any], tangents: list[Any], step: float = 2e-3) -> list[Any]:
    """Central difference of order 8."""
    weights = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
    total: list[Any] = []
    pairs = list(zip(args, tangents, strict=True))
    for k, weight in weights.items():
        ends = [
            fun(*[fnp.asarray(np.asarray(x) + s * k * step * t) for x, t in pairs]) for s in (1, -1)
        ]
        terms = [
            weight * (np.asarray(p) - np.asarray(m)) / step for p, m in zip(*ends, strict=True)
        ]
        total = [x + t for x, t in zip(total, terms, strict=True)] if total else terms
    return total


def check_derivatives(call: str, second: bool = True) -> None:
    """jvp against differences to 1e-8, vjp against jvp, and the same of the gradient."""
    with fg.enable_x64():
        fun, args = ours(call)
        fun = inexact_only(fun)
        check_first(fun, args)
        if not second:
            return
        weights = [random_like(out, 7 + i) for i, out in enumerate(fun(*args))]

        def gradient(*xs: Any) -> list[Any]:
            _, pull = fg.vjp(lambda *ys: fun(*ys), *xs)
            return list(pull([fnp.asarray(w) for w in weights]))

        check_first(gradient, args, 1e-6)


def inexact_only(fun: Any) -> Any:
    return lambda *xs: [out for out in fun(*xs) if out.dtype.kind in "fc"]


def check_first(fun: Any, args: list[Any], tolerance: float = 1e-8) -> None:
    tangents = [random_like(x, 11 + i) for i, x in enumerate(args)]
    outs, found = jvp_flat(fun, args, [fnp.asarray(t) for t in tangents])
    found = [np.asarray(instantiate(t)) for t in found]
    for got, want in zip(found, difference(fun, args, tangents), strict=True):
        scale = max(1.0, float(np.abs(want).max(initial=0)))
        np.testing.assert_allclose(got / scale, want / scale, rtol=0, atol=tolerance)
    cts = [random_like(out, 17 + i) for i, out in enumerate(outs)]
    _, pull = fg.vjp(lambda *xs: fun(*xs), *args)
    pulled = pull([fnp.asarray(ct) for ct in cts])
    left = sum(np.sum(t * ct) for t, ct in zip(found, cts, strict=True))
    right = sum(np.sum(t * np.asarray(p)) for t, p in zip(tangents, pulled, strict=True))
    np.testing.assert_allclose(np.real(left), np.real(right), rtol=1e-9, atol=1e-9)

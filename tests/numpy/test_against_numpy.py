"""Functions along axes against NumPy, on dtypes, shapes and axes; and rarer names once each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp

SHAPES = [(), (5,), (3, 4), (2, 1, 3), (1, 1), (7, 2)]
DTYPES = ["bool", "int8", "uint16", "int32", "float32", "float64", "complex64"]

# Names, and the kinds of dtypes they take.
ALONG = {
    "sum prod all any mean count_nonzero cumsum cumprod": "biufc",
    "max min argmax argmin sort argsort ptp": "iuf",
    "amax amin var std nansum nanprod nanmean nancumsum nancumprod": "iuf",
    "nanmax nanmin nanargmax nanargmin median nanmedian nanstd nanvar": "f",
    "flip roll repeat expand_dims diff": "iufc",
}
# These flatten when there is no axis, or have no None.
EXTRA = {"roll": (2,), "repeat": (2,)}
NEEDS_AXIS = {"sort", "argsort", "expand_dims", "diff"}
SMOOTH = "sum prod mean cumsum cumprod var std flip roll repeat diff nansum".split()


def samples(shape: tuple[int, ...], dtype: str) -> Any:
    """Distinct moderate values; small ones for products of integers."""
    rng = np.random.default_rng(len(shape))
    values = rng.permutation(int(np.prod(shape))).reshape(shape) + 1
    if np.dtype(dtype).kind == "c":
        return (values / 4 + 1j * rng.normal(size=shape)).astype(dtype)
    if np.dtype(dtype).kind == "f":
        return (values / 4 - 1).astype(dtype)
    return (values % 2 if dtype == "bool" else values).astype(dtype)


def axes(name: str, ndim: int) -> Iterator[int | None]:
    if name not in NEEDS_AXIS:
        yield None
    yield from range(-ndim, ndim)


def agree(got: Any, want: Any) -> None:
    assert got.shape == want.shape
    loose = want.dtype.kind in "fc"
    want = want if loose else want.astype(got.dtype)
    np.testing.assert_allclose(got, want, rtol=1e-4 if loose else 0, atol=1e-5 if loose else 0)


@pytest.fixture(autouse=True)
def wide() -> Iterator[None]:
    with fg.enable_x64(True):
        yield


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "kinds"), [(n, k) for w, k in ALONG.items() for n in w.split()])
def test_along_axes(name: str, kinds: str, dtype: str) -> None:
    if np.dtype(dtype).kind not in kinds:
        return  # the table names the kinds
    theirs, ours = getattr(np, name), getattr(fnp, name)
    for shape in SHAPES:
        x = samples(shape, dtype)
        for axis in axes(name, x.ndim):
            agree(
                ours(x, *EXTRA.get(name, ()), axis=axis), theirs(x, *EXTRA.get(name, ()), axis=axis)
            )
    x = samples((3, 4), dtype)

    def along(v: Any) -> Any:
        return ours(v, *EXTRA.get(name, ()), axis=0)

    np.testing.assert_allclose(fg.jit(along)(x), along(x), rtol=1e-5, atol=1e-6)
    rows = np.stack([along(row) for row in x])
    np.testing.assert_allclose(fg.vmap(along)(x), rows, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SMOOTH)
def test_second_derivatives(name: str) -> None:
    def f(x: Any) -> Any:
        return fnp.sum(fnp.sin(getattr(fnp, name)(x, *EXTRA.get(name, ()), axis=0)))

    fg.test_util.check_grads(f, (samples((3, 2), "float64") / 3,), order=2, rtol=1e-3, atol=1e-3)


X, V, M = samples((3, 4), "float32"), samples((5,), "float32"), samples((4, 4), "float32")
NANS = np.array([[np.nan, 2.0, 1.0], [0.0, np.nan, 5.0]], np.float32)

RARE = [
    "n.apply_over_axes(n.sum, x, [0, 1])",
    "n.bitwise_not(k)",
    "n.bitwise_invert(k)",
    "n.broadcast_shapes((3, 1), (4,), (1, 1))",
    "n.stack(n.diag_indices_from(m))",
    "n.stack(n.tril_indices_from(m, -1))",
    "n.stack(n.triu_indices_from(m, 1))",
    "n.dsplit(x.reshape(1, 3, 4), 2)[1]",
    "n.fill_diagonal(m, v[:4], **inplace)",
    "n.put_along_axis(x, i, v[:1], 0, **inplace)",
    "n.histogram_bin_edges(x, 7)",
    "n.isrealobj(x), n.isrealobj(x * 1j)",
    "n.iterable(x), n.iterable(3)",
    "n.nanargmin(nans, axis=1)",
    "n.nancumprod(nans, axis=0)",
    "n.sort_complex(v)",
    "n.spacing(v)",
    "n.sort(n.partition(x, 2, axis=1)[:, :2], axis=1)",
    "n.sort(n.argpartition(x, 2, axis=1)[:, :2], axis=1)",
    "n.array_repr(x)[:6]",
    "[p for p in n.einsum_path('ij,jk,kl->il', m, m, m)[0] if isinstance(p, tuple)]",
    "n.fix(v - 1.5)",
]


@pytest.mark.parametrize("call", RARE)
def test_rarer_names(call: str) -> None:
    index = np.array([[0, 1, 2, 0]])
    arrays = {"x": X, "v": V, "m": M, "nans": NANS, "k": np.arange(5), "i": index}
    if "inplace" in call:  # NumPy's change their argument
        changed = {name: value.copy() for name, value in arrays.items()}
        eval(call, {"n": np, "inplace": {}, **changed})
        want = changed["m" if "diagonal" in call else "x"]
    else:
        want = eval(call, {"n": np, **arrays})
    ours = {name: fnp.asarray(value) for name, value in arrays.items()}
    got = eval(call, {"n": fnp, "inplace": {"inplace": False}, **ours})
    if isinstance(want, np.ndarray):
        agree(got, want)
    else:
        assert got == want


def test_print_options_and_files(tmp_path: Path) -> None:
    before = fnp.get_printoptions()
    fnp.set_printoptions(precision=3)
    try:
        assert fnp.get_printoptions()["precision"] == 3
    finally:
        fnp.set_printoptions(**before)
    X.tofile(tmp_path / "x")
    with pytest.raises(ValueError, match="asarray"):
        fnp.fromfile(tmp_path / "x")


def test_every_public_function_is_exercised() -> None:
    tests = Path(__file__).parents[1]
    # The names that a table merely lists do not count.
    listing = ("standard.py", "test_signatures.py", "test_array_api.py")
    files = [f for d in ("numpy", "linalg", "array_api") for f in (tests / d).glob("*.py")]
    text = "".join(f.read_text(encoding="utf-8") for f in files if f.name not in listing)
    words = set(re.findall(r"[A-Za-z_]\w*", text))
    public = [k for k in dir(fnp) if k[0] != "_" and callable(getattr(fnp, k))]
    missing = [k for k in public if not isinstance(getattr(fnp, k), type) and k not in words]
    assert not missing

"""Signals: values of SciPy, types and values of JAX, transforms, and what is refused."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.signal as reference

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.scipy import signal

from .agreement import assert_same, check_transforms

rng = np.random.default_rng(0)

SHAPES = [
    ((7,), (3,)),
    ((3,), (6,)),
    ((4,), (4,)),
    ((5, 6), (2, 3)),
    ((2, 3), (4, 4)),
    ((3, 3), (3, 3)),
    ((3, 4, 2), (2, 2, 1)),
]
# Neither contains the other.
CROSSED = ((5, 2), (2, 4))
MODES = ("full", "same", "valid")
SPECTRA: list[dict[str, Any]] = [
    {},
    {"nperseg": 16},
    {"nperseg": 15, "noverlap": 3, "fs": 8.0},
    {"nperseg": 16, "nfft": 20},
    {"nperseg": 16, "window": "hamming"},
    {"nperseg": 16, "window": ("kaiser", 3.0)},
    {"window": np.hanning(12)},
    {"nperseg": 16, "axis": 0},
    {"nperseg": 10, "detrend": "linear"},
    {"nperseg": 10, "detrend": False},
    {"nperseg": 10, "detrend": np.sin, "axis": -1},
    {"nperseg": 10, "detrend": lambda v: v - v[:1], "axis": 0},
    {"nperseg": 10, "scaling": "spectrum"},
    {"nperseg": 10, "average": "median"},
    {"nperseg": 10, "return_onesided": False},
    {"nperseg": 1, "noverlap": 0},
]
X, Y = rng.normal(size=(2, 40)), rng.normal(size=(2, 33))
Z = X + 1j * rng.normal(size=X.shape)


def draw(shape: tuple[int, ...], kind: str) -> Any:
    x = rng.normal(size=shape)
    return x + 1j * rng.normal(size=shape) if kind == "complex" else x


def pairs(name: str) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    return [s for s in SHAPES if len(s[0]) == 2 or name[-2:] != "2d"]


NAMES = ("convolve", "correlate", "fftconvolve", "convolve2d", "correlate2d")


@pytest.fixture
def wide() -> Any:
    with fg.enable_x64(True):
        yield


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_products_as_in_scipy(name: str, mode: str, kind: str, wide: None) -> None:
    for first, second in pairs(name) + ([CROSSED] if mode != "valid" else []):
        x, y = draw(first, kind), draw(second, kind)
        assert_same(getattr(signal, name)(x, y, mode), getattr(reference, name)(x, y, mode))


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool", "bfloat16", "complex64"])
@pytest.mark.parametrize("name", NAMES)
def test_products_have_dtypes_of_jax(name: str, dtype: str) -> None:
    jnp = pytest.importorskip("jax.numpy")
    theirs = pytest.importorskip("jax.scipy.signal")
    if name == "fftconvolve" and dtype == "bfloat16":
        pytest.skip("JAX transforms no half precision")
    x, y = (np.abs(draw(s, "real") * 3).astype(np.int32) for s in ((5, 6), (2, 3)))
    want = getattr(theirs, name)(jnp.asarray(x, dtype), jnp.asarray(y, dtype))
    got = getattr(signal, name)(fnp.asarray(x, dtype), fnp.asarray(y, dtype))
    assert (got.shape, str(got.dtype)) == (want.shape, str(want.dtype))
    np.testing.assert_allclose(got.astype("complex64"), np.asarray(want, "complex64"), atol=1e-4)


def test_methods_agree(wide: None) -> None:
    x, y = draw((5, 6), "real"), draw((2, 3), "real")
    for name in ("convolve", "correlate"):
        function = getattr(signal, name)
        assert_same(function(x, y, "same", "fft"), function(x, y, "same", "direct"))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("axes", [0, [1], (-1, 0)])
def test_fftconvolve_along_axes(axes: Any, mode: str, wide: None) -> None:
    x, y = draw((4, 5, 3), "real"), draw((4, 5, 3), "real")
    listed = [axes] if isinstance(axes, int) else axes
    cut = tuple(slice(0, 2) if i in [a % 3 for a in listed] else slice(None) for i in range(3))
    want = reference.fftconvolve(x, y[cut], mode, axes=axes)
    assert_same(signal.fftconvolve(x, y[cut], mode, axes), want)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_transforms_of_products(name: str, mode: str, wide: None) -> None:
    check_transforms(
        lambda x, y: getattr(signal, name)(x, y, mode), draw((4, 3), "real"), draw((2, 2), "real")
    )


@pytest.mark.parametrize(
    "options",
    [{}, {"type": "constant"}, {"bp": [10, 30]}, {"axis": 0, "bp": 1}, {"bp": 39}, {"axis": 0}],
)
def test_detrend(options: dict[str, Any], wide: None) -> None:
    assert_same(signal.detrend(X, **options), reference.detrend(X, **options))
    check_transforms(lambda x: signal.detrend(x, **options), X[:, ::1])


def test_detrend_of_integers() -> None:
    assert signal.detrend([1, 2, 4]).dtype == np.float32


@pytest.mark.parametrize("options", SPECTRA, ids=[str(k) for k in range(len(SPECTRA))])
def test_densities_as_in_scipy(options: dict[str, Any], wide: None) -> None:
    x, y, z = (v.T if options.get("axis") == 0 else v for v in (X, Y, Z))
    with warnings.catch_warnings():
        # SciPy's segments of 256 samples are cut to the signal; JAX's and ours are the signal.
        warnings.simplefilter("ignore")
        want = [tuple(reference.welch(x, **options)), tuple(reference.csd(x, y, **options))]
    assert_same(signal.welch(x, **options), want[0])
    assert_same(signal.csd(x, y, **options), want[1])
    with (
        pytest.warns(UserWarning, match="complex")
        if "return_onesided" not in options
        else (warnings.catch_warnings())
    ):
        got = signal.welch(z, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_same(got, tuple(reference.welch(z, **options)))


@pytest.mark.parametrize("boundary", ["zeros", "even", "odd", "constant", None])
@pytest.mark.parametrize("padded", [True, False])
def test_short_time_transforms_as_in_scipy(boundary: str | None, padded: bool, wide: None) -> None:
    for options in SPECTRA:
        # A function of the segments finds them turned there if they were: here it does not.
        turned = callable(options.get("detrend")) and options["axis"] == 0
        if turned or set(options) & {"scaling", "average"}:
            continue
        x = X.T if options.get("axis") == 0 else X
        given = {"nperseg": 12, "boundary": boundary, "padded": padded, **options}
        assert_same(signal.stft(x, **given), tuple(reference.stft(x, **given)))


INVERSES: list[dict[str, Any]] = [
    {"nperseg": 8},
    {"nperseg": 9},
    {"nperseg": 8, "noverlap": 2, "fs": 4.0},
    {"nperseg": 8, "noverlap": 0, "window": "boxcar"},
    {"nperseg": 8, "nfft": 12},
    {"nperseg": 8, "boundary": None},
    {"nperseg": 8, "window": np.hamming(8)},
]


@pytest.mark.parametrize("options", INVERSES, ids=str)
def test_istft_as_in_scipy(options: dict[str, Any], wide: None) -> None:
    given = {**options, "boundary": options.get("boundary", "zeros")}
    z = reference.stft(X, **given)[2]
    back = {**options, "boundary": given["boundary"] is not None}
    with warnings.catch_warnings():
        # Without the extension, the ends are under the ends of one window only.
        warnings.simplefilter("ignore")
        assert_same(signal.istft(z, **back), reference.istft(z, **back))
        turned = np.moveaxis(z, (1, 2), (2, 0))
        axes = {"time_axis": 0, "freq_axis": 2}
        assert_same(signal.istft(turned, **back, **axes), reference.istft(turned, **back, **axes))
        both = reference.stft(Z, return_onesided=False, **given)[2]
        want = reference.istft(both, input_onesided=False, **back)
    assert_same(signal.istft(both, input_onesided=False, **back), want)


@pytest.mark.parametrize("size", [1, 6, 7])
def test_istft_undoes_stft(size: int, wide: None) -> None:
    out = signal.istft(
        signal.stft(X, nperseg=size, noverlap=0, window="boxcar")[2],
        nperseg=size,
        noverlap=0,
        window="boxcar",
    )[1]
    np.testing.assert_allclose(out[:, : X.shape[1]], X, atol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        "welch(x)",
        "welch(x, nperseg=10)",
        "welch(i, nperseg=10)",
        "csd(x, y, nperseg=10)",
        "csd(x, None, nperseg=10, average='median')",
        "stft(x, nperseg=8)",
        "stft(i, nperseg=8)",
        "istft(z, nperseg=8)",
        "detrend(x)",
        "detrend(i)",
        "welch(x[:0])",
        "csd(x[:0], y, nperseg=4)",
    ],
)
def test_spectra_as_in_jax(call: str) -> None:
    jnp = pytest.importorskip("jax.numpy")
    theirs = pytest.importorskip("jax.scipy.signal")
    arrays = {
        "x": X[0].astype(np.float32),
        "y": Y[0].astype(np.float32),
        "i": np.arange(40, dtype=np.int32) ** 2,
        "z": Z[:, :5].T.astype(np.complex64),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = eval(f"M.{call}", {"M": theirs, **{k: jnp.asarray(v) for k, v in arrays.items()}})
        got = eval(f"M.{call}", {"M": signal, **{k: fnp.asarray(v) for k, v in arrays.items()}})
    scale = max(float(np.abs(np.asarray(v)).max(initial=1.0)) for v in fg.tree.leaves(got))
    assert_same(got, want, 2e-5, 2e-6 * scale)


@pytest.mark.parametrize(
    "call",
    [
        "welch(x, nperseg=8)[1]",
        "welch(x, nperseg=8, window=y[:8])[1]",
        "csd(x, y, fs=y[0] + 9, nperseg=8)",
        "stft(x, nperseg=8, boundary='odd')[2]",
        "istft(x[:30].reshape(5, 6) + 1j * y[:30].reshape(5, 6), nperseg=8)[1]",
    ],
)
def test_transforms_of_spectra(call: str, wide: None) -> None:
    check_transforms(lambda x, y: eval(f"M.{call}", {"M": signal, "x": x, "y": y}), X[0], Y[0])


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        ("convolve(x, y, 'nonsense')", ValueError, "mode must be one of"),
        ("convolve(x, y, method='slow')", ValueError, "expected 'auto', 'fft', or 'direct'"),
        ("convolve(x, m)", ValueError, "same dimensionality"),
        ("convolve(x[:0], x)", ValueError, "zero-size"),
        ("convolve([1.0], x)", TypeError, "convolve requires ndarray"),
        ("convolve(m, m[:1].repeat(5, 0)[:, :2], 'valid')", ValueError, "at least as large"),
        ("correlate([1.0], x)", TypeError, "correlate requires ndarray"),
        ("convolve2d(m, m, boundary='wrap')", ValueError, "numpy.pad"),
        ("correlate2d(m, m, fillvalue=1)", ValueError, "fillvalue=0"),
        ("convolve2d(x, x)", ValueError, "2-dimensional"),
        ("fftconvolve(m, m[:1], axes=1)", ValueError, "mapped axes must have same shape"),
        ("fftconvolve(x, x[:0])", ValueError, "needs elements"),
        ("detrend(x, type='cubic')", ValueError, "'linear' or 'constant'"),
        ("detrend(x, bp=50)", ValueError, "Breakpoints"),
        ("detrend(x, overwrite_data=True)", ValueError, "leave overwrite_data out"),
        ("welch(x, nperseg=0)", ValueError, "positive integer"),
        ("welch(x, nperseg=8, noverlap=8)", ValueError, "noverlap must be less"),
        ("welch(x, nperseg=8, nfft=4)", ValueError, "nfft must be greater"),
        ("welch(x, nperseg=8, average='mode')", ValueError, "median"),
        ("welch(x, nperseg=8, scaling='loud')", ValueError, "Unknown scaling"),
        ("welch(x, nperseg=8, detrend=1.5)", ValueError, "Unsupported detrend"),
        ("welch(x, window=x[:4], nperseg=8)", ValueError, "of length 8"),
        ("welch(x[:3], window=x[:4])", ValueError, "longer than input"),
        ("welch(x, window='nonsense', nperseg=8)", ValueError, "nonsense"),
        ("csd(x, m, nperseg=2)", ValueError, "same rank"),
        ("csd(m, m[:1].repeat(4, 0), nperseg=2)", ValueError, "cannot be broadcast"),
        ("stft(x, nperseg=8, boundary='hard')", ValueError, "Unknown boundary"),
        (
            "stft(x[:3], nperseg=3, window=x[:3], boundary='odd', axis=0, nfft=2)",
            ValueError,
            "nfft",
        ),
        ("stft(x[:1], window=x[:1], nperseg=2)", ValueError, "of length 2"),
        ("stft(x, nperseg=99)", UserWarning, "greater than the input length"),
        ("istft(x)", ValueError, "at least 2d"),
        ("istft(m, time_axis=0, freq_axis=0)", ValueError, "differing"),
        ("istft(m, nperseg=-2)", ValueError, "positive"),
        ("istft(m, nperseg=8, nfft=4)", ValueError, "FFT length"),
        ("istft(m, nperseg=4, noverlap=4, nfft=4)", ValueError, "noverlap must be less"),
        ("istft(m, nperseg=4, nfft=4, window=x[:3])", ValueError, "of length 4"),
    ],
)
def test_what_is_refused(call: str, error: type[Exception], text: str) -> None:
    arrays = {"x": fnp.asarray(X[0, :30]), "y": fnp.asarray(Y[0]), "m": fnp.asarray(X[:, :3])}
    with pytest.raises(error, match=text):
        eval(f"M.{call}", {"M": signal, **arrays})


def test_lengths_are_not_traced() -> None:
    with pytest.raises(fg.errors.ConcretizationTypeError, match="nperseg"):
        fg.jit(lambda n: signal.welch(X[0], nperseg=n))(4)

"""The Python array API standard, 2025.12: names, dtypes, what the namespace says of itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp

NAMES = """
e inf nan newaxis pi arange asarray empty empty_like eye from_dlpack full full_like linspace
meshgrid ones ones_like tril triu zeros zeros_like astype can_cast finfo iinfo isdtype result_type
bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128 abs acos
acosh add asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_invert bitwise_or
bitwise_right_shift bitwise_xor ceil clip conj copysign cos cosh divide equal exp expm1 floor
floor_divide greater greater_equal hypot imag isfinite isinf isnan less less_equal log log1p log2
log10 logaddexp logical_and logical_not logical_or logical_xor maximum minimum multiply negative
nextafter not_equal positive pow real reciprocal remainder round sign signbit sin sinh square sqrt
subtract tan tanh trunc take take_along_axis matmul matrix_transpose tensordot vecdot
broadcast_arrays broadcast_to concat expand_dims flip moveaxis permute_dims repeat reshape roll
squeeze stack tile unstack argmax argmin count_nonzero nonzero searchsorted where unique_all
unique_counts unique_inverse unique_values argsort sort cumulative_prod cumulative_sum max mean min
prod std sum var all any diff linalg fft __array_namespace_info__ __array_api_version__
""".split()

FFT = """
fft ifft fftn ifftn rfft irfft rfftn irfftn hfft ihfft fftfreq rfftfreq fftshift ifftshift
""".split()

METHODS = """
__abs__ __add__ __and__ __array_namespace__ __bool__ __complex__ __dlpack__ __dlpack_device__ __eq__
__float__ __floordiv__ __ge__ __getitem__ __gt__ __index__ __int__ __invert__ __le__ __lshift__
__lt__ __matmul__ __mod__ __mul__ __ne__ __neg__ __or__ __pos__ __pow__ __rshift__ __setitem__
__sub__ __truediv__ __xor__ to_device dtype device mT ndim shape size T
""".split()


@pytest.fixture
def wide() -> Any:
    with fg.enable_x64(True):
        yield


@pytest.mark.parametrize("name", NAMES)
def test_the_namespace_has(name: str) -> None:
    assert hasattr(fnp, name)


def test_extensions_and_arrays_have_their_names() -> None:
    assert not [n for n in FFT if not hasattr(fnp.fft, n)]
    assert not [n for n in METHODS if not hasattr(fnp.ones((1, 1)), n)]


def test_arrays_name_their_namespace() -> None:
    x = fnp.ones(3)
    assert x.__array_namespace__() is fnp
    assert x.__array_namespace__(api_version="2024.12") is fnp
    assert x.__array_namespace__(api_version=fnp.__array_api_version__) is fnp
    assert fg.jit(lambda v: v.__array_namespace__().sum(v))(x) == 3
    with pytest.raises(ValueError, match="api|API"):
        x.__array_namespace__(api_version="1999.01")
    assert x.to_device(x.device) is x
    assert x.to_device("cpu") is x
    with pytest.raises(RuntimeError, match="Unknown device"):
        x.to_device("tpu")
    with pytest.raises(ValueError, match="stream"):
        x.to_device("cpu", stream=1)


def test_the_namespace_tells_about_itself() -> None:
    info = fnp.__array_namespace_info__()
    assert info.default_dtypes()["real floating"] == np.float32
    assert set(info.dtypes(kind="complex floating")) == {"complex64"}
    with fg.enable_x64(True):
        assert info.default_dtypes(device="cpu") == {
            "real floating": np.dtype("f8"),
            "complex floating": np.dtype("c16"),
            "integral": np.dtype("i8"),
            "indexing": np.dtype("i8"),
        }
        assert len(info.dtypes()) == 13
        assert set(info.dtypes(kind=("bool", "real floating"))) == {"bool", "float32", "float64"}
        assert len(info.dtypes(kind="integral")) == 8
        assert len(info.dtypes(kind="numeric")) == 12
    assert info.default_device() in info.devices()
    assert info.capabilities()["max dimensions"] == 64
    with pytest.raises(ValueError, match="kind"):
        info.dtypes(kind="quaternion")


@pytest.mark.parametrize(
    ("call", "dtype"),
    [
        ("sum(i8)", "int64"),
        ("sum(u8)", "uint64"),
        ("prod(i8)", "int64"),
        ("prod(u8)", "uint64"),
        ("cumulative_sum(i8)", "int64"),
        ("cumulative_prod(u8)", "uint64"),
        ("sum(f4)", "float32"),
        ("sum(c8)", "complex64"),
        ("sum(b)", "int64"),
        ("mean(f4)", "float32"),
        ("argmax(f4)", "int64"),
        ("argsort(f4)", "int64"),
        ("count_nonzero(f4)", "int64"),
        ("searchsorted(f4, f4)", "int64"),
        ("nonzero(f4)[0]", "int64"),
        ("unique_all(i8).indices", "int64"),
        ("unique_counts(i8).counts", "int64"),
        ("unique_inverse(i8).inverse_indices", "int64"),
        ("arange(3)", "int64"),
        ("arange(3.0)", "float64"),
        ("linspace(0, 1, 3)", "float64"),
        ("asarray([1.0])", "float64"),
        ("asarray(1j)", "complex128"),
        ("asarray(True)", "bool"),
        ("full(2, 1)", "int64"),
        ("zeros(2)", "float64"),
        ("add(i8, u8)", "int16"),
        ("add(f4, 1)", "float32"),
        ("add(i8, 1)", "int8"),
        ("abs(c8)", "float32"),
        ("real(c8)", "float32"),
        ("divide(f4, f4)", "float32"),
        ("equal(f4, f4)", "bool"),
        ("clip(i8, 0, 3)", "int8"),
        ("fft.fft(c8)", "complex64"),
        ("fft.rfft(f4)", "complex64"),
        ("fft.irfft(c8)", "float32"),
        ("fft.fftfreq(4)", "float64"),
        ("fft.fftfreq(4, dtype=xp.float32)", "float32"),
        ("astype(f4, xp.int16)", "int16"),
        ("vecdot(c8, c8)", "complex64"),
        ("result_type(i8, f4)", None),
    ],
)
def test_dtypes_of_the_standard(call: str, dtype: str | None, wide: None) -> None:
    arrays = {
        "i8": fnp.asarray([1, 2, 3], dtype="int8"),
        "u8": fnp.asarray([1, 2, 3], dtype="uint8"),
        "f4": fnp.asarray([1, 2, 3], dtype="float32"),
        "c8": fnp.asarray([1j, 2, 3], dtype="complex64"),
        "b": fnp.asarray([True, False, True]),
    }
    out = eval(f"xp.{call}", {"xp": fnp, **arrays})
    assert (out if dtype is None else out.dtype) == (dtype or "float32")


def test_kinds_of_dtypes() -> None:
    assert fnp.isdtype(fnp.float32, "real floating")
    assert fnp.isdtype(fnp.int8, ("integral", "bool"))
    assert not fnp.isdtype(fnp.float32, "complex floating")
    assert fnp.isdtype(fnp.float32, fnp.float32)


def test_scipy_takes_our_arrays() -> None:
    compat = pytest.importorskip("scipy._lib.array_api_compat.common")
    x = fnp.ones((2, 3))
    assert compat.array_namespace(x, fnp.zeros(2)) is fnp
    assert compat.is_array_api_obj(x)
    assert compat.size(x) == 6


def test_einops_takes_our_arrays_traced_or_not() -> None:
    ops = pytest.importorskip("einops.array_api")
    x = fnp.arange(24.0).reshape(2, 3, 4)
    raw = np.asarray(x)

    def turned(v: Any) -> Any:
        return ops.rearrange(v, "a b c -> c (a b)")

    want = raw.transpose(2, 0, 1).reshape(4, 6)
    for run in (turned, fg.jit(turned)):
        np.testing.assert_array_equal(run(x), want)
    np.testing.assert_allclose(ops.reduce(x, "a b c -> b", "mean"), raw.mean((0, 2)))
    assert ops.repeat(x, "a b c -> a d b c", d=2).shape == (2, 2, 3, 4)
    slope = fg.grad(lambda v: (ops.reduce(v, "a b c -> a c", "sum") ** 2).sum())(x)
    np.testing.assert_allclose(slope, np.broadcast_to(2 * raw.sum(1, keepdims=True), raw.shape))
    assert fg.vmap(lambda v: ops.rearrange(v, "b c -> c b"))(x).shape == (2, 4, 3)


def test_scikit_learn_computes_with_our_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of its estimators those that assign to elements, as most do, refuse immutable arrays.
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    sklearn = pytest.importorskip("sklearn")
    from sklearn.decomposition import PCA
    from sklearn.metrics import accuracy_score, mean_squared_error

    rng = np.random.default_rng(0)
    raw = rng.normal(size=(30, 3)).astype(np.float32)
    x, labels = fnp.asarray(raw), fnp.asarray(np.arange(30) % 2)
    wanted = PCA(2, svd_solver="full").fit(raw)
    with sklearn.config_context(array_api_dispatch=True):
        found = PCA(2, svd_solver="full").fit(x)
        assert isinstance(found.components_, fg.Array)
        np.testing.assert_allclose(found.components_, wanted.components_, rtol=1e-3, atol=1e-4)
        moved = found.transform(x)
        np.testing.assert_allclose(moved, wanted.transform(raw), rtol=1e-3, atol=1e-4)
        assert accuracy_score(labels, labels) == 1.0
        error = mean_squared_error(x, 2 * x)
    np.testing.assert_allclose(error, (raw**2).mean(), rtol=1e-5)

"""Every function of the namespace on a table of calls: against JAX, against NumPy, and traced."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.api.tracing import make_jaxpr
from funcgrad.config import enable_x64
from funcgrad.core.array import Array
from funcgrad.core.evaluate import eval_closed
from funcgrad.errors import ConcretizationTypeError

_spec = importlib.util.spec_from_file_location("calls", Path(__file__).parent / "calls.py")
assert _spec is not None and _spec.loader is not None
calls = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(calls)

RAW = calls.data()
OURS = {name: fnp.asarray(x) for name, x in RAW.items()}
each_call = pytest.mark.parametrize("call", calls.CALLS)

# Traced, the size of these results would depend on values.
NEEDS_VALUES = re.compile(
    r"nonzero|argwhere|unique|bincount|union|intersect|setdiff|setxor|where\(m\)|choose|extract"
    r"|ravel_multi|mask_indices\(3, n.triu"
)
# The sum of diagonals and the variance are methods that tracers cannot have yet.


def run(call: str, namespace: Any, arrays: dict[str, Any]) -> Any:
    return eval(call, {"n": namespace, **arrays})


def close(got: Any, want: Any) -> None:
    loose = np.asarray(want).dtype == np.float16
    np.testing.assert_allclose(
        np.asarray(got),
        np.asarray(want),
        rtol=2e-3 if loose else 2e-5,
        atol=2e-3 if loose else 4e-6,
    )


@each_call
def test_as_in_jax(call: str) -> None:
    jnp = pytest.importorskip("jax.numpy")
    want = run(call, jnp, {name: jnp.asarray(x) for name, x in RAW.items()})
    got = run(call, fnp, OURS)
    if not isinstance(got, Array):
        assert got == want
        return
    assert (got.shape, got.dtype, got.weak_type) == (want.shape, want.dtype, want.weak_type)
    close(got, want)


@each_call
def test_traced_as_eager(call: str) -> None:
    want = run(call, fnp, OURS)
    if not isinstance(want, Array):
        return
    names = [name for name in OURS if re.search(rf"(?<![\w.'\"]){name}\b", call)]

    def traced(*arrays: Any) -> Any:
        return run(call, fnp, dict(zip(names, arrays, strict=True)))

    args = [OURS[name] for name in names]
    try:
        closed = make_jaxpr(traced)(*args)
    except ConcretizationTypeError:
        assert NEEDS_VALUES.search(call)
        return
    (got,) = eval_closed(closed, *args)
    assert got.aval == want.aval
    close(got, want)


@pytest.mark.parametrize("name", "sum prod mean var std max min cumsum sort median".split())
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_reductions_as_in_numpy(name: str, axis: int | None) -> None:
    x = RAW["x"]
    want = getattr(np, name)(x, axis=axis)
    close(getattr(fnp, name)(OURS["x"], axis=axis), want)


@pytest.mark.parametrize("x", [None, [1, 2], ((1, 2), (3, 4)), "a", {}])
def test_extents_of_what_is_no_array_are_numpys_with_a_warning(x: Any) -> None:
    for name in ("shape", "ndim", "size"):
        with pytest.warns(DeprecationWarning, match=f"{name} requires ndarray or scalar"):
            assert getattr(fnp, name)(x) == getattr(np, name)(x)


def test_size_makes_searches_traceable() -> None:
    mask = OURS["m"]

    def f(m: Any) -> Any:
        return [*fnp.nonzero(m, size=8, fill_value=-1), fnp.unique(m, size=3, fill_value=True)]

    got = eval_closed(make_jaxpr(f)(mask), mask)
    rows, columns = np.nonzero(RAW["m"])
    fill = [-1] * (8 - len(rows))
    assert np.asarray(got[0]).tolist() == [*rows, *fill][:8]
    assert np.asarray(got[1]).tolist() == [*columns, *fill][:8]
    assert np.asarray(got[2]).tolist() == [False, True, True]


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("shape", [(5,), (1,), (3, 4), (2, 1, 6)])
@pytest.mark.parametrize("widths", [(0, 2), (1, 0), (3, 4), (4, 5), (9, 13)])
def test_frames_of_copies(mode: str, shape: Any, widths: tuple[int, int]) -> None:
    """Copies of parts, or of several turns of an axis; what comes back is added to its source."""
    x = np.random.default_rng(6).standard_normal(shape).astype(np.float32)
    want = np.pad(x, widths, mode=mode)
    weights = np.random.default_rng(7).standard_normal(want.shape).astype(np.float32)
    for found in (fnp.pad(x, widths, mode=mode), fg.jit(lambda x: fnp.pad(x, widths, mode))(x)):
        np.testing.assert_array_equal(found, want)
    back = fg.jit(fg.grad(lambda x: fnp.sum(fnp.pad(x, widths, mode) * weights)))(x)
    source = np.pad(np.arange(x.size).reshape(shape), widths, mode=mode)
    sums = np.bincount(source.ravel(), weights.ravel(), x.size).reshape(shape)
    np.testing.assert_allclose(back, sums, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["convolve", "correlate"])
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("sizes", [(64, 63), (300, 40), (40, 301), (1000, 5), (64, 64), (65, 64)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.int32])
def test_long_vectors_slid_along_each_other(
    name: str, mode: str, sizes: tuple[int, int], dtype: Any
) -> None:
    rng = np.random.default_rng(4)
    x, y = ((rng.standard_normal(n) * 5).astype(dtype) for n in sizes)
    if np.dtype(dtype).kind == "c":
        x, y = x * (1 + 2j), y * (2 - 1j)

    def slide(x: Any, y: Any) -> Any:
        return getattr(fnp, name)(x, y, mode)

    with enable_x64():
        want = getattr(np, name)(x, y, mode)
        for found in (slide(x, y), fg.jit(slide)(x, y)):
            assert found.shape == want.shape
            np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5 * abs(want).max())


def test_gradients_of_long_convolutions() -> None:
    """Each is the correlation of what comes back with the other vector."""
    rng = np.random.default_rng(5)
    x, y, back = (rng.standard_normal(n).astype(np.float32) for n in (200, 50, 249))

    def weighed(x: Any, y: Any) -> Any:
        return fnp.sum(fnp.convolve(x, y) * back)

    of_x, of_y = fg.jit(fg.grad(weighed, (0, 1)))(x, y)
    np.testing.assert_allclose(of_x, np.correlate(back, y, "valid"), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(of_y, np.correlate(back, x, "valid"), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("part", [0.0, 0.004, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(3000,), (50, 61), (10, 20, 15)])
@pytest.mark.parametrize("size", [1, 5, 40, 400, 3000])
def test_few_and_many_indices_of_what_is_not_zero(part: float, shape: Any, size: int) -> None:
    """Few are looked for, many are counted: with a size both give NumPy's, and then the filling."""
    mask = np.random.default_rng(3).random(shape) < part
    want = [[*w, *[-1] * size][:size] for w in np.nonzero(mask)]
    for x64 in (False, True):
        with enable_x64(x64):
            got = fg.jit(lambda m: fnp.nonzero(m, size=size, fill_value=-1))(mask)
            eager = fnp.nonzero(fnp.asarray(mask), size=size, fill_value=-1)
            dtypes = {g.dtype.name for g in (*got, *eager)}
        assert dtypes == {"int64" if x64 else "int32"}
        assert [np.asarray(g).tolist() for g in got] == want
        assert [np.asarray(g).tolist() for g in eager] == want


def test_array_copies_and_asarray_does_not() -> None:
    x = OURS["x"]
    assert fnp.asarray(x) is x
    assert fnp.array(x) is not x
    writeable = np.zeros(3)
    kept = fnp.asarray(writeable)
    writeable[:] = 1
    assert not np.asarray(kept).any()
    assert isinstance(np.ones(4, np.float32) + OURS["row"], Array)
    assert isinstance(np.float32(1) * OURS["row"], Array)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            "n.add([1], 2)",
            TypeError,
            "add requires ndarray or scalar arguments, got <class 'list'>",
        ),
        ("n.sum((1, 2))", TypeError, "sum requires ndarray or scalar"),
        ("n.reshape([1, 2], (2, 1))", TypeError, "reshape requires"),
        ("n.reshape(x, (5, -1))", TypeError, "cannot reshape"),
        ("n.max(n.zeros(0))", ValueError, "no identity"),
        ("n.argmax(n.zeros(0))", ValueError, "empty sequence"),
        ("n.array([[1, 2], [3]])", ValueError, "inhomogeneous"),
        ("n.array([300], 'uint8')", OverflowError, "out of bounds"),
        ("n.array('a')", TypeError, "not supported"),
        ("n.array(None)", ValueError, "None is not"),
        ("n.zeros(3, 'foo')", TypeError, "not a dtype"),
        ("n.zeros(-1)", TypeError, "negative"),
        ("x + [1]", TypeError, "unsupported operand"),
        ("x < 'a'", TypeError, "not supported between"),
        ("x[[0, 1]]", TypeError, "non-tuple sequence"),
        ("x[1.0]", TypeError, "integer or boolean"),
        ("x[s]", TypeError, "integer or boolean"),
        ("x['a']", TypeError, "string"),
        ("x[0, 0, 0]", IndexError, "Too many indices"),
        ("x[..., ...]", IndexError, "single ellipsis"),
        ("x[n.ones(3, bool)[:2]]", IndexError, "boolean index did not match"),
        ("x @ 1", ValueError, "at least 1"),
        ("n.split(x, 5)", ValueError, "equal division"),
        ("n.linspace(0, 1, -1)", ValueError, "non-negative"),
        ("n.power(k, -1)", TypeError, "negative powers"),
        ("n.where(m, x)", ValueError, "Either both or neither"),
        ("n.concatenate([1, 2])", ValueError, "Zero-dimensional"),
        ("n.einsum('ij,j', x, edges)", ValueError, "stands for extents"),
        ("n.pad(x, 1, mode='foo')", ValueError, "modes are"),
        ("x.sum(axis=5)", ValueError, "out of bounds"),
    ],
)
def test_errors(call: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=re.escape(text)):
        run(call, fnp, OURS)


METHODS = """
linear lower higher midpoint inverted_cdf averaged_inverted_cdf closest_observation
interpolated_inverted_cdf hazen weibull median_unbiased normal_unbiased
""".split()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_quantiles_as_in_numpy(method: str, size: int) -> None:
    x = np.random.default_rng(3).normal(size=(3, size)).astype(np.float32)
    q = np.linspace(0, 1, 17)
    close(fnp.quantile(x, q, axis=1, method=method), np.quantile(x, q, axis=1, method=method))
    x[1, 0] = x[2, :-1] = np.nan
    if size > 1:
        want = np.nanquantile(x, q, axis=1, method=method)
        close(fnp.nanquantile(x, q, axis=1, method=method), want)


def test_transforms_of_bad_lengths_and_axes() -> None:
    for call, text in (
        ("n.fft.fft(x, 0)", "positive"),
        ("n.fft.fft(x, axis=(0, 1))", "multiple axes"),
        ("n.fft.fftn(x, (3,), (0, 1))", "different lengths"),
        ("n.fft.fftn(x, axes=(1, -1))", "repeated axes"),
        ("n.fft.ifft(x, norm='unit')", "norm="),
        ("n.fft.fft2(cube, axes=(0, 1, 2))", "2 axes"),
        ("n.fft.fft(empty, axis=0)", "at least one sample"),
        ("n.fft.rfft(z)", "real"),
        ("n.fft.fftfreq([3])", "list"),
    ):
        with pytest.raises(ValueError, match=re.escape(text)):
            run(call, fnp, OURS)


def test_files_keep_arrays(tmp_path: Path) -> None:
    half = OURS["x"].astype("bfloat16")
    fnp.save(tmp_path / "x.npy", half)
    back = fnp.load(tmp_path / "x.npy")
    assert isinstance(back, Array) and back.dtype == half.dtype
    assert (back == half).all()
    fnp.savez(tmp_path / "all.npz", OURS["x"], k=OURS["k"])
    with fnp.load(tmp_path / "all.npz") as found:
        assert sorted(found) == ["arr_0", "k"]
        np.testing.assert_array_equal(found["k"], RAW["k"])
    with pytest.raises(TypeError, match="__array__"):
        make_jaxpr(lambda x: fnp.save(tmp_path / "y.npy", x))(half)
    with fnp.printoptions(precision=2):
        assert fnp.array_str(OURS["row"]) == np.array_str(RAW["row"], precision=2)
    assert fnp.fromstring("1 2 3", int, sep=" ").tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="asarray"):
        fnp.fromiter(iter([1.0]), float)


def test_ufuncs_have_derivatives_and_refuse_what_changes_arrays() -> None:
    from funcgrad import grad

    x = OURS["row"]
    for fold in (fnp.multiply, fnp.logaddexp, fnp.hypot, fnp.subtract):
        slope = np.asarray(grad(lambda v, fold=fold: fold.reduce(v))(x))
        step = 1e-2 * np.eye(4, dtype=np.float32)
        ends = [[np.asarray(fold.reduce(x + s * e)) for e in step] for s in (1, -1)]
        np.testing.assert_allclose(
            slope, (np.array(ends[0]) - ends[1]) / 2e-2, rtol=2e-2, atol=2e-3
        )
    with pytest.raises(ValueError, match="inplace=False"):
        fnp.add.at(x, 0, 1.0)
    with pytest.raises(NotImplementedError, match="immutable"):
        fnp.add(x, x, out=x)
    with pytest.raises(ValueError, match="numpy.where"):
        fnp.add(x, x, where=x > 0)
    with pytest.raises(ValueError, match="identity"):
        fnp.subtract.reduce(x[:0])
    with pytest.raises(ValueError, match="binary"):
        fnp.negative.reduce(x)
    assert fnp.add.identity == 0 and fnp.add.nargs == 3
    assert isinstance(fnp.divide, fnp.ufunc)


def test_roots_and_fits_as_in_numpy() -> None:
    rng = np.random.default_rng(5)
    p = np.poly([1.0, -2.0, 0.5]).astype(np.float32)
    close(fnp.sort(fnp.roots(p).real), np.array([-2.0, 0.5, 1.0]))
    padded = np.concatenate([np.zeros(2, np.float32), p])
    assert fnp.roots(padded).shape == (3,)
    found = np.asarray(fnp.roots(padded, strip_zeros=False))
    assert np.isnan(found[3:]).all() and np.isfinite(found[:3]).all()
    assert fnp.roots(fnp.zeros(3)).shape == (0,)
    with pytest.raises(ConcretizationTypeError, match="strip_zeros"):
        make_jaxpr(fnp.roots)(fnp.asarray(p))
    matrix = rng.normal(size=(3, 3)).astype(np.float32)
    np.testing.assert_allclose(fnp.poly(matrix), np.poly(matrix), rtol=1e-4, atol=1e-4)
    x, y = rng.normal(size=12), rng.normal(size=(12, 2))
    w = rng.uniform(0.5, 1.0, 12)
    given = [v.astype(np.float32) for v in (x, y, w)]
    for values, ours in ((y, given[1]), (y[:, 0], given[1][:, 0])):
        for weights, own in ((None, None), (w, given[2])):
            want = np.polyfit(x, values, 2, w=weights)
            np.testing.assert_allclose(fnp.polyfit(given[0], ours, 2, w=own), want, rtol=2e-4)
            want = np.polyfit(x, values, 2, w=weights, cov=True)[1]
            got = fnp.polyfit(given[0], ours, 2, w=own, cov=True)[1]
            np.testing.assert_allclose(got, want, rtol=5e-3, atol=1e-4)
    assert len(fnp.polyfit(given[0], given[1], 2, full=True)) == 5
    for call, error in (
        ("n.polyfit(row, row, -1)", ValueError),
        ("n.polyfit(x, row, 1)", TypeError),
        ("n.polyfit(row, edges, 1)", TypeError),
        ("n.polyfit(row, row, 4, cov=True)", ValueError),
        ("n.poly(x)", ValueError),
        ("n.roots(x)", ValueError),
        ("n.polyint(row, -1)", ValueError),
        ("n.polyder(row, -1)", ValueError),
        ("n.polyint(row, 3, row[:2])", ValueError),
        ("n.packbits(x)", TypeError),
        ("n.unpackbits(k)", TypeError),
        ("n.packbits(m, bitorder='middle')", ValueError),
        ("n.gcd(x, 2)", ValueError),
        ("n.place(x, m, x)", ValueError),
        ("n.r_[row, '0,2']", ValueError),
        ("n.r_['a', row]", ValueError),
        ("n.histogramdd(x, (2, 3))", ValueError),
        ("n.histogramdd(x, 2, weights=row)", ValueError),
        ("n.quantile(x, 0.5, weights=p)", ValueError),
        ("n.quantile(z, 0.5)", ValueError),
        ("n.quantile(x, 0.5, method='best')", ValueError),
        ("n.isin(x, x, method='luck')", ValueError),
        ("n.ravel_multi_index((idx, idx), (300, 400), mode='clip', dtype='int8')", ValueError),
        ("n.ravel_multi_index((row, row), (3, 4), mode='clip')", TypeError),
        ("n.put(x, idx, 1.0, mode='raise', inplace=False)", ValueError),
        ("n.take(x, idx, mode='drop')", ValueError),
        ("n.transpose(x, (0, 0))", TypeError),
    ):
        with pytest.raises(error):
            run(call, fnp, OURS)


@pytest.mark.parametrize("x64", [False, True])
def test_dtypes_of_powers_and_angles(x64: bool) -> None:
    """Of integers `power` gives integers, unless only a float holds both; `angle` floats."""
    names = "bool int8 uint8 int32 uint32 float16 float32".split()
    names += ["int64", "uint64", "float64"] if x64 else []
    default = "float64" if x64 else "float32"
    with fg.enable_x64(x64):
        for a in names:
            angle = fnp.angle(fnp.ones(2, a)).dtype
            assert angle == (a if a.startswith("float") else default)
            for b in names:
                got = fnp.power(fnp.full(2, 1, a), fnp.full(2, 3, b))
                want = np.dtype("int32") if a == b == "bool" else fnp.result_type(a, b)
                assert got.dtype == want, (a, b)
                np.testing.assert_array_equal(got, [1, 1])
    jax = pytest.importorskip("jax")
    with jax.enable_x64(x64), fg.enable_x64(x64):
        for a in names:
            assert fnp.angle(fnp.ones(2, a)).dtype == jax.numpy.angle(jax.numpy.ones(2, a)).dtype
            for b in names:
                theirs = jax.eval_shape(jax.numpy.power, *(jax.numpy.ones(2, d) for d in (a, b)))
                assert fnp.power(fnp.ones(2, a), fnp.ones(2, b)).dtype == theirs.dtype, (a, b)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "int32", "uint32", "int64"])
def test_ldexp_of_any_exponent(dtype: str, kind: str) -> None:
    about = np.finfo(dtype)
    x = [0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, about.max, about.tiny, 3.7]
    x = np.array([*x, about.smallest_subnormal], dtype)[:, None]
    ends = np.iinfo(kind)
    near = {about.minexp - about.nmant, about.minexp, -25, -1, 0, 1, 25, about.maxexp}
    twice = {2 * about.maxexp - 2, 2 * about.maxexp - 1, 2 * about.maxexp + about.nmant, 10**5}
    exponents = sorted(
        {ends.min, ends.max, *(e for e in near | twice if ends.min <= e <= ends.max)}
    )
    bounded = np.clip(np.array(exponents, np.int64), -(10**5), 10**5).astype(np.int32)
    with np.errstate(all="ignore"):
        want = np.ldexp(x, bounded)
    with enable_x64(True):
        for f in (fnp.ldexp, fg.jit(fnp.ldexp)):
            got = np.asarray(f(x, np.array(exponents, kind)))
            assert got.dtype == dtype
            np.testing.assert_array_equal(got, want)
            np.testing.assert_array_equal(np.signbit(got), np.signbit(want))


def test_slope_of_ldexp() -> None:
    assert fg.grad(lambda x: fnp.ldexp(x, 5))(0.0) == 32


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8"])
def test_divisors_of_the_least_and_greatest_integers(dtype: str) -> None:
    ends = np.iinfo(dtype)
    given = np.array([ends.min, ends.min + 1, ends.max, ends.max - 1, 0, 1, 2, 3, 12], dtype)
    given = np.concatenate([given, np.array([-1, -6], dtype)]) if ends.min else given
    x, y = (a.ravel() for a in np.meshgrid(given, given))
    with enable_x64(True):
        for f in (fnp.gcd, fg.jit(fnp.gcd)):
            np.testing.assert_array_equal(f(x, y), np.gcd(x, y))


def test_vectorize_takes_sequences_and_none_and_gives_trees() -> None:
    vectorize = fnp.vectorize
    two = np.ones(2, np.float32)
    found = vectorize(lambda x, y: {"sum": x + 1, "all": (x, [x])})([1.0, 2.0], None)
    assert found["sum"].tolist() == [2.0, 3.0] and found["all"][1][0].tolist() == [1.0, 2.0]
    assert vectorize(lambda x, y=0: x if y is None else -x)(two, y=None).tolist() == [1.0, 1.0]
    assert vectorize(lambda x: fnp.ones(3) * x)(two).shape == (2, 3)
    slope = vectorize(lambda x: fg.linearize(fnp.sin, x)[1])(two)
    np.testing.assert_allclose(fg.vmap(lambda f: f(1.0))(slope), np.cos(two), rtol=1e-6)
    with pytest.raises(ValueError, match=r"None at locations \{1\}"):
        vectorize(lambda x, y: x, signature="(),(n)->()")(two, None)
    with pytest.raises(TypeError, match="expected 2, got 1"):
        vectorize(lambda x: [x, x], signature="()->(),()")(two)
    with pytest.raises(ValueError, match="core dimensions"):
        vectorize(lambda x: x, signature="(n)->()")(two)

"""The distributions: values of SciPy, types of JAX, derivatives against differences."""

from __future__ import annotations

import importlib
import inspect
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.stats as reference

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.scipy import stats

rng = np.random.default_rng(1)
X = rng.normal(size=12) * 2
POSITIVE = rng.uniform(0.2, 3, 12)
P = rng.uniform(0.05, 0.95, 12)
COUNTS = rng.integers(0, 5, 12)
LOC, SCALE = rng.normal(size=12) * 0.3, rng.uniform(0.5, 2, 12)

# Points and shape parameters of each; loc and scale follow where a function takes them.
CASES: dict[str, tuple[Any, ...]] = {
    "norm": (X,),
    "uniform": (P * 2 - 0.3,),
    "beta": (P, POSITIVE, POSITIVE[::-1]),
    "gamma": (POSITIVE + 1, POSITIVE),
    "t": (X, POSITIVE + 1),
    "expon": (POSITIVE + 0.5,),
    "laplace": (X,),
    "logistic": (X,),
    "cauchy": (X,),
    "chi2": (POSITIVE + 1, POSITIVE[::-1]),
    "pareto": (POSITIVE + 3, POSITIVE),
    "vonmises": (X, POSITIVE),
    "wrapcauchy": (P * 6, P[::-1]),
    "gennorm": (X, POSITIVE),
    "gumbel_l": (X,),
    "gumbel_r": (X,),
    "truncnorm": (X / 2, -POSITIVE, POSITIVE[::-1]),
    "bernoulli": (COUNTS % 2, P),
    "binom": (COUNTS, COUNTS[::-1] + 3, P),
    "geom": (COUNTS + 1, P),
    "nbinom": (COUNTS, COUNTS[::-1] + 1, P),
    "betabinom": (COUNTS, COUNTS[::-1] + 3, POSITIVE, POSITIVE[::-1]),
    "poisson": (COUNTS, POSITIVE),
}
QUANTILES = ("ppf", "isf")


def functions() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name in CASES:
        module = getattr(stats, name)
        for key, value in vars(module).items():
            if inspect.isfunction(value) and value.__module__ == module.__name__ and key[0] != "_":
                found.append((name, key))
    return found


each_function = pytest.mark.parametrize(("name", "function"), functions())


def arguments(name: str, function: str, where: bool = True) -> tuple[Any, ...]:
    """Points, parameters, and loc and scale where the function takes them."""
    points, *shapes = CASES[name]
    if function == "entropy":
        return (np.append(POSITIVE, [0.0, 30.0, 90.0]),)
    if function in QUANTILES:
        points = P
    taken = inspect.signature(getattr(getattr(stats, name), function)).parameters
    extra = [v for key, v in (("loc", LOC), ("scale", SCALE)) if key in taken and where]
    if "scale" not in taken:
        extra = []
    return (points, *shapes, *extra)


@pytest.fixture
def wide() -> Any:
    with fg.enable_x64(True):
        yield


@each_function
def test_values_as_in_scipy(name: str, function: str, wide: None) -> None:
    args = arguments(name, function)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = getattr(getattr(reference, name), function)(*args)
    got = np.asarray(getattr(getattr(stats, name), function)(*map(fnp.asarray, args)))
    np.testing.assert_allclose(got, want, rtol=2e-7 if function == "entropy" else 1e-9, atol=1e-12)


@each_function
def test_values_and_types_as_in_jax(name: str, function: str) -> None:
    jnp = pytest.importorskip("jax.numpy")
    theirs = importlib.import_module(f"jax.scipy.stats.{name}")
    args = arguments(name, function)
    small = [v.astype("f4") if v.dtype.kind == "f" else v.astype("i4") for v in args]
    want = getattr(theirs, function)(*map(jnp.asarray, small))
    got = getattr(getattr(stats, name), function)(*map(fnp.asarray, small))
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    np.testing.assert_allclose(got, want, rtol=5e-4, atol=2e-5)


@each_function
def test_derivatives_to_points_and_parameters(name: str, function: str, wide: None) -> None:
    run = getattr(getattr(stats, name), function)
    args = [fnp.asarray(v) for v in arguments(name, function)]
    chosen = tuple(i for i, v in enumerate(args) if v.dtype.kind == "f")
    if function == "entropy":
        args = [args[0][:12]]
    weights = rng.normal(size=12)

    def total(*values: Any) -> Any:
        given = dict(zip(chosen, values, strict=True))
        out = run(*[given.get(i, v) for i, v in enumerate(args)])
        return fnp.where(fnp.isfinite(out), out * weights, 0.0).sum()

    values = [args[i] for i in chosen]
    slopes = fg.grad(total, tuple(range(len(values))))(*values)
    directions = [rng.normal(size=12) for _ in values]
    step = 1e-6
    ends = [
        float(total(*[v + s * step * d for v, d in zip(values, directions, strict=True)]))
        for s in (1, -1)
    ]
    got = sum(
        float(fnp.where(fnp.isfinite(s), s * d, 0.0).sum())
        for s, d in zip(slopes, directions, strict=True)
    )
    np.testing.assert_allclose(got, (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-6)


@each_function
def test_mapped_and_jitted_as_eager(name: str, function: str, wide: None) -> None:
    run = getattr(getattr(stats, name), function)
    args = [fnp.asarray(v) for v in arguments(name, function)]
    want = np.asarray(run(*args))
    np.testing.assert_allclose(fg.vmap(run)(*args), want, rtol=1e-10, atol=1e-300)
    np.testing.assert_allclose(fg.jit(run)(*args), want, rtol=1e-8, atol=1e-12)


def test_edges_of_supports() -> None:
    inf = np.inf
    assert float(stats.uniform.logpdf(2.0)) == -inf
    assert float(stats.expon.cdf(-1.0)) == 0.0
    assert float(stats.gamma.logpdf(-1.0, 2.0)) == -inf
    assert np.isnan(stats.beta.logpdf(0.5, -1.0, 2.0))
    assert float(stats.poisson.logpmf(1.5, 2.0)) == -inf
    assert float(stats.poisson.cdf(-1, 2.0)) == 0.0
    assert np.isnan(stats.truncnorm.logpdf(0.0, 1.0, -1.0))
    assert float(stats.binom.pmf(7, 5, 0.5)) == 0.0
    assert np.isnan(stats.gumbel_l.logpdf(0.0, 0.0, -1.0))
    assert np.isnan(stats.bernoulli.ppf(1.5, 0.5))
    far = stats.truncnorm.logpdf(fnp.float32(31.0), 30.0, 32.0)
    np.testing.assert_allclose(far, reference.truncnorm.logpdf(31.0, 30.0, 32.0), rtol=1e-5)


def test_distributions_of_vectors(wide: None) -> None:
    shares = rng.dirichlet([1.0, 2.0, 3.0], size=4).T
    alpha = np.array([0.5, 1.5, 2.0])
    want = reference.dirichlet.logpdf(shares, alpha)
    np.testing.assert_allclose(stats.dirichlet.logpdf(shares, alpha), want, rtol=1e-10)
    np.testing.assert_allclose(stats.dirichlet.logpdf(shares[:2], alpha), want, rtol=1e-8)
    with pytest.raises(ValueError, match="one fewer"):
        stats.dirichlet.pdf(shares[:1], alpha)
    root = rng.normal(size=(3, 3))
    spread, mean, x = root @ root.T + np.eye(3), rng.normal(size=3), rng.normal(size=(5, 3))
    want = reference.multivariate_normal.logpdf(x, mean, spread)
    np.testing.assert_allclose(stats.multivariate_normal.logpdf(x, mean, spread), want, rtol=1e-10)
    want = reference.multivariate_normal.pdf(x, mean, 2.0 * np.eye(3))
    np.testing.assert_allclose(stats.multivariate_normal.pdf(x, mean, 2.0), want, rtol=1e-10)
    want = reference.norm.logpdf(x, 0.5, 2.0)
    np.testing.assert_allclose(stats.multivariate_normal.logpdf(x, 0.5, 4.0), want, rtol=1e-10)
    with pytest.raises(ValueError, match="incompatible"):
        stats.multivariate_normal.logpdf(x, mean, np.ones((2, 2)))
    counts, p = np.array([1, 2, 3]), np.array([0.2, 0.3, 0.5])
    want = reference.multinomial.logpmf(counts, 6, p)
    np.testing.assert_allclose(stats.multinomial.logpmf(counts, 6, p), want, rtol=1e-10)
    assert float(stats.multinomial.pmf(counts, 7, p)) == 0.0
    with pytest.raises(ValueError, match="integer"):
        stats.multinomial.logpmf(counts * 1.0, 6, p)


@pytest.mark.parametrize("method", ["average", "min", "max", "dense", "ordinal"])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_ranks(method: str, axis: int | None) -> None:
    a = rng.integers(0, 4, (4, 5)).astype(np.float32)
    want = reference.rankdata(a, method, axis=axis)
    np.testing.assert_array_equal(stats.rankdata(a, method, axis=axis), want)


def test_summaries() -> None:
    a = rng.integers(0, 4, (4, 5)).astype(np.float32)
    for axis in (None, 0, 1):
        for keepdims in (False, True):
            want = reference.mode(a, axis=axis, keepdims=keepdims)
            got = stats.mode(a, axis=axis, keepdims=keepdims)
            np.testing.assert_array_equal(got.mode, want.mode)
            np.testing.assert_array_equal(got.count, want.count)
        np.testing.assert_allclose(stats.sem(a, axis), reference.sem(a, axis), rtol=1e-6)
    a[0, 0] = np.nan
    want = reference.sem(a, 0, nan_policy="omit")
    np.testing.assert_allclose(stats.sem(a, 0, nan_policy="omit"), want, rtol=1e-6)
    assert np.isnan(stats.rankdata(a)).all()
    for call in (stats.mode, stats.rankdata):
        with pytest.raises(ValueError, match="nan_policy"):
            call(a, nan_policy="omit")
    with pytest.raises(ValueError, match="method"):
        stats.rankdata(a, "middle")


@pytest.mark.parametrize("bandwidth", [None, "silverman", 0.3])
@pytest.mark.parametrize("d", [1, 2])
def test_estimated_densities(bandwidth: Any, d: int, wide: None) -> None:
    samples, points = rng.normal(size=(d, 20)), rng.normal(size=(d, 6))
    weights = rng.uniform(0.5, 1.5, 20)
    for w in (None, weights):
        ours = stats.gaussian_kde(samples, bandwidth, w)
        theirs = reference.gaussian_kde(samples, bandwidth, w)
        np.testing.assert_allclose(ours(points), theirs(points), rtol=1e-8)
        np.testing.assert_allclose(ours.logpdf(points), theirs.logpdf(points), rtol=1e-8)
        np.testing.assert_allclose(ours.inv_cov, theirs.inv_cov, rtol=1e-8)
        mean, spread = np.zeros(d), np.eye(d)
        want = theirs.integrate_gaussian(mean, spread)
        np.testing.assert_allclose(ours.integrate_gaussian(mean, spread), want, rtol=1e-8)
        np.testing.assert_allclose(
            ours.integrate_kde(ours), theirs.integrate_kde(theirs), rtol=1e-8
        )
        assert ours.resample(fg.random.key(0), (7,)).shape == (d, 7)
    if d == 1:
        want = theirs.integrate_box_1d(-0.5, 0.7)
        np.testing.assert_allclose(ours.integrate_box_1d(-0.5, 0.7), want, rtol=1e-8)
    slope = fg.grad(lambda s: stats.gaussian_kde(s, bandwidth).logpdf(points).sum())(samples)
    assert np.isfinite(slope).all()
    got = fg.jit(lambda k, x: k(x))(ours, points)
    np.testing.assert_allclose(got, ours(points), rtol=1e-10)

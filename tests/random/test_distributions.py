"""Samples of a fixed key against SciPy's distributions: no other library has to be there.

A Kolmogorov-Smirnov test of continuous samples and a χ² test of counts. The keys are fixed, so that
a p-value is a number like any other; the bound is one that a right sampler misses one time in 10⁴.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from funcgrad import numpy as fnp
from funcgrad import random

COUNT = 20_000
LEAST = 1e-4

CONTINUOUS = {
    "beta(k, 2.0, 0.7, n)": stats.beta(2, 0.7),
    "cauchy(k, n)": stats.cauchy(),
    "chisquare(k, 3.0, n)": stats.chi2(3),
    "double_sided_maxwell(k, 1.0, 2.0, n)": None,
    "exponential(k, n)": stats.expon(),
    "f(k, 4.0, 7.0, n)": stats.f(4, 7),
    "gamma(k, 0.3, n)": stats.gamma(0.3),
    "gamma(k, 5.5, n)": stats.gamma(5.5),
    "generalized_normal(k, 1.5, n)": stats.gennorm(1.5),
    "gumbel(k, n)": stats.gumbel_r(),
    "laplace(k, n)": stats.laplace(),
    "loggamma(k, 1.7, n)": stats.loggamma(1.7),
    "logistic(k, n)": stats.logistic(),
    "lognormal(k, 0.5, n)": stats.lognorm(0.5),
    "maxwell(k, n)": stats.maxwell(),
    "normal(k, n)": stats.norm(),
    "pareto(k, 2.5, n)": stats.pareto(2.5),
    "rayleigh(k, 3.0, n)": stats.rayleigh(scale=3),
    "t(k, 4.0, n)": stats.t(4),
    "triangular(k, -1.0, 0.5, 3.0, n)": stats.triang(0.375, -1, 4),
    "gamma(k, 0.3, n, method='approximate')": stats.gamma(0.3),
    "gamma(k, 30.0, n, method='approximate')": stats.gamma(30),
    "beta(k, 0.4, 2.0, n, method='approximate')": stats.beta(0.4, 2),
    "chisquare(k, 5.0, n, method='approximate')": stats.chi2(5),
    "truncated_normal(k, -1.0, 2.0, n)": stats.truncnorm(-1, 2),
    "uniform(k, n, minval=-1.0, maxval=3.0)": stats.uniform(-1, 4),
    "wald(k, 0.8, n)": stats.invgauss(0.8),
    "weibull_min(k, 2.0, 1.5, n)": stats.weibull_min(1.5, scale=2),
    # Functions of samples of several dimensions that have known distributions.
    "ball(k, 3, 2, n)": None,
    "orthogonal(k, 3, n)": None,
    "dirichlet(k, fnp.array([2.0, 1.0, 0.5]), n)[:, 0]": stats.beta(2, 1.5),
    "multivariate_normal(k, fnp.ones(2), fnp.array([[4.0, 1.0], [1.0, 1.0]]), n)[:, 0]": stats.norm(
        1, 2
    ),
}
REDUCED = {
    # |x − loc| / scale is Maxwell's; a ball's radius to the power d is uniform; of an orthogonal
    # matrix of order 3, by Archimedes, each element is.
    "double_sided_maxwell": (lambda x: np.abs(x - 1) / 2, stats.maxwell()),
    "ball": (lambda x: np.linalg.norm(x, axis=-1) ** 3, stats.uniform()),
    "orthogonal": (lambda x: x[:, 0, 0], stats.uniform(-1, 2)),
}
COUNTS = {
    "bernoulli(k, 0.3, n)": stats.bernoulli(0.3),
    "binomial(k, 12, 0.3, n)": stats.binom(12, 0.3),
    "binomial(k, 200, 0.4, n)": stats.binom(200, 0.4),
    "categorical(k, fnp.log(fnp.array([0.2, 0.3, 0.5])), shape=n)": stats.rv_discrete(
        values=([0, 1, 2], [0.2, 0.3, 0.5])
    ),
    "choice(k, 4, n)": stats.randint(0, 4),
    "geometric(k, 0.25, n)": stats.geom(0.25),
    "multinomial(k, 9, fnp.array([0.5, 0.3, 0.2]), shape=n)[:, 1]": stats.binom(9, 0.3),
    "poisson(k, 3.5, n)": stats.poisson(3.5),
    "poisson(k, 3.5, n, method='approximate')": stats.poisson(3.5),
    "poisson(k, 7.5, n, method='approximate')": stats.poisson(7.5),
    "poisson(k, 40.0, n, method='approximate')": stats.poisson(40),
    "poisson(k, 40.0, n)": stats.poisson(40),
    "rademacher(k, n)": stats.rv_discrete(values=([-1, 1], [0.5, 0.5])),
    "randint(k, n, -3, 11)": stats.randint(-3, 11),
    "bits(k, n, 'uint8')": stats.randint(0, 256),
}


def sample(call):
    names = {"k": random.key(len(call)), "n": (COUNT,), "fnp": fnp}
    return np.asarray(eval(f"random.{call}", {"random": random}, names))


@pytest.mark.parametrize("call", CONTINUOUS)
def test_continuous_samples_follow_their_distribution(call):
    x, expected = sample(call), CONTINUOUS[call]
    if expected is None:
        reduce, expected = REDUCED[call.split("(")[0]]
        x = reduce(x)
    assert x.shape == (COUNT,) and np.isfinite(x).all()
    assert stats.kstest(x.astype(np.float64), expected.cdf).pvalue > LEAST


@pytest.mark.parametrize("call", COUNTS)
def test_counts_follow_their_distribution(call):
    x, expected = sample(call).astype(np.int64), COUNTS[call]
    assert x.shape == (COUNT,)
    values = np.arange(x.min(), x.max() + 1)
    seen = np.bincount(x - x.min(), minlength=values.size)
    share = expected.pmf(values) * COUNT
    assert (seen[share == 0] == 0).all()
    common = share >= 10
    rest = COUNT - share[common].sum(), COUNT - seen[common].sum()
    wanted, found = share[common], seen[common]
    if rest[0] >= 1:
        wanted, found = np.append(wanted, rest[0]), np.append(found, rest[1])
    assert stats.chisquare(found, wanted * found.sum() / wanted.sum()).pvalue > LEAST


def test_shapes_of_balls_and_rotations():
    points = sample("ball(k, 3, 2, n)")
    assert points.shape == (COUNT, 3) and (np.linalg.norm(points, axis=1) <= 1).all()
    rotations = sample("orthogonal(k, 3, (50,), 'float32')")
    np.testing.assert_allclose(
        rotations @ rotations.mT, np.broadcast_to(np.eye(3), (50, 3, 3)), atol=1e-5
    )


def test_different_keys_are_independent():
    keys = random.split(random.key(5), 2)
    a, b = (np.asarray(random.normal(k, (COUNT,))) for k in keys)
    assert abs(stats.pearsonr(a, b).statistic) < 4 / np.sqrt(COUNT)
    shuffled = np.asarray(random.permutation(keys[0], COUNT))
    assert (np.sort(shuffled) == np.arange(COUNT)).all()
    assert abs(stats.spearmanr(shuffled, np.arange(COUNT)).statistic) < 4 / np.sqrt(COUNT)

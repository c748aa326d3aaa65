"""The samplers: the values of JAX for the same key, their dtypes, shapes and errors."""

from __future__ import annotations

import numpy as np
import pytest

import funcgrad
from funcgrad import lax, random
from funcgrad import numpy as np_
from funcgrad.config import enable_x64

# Names the two libraries share: R is the random module, N the numpy module, k a key.
EXACT = """
R.categorical(k, N.array([[0.1, 0.2, 3.0], [1.0, 2.0, 0.0]]), shape=(4, 2))
R.categorical(k, N.array([[0.1, 0.2, 3.0], [1.0, 2.0, 0.0]]), axis=0, shape=(40, 3))
R.categorical(k, N.array([[0.1, 0.2, 3.0], [1.0, 2.0, 0.0]]), axis=1, shape=(3, 2), replace=False)
R.choice(k, 5, (3,))
R.choice(k, 5, (3,), replace=False)
R.choice(k, N.arange(12.0).reshape(3, 4), (2, 2), axis=1)
R.choice(k, N.arange(12.0).reshape(3, 4), (2,), replace=False, axis=1)
R.choice(k, N.arange(5), (200,), p=N.array([0.1, 0.2, 0.3, 0.1, 0.3]))
R.choice(k, 5, (3,), replace=False, p=N.array([0.1, 0.2, 0.3, 0.1, 0.3]))
R.randint(k, (50,), -128, 128, "int8")
R.randint(k, (50,), 0, 70000, "uint16")
R.randint(k, (50,), -7, 2**31 - 1, "int32")
R.permutation(k, 20)
R.permutation(k, N.arange(12).reshape(3, 4), axis=1)
R.permutation(k, N.arange(12).reshape(3, 4), axis=1, independent=True)
R.bernoulli(k, 0.3, (50,))
R.bernoulli(k, 0.3, (50,), mode="high")
R.bits(k, (7,), "uint8")
R.bits(k, (7,), "uint16")
R.rademacher(k, (50,))
R.rademacher(k, (50,), "float32")
R.geometric(k, N.array([0.1, 0.5]), (50, 2))
R.poisson(k, N.array([0.0, 0.5, 9.0, 10.0, 300.0]), (20, 5))
R.poisson(k, N.array([N.nan, 2.0]))
R.binomial(k, N.array([10.0, 100.0, 1000.0]), N.array([0.2, 0.7, 0.5]), (20, 3))
R.binomial(k, 10, 0.3, (5,))
R.multinomial(k, N.array([50.0, 100.0]), N.array([0.2, 0.3, 0.5]), shape=(2,))
R.poisson(k, N.array([0.0, 0.5, 6.9, 7.0, 20.0, 1e4, 1e7]), (20, 7), method="approximate")
R.poisson(k, 3.0, (2, 3), "int8", method="approximate")
""".strip().split("\n")

CLOSE = """
R.uniform(k, (50,), minval=-1.0, maxval=3.0)
R.uniform(k, (50,), "bfloat16")
R.normal(k, (50,))
R.normal(k, (50,), "complex64")
R.truncated_normal(k, -1.0, N.array([1.0, 2.0]), (50, 2))
R.gumbel(k, (50,))
R.gumbel(k, (50,), mode="high")
R.gumbel(k, (50,), "float32", mode="highest")
R.exponential(k, (50,))
R.laplace(k, (50,))
R.logistic(k, (50,))
R.cauchy(k, (50,))
R.pareto(k, N.array([1.0, 2.0]), (50, 2))
R.maxwell(k, (50,))
R.double_sided_maxwell(k, N.ones(3), 2.0)
R.rayleigh(k, N.ones(3), (20, 3))
R.wald(k, N.ones(3), (20, 3))
R.weibull_min(k, 1.0, 2.0, (50,))
R.triangular(k, 0.0, N.ones(3), 2.0, (20, 3))
R.lognormal(k, 2.0, (50,))
R.gamma(k, N.array([0.1, 0.5, 1.0, 3.0]), (20, 4))
R.loggamma(k, N.array([0.001, 0.5, 1.0, 3.0]), (20, 4))
R.gamma(k, N.array([0.01, 0.5, 3.0, 100.0]), (20, 4), method="approximate")
R.gamma(k, 2.0, (20,), "bfloat16", method="approximate")
R.loggamma(k, N.array([1e-5, 0.5, 3.0, 100.0]), (20, 4), method="approximate")
R.beta(k, 0.3, 2.0, (50,), method="approximate")
R.chisquare(k, 3.0, (50,), method="approximate")
R.beta(k, 0.2, 3.0, (50,))
R.dirichlet(k, N.array([0.1, 0.5, 1.0, 3.0]), (20,))
R.chisquare(k, 3.0, (50,))
R.f(k, 3.0, 4.0, (50,))
R.t(k, 3.0, (50,))
R.generalized_normal(k, 3.0, (50,))
R.ball(k, 3, 1.5, (20,))
R.multivariate_normal(k, N.ones((3, 2)), N.array([[2.0, 0.5], [0.5, 1.0]]))
R.multivariate_normal(k, N.ones((3, 2)), N.array([[2.0, 0.5], [0.5, 1.0]]), method='svd')
R.multivariate_normal(k, N.ones((3, 2)), N.array([[2.0, 0.5], [0.5, 1.0]]), method='eigh')
R.orthogonal(k, 3, (2,))
R.orthogonal(k, 2, (2,), m=3)
""".strip().split("\n")


# With 64-bit types too: those whose bits become numbers in another way then.
WIDE = ("uniform", "normal", "gumbel", "laplace", "cauchy", "gamma", "choice", "randint")


def widths(calls):
    """Pairs of a call and whether to make it with 64-bit types."""
    wide = [(c, True) for c in calls if c.removeprefix("R.").partition("(")[0] in WIDE]
    return [(c, False) for c in calls] + wide


# What JAX has, or has so, from 0.12 on.
NEW = ("multinomial", "approximate")


def both(call, x64):
    """The values of a call here and in JAX."""
    jax = pytest.importorskip("jax")
    if jax.__version_info__ < (0, 12) and any(word in call for word in NEW):
        pytest.skip("the JAX installed has it otherwise, or not")
    raw = np.array([1234, 98765], np.uint32)
    with enable_x64(x64), jax.enable_x64(x64):
        ours = eval(call, {"R": random, "N": np_, "k": random.wrap_key_data(raw)})
        key = jax.random.wrap_key_data(raw)
        theirs = eval(call, {"R": jax.random, "N": jax.numpy, "k": key})
        return np.asarray(ours), np.asarray(theirs)


@pytest.mark.parametrize(("call", "x64"), widths(EXACT))
def test_equal_to_jax(call, x64):
    ours, theirs = both(call, x64)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("call", "x64"), widths(CLOSE))
def test_close_to_jax(call, x64):
    ours, theirs = both(call, x64)
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    wide = np.complex128 if ours.dtype.kind == "c" else np.float64
    # XLA's own logarithms are off by more than an ulp; differences of them by more than that.
    tolerance = 1e-12 if ours.dtype == np.float64 else 4e-6
    np.testing.assert_allclose(
        ours.astype(wide), theirs.astype(wide), rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize("call", [c for c in EXACT + CLOSE if "poisson" not in c])
def test_raw_keys_and_jit_give_the_same(call):
    raw = np.array([5, 6], np.uint32)
    names = {"R": random, "N": np_}
    plain = np.asarray(eval(call, {**names, "k": random.wrap_key_data(raw)}))
    compiled = funcgrad.jit(lambda k: eval(call, {**names, "k": k}))(raw)
    # The bits are the same; compiled transcendental functions may round otherwise.
    if plain.dtype.kind in "fc":
        np.testing.assert_allclose(plain, np.asarray(compiled), rtol=2e-5, atol=1e-6)
    else:
        np.testing.assert_array_equal(plain, np.asarray(compiled))


@pytest.mark.parametrize("call", EXACT + CLOSE)
def test_mapped_over_keys(call):
    keys = random.split(random.key(8), 2)

    def draw(k):
        return eval(call, {"R": random, "N": np_, "k": k})

    mapped = np.asarray(funcgrad.vmap(draw)(keys))
    rows = np.stack([np.asarray(draw(keys[i])) for i in range(2)])
    np.testing.assert_allclose(
        mapped.astype(np.complex128), rows.astype(np.complex128), rtol=1e-5, atol=1e-6
    )


def test_in_scan():
    def step(key, _):
        key, draw = random.split(key)
        return key, random.gamma(draw, 2.0)

    _, rows = lax.scan(step, random.key(0), None, length=3)
    key, want = random.key(0), []
    for _ in range(3):
        key, row = step(key, None)
        want.append(row)
    np.testing.assert_array_equal(np.asarray(rows), np.asarray(want))


@pytest.mark.parametrize("name", ["gamma", "loggamma", "chisquare", "t"])
def test_implicit_derivatives(name):
    jax = pytest.importorskip("jax")
    orders = np.array([0.3, 1.0, 4.0, 20.0], np.float32)

    def total(module, key):
        return lambda a: getattr(module, name)(key, a).sum()

    ours = funcgrad.grad(total(random, random.key(3)))(orders)
    theirs = jax.grad(total(jax.random, jax.random.key(3)))(orders)
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=2e-5)


def test_orders_without_density():
    values = random.gamma(random.key(0), np.array([-1.0, 0.0, np.nan], np.float32))
    np.testing.assert_array_equal(np.asarray(values), [np.nan, 0.0, np.nan])
    assert int(random.poisson(random.key(0), np.inf)) == np.iinfo(np.int32).max


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_means_in_narrow_dtypes(dtype):
    for drawn, mean in (
        (random.gamma(random.key(0), 3.0, (4000,), dtype), 3.0),
        (random.exponential(random.key(1), (4000,), dtype), 1.0),
        (random.maxwell(random.key(2), (4000,), dtype), 2 * np.sqrt(2 / np.pi)),
    ):
        assert drawn.dtype == dtype
        assert abs(float(np.asarray(drawn).astype(np.float64).mean()) - mean) < 0.15


ERRORS = [
    (lambda k: random.gumbel(k, (2,), np.int32), ValueError, "float dtype"),
    (lambda k: random.gumbel(k, (2,), mode="medium"), ValueError, "highest"),
    (lambda k: random.choice(k, 3, 2), TypeError, "sequence"),
    (lambda k: random.choice(k, 3, (4,), replace=False), ValueError, "replacement"),
    (lambda k: random.choice(k, 0, (1,)), ValueError, "greater than 0"),
    (lambda k: random.choice(k, 3, (1,), p=np.ones(2) / 2), ValueError, "shape"),
    (lambda k: random.categorical(k, np.zeros(3), shape=(4,), replace=False), ValueError, "4 of 3"),
    (lambda k: random.gamma(k, np.ones(3), (2,)), ValueError, "broadcast"),
    (lambda k: random.pareto(k, np.float32(1), dtype="float16"), ValueError, "astype"),
    (lambda k: random.dirichlet(k, 1.0), ValueError, "one axis"),
    (lambda k: random.poisson(k, 1.0, dtype="float32"), ValueError, "int dtype"),
    (lambda k: random.poisson(k, 1.0, method="quick"), ValueError, "approximate"),
    (lambda k: random.poisson(k, np.ones(3), (2,), method="approximate"), ValueError, "broadcast"),
    (lambda k: random.gamma(k, 1.0, method="quick"), ValueError, "approximate"),
    (lambda k: random.multivariate_normal(k, np.ones(2), np.eye(3)), ValueError, "cov"),
    (
        lambda k: random.multivariate_normal(k, np.ones(2), np.eye(2), method="lu"),
        ValueError,
        "cholesky",
    ),
    (lambda k: random.gamma(3.0, 1.0), TypeError, "random.key"),
    (lambda k: random.gamma(random.split(k), 1.0), ValueError, "vmap"),
    (lambda k: random.lognormal(k, dtype=np.int32), ValueError, "complex"),
]


@pytest.mark.parametrize(("call", "error", "words"), ERRORS)
def test_errors_say_what_to_do(call, error, words):
    with pytest.raises(error, match=words):
        call(random.key(0))


MANY = """
R.normal(k, (600, 500))
R.normal(k, (300000,), "complex64")
R.uniform(k, (300000,), minval=-2, maxval=N.float32(3.0))
R.bits(k, (300000,), "uint16")
"""


@pytest.mark.parametrize("text", MANY.split("\n")[1:-1])
def test_many_numbers_are_those_of_a_program(text: str) -> None:
    key = random.key(7)

    def drawn(k: object) -> object:
        return eval(text, {"R": random, "N": np_, "k": k})

    many = np.asarray(drawn(key))
    np.testing.assert_array_equal(many, np.asarray(funcgrad.jit(drawn)(key)))
    # One operation after the other gives the same numbers, but for the last bits.
    with funcgrad.disable_jit():
        plain = np.asarray(drawn(key))
    np.testing.assert_allclose(many, plain, rtol=1e-5, atol=1e-6)


def test_no_program_within_a_program() -> None:
    jaxpr = funcgrad.make_jaxpr(lambda k: random.normal(k, (600, 500)))(random.key(7))
    assert "jit" not in {eqn.primitive.name for eqn in jaxpr.eqns}
    grad = funcgrad.grad(lambda a: random.uniform(random.key(7), (300000,), maxval=a).sum())(2.0)
    share = random.uniform(random.key(7), (300000,)).mean()
    np.testing.assert_allclose(grad / 300000, share, rtol=1e-4)


@pytest.mark.parametrize("low", [np.zeros(()), np.ones(1, np.float32), np.ones((1, 1), np.float32)])
def test_bounds_of_one_element_give_their_axes_to_a_single_number(low: np.ndarray) -> None:
    jax = pytest.importorskip("jax")
    high = np.full(1, 3, np.float32)
    want = jax.random.uniform(jax.random.key(3), (), minval=low, maxval=high)
    found = random.uniform(random.key(3), (), minval=low, maxval=high)
    assert found.shape == want.shape
    np.testing.assert_array_equal(np.asarray(found), np.asarray(want))
    keys = random.split(random.key(3), 2)
    lows, highs = np.stack([low, low]).astype(np.float32), np.stack([high, high])
    many = funcgrad.vmap(random.uniform, (0, None, None, 0, 0))(keys, (), np.float32, lows, highs)
    assert many.shape == (2, *low.shape)
    with pytest.raises(ValueError, match="broadcast"):
        random.uniform(random.key(3), (), minval=np.zeros(2), maxval=1.0)

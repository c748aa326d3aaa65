"""Products that move out of scans, and those that stay because they would fill the memory."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.control.jit import simplified

rng = np.random.default_rng(0)


def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)


def names(jaxpr):
    """The names of the eqns, with those of the bodies of scans as lists after theirs."""
    found = []
    for eqn in jaxpr.eqns:
        found.append(eqn.primitive.name)
        if eqn.primitive.name == "scan":
            found.append(names(eqn.params["jaxpr"].jaxpr))
    return found


def products_of(f, *args):
    """How many products are outside of scans, and how many in the body of each."""
    outside = names(simplified(fg.make_jaxpr(f)(*args)).jaxpr)
    inside = [n.count("dot_general") for n in outside if isinstance(n, list)]
    return outside.count("dot_general"), *inside


def recurrent(w, u, xs):
    def turn(h, x):
        h = fnp.tanh(x @ w + h @ u)
        return h, h

    return lax.scan(turn, fnp.zeros(u.shape[0]), xs)[1]


def by_turns(w, u, xs):
    h, out = np.zeros(u.shape[0]), []
    for x in xs:
        h = np.tanh(x @ w + h @ u)
        out.append(h)
    return np.stack(out)


def test_a_matrix_that_serves_all_turns_is_multiplied_once():
    args = normal(3, 4), normal(4, 4), normal(7, 3)
    assert products_of(recurrent, *args) == (1, 1)
    np.testing.assert_allclose(fg.jit(recurrent)(*args), by_turns(*args), rtol=1e-5, atol=1e-6)


def test_a_sum_of_products_is_one_product_behind_the_scan():
    args = normal(3, 4), normal(4, 4), normal(7, 3)
    slopes = fg.grad(lambda *args: recurrent(*args).sum(), (0, 1))
    # x·w before the scans; Σ xᵀ·dh and Σ hᵀ·dh behind them; in the bodies h·u and dh·uᵀ alone.
    assert products_of(slopes, *args) == (3, 1, 1)
    with fg.enable_x64(True):
        wide = [x.astype(np.float64) for x in args]
        for k, slope in enumerate(fg.jit(slopes)(*wide)):
            step = np.zeros_like(wide[k])
            step[1, 2] = 1e-6
            ends = [by_turns(*wide[:k], wide[k] + s, *wide[k + 1 :]).sum() for s in (step, -step)]
            np.testing.assert_allclose(slope[1, 2], (ends[0] - ends[1]) / 2e-6, rtol=1e-7)


@pytest.mark.parametrize("number", [0.0, 1.5])
def test_sums_of_products_that_are_padded(number):
    """Padding waits until the sum is there with zeros; another number is added in each turn."""

    def f(xs, ys):
        def turn(total, pair):
            x, y = pair
            return total + lax.pad(x.T @ y, number, ((1, 0, 0), (0, 2, 0))), None

        return lax.scan(turn, fnp.zeros((4, 6)), (xs, ys))[0]

    xs, ys = normal(5, 2, 3), normal(5, 2, 4)
    wanted = sum(
        np.pad(x.T @ y, ((1, 0), (0, 2)), constant_values=number)
        for x, y in zip(xs, ys, strict=True)
    )
    np.testing.assert_allclose(fg.jit(f)(xs, ys), wanted, rtol=1e-5, atol=1e-5)


def test_the_gradient_of_one_matrix_of_several_within_a_scan():
    def f(w, x):
        def turn(c, _):
            return fnp.tanh(c @ w[1].T), c.sum()

        last, sums = lax.scan(turn, x, None, length=3)
        return (last**2).sum() + sums.sum()

    args = 0.3 * normal(2, 4, 4), normal(3, 4)
    slopes = fg.grad(f, (0, 1))
    for got, wanted in zip(fg.jit(slopes)(*args), slopes(*args), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_what_a_turn_gives_anyway_is_not_stacked_twice():
    """Both weight gradients are products of one stack of gradients."""

    def slopes(*args):
        return fg.grad(lambda *args: recurrent(*args).sum(), (0, 1))(*args)

    text = str(fg.jit(slopes).lower(normal(3, 4), normal(4, 4), normal(7, 3)).stages.simplified)
    (last,) = [line for line in text.splitlines() if "= scan[" in line][-1:]
    # The carry, and one stack of what the weights are multiplied by.
    assert last.count(":f32[7,4]") == 1


PAIRS = 2048


def largest_scores(queries, keys):
    """Of each query, block by block: no more than a block of scores is ever there."""

    @fg.checkpoint
    def block(_, q):
        return None, fnp.max(q @ keys.T, axis=-1)

    return lax.scan(block, None, queries.reshape(16, -1, queries.shape[-1]))[1].ravel()


def weighted_sums(queries, keys):
    """Σ over the queries, in which each block adds a product of its scores."""

    @fg.checkpoint
    def block(total, q):
        return total + fnp.exp(q @ keys.T).T @ q, None

    blocks = queries.reshape(16, -1, queries.shape[-1])
    return lax.scan(block, fnp.zeros_like(keys), blocks)[0]


@pytest.mark.parametrize("f", [largest_scores, weighted_sums])
def test_blocks_of_scores_stay_blocks(f):
    queries, keys = 0.1 * normal(PAIRS, 4), 0.1 * normal(4 * PAIRS, 4)
    whole = 4 * queries.shape[0] * keys.shape[0]
    for g in (f, lambda q, k: fg.jvp(f, (q, k), (q, k)), fg.grad(lambda q, k: f(q, k).sum())):
        compiled = fg.jit(g).lower(queries, keys).compile()
        assert compiled.memory_analysis().temp_size_in_bytes < whole / 2
    scores = queries @ keys.T
    exact = scores.max(-1) if f is largest_scores else np.exp(scores).T @ queries
    np.testing.assert_allclose(fg.jit(f)(queries, keys), exact, rtol=1e-3, atol=1e-4)

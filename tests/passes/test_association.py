"""Chains of products are computed in the order that costs least."""

import itertools

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp


def work(lowered):
    """How many multiplications the contractions of a program have."""
    total = 0
    for eqn in lowered.simplified.jaxpr.eqns:
        if eqn.primitive.name == "dot_general":
            left, right = (a.aval for a in eqn.invars)
            contracted, batched = (pair[0] for pair in eqn.params["dimension_numbers"])
            shared = int(np.prod([left.shape[a] for a in (*contracted, *batched)]))
            total += left.size * right.size // shared
    return total


def made(*shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=s).astype(np.float32) for s in shapes]


def einsums(*equations):
    """A chain of contractions: each takes the result so far and the next factor."""

    def run(x, *factors):
        for equation, y in zip(equations, factors, strict=True):
            x = fnp.einsum(equation, x, y) if equation[0] != "~" else fnp.einsum(equation[1:], y, x)
        return x

    return run


CHAINS = {
    # name: chain, shapes, multiplications
    "vector": (einsums("ij,jk->ik", "ik,k->i"), [(40, 30), (30, 20), (20,)], 600 + 1200),
    "vector on the left": (
        einsums("ij,jk->ik", "~i,ik->k"),
        [(40, 30), (30, 20), (40,)],
        1200 + 600,
    ),
    "transposed": (einsums("ji,kj->ik", "ik,k->i"), [(30, 40), (20, 30), (20,)], 600 + 1200),
    "four": (
        einsums("ij,jk->ik", "ik,kl->il", "il,l->i"),
        [(40, 30), (30, 20), (20, 50), (50,)],
        1000 + 600 + 1200,
    ),
    "attention without softmax": (
        einsums("bhqd,bhkd->bhqk", "bhqk,bhkv->bhqv"),
        [(2, 3, 50, 8), (2, 3, 50, 8), (2, 3, 50, 8)],
        2 * 2 * 3 * 50 * 64,
    ),
    "sum of outer products": (
        einsums("bi,bj->bij", "~b,bij->ij"),
        [(16, 30), (16, 40), (16,)],
        16 * 30 + 16 * 30 * 40,
    ),
    "permuted result": (
        einsums("ij,jk->ik", "~kl,ik->li"),
        [(40, 30), (30, 20), (20, 2)],
        30 * 20 * 2 + 40 * 30 * 2,
    ),
    "already cheapest": (
        einsums("ij,jk->ik", "ik,kl->il"),
        [(2, 30), (30, 20), (20, 40)],
        1200 + 1600,
    ),
}


@pytest.mark.parametrize("name", CHAINS)
def test_chains_are_ordered(name):
    chain, shapes, least = CHAINS[name]
    args = made(*shapes)
    lowered = fg.jit(chain).lower(*args)
    lowered.check()
    assert work(lowered) == least
    want = chain(*[np.asarray(a, np.float64) for a in args])
    np.testing.assert_allclose(fg.jit(chain)(*args), want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("seed", range(20))
def test_random_chains(seed):
    """Axes may be shared by two or by all three factors, and come out in any order."""
    rng = np.random.default_rng(seed)
    extents = dict(zip("abcdefg", rng.integers(1, 9, 7), strict=True))
    for _ in range(10):
        x, y, z = ("".join(rng.permutation(list(extents))[: rng.integers(1, 4)]) for _ in range(3))
        between = "".join(rng.permutation(sorted({*x, *y})))
        final = sorted({*between, *z})
        kept = "".join(rng.permutation(final)[: rng.integers(0, min(len(final), 4) + 1)])
        chain = einsums(f"{x},{y}->{between}", f"{between},{z}->{kept}")
        args = made(*[[extents[k] for k in side] for side in (x, y, z)])
        want = chain(*[np.asarray(a, np.float64) for a in args])
        lowered = fg.jit(chain).lower(*args)
        got = lowered.compile()(*args)
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_what_others_read_stays():
    a, b, v = made((40, 30), (30, 20), (20,))

    def both(a, b, v):
        product = a @ b
        return product, product @ v

    assert work(fg.jit(both).lower(a, b, v)) == 40 * 30 * 20 + 40 * 20


def test_what_is_rounded_or_asked_for_in_between_stays():
    a, b, v = made((40, 30), (30, 20), (20,))
    halves = [fnp.asarray(x).astype(fnp.bfloat16) for x in (a, b, v)]

    def chain(a, b, v, precisions=(None, None)):
        return fnp.matmul(fnp.matmul(a, b, precision=precisions[0]), v, precision=precisions[1])

    plain = 40 * 30 * 20 + 40 * 20
    assert work(fg.jit(chain).lower(*halves)) == plain
    mixed = fg.jit(lambda *x: chain(*x, precisions=("highest", None)))
    assert work(mixed.lower(a, b, v)) == plain


def test_no_extents():
    for shape in itertools.product((0, 3), repeat=3):
        a, b, v = made(shape[:2], shape[1:], (shape[2],))
        np.testing.assert_allclose(fg.jit(lambda a, b, v: (a @ b) @ v)(a, b, v), (a @ b) @ v, 1e-5)

"""Collectives over the names of mapped axes, against what they mean on the whole batch."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax

x = np.arange(12.0, dtype=np.float32).reshape(4, 3)


def mapped(f, **options):
    return fg.vmap(f, axis_name="i", **options)


@pytest.mark.parametrize(
    ("collective", "numpy"),
    [(lax.psum, np.sum), (lax.pmean, np.mean), (lax.pmax, np.max), (lax.pmin, np.min)],
)
def test_folds(collective, numpy):
    out = mapped(lambda v: collective(v, "i"))(x)
    np.testing.assert_allclose(out, np.broadcast_to(numpy(x, axis=0), x.shape))
    same = mapped(lambda v: collective(v, "i"), out_axes=None)(x)
    np.testing.assert_allclose(same, numpy(x, axis=0))


def test_psum_of_a_constant_is_the_size():
    assert mapped(lambda v: v * 0 + lax.psum(1, "i"))(x)[0, 0] == 4
    out = mapped(lambda v: v * 0 + lax.psum(fnp.float32(2), "i"))(x)
    assert out[0, 0] == 8


def test_axis_index_and_size():
    np.testing.assert_array_equal(mapped(lambda v: lax.axis_index("i"))(x), np.arange(4))
    assert mapped(lambda v: v * 0 + lax.axis_size("i"))(x)[0, 0] == 4


def test_two_axes():
    f = fg.vmap(fg.vmap(lambda v: lax.psum(v, ("i", "j")), axis_name="j"), axis_name="i")
    np.testing.assert_allclose(f(x), np.full((4, 3), x.sum()))
    g = fg.vmap(fg.vmap(lambda v: lax.psum(v, "i"), axis_name="j"), axis_name="i")
    np.testing.assert_allclose(g(x), np.broadcast_to(x.sum(0), (4, 3)))
    h = fg.vmap(fg.vmap(lambda v: lax.axis_index(("i", "j")), axis_name="j"), axis_name="i")
    np.testing.assert_array_equal(h(x), np.arange(12).reshape(4, 3))


def test_gather_and_its_transpose():
    out = mapped(lambda v: lax.all_gather(v, "i"))(x)
    np.testing.assert_allclose(out, np.broadcast_to(x, (4, 4, 3)))
    tiled = mapped(lambda v: lax.all_gather(v, "i", tiled=True))(x)
    np.testing.assert_allclose(tiled[0], x.reshape(-1))
    out = mapped(lambda v: lax.all_gather(v, "i", axis=1))(x)
    np.testing.assert_allclose(out[2], x.T)


def test_permutations():
    shift = [(i, (i + 1) % 4) for i in range(4)]
    np.testing.assert_allclose(mapped(lambda v: lax.ppermute(v, "i", shift))(x), np.roll(x, 1, 0))
    partial = mapped(lambda v: lax.ppermute(v, "i", [(0, 2)]))(x)
    want = np.zeros_like(x)
    want[2] = x[0]
    np.testing.assert_allclose(partial, want)
    out = mapped(lambda v: lax.pshuffle(v, "i", [2, 0, 1, 3]))(x)
    np.testing.assert_allclose(out, x[[2, 0, 1, 3]])


def test_all_to_all_transposes_the_mapped_axis():
    square = np.arange(16.0, dtype=np.float32).reshape(4, 4)
    out = mapped(lambda v: lax.all_to_all(v, "i", 0, 0))(square)
    np.testing.assert_allclose(out, square.T)


def test_psum_scatter():
    square = np.arange(16.0, dtype=np.float32).reshape(4, 4)
    out = mapped(lambda v: lax.psum_scatter(v, "i"))(square)
    np.testing.assert_allclose(out, square.sum(0))


@pytest.mark.parametrize(
    "f",
    [
        lambda v: lax.psum(v * v, "i"),
        lambda v: lax.pmean(fnp.sin(v), "i") * v,
        lambda v: lax.all_gather(v, "i") * 2.0,
        lambda v: lax.ppermute(v * v, "i", [(0, 1), (1, 0), (3, 2)]),
    ],
)
def test_derivatives_agree_both_ways(f):
    def whole(v):
        return mapped(f)(v)

    forward = fg.jacfwd(whole)(x)
    # Reverse mode of the mapped function as a whole is the transpose of forward mode.
    reverse = fg.jacrev(whole)(x)
    np.testing.assert_allclose(forward, reverse, rtol=1e-5, atol=1e-5)


def test_under_jit_and_make_jaxpr():
    jaxpr = fg.make_jaxpr(lambda v: lax.psum(v, "i"), axis_env=[("i", 4)])(x[0])
    assert "psum[axes=('i',)]" in str(jaxpr)
    out = fg.jit(mapped(lambda v: fg.jit(lambda w: lax.psum(w, "i"))(v)))(x)
    np.testing.assert_allclose(out, np.broadcast_to(x.sum(0), x.shape))


def test_errors():
    with pytest.raises(NameError, match="unbound axis name: 'j'"):
        mapped(lambda v: lax.psum(v, "j"))(x)
    with pytest.raises(ValueError, match="must be unique"):
        mapped(lambda v: lax.ppermute(v, "i", [(0, 1), (0, 2)]))(x)
    with pytest.raises(ValueError, match="out of range"):
        mapped(lambda v: lax.ppermute(v, "i", [(0, 9)]))(x)
    with pytest.raises(ValueError, match="permutation"):
        mapped(lambda v: lax.pshuffle(v, "i", [0, 0, 1, 2]))(x)


def test_a_collective_of_a_constant_inside_jit():
    """Nothing mapped goes in, and the axis still counts."""
    out = mapped(lambda v: v * 0 + fg.jit(lambda: lax.psum(fnp.ones(()), "i"))())(x)
    assert out[0, 0] == 4

"""axis_index_groups: groups within an axis of vmap, as on ranks, and what is refused."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import P, lax

PAIRS = [[0, 2], [3, 1]]
UNEVEN = [[1], [3, 0, 2]]
X = np.linspace(-1, 2, 4 * 4 * 6, dtype=np.float32).reshape(4, 4, 6)

COLLECTIVES = {
    "psum": lambda x, g: lax.psum(x, "i", axis_index_groups=g),
    "pmax": lambda x, g: lax.pmax(x, "i", axis_index_groups=g),
    "pmin": lambda x, g: lax.pmin(x * x, "i", axis_index_groups=g),
    "pmean": lambda x, g: lax.pmean(x, "i", axis_index_groups=g),
    "a tree": lambda x, g: lax.psum({"a": x, "b": [x > 0, 3.0]}, "i", axis_index_groups=g)["b"][0],
    "gather": lambda x, g: lax.all_gather(x, "i", axis=1, axis_index_groups=g),
    "gather tiled": lambda x, g: lax.all_gather(x, "i", tiled=True, axis_index_groups=g),
    "scatter": lambda x, g: lax.psum_scatter(x[:2], "i", axis_index_groups=g),
    "scatter tiled": lambda x, g: lax.psum_scatter(
        x, "i", scatter_dimension=1, tiled=True, axis_index_groups=g
    ),
    "exchange": lambda x, g: lax.all_to_all(x[:2], "i", 0, 1, axis_index_groups=g),
    "exchange tiled": lambda x, g: lax.all_to_all(x, "i", 1, 0, tiled=True, axis_index_groups=g),
    "swap": lambda x, g: lax.pswapaxes(x[:, :2], "i", 1, axis_index_groups=g),
    "its gradient": lambda x, g: fg.grad(
        lambda v: (lax.psum(fnp.sin(v), "i", axis_index_groups=g) * v).sum()
    )(x),
}


@pytest.fixture
def mesh(cpus):
    cpus(4)
    return fg.make_mesh((4,), ("i",))


def on_ranks(mesh, f):
    def body(x):
        return f(x[0])[None]

    return fg.shard_map(body, mesh=mesh, in_specs=P("i"), out_specs=P("i"), check_vma=False)


@pytest.mark.parametrize("name", COLLECTIVES)
def test_axes_of_vmap_and_ranks_give_the_same(mesh, name):
    def f(x):
        return COLLECTIVES[name](x, PAIRS)

    want = on_ranks(mesh, f)(X)
    for run in (fg.vmap(f, axis_name="i"), fg.jit(fg.vmap(f, axis_name="i"))):
        got = run(X)
        assert got.shape == want.shape and got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("groups", [PAIRS, UNEVEN, [[3, 1, 0, 2]], [[2], [0], [1], [3]]])
def test_sums_are_those_of_numpy(mesh, groups):
    want = np.empty_like(X)
    for group in groups:
        want[group] = X[group].sum(0)

    def f(x):
        return lax.psum(x, "i", axis_index_groups=groups)

    np.testing.assert_allclose(on_ranks(mesh, f)(X), want, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fg.vmap(f, axis_name="i")(X), want, rtol=1e-5, atol=1e-6)
    sizes = np.array([len(g) for k in range(4) for g in groups if k in g])
    one = fg.vmap(lambda x: lax.psum(1, "i", axis_index_groups=groups) + 0 * x, axis_name="i")
    np.testing.assert_array_equal(one(np.arange(4)), sizes)
    # What is the same for all is added as often as its group is large.
    same = fg.vmap(lambda x: f(fnp.ones(2)), axis_name="i")(X)
    np.testing.assert_array_equal(same, np.stack([sizes, sizes], 1))


def test_axes_beside(mesh):
    f = on_ranks(mesh, lambda x: fg.vmap(lambda v: COLLECTIVES["gather"](v[None], PAIRS))(x))
    g = fg.vmap(
        lambda x: fg.vmap(lambda v: COLLECTIVES["gather"](v[None], PAIRS))(x), axis_name="i"
    )
    np.testing.assert_array_equal(f(X), g(X))
    slope = fg.jacobian(fg.vmap(lambda x: COLLECTIVES["psum"](x**2, PAIRS).sum(), axis_name="i"))
    np.testing.assert_allclose(slope(X)[0, 2], 2 * X[2], rtol=1e-6)
    assert not np.any(slope(X)[0, 1])


def test_sums_of_groups_are_not_the_same_everywhere(mesh):
    def f(x):
        return lax.psum(x, "i", axis_index_groups=PAIRS)

    with pytest.raises(ValueError, match="may differ over the axis 'i'"):
        fg.shard_map(f, mesh=mesh, in_specs=P("i"), out_specs=P())(X)
    whole = fg.shard_map(f, mesh=mesh, in_specs=P("i"), out_specs=P("i"))(X)
    assert whole.shape == X.shape


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda x: lax.psum(x, "i", axis_index_groups=[[0, 1], [1, 2]]), "exactly once"),
        (lambda x: lax.psum(x, "i", axis_index_groups=[[0, 1]]), "of 4 elements"),
        (lambda x: lax.pmax(x, "i", axis_index_groups=[[0, 1], [2, 3, 4]]), "exactly once"),
        (lambda x: lax.all_gather(x, "i", axis_index_groups=[0, 1, 2, 3]), "exactly once"),
        (lambda x: lax.all_gather(x, "i", axis_index_groups=UNEVEN), "must be of one size"),
        (lambda x: lax.psum_scatter(x, "i", axis_index_groups=UNEVEN), "must be of one size"),
        (lambda x: lax.all_to_all(x, "i", 0, 0, axis_index_groups=UNEVEN), "of one size"),
        (lambda x: lax.pmean(x, "i", axis_index_groups=UNEVEN), "must be of one size"),
        (lambda x: lax.psum_scatter(x[:3], "i", axis_index_groups=PAIRS), "axis of size 2"),
        (lambda x: lax.all_to_all(x, "i", 0, 0, axis_index_groups=PAIRS), r"mapped axis \(2\)"),
    ],
)
def test_what_cannot_be(mesh, call, text):
    for run in (on_ranks(mesh, call), fg.vmap(call, axis_name="i")):
        with pytest.raises(ValueError, match=text):
            run(X)

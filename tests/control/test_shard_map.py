"""shard_map on CPU devices: its rules beside those compared with JAX, and its errors."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import P, lax
from funcgrad.core.ranks import RanksDivergeError
from funcgrad.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

X = np.arange(24.0, dtype=np.float32).reshape(8, 3)


@pytest.fixture
def mesh(cpus):
    cpus(4)
    return fg.make_mesh((4,), ("i",))


@pytest.fixture
def square(cpus):
    cpus(4)
    return fg.make_mesh((2, 2), ("a", "b"))


def summed(mesh, **options):
    return fg.shard_map(lambda x: lax.psum(x, "i"), mesh=mesh, in_specs=P("i"), out_specs=P())


# Meshes and specs.


def test_devices(cpus):
    assert fg.devices() == [fg.Device("cpu")]
    cpus(3)
    assert [str(d) for d in fg.devices()] == ["CPU:0", "CPU:1", "CPU:2"]
    assert fg.device_count() == fg.local_device_count("cpu") == 3


def test_meshes(square):
    assert square.shape == {"a": 2, "b": 2} and square.size == 4 and not square.empty
    assert square == fg.make_mesh((2, 2), ("a", "b")) != fg.make_mesh((4,), ("a",))
    assert square.device_ids.tolist() == [[0, 1], [2, 3]]
    assert square.over(frozenset("b")).ranks == tuple(fg.devices()[:2])
    assert {square: 1}[fg.make_mesh((2, 2), ("a", "b"))] == 1
    assert repr(P("a", None, ("b",))) == "PartitionSpec('a', None, ('b',))"
    assert fg.tree.leaves({"w": P("a", None), "b": P()}) == [P(), P("a", None)]


def test_meshes_of_arrays_of_devices(square):
    flat = np.array(fg.devices())
    assert flat.shape == (4,) and flat.dtype == object and flat[3] is not None
    assert Mesh(flat.reshape(2, 2), ("a", "b")) == square == Mesh([flat[:2], flat[2:]], ("a", "b"))
    assert Mesh(flat, ("i",)) == Mesh(fg.devices(), "i")
    assert {flat[0]: 1}[fg.devices()[0]] == 1 and flat[0] != flat[1]
    with pytest.raises(ValueError, match="shape"):
        Mesh([fg.devices()[:2], fg.devices()[2:3]], ("a", "b"))


def test_shardings(square):
    s = NamedSharding(square, P("a", "b"))
    assert s.shard_shape((4, 6)) == (2, 3) and not s.is_fully_replicated and s.num_devices == 4
    assert s.devices_indices_map((4, 6))[fg.devices()[2]] == (slice(2, 4), slice(0, 3))
    assert NamedSharding(square, P()).is_fully_replicated
    assert s.is_equivalent_to(NamedSharding(square, P("a", ("b",))), 2)
    assert not s.is_equivalent_to(NamedSharding(square, P("b", "a")), 2)
    assert SingleDeviceSharding().device_set == {fg.devices()[0]}
    with pytest.raises(
        ValueError, match=r"shape \(3, 6\).*axis 0 of extent 3 does not divide by 2"
    ):
        s.shard_shape((3, 6))
    with pytest.raises(ValueError, match=r"names \['c'\]"):
        NamedSharding(square, P("c"))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: fg.make_mesh((5,), ("i",)),
            r"(?s)needs 5 devices, and there are 4.*test_shard_map",
        ),
        (lambda: fg.make_mesh((2, 2), ("i",)), "2 sizes"),
        (lambda: fg.make_mesh((2, 2), ("i", "i")), "each another"),
        (lambda: Mesh([fg.devices()[0]] * 2, "i"), "CPU:0 stands twice"),
        (lambda: PartitionSpec("i", ("j", "i")), "names an axis of the mesh twice"),
    ],
)
def test_meshes_that_cannot_be(mesh, make, text):
    with pytest.raises(ValueError, match=text):
        make()


# Running.


@pytest.mark.parametrize("lowering", ["fast", "python", "numpy"])
def test_lowerings(mesh, lowering):
    before = fg.config.override("lowering", lowering)
    try:
        f = fg.jit(lambda x: summed(mesh)(x * 2) + 1)
        np.testing.assert_array_equal(f(X), 2 * X.reshape(4, 2, 3).sum(0) + 1)
    finally:
        fg.config.override("lowering", before)


def test_a_data_parallel_step_is_the_step(mesh):
    rng = np.random.default_rng(0)
    w, x, y = (rng.normal(size=s).astype(np.float32) for s in ((5,), (32, 5), (32,)))

    def loss(w, x, y):
        return fnp.mean((fnp.tanh(x @ w) - y) ** 2)

    def step(w, x, y):
        value, slope = fg.value_and_grad(loss)(w, x, y)
        return w - 0.5 * slope, value

    def on_each(w, x, y):
        value, slope = lax.pmean(fg.value_and_grad(loss)(w, x, y), "i")
        return w - 0.5 * slope, value

    over = fg.shard_map(on_each, mesh=mesh, in_specs=(P(), P("i"), P("i")), out_specs=P())
    parallel = fg.jit(over, donate_argnums=0)
    one, many = w, fnp.asarray(w)
    for _ in range(4):
        one, a = fg.jit(step)(one, x, y)
        many, b = parallel(many, x, y)
        np.testing.assert_allclose(a, b, rtol=1e-5)
    np.testing.assert_allclose(one, many, rtol=1e-5)


def test_runs_give_the_same_bits(mesh):
    x = np.random.default_rng(0).normal(size=(8, 300)).astype(np.float32)
    f = fg.jit(summed(mesh))
    assert len({np.asarray(f(x)).tobytes() for _ in range(20)}) == 1


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "float16", "bfloat16", "complex64"])
def test_dtypes(mesh, dtype):
    x = (X % 5).astype(fnp.dtype(dtype))
    total = summed(mesh)(x)
    if dtype != "bool":
        want = x.reshape(4, 2, 3).astype(np.complex128).sum(0)
        np.testing.assert_allclose(np.asarray(total).astype(np.complex128), want)
    ring = [(k, (k + 1) % 4) for k in range(4)]
    f = fg.shard_map(
        lambda v: lax.ppermute(v, "i", ring), mesh=mesh, in_specs=P("i"), out_specs=P("i")
    )
    np.testing.assert_array_equal(f(x), np.roll(x, 2, 0))


def test_keys_travel(mesh):
    keys = fg.random.split(fg.random.key(0), 4)
    draw = fg.shard_map(
        lambda k: fg.random.uniform(k[0], (1, 2)), mesh=mesh, in_specs=P("i"), out_specs=P("i")
    )
    np.testing.assert_array_equal(draw(keys), fg.vmap(lambda k: fg.random.uniform(k, (2,)))(keys))


def test_control_flow_with_collectives_inside(mesh):
    def body(x):
        total = lax.fori_loop(0, 3, lambda _, s: s + lax.psum(x, "i"), x * 0)
        even = lax.axis_index("i") % 2 == 0
        turned = lax.cond(even, lambda: total, lambda: -total)
        return lax.while_loop(lambda c: lax.pmax(c.max(), "i") > 10, lambda c: c / 2, turned)

    f = fg.jit(fg.shard_map(body, mesh=mesh, in_specs=P("i"), out_specs=P("i")))
    sign = np.repeat([1, -1, 1, -1], 2)[:, None]
    want = np.tile(3 * X.reshape(4, 2, 3).sum(0), (4, 1)) * sign
    while want.max() > 10:
        want = want / 2
    np.testing.assert_allclose(f(X), want)


def test_arguments_that_are_no_arrays(mesh):
    f = fg.shard_map(
        lambda x, word: x * len(word), mesh=mesh, in_specs=(P("i"), None), out_specs=P("i")
    )
    np.testing.assert_array_equal(f(X, "four"), 4 * X)


def test_used_as_a_decorator_and_with_a_mesh_around(mesh):
    @fg.shard_map(in_specs=P("i"), out_specs=P("i"))
    def f(x):
        return x + lax.axis_size("i")

    with pytest.raises(ValueError, match="given no mesh"):
        f(X)
    with fg.set_mesh(mesh):
        np.testing.assert_array_equal(f(X), X + 4)
    with mesh:
        np.testing.assert_array_equal(fg.jit(f)(X), X + 4)


def test_some_of_the_axes(square):
    f = fg.shard_map(
        lambda x: lax.psum(x, "a"), mesh=square, in_specs=P("a"), out_specs=P(), axis_names={"a"}
    )
    np.testing.assert_array_equal(f(X), X.reshape(2, 4, 3).sum(0))


def test_one_inside_of_another(square):
    def inner(x):
        return lax.psum(x, "b")

    def outer(x):
        within = fg.shard_map(inner, mesh=square, in_specs=P("b"), out_specs=P(), axis_names={"b"})
        return lax.psum(within(x), "a")

    f = fg.shard_map(outer, mesh=square, in_specs=P("a"), out_specs=P(), axis_names={"a"})
    np.testing.assert_array_equal(f(X), X.reshape(4, 2, 3).sum(0))
    np.testing.assert_array_equal(fg.jit(f)(X), X.reshape(4, 2, 3).sum(0))


def test_only_what_is_used_runs(mesh):
    seen = []

    def body(x):
        fg.debug.callback(lambda: seen.append(1))
        return lax.psum(x, "i"), fnp.sin(x)

    f = fg.shard_map(body, mesh=mesh, in_specs=P("i"), out_specs=(P(), P("i")))
    jaxpr = fg.jit(lambda x: f(x)[0]).lower(X).simplified
    assert "sin" not in str(jaxpr)
    fg.jit(lambda x: f(x)[0])(X)
    assert len(seen) == 4


def test_pvary_adds_cotangents(mesh):
    def slope(w, x):
        return fg.grad(lambda w: (lax.pvary(w, "i") * x).sum())(w)

    f = fg.shard_map(slope, mesh=mesh, in_specs=(P(), P("i")), out_specs=P())
    np.testing.assert_allclose(f(np.ones(3, np.float32), X), X.sum(0))


# Errors.


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda m: fg.shard_map(fnp.sin, mesh=m, in_specs=P("k"), out_specs=P()),
            ValueError,
            "'k'",
        ),
        (
            lambda m: fg.shard_map(fnp.sin, mesh=m, in_specs=P(), out_specs=P("k")),
            ValueError,
            "'k'",
        ),
        (
            lambda m: fg.shard_map(fnp.sin, mesh=m, in_specs="i", out_specs=P()),
            TypeError,
            "got 'i'",
        ),
        (lambda m: fg.shard_map(fnp.sin, mesh=4, in_specs=P(), out_specs=P()), TypeError, "a Mesh"),
        (
            lambda m: fg.shard_map(fnp.sin, mesh=m, in_specs=P(None, "i"), out_specs=P("i")),
            ValueError,
            r"(?s)x, which is float32\[8,3\].*axis 1 of extent 3 does not divide by 4, over 'i'",
        ),
        (
            lambda m: fg.shard_map(fnp.sum, mesh=m, in_specs=P("i"), out_specs=P("i")),
            ValueError,
            r"(?s)the result.*each device has float32\[\].*1 entries.*x\[None\]",
        ),
        (
            lambda m: fg.shard_map(fnp.sin, mesh=m, in_specs=P("i"), out_specs=P()),
            ValueError,
            r"(?s)the result, float32\[2,3\] on each device, which may differ over the axis 'i'",
        ),
        (
            lambda m: fg.shard_map(lambda x: (x, x), mesh=m, in_specs=P("i"), out_specs={"a": P()}),
            ValueError,
            "out_specs must be a tree prefix",
        ),
        (
            lambda m: fg.shard_map(
                lambda x: lax.psum(x, "k"), mesh=m, in_specs=P("i"), out_specs=P()
            ),
            NameError,
            r"unbound axis name: 'k'. The names in scope are \['i'\]",
        ),
        (
            lambda m: fg.shard_map(summed(m), mesh=m, in_specs=P("i"), out_specs=P("i")),
            ValueError,
            "has that name",
        ),
    ],
)
def test_errors_of_specs(mesh, call, error, text):
    with pytest.raises(error, match=text):
        call(mesh)(X)


@pytest.mark.parametrize("wrap", [lambda f: f, fg.jit])
def test_ranks_that_part_are_told_where(mesh, wrap):
    def body(x):
        first = lax.axis_index("i") == 0
        return lax.cond(first, lambda v: lax.psum(v, "i"), lambda v: v, x)

    f = wrap(fg.shard_map(body, mesh=mesh, in_specs=P("i"), out_specs=P("i")))
    for _ in range(3):
        with pytest.raises(
            RanksDivergeError,
            match=r"(?s)rank 0 is at psum over 'i' of float32\[2,3\].*rank 1 is done.*"
            r"psum: .*test_shard_map.py:\d+",
        ):
            f(X)


def test_an_error_in_one_rank_is_the_error(mesh):
    def host(x):
        if x[0, 0] == X[2, 0]:
            raise LookupError("rank 1 finds nothing")
        return x

    def body(x):
        shape = fg.ShapeDtypeStruct(x.shape, x.dtype)
        return lax.psum(fg.pure_callback(host, shape, x), "i")

    f = fg.jit(fg.shard_map(body, mesh=mesh, in_specs=P("i"), out_specs=P()))
    for _ in range(3):
        with pytest.raises(LookupError, match="rank 1 finds nothing"):
            f(X)


def test_nans_are_found(mesh):
    f = fg.shard_map(fnp.log, mesh=mesh, in_specs=P("i"), out_specs=P("i"))
    with fg.debug_nans(True), pytest.raises(FloatingPointError, match="nan"):
        f(X - 5)

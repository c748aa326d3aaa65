"""What a user of meshes writes, for devices of the CPU and for GPUs: the same program on both."""

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import P, optim
from funcgrad.sharding import NamedSharding, SingleDeviceSharding

X = np.linspace(-1.0, 2.0, 32, dtype=np.float32).reshape(8, 4)


def check(array, sharding, value, rtol=1e-6):
    """An array that lies by a sharding, as a whole and in parts."""
    assert array.sharding == sharding and array.committed
    assert array.devices() == sharding.device_set
    assert array.is_fully_replicated == sharding.is_fully_replicated
    np.testing.assert_allclose(array, value, rtol=rtol)
    shards = array.addressable_shards
    assert len(array.global_shards) == len(shards) == sharding.num_devices
    for k, shard in enumerate(shards):
        assert shard.device == sharding.device_list()[k]
        assert shard.data.shape == sharding.shard_shape(value.shape)
        np.testing.assert_allclose(shard.data, value[shard.index], rtol=rtol)
        np.testing.assert_array_equal(array.addressable_data(k), shard.data)


def placing(mesh):
    divided, same = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
    check(fg.device_put(X, divided), divided, X)
    put = fg.device_put({"a": X, "b": (X[0], 2.0)}, {"a": divided, "b": same})
    check(put["a"], divided, X)
    check(put["b"][0], same, X[0])
    check(put["b"][1], same, np.float32(2))
    with fg.set_mesh(mesh):
        check(fg.device_put(X, P(None, "data")), NamedSharding(mesh, P(None, "data")), X)
        check(fg.lax.with_sharding_constraint(X, P("data")), divided, X)
    check(fnp.zeros((8, 4), device=divided), divided, np.zeros((8, 4)))
    one = fg.device_put(put["a"], mesh.ranks[0])
    assert one.sharding == SingleDeviceSharding(mesh.ranks[0])
    np.testing.assert_array_equal(one, X)


def making(mesh):
    sharding = NamedSharding(mesh, P("data"))
    asked = []

    def part(at):
        asked.append(at)
        return X[at]

    check(fg.make_array_from_callback(X.shape, sharding, part), sharding, X)
    assert len(asked) == 4
    same = NamedSharding(mesh, P())
    check(fg.make_array_from_callback(X.shape, same, part, np.float32), same, X)
    assert len(asked) == 5
    check(fg.make_array_from_process_local_data(sharding, X), sharding, X)
    parts = [fg.device_put(X[2 * k : 2 * k + 2], d) for k, d in enumerate(mesh.ranks)]
    made = fg.make_array_from_single_device_arrays(X.shape, sharding, parts)
    check(made, sharding, X)
    # Its parts are their givers' too.
    fg.jit(lambda x: x * 2, donate_argnums=0)(made)
    np.testing.assert_array_equal(parts[1], X[2:4])


def jitting(mesh):
    divided, same = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
    f = fg.jit(lambda x, y: (x * 2, {"sum": x.sum() + y}), in_shardings=(divided, None))
    f2 = fg.jit(
        lambda x, y: (x * 2, {"sum": x.sum() + y}),
        in_shardings=[divided, same],
        out_shardings=(divided, same),
    )
    for _ in range(3):
        twice, rest = f2(X, 1.0)
        check(twice, divided, 2 * X)
        check(rest["sum"], same, X.sum() + 1, 1e-5)
        check(f(fg.device_put(X, divided), 1.0)[0], same, 2 * X)
    with fg.set_mesh(mesh):
        g = fg.jit(lambda x: x + 1, in_shardings=P("data"), out_shardings=P(None, "data"))
        check(g(X), NamedSharding(mesh, P(None, "data")), X + 1)
    fixed = fg.jit(lambda n, x: x * n, static_argnums=0, in_shardings=divided)
    check(fixed(3, X), same, 3 * X)
    inner = fg.jit(lambda x: x + 1, in_shardings=divided, out_shardings=divided)
    check(fg.jit(lambda x: inner(x) * 2, out_shardings=divided)(X), divided, 2 * (X + 1))
    np.testing.assert_allclose(fg.grad(lambda x: inner(x).sum())(X), np.ones_like(X))
    hinted = fg.jit(lambda x: fg.lax.with_sharding_constraint(x, divided) * 2)
    np.testing.assert_array_equal(hinted(X), 2 * X)


def training(mesh):
    """The data-parallel step of the tutorials: parameters everywhere, the batch divided."""
    rng = np.random.default_rng(0)
    params = {
        "w": rng.normal(size=(4, 3)).astype(np.float32),
        "b": np.zeros(3, np.float32),
    }
    x, y = (rng.normal(size=(16, n)).astype(np.float32) for n in (4, 3))
    optimizer = optim.adam(1e-2)

    def loss(p, x, y):
        return ((fnp.tanh(x @ p["w"] + p["b"]) - y) ** 2).mean()

    def step(p, state, x, y):
        value, slopes = fg.value_and_grad(loss)(p, x, y)
        updates, state = optimizer.update(slopes, state, p)
        return optim.apply_updates(p, updates), state, value

    divided, same = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
    here, state = params, optimizer.init(params)
    alone = fg.jit(step)
    there = fg.device_put(params, same)
    its = fg.device_put(optimizer.init(there), same)
    spread = fg.jit(step, donate_argnums=(0, 1))
    for _ in range(3):
        here, state, want = alone(here, state, x, y)
        batch = fg.device_put((x, y), divided)
        there, its, value = spread(there, its, *batch)
        check(value, same, np.asarray(want), 1e-5)
    for leaf, other in zip(
        fg.tree.leaves((there, its)), fg.tree.leaves((here, state)), strict=True
    ):
        check(leaf, same, np.asarray(other), 1e-4)


def by_shard_map(mesh):
    def on_each(w, x):
        return w - 0.1 * fg.lax.pmean(fg.grad(lambda w: ((x @ w) ** 2).mean())(w), "data"), x * 2

    specs = {"in_specs": (P(), P("data")), "out_specs": (P(), P("data"))}
    whole = fg.shard_map(on_each, mesh=mesh, **specs)
    w = np.ones(4, np.float32)
    slope = 2 * X.T @ (X @ w) / 8
    divided, same = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
    for f in (whole, fg.jit(whole)):
        new, twice = f(fg.device_put(w, same), fg.device_put(X, divided))
        check(new, same, w - 0.1 * slope, 1e-4)
        check(twice, divided, 2 * X)


def operations(mesh):
    x = fg.device_put(X, NamedSharding(mesh, P("data")))
    same = NamedSharding(mesh, P())
    for made, want in (
        (x + 1, X + 1),
        (fnp.sin(x), np.sin(X)),
        (x.sum(0), X.sum(0)),
        (x @ np.ones(4, np.float32), X.sum(1)),
        (x[2:5], X[2:5]),
    ):
        check(made, same, want, 1e-5)


PROGRAMS = (placing, making, jitting, training, by_shard_map, operations)

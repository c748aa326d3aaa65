"""Arrays between GPUs: from device to device by as few copies as there can be, past the host."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import P, lax
from funcgrad.kernels.cuda.runtime import moves
from funcgrad.sharding import NamedSharding, SingleDeviceSharding

from .test_meshes import line, over, square

CUBE = np.arange(8 * 4 * 6, dtype=np.int16).reshape(8, 4, 6)
SPECS = [
    P(),
    P("a"),
    P(None, "b"),
    P(None, None, "a"),
    P("b", None, "a"),
    P(("b", "a")),
    P(None, ("a", "b")),
    P("a", "b"),
]


def asked(driver, *names):
    return [entry for entry in driver.log if entry[0] in names]


@pytest.mark.parametrize(
    "pair", list(itertools.permutations(SPECS, 2)), ids=lambda pair: f"{pair[0]}-{pair[1]}"
)
def test_one_sharding_becomes_another(four, pair):
    one, other = (NamedSharding(square(), spec) for spec in pair)
    x = fg.device_put(CUBE, one)
    driver = four.driver
    driver.log.clear()
    y = fg.device_put(x, other)
    assert y.sharding == other and not asked(driver, "upload", "download")
    for shard in y.addressable_shards:
        assert shard.data.devices() == {shard.device}
        np.testing.assert_array_equal(shard.data, CUBE[shard.index])
    # Nobody is brought what it has; what each is brought is at most what it has then.
    brought = [entry[1] for entry in asked(driver, "bring")]
    assert sum(brought) <= sum(shard.data.nbytes for shard in y.addressable_shards)
    np.testing.assert_array_equal(x, CUBE)


def test_what_a_device_has_already_is_its_own(four):
    x = fg.device_put(CUBE, NamedSharding(square(), P()))
    four.driver.log.clear()
    y = fg.device_put(x, NamedSharding(square(), P("a")))
    assert {entry[2:] for entry in asked(four.driver, "bring")} == {(k, k) for k in range(4)}
    z = fg.device_put(y, NamedSharding(square(), P("a", None)))
    pointers = [
        [s.data.unsafe_buffer_pointer() for s in array.addressable_shards] for array in (y, z)
    ]
    assert pointers[0] == pointers[1]


def test_between_one_device_other_meshes_and_the_host(four):
    driver, gpus = four.driver, fg.devices("gpu")
    large = np.arange(80_000, dtype=np.float32).reshape(8, 10_000)
    whole = fg.device_put(large, NamedSharding(line(), P()))
    # The host sends it once, the devices the rest.
    assert [entry[1] for entry in asked(driver, "upload")] == [large.nbytes]
    assert [entry[1:] for entry in asked(driver, "bring")] == [
        (large.nbytes, 0, k) for k in (1, 2, 3)
    ]
    driver.log.clear()
    steps = [
        gpus[2],
        NamedSharding(line(), P("i")),
        SingleDeviceSharding(gpus[3]),
        NamedSharding(square(), P("b", "a")),
        gpus[0],
        NamedSharding(fg.sharding.Mesh(gpus[1:3], "i"), P(None, "i")),
        NamedSharding(line(), P()),
    ]
    x = whole
    for step in steps:
        x = fg.device_put(x, step)
        assert x.committed and x.sharding == (
            SingleDeviceSharding(step) if isinstance(step, fg.Device) else step
        )
    assert not asked(driver, "upload", "download")
    np.testing.assert_array_equal(x, large)


@pytest.mark.parametrize("shape", [(), (0, 4), (8, 0)])
def test_scalars_and_nothing(four, shape):
    x = fg.device_put(np.ones(shape, np.float32), NamedSharding(line(), P()))
    spec = P("i") if shape else P()
    y = fg.device_put(x, NamedSharding(line(), spec))
    assert fg.device_put(y, fg.devices("gpu")[1]).shape == shape
    np.testing.assert_array_equal(y, np.ones(shape))


def test_programs_that_ask_for_other_parts_have_them_without_the_host(four):
    rows = over(lambda x: x * 2, P("i"), P("i"))
    columns = over(lambda x: x + lax.axis_index("i"), P(None, "i"), P(None, "i"))
    f = fg.jit(lambda x: columns(rows(x)))
    x = fg.device_put(CUBE[:, :, 0].astype(np.float32), NamedSharding(line(), P("i")))
    f(x)
    four.driver.log.clear()
    got = f(x)
    assert not asked(four.driver, "upload", "download")
    np.testing.assert_array_equal(got, CUBE[:, :, 0] * 2 + np.arange(4))


# Which bytes go where, of any two parts of any array.

slices = st.integers(1, 6).flatmap(
    lambda n: st.tuples(st.just(n), *[st.tuples(*[st.integers(0, n)] * 2).map(sorted)] * 2)
)


@given(st.lists(slices, max_size=5), st.sampled_from([1, 2, 8]), st.sampled_from([1 << 31, 40]))
def test_what_two_parts_have_in_common(axes, size, most):
    shape = tuple(n for n, _, _ in axes)
    ends = [tuple(map(tuple, side)) for side in (list(zip(*axes, strict=True)) or [(), (), ()])[1:]]
    whole = np.arange(np.prod(shape, dtype=int) * size).astype(np.uint8).reshape(*shape, size)
    cuts = [tuple(slice(*e) for e in side) for side in ends]
    source = np.ascontiguousarray(whole[cuts[0]])
    want = np.zeros_like(whole)
    both = tuple(slice(max(a, c), min(b, d)) for (a, b), (c, d) in zip(*ends, strict=True))
    if all(s.start < s.stop for s in both):
        want[both] = whole[both]
    target = np.zeros_like(whole[cuts[1]])
    taken = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moves, "MOST_PITCH", most)
        for rows in moves.common(*ends, size):
            (width, height, depth), (at, pitch, planes), (to, steps, stack) = rows
            assert width <= min(pitch, steps) and height <= min(planes, stack)
            assert height == 1 or max(pitch, steps) <= most
            taken += width * height * depth
            for plane, row in itertools.product(range(depth), range(height)):
                begin = at + (plane * planes + row) * pitch
                end = to + (plane * stack + row) * steps
                target.reshape(-1)[end : end + width] = source.reshape(-1)[begin : begin + width]
    np.testing.assert_array_equal(target, want[cuts[1]])
    assert taken == (whole[both].nbytes if all(s.start < s.stop for s in both) else 0)


def test_rows_and_planes_are_one_copy():
    ends = ((0, 8), (0, 6), (0, 4)), ((0, 8), (0, 3), (0, 2))
    assert len(list(moves.common(*ends, 4))) == 1
    # A fourth stride is a loop.
    ends = ((0, 2), *ends[0]), ((0, 1), (0, 7), (0, 3), (0, 2))
    assert len(list(moves.common(*ends, 4))) == 1
    assert len(list(moves.common(ends[0], ((0, 2), *ends[1][1:]), 4))) == 2


# Donation.


def pointers(x):
    # Not through shards, which others may keep.
    return [part.alive().address for part in x.alive().parts]


def test_donated_arrays_of_a_mesh_are_written_over(four):
    def on_each(w, x):
        return w - 0.1 * lax.pmean(fg.grad(lambda w: ((x @ w) ** 2).sum())(w), "i")

    step = fg.jit(over(on_each, (P(), P("i")), P()), donate_argnums=0)
    X = np.linspace(-1, 1, 24, dtype=np.float32).reshape(8, 3)
    w, data = np.ones(3, np.float32), fg.device_put(X, NamedSharding(line(), P("i")))
    there = fg.device_put(w, NamedSharding(line(), P()))
    before = pointers(there)
    for n in range(6):
        start = len(four.driver.log)
        old, there = there, step(there, data)
        w = w - 0.1 * 2 * X.T @ (X @ w) / 4
        assert old.is_deleted() and pointers(there) == before
        what = [entry[0] for entry in four.driver.log[start:]]
        assert not n or "allocate" not in what
    # One set of addresses, recorded when it is met again.
    assert what == ["replay"] * 4
    np.testing.assert_allclose(there, w, rtol=1e-4, atol=1e-5)


def test_what_others_still_have_is_not_written_over(four):
    f = fg.jit(over(lambda x: x * 2, P("i"), P("i")), donate_argnums=0)
    ones = np.ones((8, 3), np.float32)
    sharding = NamedSharding(line(), P("i"))
    x = fg.device_put(ones, sharding)
    kept = x.addressable_shards[1].data
    other = fg.device_put(fg.device_put(ones, sharding), sharding)
    twin = fg.device_put(other, sharding)
    for mine in (x, other):
        before = pointers(mine)
        after = pointers(f(mine))
        assert [a == b for a, b in zip(before, after, strict=True)] == [False] * 4
    np.testing.assert_array_equal(kept, ones[:2])
    np.testing.assert_array_equal(twin, ones)
    both = fg.jit(over(lambda x, y: (x * 2, y + 1), P("i"), P("i")), donate_argnums=0)
    y = fg.device_put(ones, sharding)
    got = both(y, y)
    np.testing.assert_array_equal(got[0], 2 * ones)
    np.testing.assert_array_equal(got[1], 2 * ones)


def test_what_dies_within_a_program_is_written_over(four):
    twice = over(lambda x: x * 2, P("i"), P("i"))
    f = fg.jit(lambda x: twice(twice(x)))
    x = fg.device_put(np.ones((8, 3), np.float32), NamedSharding(line(), P("i")))
    f(x)
    live = [home.memory_stats()["bytes_in_use"] for home in fg.devices("gpu")]
    four.driver.log.clear()
    got = f(x)
    np.testing.assert_array_equal(got, 4 * np.ones((8, 3)))
    del got
    assert live == [home.memory_stats()["bytes_in_use"] for home in fg.devices("gpu")]
    np.testing.assert_array_equal(x, np.ones((8, 3)))


# Programs that are not divided.


def test_a_step_without_shard_map_is_done_by_every_device(four):
    def loss(w, x, y):
        return ((fnp.tanh(x @ w) - y) ** 2).mean()

    @fg.jit
    def step(w, x, y):
        value, slope = fg.value_and_grad(loss)(w, x, y)
        return w - 0.5 * slope, value

    rng = np.random.default_rng(0)
    w, x, y = (rng.normal(size=s).astype(np.float32) for s in ((5,), (32, 5), (32,)))
    there = fg.device_put(w, NamedSharding(line(), P()))
    data = fg.device_put((x, y), NamedSharding(line(), P("i")))
    for n in range(5):
        start = len(four.driver.log)
        w, want = step(w, x, y)
        there, value = step(there, *data)
        assert there.sharding == value.sharding == NamedSharding(line(), P())
        assert not n or not [e for e in four.driver.log[start:] if e[0] == "upload"]
        np.testing.assert_allclose(value, want, rtol=1e-5)
    np.testing.assert_allclose(there, w, rtol=1e-5)
    bits = {shard.data.numpy().tobytes() for shard in there.addressable_shards}
    assert len(bits) == 1
    page = step.lower(there, *data).explain()
    assert "not divided: each of the 4 devices computes all of it" in page
    # Eager operations stay there too, and compute with what is on the host.
    for z in (there + 1, fnp.sin(there) * w, data[0].sum(), fnp.ones(5) + there):
        assert z.devices() == set(fg.devices("gpu"))
    np.testing.assert_allclose(data[0].sum(1), x.sum(1), rtol=1e-4, atol=1e-5)


def test_the_host_does_its_part_once(four):
    seen = []

    def host(x):
        seen.append(x)
        return x + 1

    shape = fg.ShapeDtypeStruct((8, 3), np.float32)
    f = fg.jit(lambda x: fg.pure_callback(host, shape, x * 2))
    got = f(fg.device_put(np.ones((8, 3), np.float32), NamedSharding(line(), P("i"))))
    np.testing.assert_array_equal(got, 3 * np.ones((8, 3)))
    assert len(seen) == 1 and got.sharding == NamedSharding(line(), P())


def test_the_page_says_what_is_divided(four, monkeypatch):
    f = fg.jit(lambda x: over(lambda v: lax.psum(v, "i"), P("i"), P())(x + 1) * 2)
    x = np.ones((8, 3), np.float32)
    lowered = f.lower(fg.device_put(x, NamedSharding(line(), P("i"))))
    page = lowered.explain()
    assert "on 4 devices: GPU:0, GPU:1, GPU:2, GPU:3" in page
    assert "part 1, divided over {'i': 4}: (PartitionSpec('i')) -> (PartitionSpec())" in page
    assert page.count("not divided") == 2 and "do not reach" not in page
    monkeypatch.setattr(type(four.driver), "reaches", lambda self, a, b: {a, b} != {1, 3})
    page = f.lower(x).explain()
    assert "GPU 1 and GPU 3 do not reach each other's memory: the driver takes copies" in page
    assert "comes from the host at every call" in page and page.count("do not reach") == 1
    np.testing.assert_array_equal(lowered.compile()(x), 2 * (x + 1).reshape(4, 2, 3).sum(0))


LOOPS = {
    "fori": lambda inner, x: lax.fori_loop(0, 3, lambda k, c: inner(c) - x, x),
    "scan": lambda inner, x: lax.scan(lambda c, y: (inner(c) + y, c[0]), x, x[:, 0]),
    "cond": lambda inner, x: lax.fori_loop(
        0, 2, lambda k, c: lax.cond(k > 0, lambda c: c, fnp.sin, inner(c)), x
    ),
    "gradient": lambda inner, x: fg.grad(
        lambda v: lax.fori_loop(0, 3, lambda k, c: inner(c) * 0.5, v).sum()
    )(x),
}


@pytest.mark.parametrize("name", LOOPS)
def test_shard_map_inside_of_a_loop(four, cpus, name):
    cpus(4)

    def program(mesh):
        def body(c):
            return c * 0.5 + lax.psum(c.sum(0), ("a", "b"))

        spec = P(("a", "b"))
        inner = fg.shard_map(body, mesh=mesh, in_specs=spec, out_specs=spec)
        return fg.jit(lambda x: LOOPS[name](inner, x))

    x = np.linspace(-1, 1, 24, dtype=np.float32).reshape(8, 3)
    want = program(fg.make_mesh((2, 2), ("a", "b")))(x)
    f = program(square())
    there = fg.device_put(x, NamedSharding(square(), P("a")))
    for _ in range(4):
        fg.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), f(there), want)
    names = {name for names, _ in four.log for name in names}
    assert {"all_reduce", "all_gather"} <= names

"""shard_map and pmap over GPUs: a fake driver of several, and a fake NCCL that checks its calls."""

import sys

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import P, lax
from funcgrad.kernels.cuda import nccl
from funcgrad.kernels.cuda.runtime.executable import NoKernelError
from funcgrad.sharding import Mesh, NamedSharding

from .fake_nccl import FakeNccl

X = np.linspace(-1.0, 2.0, 24, dtype=np.float32).reshape(8, 3)


def line():
    return Mesh(fg.devices("gpu"), "i")


def square():
    flat = fg.devices("gpu")
    return Mesh([flat[:2], flat[2:]], ("a", "b"))


def over(f, ins, outs, **options):
    return fg.shard_map(f, mesh=line(), in_specs=ins, out_specs=outs, **options)


RING = [(k, (k + 1) % 4) for k in range(4)]
PAIRS = [[0, 2], [3, 1]]
COLLECTIVES = {
    "sum": (lambda x: lax.psum(x * 2, "i"), P()),
    "max": (lambda x: lax.pmax(x, "i"), P()),
    "min": (lambda x: lax.pmin(x, "i"), P()),
    "mean": (lambda x: lax.pmean(x, "i"), P()),
    "index": (lambda x: x + lax.axis_index("i"), P("i")),
    "gather": (lambda x: lax.all_gather(x, "i"), P("i")),
    "gather in the middle": (lambda x: lax.all_gather(x, "i", axis=1), P("i")),
    "gather tiled": (lambda x: lax.all_gather(x, "i", axis=1, tiled=True), P("i")),
    "ring": (lambda x: lax.ppermute(x, "i", RING), P("i")),
    "some": (lambda x: lax.ppermute(x, "i", [(0, 2), (3, 1)]), P("i")),
    "scatter": (
        lambda x: lax.psum_scatter(
            x @ x.T @ fnp.ones((2, 8)), "i", tiled=True, scatter_dimension=1
        ),
        P("i"),
    ),
    "scatter in front": (lambda x: lax.psum_scatter(fnp.tile(x, (4, 1)), "i", tiled=True), P("i")),
    "exchange": (lambda x: lax.all_to_all(fnp.tile(x, (4, 1)), "i", 0, 0, tiled=True), P("i")),
    "exchange across": (
        lambda x: lax.all_to_all(fnp.tile(x, (2, 4)), "i", 1, 0, tiled=True),
        P("i"),
    ),
    "pairs": (lambda x: lax.psum(x, "i", axis_index_groups=PAIRS), P("i")),
    "uneven groups": (lambda x: lax.pmax(x, "i", axis_index_groups=[[1], [3, 0, 2]]), P("i")),
    "gather of pairs": (
        lambda x: lax.all_gather(x, "i", axis=1, axis_index_groups=PAIRS),
        P("i"),
    ),
    "scatter in pairs": (
        lambda x: lax.psum_scatter(x, "i", axis_index_groups=PAIRS, tiled=True),
        P("i"),
    ),
    "exchange in pairs": (
        lambda x: lax.all_to_all(
            fnp.tile(x, (1, 2)), "i", 1, 0, axis_index_groups=PAIRS, tiled=True
        ),
        P("i"),
    ),
    "bools": (lambda x: lax.ppermute(x > 0, "i", RING), P("i")),
    "complex": (lambda x: lax.psum(x + 1j * x, "i"), P()),
    "half": (lambda x: lax.psum(x.astype(fnp.bfloat16), "i").astype(fnp.float32), P()),
    "integers": (lambda x: lax.pmax((x * 9).astype(fnp.int32), "i"), P()),
    "loop": (lambda x: lax.fori_loop(0, 3, lambda k, c: c + lax.psum(c, "i"), x), P("i")),
}


@pytest.mark.parametrize("name", COLLECTIVES)
def test_collectives_are_those_of_the_cpu(four, cpus, name):
    cpus(4)
    f, out = COLLECTIVES[name]
    mesh = fg.make_mesh((4,), ("i",))
    want = fg.shard_map(f, mesh=mesh, in_specs=P("i"), out_specs=out)(X)
    there = over(f, P("i"), out)
    for run in (there, fg.jit(there)):
        got = run(X)
        assert got.sharding == NamedSharding(line(), out) and got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_groups_are_tuples_of_devices(four):
    f = fg.shard_map(
        lambda x: lax.psum(lax.psum(x, "a") * 2, ("b", "a")),
        mesh=square(),
        in_specs=P(("a", "b")),
        out_specs=P(),
    )
    np.testing.assert_allclose(f(X), 4 * X.reshape(4, 2, 3).sum(0), rtol=1e-6)
    assert four.made == [(0, 2), (1, 3), (0, 2, 1, 3)]
    assert four.log == [
        (["all_reduce"], [(0, 2), (1, 3)]),
        (["all_reduce"], [(0, 2, 1, 3)]),
    ]


def test_each_group_within_an_axis_has_a_communicator(four):
    f = over(lambda x: lax.psum(x, "i", axis_index_groups=PAIRS), P("i"), P("i"))
    f(X)
    fg.shard_map(
        lambda x: lax.psum(x, "b", axis_index_groups=[[1], [0]]),
        mesh=square(),
        in_specs=P("a", None),
        out_specs=P("a"),
        check_vma=False,
    )(X)
    assert four.made == [(0, 2), (3, 1), (1,), (0,), (3,), (2,)]
    assert [len(devices) for _, devices in four.log] == [2, 4]


def loss(w, x, y):
    return fnp.mean((fnp.tanh(x @ w) - y) ** 2)


def test_a_data_parallel_step_keeps_its_parts_in_place(four):
    rng = np.random.default_rng(0)
    w, x, y = (rng.normal(size=s).astype(np.float32) for s in ((5,), (32, 5), (32,)))

    def on_each(w, x, y):
        value, slope = lax.pmean(fg.value_and_grad(loss)(w, x, y), "i")
        return w - 0.5 * slope, value

    step = fg.jit(over(on_each, (P(), P("i"), P("i")), P()), donate_argnums=0)
    own = fg.jit(lambda w: (w - 0.5 * fg.grad(loss)(w, x, y), loss(w, x, y)))
    there = fg.device_put(w, NamedSharding(line(), P()))
    data = fg.device_put((x, y), NamedSharding(line(), P("i")))
    assert data[0].addressable_shards[2].data.shape == (8, 5)
    assert data[0].devices() == set(fg.devices("gpu"))
    for n in range(3):
        w, want = own(w)
        before = [what for what, *_ in four.driver.log if what == "upload"]
        there, got = step(there, *data)
        after = [what for what, *_ in four.driver.log if what == "upload"]
        assert not n or len(after) == len(before), "nothing comes from the host again"
        np.testing.assert_allclose(got, want, rtol=1e-5)
    np.testing.assert_allclose(there, w, rtol=1e-5)
    assert [s.replica_id for s in there.addressable_shards] == [0, 1, 2, 3]


def test_gradients_go_through(four):
    whole = over(lambda w, x: lax.pmean(fnp.sum(fnp.sin(x * w)), "i"), (P(), P("i")), P())
    w = np.ones(3, np.float32)
    slope = fg.jit(fg.grad(whole))(w, X)
    np.testing.assert_allclose(slope, (np.cos(X * w) * X).sum(0) / 4, rtol=1e-5)


def test_what_is_around_is_done_by_every_device(four):
    f = fg.jit(lambda x: (over(lambda v: v * 2, P("i"), P("i"))(x + 1) - 1).sum(0))
    got = f(X)
    assert got.sharding == NamedSharding(line(), P())
    np.testing.assert_allclose(got, (2 * (X + 1) - 1).sum(0), rtol=1e-6)
    divided = fg.device_put(X, NamedSharding(line(), P("i")))
    np.testing.assert_allclose(divided + 1, X + 1)
    np.testing.assert_array_equal(np.asarray(divided), X)


def test_pmap(four):
    rows = X.reshape(4, 2, 3)
    f = fg.pmap(lambda x: x / lax.psum(x, "k"), axis_name="k", devices=fg.devices("gpu"))
    got = f(rows)
    np.testing.assert_allclose(got, rows / rows.sum(0), rtol=1e-5)
    assert len(got.addressable_shards) == 4
    two = fg.pmap(lambda x: x + 1, backend="gpu")(rows[:2])
    assert two.devices() == set(fg.devices("gpu")[:2])


def test_one_device(four):
    mesh = Mesh(fg.devices("gpu")[:1], "i")
    f = fg.shard_map(lambda x: lax.psum(x, "i"), mesh=mesh, in_specs=P("i"), out_specs=P())
    np.testing.assert_array_equal(f(X), X)
    assert four.made == [(0,)]


def test_what_cannot_be(four, monkeypatch):
    with pytest.raises(NoKernelError, match="(?s)psum.*NCCL has no arithmetic of this dtype"):
        over(lambda x: lax.psum(x.astype(fnp.int16), "i"), P("i"), P())(X)
    looped = over(
        lambda x: lax.while_loop(lambda c: lax.pmax(c.max(), "i") < 9, lambda c: c * 2, x + 2),
        P("i"),
        P("i"),
    )
    with pytest.raises(NoKernelError, match="each device would decide"):
        looped(X)
    mixed = Mesh([fg.devices()[0], fg.devices("gpu")[0]], "i")
    with pytest.raises(ValueError, match="several platforms"):
        fg.shard_map(fnp.sin, mesh=mixed, in_specs=P("i"), out_specs=P("i"))(X)
    x = fg.device_put(X, NamedSharding(line(), P("i")))
    with pytest.raises(ValueError, match="has no one address"):
        x.unsafe_buffer_pointer()
    with pytest.raises(BufferError, match="divided over 4 GPUs"):
        x.__dlpack__()


def test_without_nccl_there_is_a_remedy(gpus, monkeypatch):
    gpus(count=2)
    monkeypatch.setitem(sys.modules, "nccl.bindings.nccl", None)
    mesh = Mesh(fg.devices("gpu"), "i")
    with pytest.raises(RuntimeError, match="nccl4py, which this Python does not have. Install it:"):
        fg.shard_map(lambda x: lax.psum(x, "i"), mesh=mesh, in_specs=P("i"), out_specs=P())(X)
    # Who does not meet does not need it.
    got = fg.shard_map(fnp.sin, mesh=mesh, in_specs=P("i"), out_specs=P("i"))(X)
    np.testing.assert_allclose(got, np.sin(X), rtol=1e-6)


def test_the_numbers_are_those_of_the_package():
    lib = pytest.importorskip("nccl.bindings.nccl", reason="the bindings of NCCL: nccl4py")
    for name, number in nccl.DTYPES.items():
        assert lib.DataType(number).name == {"bool": "uint8"}.get(name, name).capitalize()
    for name, number in nccl.OPERATIONS.items():
        assert lib.RedOp(number).name == name.capitalize()
    calls = "comm_init_all group_start group_end all_reduce reduce_scatter all_gather send recv"
    for name in calls.split():
        assert callable(getattr(lib, name))


RECORDED = {
    "sum and gather": lambda x: x + lax.psum(x, "i") + lax.all_gather(x, "i", axis=1).sum(1),
    "some, with zeros for others": lambda x: lax.ppermute(x * 2, "i", [(0, 2), (3, 1)]) - x,
    "index": lambda x: lax.ppermute(x, "i", RING) * lax.axis_index("i"),
    "pairs": lambda x: lax.psum(x + 1, "i", axis_index_groups=PAIRS) * x,
    "a loop": lambda x: lax.fori_loop(0, 3, lambda k, c: c * 0.5 + lax.psum(c, "i"), x),
}


@pytest.mark.parametrize("name", RECORDED)
def test_programs_are_recorded_as_a_graph_for_each_device(four, cpus, name):
    cpus(4)
    body, driver = RECORDED[name], four.driver
    f = fg.jit(over(body, P("i"), P("i"), check_vma=False))
    mesh = fg.make_mesh((4,), ("i",))
    on_cpus = fg.shard_map(body, mesh=mesh, in_specs=P("i"), out_specs=P("i"), check_vma=False)
    x = fg.device_put(X, NamedSharding(line(), P("i")))
    seen = []
    for n in range(5):
        start, calls = len(driver.log), len(four.log)
        np.testing.assert_allclose(f(x), on_cpus(X), rtol=1e-5, atol=1e-6, err_msg=str(n))
        what = [w for w, *_ in driver.log[start:]]
        seen.append((what.count("record"), what.count("replay"), len(four.log) > calls))
        assert not n or "allocate" not in what
    # Plain, then recorded for the addresses of a result that was let go of, then repeated.
    assert seen[0] == (0, 0, True) and (4, 4, True) in seen[1:3]
    assert seen[-1] == (0, 4, False) == seen[-2]


def test_a_step_that_goes_on_with_its_results_is_repeated(four):
    def on_each(w, x):
        return w - 0.1 * lax.pmean(fg.grad(lambda w: ((x @ w) ** 2).sum())(w), "i")

    step = fg.jit(over(on_each, (P(), P("i")), P()))
    w, data = np.ones(3, np.float32), fg.device_put(X, NamedSharding(line(), P("i")))
    there = fg.device_put(w, NamedSharding(line(), P()))
    for _ in range(6):
        start = len(four.driver.log)
        there = step(there, data)
        w = w - 0.1 * 2 * X.T @ (X @ w) / 4
        what = [e[0] for e in four.driver.log[start:]]
    assert what == ["replay"] * 4
    np.testing.assert_allclose(there, w, rtol=1e-4, atol=1e-5)


def test_programs_whose_way_the_host_reads_are_not_recorded(four):
    f = fg.jit(
        over(
            lambda x: lax.psum(lax.while_loop(lambda c: c.sum() < 9e3, lambda c: c + 1, x), "i"),
            P("i"),
            P(),
        )
    )
    # Too much for registers.
    wide = np.tile(X, (1, 100))
    x = fg.device_put(wide, NamedSharding(line(), P("i")))
    want = f(wide).numpy()
    for _ in range(3):
        np.testing.assert_array_equal(f(x), want)
    assert ("record",) not in four.driver.log


def test_an_error_while_devices_record_leaves_them_in_order(four, monkeypatch):
    f = fg.jit(over(RECORDED["sum and gather"], P("i"), P("i"), check_vma=False))
    x = fg.device_put(X, NamedSharding(line(), P("i")))
    want = f(x).numpy()
    calls = []

    def failing(*args):
        calls.append(args)
        raise RuntimeError("ncclInternalError")

    def again():
        for _ in range(3):
            f(x)

    with monkeypatch.context() as patch:
        patch.setattr(FakeNccl, "all_gather", failing)
        with pytest.raises(RuntimeError, match="ncclInternalError"):
            again()
    assert calls and four.driver.recording is None and not four.driver.recorders
    four.calls = None
    for _ in range(4):
        np.testing.assert_array_equal(f(x), want)
    assert ("replay",) in four.driver.log

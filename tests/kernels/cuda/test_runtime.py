"""Programs on a device, by a driver that keeps memory in NumPy arrays and emulates kernels."""

import gc
import re

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax, nn
from funcgrad.control import accelerators
from funcgrad.kernels.cuda.runtime import conditions
from funcgrad.kernels.cuda.runtime import driver as drivers
from funcgrad.kernels.cuda.runtime.driver import CudaError
from funcgrad.kernels.cuda.runtime.executable import NoKernelError


def f32(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def pool():
    return accelerators._homes[0].place.pool


# Devices and arrays.


def test_devices(gpu):
    (device,) = fg.devices("gpu")
    assert fg.devices("cuda") == [device] and device.platform == "gpu"
    assert device.device_kind == "Fake H200" and device.id == 0 and str(device) == "GPU:0"
    assert fg.devices() == fg.devices("cpu") != [device]


@pytest.mark.parametrize("dtype", ["float32", "int8", "bool", "uint16", "complex64", "float16"])
def test_arrays_go_and_come_back(gpu, dtype):
    x = (f32(3, 5) * 9).astype(dtype)
    device = fg.devices("gpu")[0]
    y = fg.device_put(x, device)
    assert isinstance(y, fg.Array) and y.devices() == {device} and y.device == device
    assert y.committed and y.shape == (3, 5) and y.dtype == x.dtype
    np.testing.assert_array_equal(fg.device_get(y), x)
    back = fg.device_put(y, "cpu")
    assert back.devices() == {fg.devices()[0]}
    np.testing.assert_array_equal(back, x)


def test_keys_and_narrow_dtypes_travel(gpu):
    key = fg.device_put(fg.random.key(3), "gpu")
    want = fg.random.uniform(fg.random.key(3), (40,))
    got = fg.random.uniform(key, (40,))
    assert got.device.platform == "gpu"
    np.testing.assert_array_equal(got, want)
    x = f32(40).astype(fnp.bfloat16)
    np.testing.assert_array_equal(fg.device_put(x, "gpu") * 2, x * 2)


def test_operations_happen_where_the_array_is(gpu):
    x = fg.device_put(f32(70), "gpu")
    y = fnp.sin(x) * 2 + np.ones(70, np.float32)
    assert y.device.platform == "gpu" and y.committed
    np.testing.assert_allclose(y, np.sin(f32(70)) * 2 + 1, rtol=1e-6)
    assert float(x[3]) == f32(70)[3]


def test_nothing_of_the_host_is_told_to_compute(gpu):
    x = fg.device_put(f32(4, 4), "gpu")
    with pytest.raises(
        NoKernelError, match=r"(?s)schur.*no kernel.*test_runtime.*Nothing of it ran"
    ):
        lax.linalg.schur(x)
    with pytest.raises(NoKernelError, match="eig"):
        fg.jit(fnp.linalg.eig)(x)


def test_libraries_of_the_cpu_are_programs_of_the_device(gpu):
    x = f32(6, 6) + 9 * np.eye(6, dtype=np.float32)
    there = fg.device_put(x, "gpu")
    np.testing.assert_allclose(fnp.fft.fft(there), np.fft.fft(x), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(fnp.linalg.inv(there), np.linalg.inv(x), rtol=1e-4, atol=1e-4)
    found = fg.grad(lambda a: fg.scipy.special.gammainc(a, a + 1).sum())(there)
    want = fg.grad(lambda a: fg.scipy.special.gammainc(a, a + 1).sum())(x)
    np.testing.assert_allclose(found, want, rtol=1e-4)
    with fg.default_device("gpu"):
        s = fnp.linalg.svd(x, compute_uv=False)
        drawn = fg.random.gamma(fg.random.key(0), 0.3, (5,))
    np.testing.assert_allclose(s, np.linalg.svd(x, compute_uv=False), rtol=1e-5)
    np.testing.assert_allclose(drawn, fg.random.gamma(fg.random.key(0), 0.3, (5,)), rtol=1e-4)


def test_arrays_of_two_devices_do_not_meet(gpus):
    gpus(count=2)
    one, two = (fg.device_put(f32(5), d) for d in fg.devices("gpu"))
    with pytest.raises(ValueError, match=r"(?s)incompatible devices.*GPU:0.*GPU:1.*device_put"):
        _ = one + two
    moved = fg.device_put(one, two.device) + two
    assert moved.device == two.device
    np.testing.assert_array_equal(moved, 2 * f32(5))


def test_deleted_arrays_are_named(gpu):
    x = fg.device_put(f32(5), "gpu")
    x.delete()
    assert x.is_deleted() and "deleted" in repr(x)
    with pytest.raises(RuntimeError, match="has been deleted"):
        _ = x + 1


def test_cuda_array_interface(gpu):
    x = fg.device_put(f32(3, 5), "gpu")
    told = x.__cuda_array_interface__
    assert told["shape"] == (3, 5) and told["typestr"] == "<f4" and told["version"] == 3
    assert told["data"] == (x.unsafe_buffer_pointer(), True)
    gpu.now()
    assert gpu.at(told["data"][0], 60).tobytes() == f32(3, 5).tobytes()
    narrow = fg.device_put(f32(3).astype(fnp.bfloat16), "gpu")
    with pytest.raises(AttributeError, match="bfloat16"):
        _ = narrow.__cuda_array_interface__


# jit.


def loss(params, x, y):
    w, b = params
    z = nn.log_softmax(fnp.tanh((x[:, :, None] * w).sum(1) + b))
    return -(z * y).sum(1).mean()


def step(params, x, y):
    value, slopes = fg.value_and_grad(loss)(params, x, y)
    return fg.tree.map(lambda p, g: p - 0.1 * g, params, slopes), value


def problem():
    return (f32(5, 3), f32(3)), f32(40, 5), np.eye(3, dtype=np.float32)[np.arange(40) % 3]


@pytest.mark.parametrize("aligned", [True, False])
def test_training_on_a_device_is_training(gpus, aligned):
    gpus(aligned=aligned)
    params, x, y = problem()
    own, there = params, fg.device_put(params, "gpu")
    on_cpu, on_gpu = fg.jit(step), fg.jit(step, donate_argnums=0)
    x_there, y_there = fg.device_put((x, y), "gpu")
    for _ in range(5):
        own, value = on_cpu(own, x, y)
        there, found = on_gpu(there, x_there, y_there)
        np.testing.assert_allclose(found, value, rtol=1e-5)
    for a, b in zip(own, there, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-6)


def test_jit_takes_a_device(gpu):
    for options in ({"device": fg.devices("gpu")[0]}, {"backend": "gpu"}, {"device": "gpu"}):
        f = fg.jit(lambda x: x * 2 + 1, **options)
        y = f(f32(70))
        assert y.device.platform == "gpu" and y.committed
        np.testing.assert_allclose(y, f32(70) * 2 + 1, rtol=1e-6)
        slope = fg.vmap(fg.grad(f))(f32(7))
        np.testing.assert_array_equal(slope, np.full(7, 2.0))


def test_the_host_waits_only_where_it_reads(gpu):
    f = fg.jit(lambda x: fnp.sin(x).sum() * x)
    x = fg.device_put(f32(300), "gpu")
    before = gpu.waits
    y = f(f(f(x)))
    assert gpu.waits == before and gpu.queue
    y.block_until_ready()
    assert gpu.waits == before + 1 and not gpu.queue
    gpu.log.clear()
    np.asarray(y)
    np.asarray(y)
    assert gpu.log == [("download", 1200)]


def test_the_second_call_is_recorded_and_the_third_repeats_it(gpu):
    f = fg.jit(lambda x: (x / x.sum(), fnp.cumsum(x[:64] * 2)[-1]))
    x = fg.device_put(f32(300, 200), "gpu")
    told = []
    for _ in range(4):
        gpu.log.clear()
        np.testing.assert_allclose(f(x)[0], f32(300, 200) / f32(300, 200).sum(), rtol=1e-3)
        told.append([what for what, *_ in gpu.log if what in ("launch", "record", "replay")])
        gc.collect()
    launches = [w for w in told[0] if w == "launch"]
    assert told[0] == launches and len(launches) > 1
    assert told[1] == ["record", *launches, "replay"]
    assert told[2] == told[3] == ["replay"]


def test_graphs_stay_few(gpu):
    f = fg.jit(lambda x: (x / x.sum(), x.max()))
    for k in range(12):
        x = fg.device_put(f32(200, 300) + k, "gpu")
        kept = [f(x), f(x), x]
        del kept
    assert 0 < gpu.graphs <= 8


def test_memory_is_used_again_and_the_peak_is_known(gpu):
    f = fg.jit(lambda x: fnp.tanh(x) * 2)
    x = fg.device_put(f32(1000), "gpu")
    f(x)
    gc.collect()
    gpu.log.clear()
    used = pool().used
    for _ in range(5):
        x = f(x)
        gc.collect()
    assert not [entry for entry in gpu.log if entry[0] == "allocate"][1:]
    assert pool().used == used and pool().peak >= used + 4096


def test_donated_memory_is_written_in_place(gpu):
    f = fg.jit(lambda x: x * 2 + 1, donate_argnums=0)
    x = fg.device_put(f32(500), "gpu")
    address = x.unsafe_buffer_pointer()
    y = f(x)
    assert x.is_deleted() and y.unsafe_buffer_pointer() == address
    np.testing.assert_allclose(y, f32(500) * 2 + 1, rtol=1e-6)


def test_parts_of_the_arena_that_live_together_lie_apart(gpu):
    def f(x):
        a = fnp.cumsum(x, 1)
        b = fnp.cumsum(fnp.sin(a), 0)
        return fnp.cumsum(a * b.sum(), 1) + b

    x = f32(80, 90)
    f = fg.jit(f)
    np.testing.assert_allclose(f(fg.device_put(x, "gpu")), f(x), rtol=1e-3, atol=1e-2)


# Loops and branches.

LOOPS = {
    "scan": lambda x: lax.scan(lambda c, r: (c + r.sum() * r, c * r[::-1]), x[0], x),
    "scan backwards": lambda x: lax.scan(
        lambda c, r: (fnp.cumsum(c) + r, (c[:2], r.max())), x[0], x, reverse=True
    ),
    "scan in a scan": lambda x: lax.scan(
        lambda c, r: lax.scan(lambda d, s: (fnp.cumsum(d) * s, d[0]), c, r), x[0], x
    ),
    "while": lambda x: lax.while_loop(
        lambda s: (s[1] < 5) & (s[0].sum() < 1e6), lambda s: (fnp.cumsum(s[0]) + x[0], s[1] + 1),
        (x[0], 0),
    ),
    "branch": lambda x: lax.switch(
        (x[0, 0] > 0).astype(int) + 7, [fnp.sin, lambda x: fnp.cumsum(x, 1), lambda x: x.T.T * 3], x
    ),
    "branch in a loop": lambda x: lax.fori_loop(
        0, 4, lambda i, s: lax.cond(i % 2 == 0, lambda s: fnp.cumsum(s, 0), lambda s: s - x, s), x
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOOPS)
def test_loops_and_branches(gpu, name):
    x = f32(6, 9)
    f = fg.jit(LOOPS[name])
    want = fg.tree.leaves(f(x))
    for _ in range(3):
        got = fg.tree.leaves(f(fg.device_put(x, "gpu")))
        assert all(g.device.platform == "gpu" for g in got)
        for g, w in zip(got, want, strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", LOOPS)
def test_loops_and_branches_that_the_host_decides(gpus, name):
    gpu = gpus(decides=False)
    x = f32(6, 9)
    f = fg.jit(LOOPS[name])
    want = fg.tree.leaves(f(x))
    for _ in range(2):
        for g, w in zip(fg.tree.leaves(f(fg.device_put(x, "gpu"))), want, strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-4, atol=1e-4)
    if name.startswith("scan"):
        return
    assert ("record",) not in gpu.log
    (program,) = accelerators._homes[0]._programs.values()
    page = program.explain()
    assert re.search(r"not recorded: the host decides at \d of them", page)
    assert re.search(r"the host reads (0 from )?arena", page)


@pytest.mark.parametrize("name", ["while", "branch", "branch in a loop"])
def test_the_device_decides_and_the_host_never_waits(gpu, name):
    x = fg.device_put(f32(6, 9), "gpu")
    f = fg.jit(LOOPS[name])
    before = gpu.waits
    for _ in range(4):
        out = f(x)
    assert gpu.waits == before
    told = [what for what, *_ in gpu.log if what in ("record", "replay", "while", "if")]
    cases = {"while": ["while"], "branch": ["if"] * 3, "branch in a loop": ["if"] * 8}[name]
    assert told[: len(cases) + 2] == ["record", *cases, "replay"]
    assert told.count("replay") == 4
    (program,) = accelerators._homes[0]._programs.values()
    assert re.search(r"one graph; the device decides at \d of them", program.explain())
    fg.block_until_ready(out)


@pytest.mark.parametrize("index", [-3, 0, 1, 2, 9])
@pytest.mark.parametrize("dtype", [np.int8, np.int32])
def test_indices_beyond_the_last_branch(gpu, index, dtype):
    branches = [lambda x: x + 1, lambda x: fnp.cumsum(x), lambda x: x * x[::-1]]
    f = fg.jit(lambda i, x: lax.switch(i, branches, x))
    args = dtype(index), f32(9)
    for _ in range(2):
        got = f(*fg.device_put(args, "gpu"))
        np.testing.assert_allclose(got, f(*args), rtol=1e-6)


def test_loops_within_loops_that_data_decide(gpu):
    def inner(x):
        return lax.while_loop(lambda s: s.sum() < 50, lambda s: s * 1.5 + 1, x)

    def outer(x):
        def body(s):
            y = lax.cond(s[1] % 2 == 0, inner, lambda v: fnp.sqrt(abs(v)), s[0])
            return y, s[1] + 1

        return lax.while_loop(lambda s: s[1] < 5, body, (x, 0))

    f = fg.jit(outer)
    x = abs(f32(9))
    for _ in range(3):
        for got, want in zip(f(fg.device_put(x, "gpu")), f(x), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-5)
    # A loop that takes no turn.
    g = fg.jit(inner)
    np.testing.assert_array_equal(g(fg.device_put(x + 90, "gpu")), x + 90)


def test_an_error_inside_a_loop_ends_the_recording(gpu):
    f = fg.jit(LOOPS["while"])
    x = fg.device_put(f32(6, 9), "gpu")
    f(x)
    gpu.failing = {entry[1] for entry in gpu.log if entry[0] == "launch"}
    y = fg.device_put(f32(6, 9), "gpu")
    with pytest.raises(CudaError, match="RESOURCES"):
        f(y)
    assert gpu.recording is None and not gpu.opened
    gpu.failing = set()
    np.testing.assert_allclose(f(y)[0], f(x)[0])


def test_kernels_that_choose_are_linked():
    link = pytest.importorskip("cuda.bindings.nvjitlink", reason="nvJitLink is not installed")
    for target in ("sm_80", "sm_90"):
        handle = link.create(1, [f"-arch={target}"])
        text = conditions.TEXT.encode()
        link.add_data(handle, link.InputType.PTX, text, len(text), "choices")
        link.complete(handle)
        code = bytearray(link.get_linked_cubin_size(handle))
        link.get_linked_cubin(handle, code)
        link.destroy(handle)
        for entry in (conditions.WHILE, *conditions.CASES.values()):
            assert entry.encode() in code


def test_a_page_of_commands(gpu):
    f = fg.jit(LOOPS["scan backwards"])
    f(fg.device_put(f32(6, 9), "gpu"))
    (program,) = accelerators._homes[0]._programs.values()
    page = program.explain()
    assert "replayed as one graph from the second call on" in page
    assert "6 times, the last first" in page
    assert re.search(r"input0\[0 \+ 36 turn0\]", page)


# Errors.


def test_out_of_memory_names_what_is_held(gpus):
    gpus(memory=200_000)
    kept = fg.device_put(f32(20_000), "gpu")
    gone = fg.device_put(f32(10_000), "gpu")
    del gone
    with pytest.raises(MemoryError) as caught:
        fg.device_put(f32(40_000), "gpu")
    told = str(caught.value)
    assert "no room for 156.2 KiB" in told and "of 195.3 KiB are free" in told
    assert re.search(r"128\.0 KiB  .*test_runtime\.py", told) and "donate" in told
    # What nobody holds went back to the driver, and the pool is as good as before.
    assert fg.device_put(f32(15_000), "gpu").sum().shape == ()
    del kept
    gc.collect()
    assert fg.device_put(f32(30_000), "gpu").shape == (30_000,)


def test_a_kernel_that_is_refused_is_named_and_the_next_call_runs(gpu):
    f = fg.jit(lambda x: (x / x.sum(), x.max()))
    x = fg.device_put(f32(300, 200), "gpu")
    f(x)
    names = [entry[1] for entry in gpu.log if entry[0] == "launch"]
    gpu.failing = set(names[-1:])
    for _ in range(2):
        with pytest.raises(CudaError, match=rf"{names[-1]} of \d+ × \d+ threads: .*RESOURCES"):
            f(x)
    gpu.failing = set()
    np.testing.assert_allclose(f(x)[1], f32(300, 200).max())


def test_grids_that_no_gpu_launches(gpu):
    place = accelerators._homes[0].place
    with pytest.raises(CudaError, match="2147483648 blocks"):
        place.launch("k", 0, (2**31, 32, 0), [])


def test_empty_arrays(gpu):
    x = fg.device_put(np.zeros((0, 5), np.float32), "gpu")
    assert (x * 2).shape == (0, 5) and x.sum(0).tolist() == [0.0] * 5


class Codes:
    """NVIDIA's functions, each answering what a test says."""

    class CUresult:
        CUDA_SUCCESS = "CUDA_SUCCESS"

    def __init__(self, **answers):
        self.answers = answers

    def __getattr__(self, name):
        if name == "cuGetErrorString":
            return lambda code: ("CUDA_SUCCESS", b"what happened")
        return lambda *args: self.answers.get(name, ("CUDA_SUCCESS",))


class Code(str):
    @property
    def name(self):
        return str(self)


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"cuInit": (Code("CUDA_ERROR_NO_DEVICE"),)}, "finds no GPU.*--gpus all"),
        ({"cuInit": (Code("CUDA_ERROR_UNKNOWN"),)}, r"cuInit failed: .*UNKNOWN \(what happened\)"),
        ({"cuDriverGetVersion": ("CUDA_SUCCESS", 11040)}, r"supports CUDA 11\.4.*newer driver"),
        ({"cuDriverGetVersion": ("CUDA_SUCCESS", 12090)}, r"12\.9.*of CUDA 13.*\[cuda12\]"),
    ],
)
def test_drivers_that_will_not_do(monkeypatch, answers, told):
    monkeypatch.setattr(drivers, "_bindings", lambda: Codes(**answers))
    monkeypatch.setattr(drivers, "toolkit", lambda: 13)
    with pytest.raises(CudaError, match=told):
        drivers.NvidiaDriver()


def test_without_the_package_or_the_driver_one_sentence_and_the_remedy(monkeypatch):
    def broken(name):
        raise ImportError(name)

    # Where there is a GPU, it may be in use already.
    monkeypatch.setattr(accelerators, "_homes", [])
    monkeypatch.setattr(drivers, "import_module", broken)
    with pytest.raises(RuntimeError, match=r"cuda-bindings.*pip install 'funcgrad\[cuda13\]'"):
        fg.devices("gpu")

    class NoLibrary(Codes):
        def __getattr__(self, name):
            raise OSError("libcuda.so.1")

    monkeypatch.setattr(drivers, "_bindings", NoLibrary)
    for use in (
        lambda: fg.devices("cuda"),
        lambda: fg.device_put(f32(3), "gpu"),
        lambda: fg.jit(fnp.sin, backend="gpu"),
    ):
        with pytest.raises(RuntimeError, match=r"driver is not installed.*doctor"):
            use()


def test_every_function_asked_of_cuda_bindings_is_there():
    module = pytest.importorskip("cuda.bindings.driver", reason="cuda-bindings is not installed")
    with open(drivers.__file__) as file:
        asked = set(re.findall(r'"(cu[A-Z]\w+)"', file.read()))
    assert len(asked) > 20
    assert not [name for name in asked if not hasattr(module, name)]
    for kind in (
        "CUstream_flags",
        "CUevent_flags",
        "CUstreamCaptureMode",
        "CUdevice_attribute",
        "CUgraphNodeParams",
        "CUgraphConditionalNodeType",
        "CUgraphConditionalHandle",
        "CUstreamUpdateCaptureDependencies_flags",
        "CUpointer_attribute",
    ):
        assert hasattr(module, kind)

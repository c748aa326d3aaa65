"""A user's numba.cuda kernel beside the one of numba.njit: under every transform, on fake GPUs."""

import numba
import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.control import accelerators
from funcgrad.kernels.cuda import adapter
from funcgrad.kernels.cuda.runtime.executable import NoKernelError

cuda = pytest.importorskip("numba.cuda", reason="this Numba has no numba.cuda")


@numba.njit
def scaled(x, weight, out):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = x[i, j] * weight + i


@cuda.jit
def scaled_there(x, weight, out):
    k = cuda.grid(1)
    if k >= x.size:
        return
    i, j = k // x.shape[1], k % x.shape[1]
    out[i, j] = x[i, j] * weight + i


def scaled_vjp(args, out, ct):
    x, weight = args
    return ct * weight, (ct * x).sum()


LIKE = {"shape": lambda x, weight: x}
both = fg.custom_kernel(scaled, cuda=scaled_there, vjp=scaled_vjp, **LIKE)


@numba.njit
def sums(x, out, largest):
    for i in range(x.shape[0]):
        out[i] = x[i].sum()
    largest[()] = x.max()


def sums_there(x, out, largest):
    """A row a block: its threads add in turns, and join in shared memory."""
    part = cuda.shared.array(32, numba.float32)
    row, lane = cuda.blockIdx.x, cuda.threadIdx.x
    total = np.float32(0)
    for j in range(lane, x.shape[1], cuda.blockDim.x):
        total += x[row, j]
    part[lane] = total
    cuda.syncthreads()
    step = 16
    while step:
        if lane < step:
            part[lane] += part[lane + step]
        cuda.syncthreads()
        step //= 2
    if lane == 0:
        out[row] = part[0]
        if row == 0:
            top = x[0, 0]
            for i in range(x.shape[0]):
                for j in range(x.shape[1]):
                    top = max(top, x[i, j])
            largest[()] = top


by_rows = fg.custom_kernel(
    sums,
    shape=lambda x: [
        fg.ShapeDtypeStruct(x.shape[:1], x.dtype),
        fg.ShapeDtypeStruct((), x.dtype),
    ],
    cuda=sums_there,
    cuda_grid=lambda x: (x.shape[0], 32),
)

VALUES = np.random.default_rng(3).normal(size=(4, 50)).astype(np.float32)


def on_gpu(x=VALUES):
    return fg.device_put(x, "gpu")


def program():
    return list(accelerators._homes[0]._programs.values())[-1]


@pytest.mark.parametrize("wrap", [lambda f: f, fg.jit], ids=["eager", "jit"])
def test_the_gpus_kernel_gives_what_the_cpus_does(gpu, wrap):
    f = wrap(lambda x, w: fnp.tanh(both(x * 2, w)) + 1)
    want = f(VALUES, 0.5)
    for _ in range(3):
        got = f(on_gpu(), 0.5)
        assert got.device.platform == "gpu"
        np.testing.assert_allclose(got, want, rtol=1e-5)
    launched = [entry[1] for entry in gpu.log if entry[0] == "launch"]
    assert any(name.endswith("scaled_there") for name in launched)
    assert not [entry for entry in gpu.log if entry[0] == "download" and entry[1] > 800]


def test_derivatives(gpu):
    slope = fg.jit(fg.grad(lambda x, w: (both(x, w) ** 2).sum(), argnums=(0, 1)))
    for got, want in zip(slope(on_gpu(), 0.5), slope(VALUES, 0.5), strict=True):
        assert got.device.platform == "gpu"
        np.testing.assert_allclose(got, want, rtol=1e-4)


def test_threads_that_wait_for_each_other_and_several_outputs(gpu):
    f = fg.jit(by_rows)
    for got, want in zip(f(on_gpu()), by_rows(VALUES), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    (launch,) = [k.launch for k in kernels()]
    assert (launch.blocks, launch.threads) == (4, 32)


def kernels():
    found = []

    def walk(body):
        for command in body:
            if hasattr(command, "kernel"):
                found.append(command.kernel)
            elif hasattr(command, "body"):
                walk(command.body)

    walk(program().commands.body)
    return found


VMAPS = {
    "first": ((0, None), lambda x, w: (x, w)),
    "weights": ((None, 0), lambda x, w: (x[0], fnp.arange(3.0) + w)),
    "both": ((0, 0), lambda x, w: (x, fnp.arange(4.0) + w)),
}


@pytest.mark.parametrize("name", ["first", "weights", "both"])
def test_vmap_launches_it_for_each_element(gpu, name):
    axes, given = VMAPS[name]
    x = np.stack([VALUES * k for k in range(4)])
    args = given(x, 0.5)
    f = fg.jit(fg.vmap(both, axes))
    want = f(*args)
    got = f(*fg.device_put(args, "gpu"))
    np.testing.assert_allclose(got, want, rtol=1e-6)
    assert "turn0, " in program().explain()


def test_vmap_of_vmap(gpu):
    x = np.stack([np.stack([VALUES * (k + 3 * j) for k in range(3)]) for j in range(2)])
    w = np.float32([0.5, 1, 2])
    f = fg.jit(fg.vmap(fg.vmap(both), (0, None)))
    np.testing.assert_allclose(f(on_gpu(x), w), f(x, w), rtol=1e-6)
    # In a program with loops around, and recorded.
    g = fg.jit(lambda x: fg.lax.scan(lambda c, r: (c + both(r, 0.5), r.sum()), x[0], x))
    x = np.stack([VALUES, VALUES * 2, VALUES * 3])
    for _ in range(3):
        for got, want in zip(g(on_gpu(x)), g(x), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    assert ("replay",) in gpu.log


def test_nothing_to_do(gpu):
    assert both(on_gpu(VALUES[:0]), 0.5).shape == (0, 50)
    assert fg.vmap(both, (0, None))(on_gpu(np.zeros((0, 2, 3), np.float32)), 0.5).shape == (0, 2, 3)


def test_the_page_names_the_kernel(gpu):
    page = fg.jit(lambda x: both(x, 0.5)).lower(on_gpu()).explain()
    assert "the kernel" in page and "test_custom.py" in page
    page = fg.jit(lambda x: both(x, 0.5)).lower(VALUES).explain(target="sm_90")
    assert "1 kernel" in page and "0 refused" in page


def test_without_a_kernel_for_gpus_the_program_is_refused(gpu):
    alone = fg.custom_kernel(scaled, **LIKE)
    with pytest.raises(NoKernelError, match=r"(?s)custom_kernel.*cuda=.*test_custom"):
        fg.jit(lambda x: alone(x, 0.5))(on_gpu())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"cuda": 3}, "takes as cuda= a function"),
        ({"cuda": sums_there}, None),
        ({"cuda": lambda x, out: None}, "takes 3 arguments, and <lambda>, its cuda= kernel, 2"),
    ],
)
def test_what_is_no_kernel(options, told):
    if told is None:
        fg.custom_kernel(scaled, **LIKE, **options)
        return
    with pytest.raises(TypeError, match=told):
        fg.custom_kernel(scaled, **LIKE, **options)


@pytest.mark.parametrize("grid", [3, (1, 2, 3), (1.0, 2), (1, 2000), (-1, 32)])
def test_grids_that_no_gpu_launches(gpu, grid):
    f = fg.custom_kernel(scaled, cuda=scaled_there, cuda_grid=grid, **LIKE)
    with pytest.raises(TypeError, match="cuda_grid of scaled_there gave"):
        f(on_gpu(), 0.5)


def test_what_is_read_cannot_be_written(gpu):
    def bad(x, weight, out):
        x[0, 0] = weight

    f = fg.custom_kernel(scaled, cuda=bad, **LIKE)
    with pytest.raises(ValueError, match="read-only"):
        f(on_gpu(), 0.5).block_until_ready()


# Users' kernels need numba.cuda; the tests above run the same kernel without the packages.
@pytest.mark.skipif(
    bool(adapter.missing() or adapter.missing(adapter.NUMBA)),
    reason=f"compiling a user's kernel for a GPU needs {adapter.remedy()}",
)
def test_it_is_compiled_and_linked():
    made = (
        fg.jit(lambda x: fnp.tanh(both(x, 0.5)) + by_rows(x)[1])
        .lower(VALUES)
        .compile(target="sm_90")
    )
    mine = [k for k in made.kernels if k.kind == "custom"]
    assert len(mine) == 2 and not made.refusals
    for kernel in mine:
        assert kernel.cubin.code.startswith(b"\x7fELF") and kernel.cubin.entry
        assert ".u64" in kernel.ptx and not kernel.spills
    assert any("bar.sync" in k.ptx for k in mine)

    def bad(x, weight, out):
        out[0, 0] = x.no_such

    f = fg.custom_kernel(scaled, cuda=bad, **LIKE)
    with pytest.raises(TypeError, match=r"cannot compile the kernel bad for the arguments \(.*\n"):
        fg.jit(f).lower(VALUES, 0.5).compile(target="sm_90")

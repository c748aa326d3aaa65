"""What is done with a fake libcuda, each in a process of its own:

    python -m tests.kernels.cuda.libcuda.scenarios LIB NAME.

Each ends by asking whether anything was asked that the driver forbids.
"""

import atexit
import gc
import sys
import threading
from functools import partial

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax, nn
from funcgrad.control import accelerators
from funcgrad.kernels.cuda import cublaslt, cudnn, nccl
from funcgrad.kernels.cuda.runtime import writing
from funcgrad.kernels.cuda.runtime.driver import CudaError
from funcgrad.sharding import Mesh, NamedSharding

from .machine import Machine

OUT_OF_MEMORY, OUT_OF_RESOURCES = 2, 701


def f32(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def same(got, want, rate=1e-4):
    for g, w in zip(fg.tree.leaves(got), fg.tree.leaves(want), strict=True):
        np.testing.assert_allclose(g, w, rtol=rate, atol=rate)


def refused(f, kind, told):
    """Call what must fail, and say so."""
    with pytest.raises(kind, match=told):
        f()


PROGRAMS = {
    "softmax": lambda x: fnp.exp(x - x.max(1, keepdims=True)) / fnp.exp(x).sum(1, keepdims=True),
    "sums": lambda x: (x / x.sum(), fnp.cumsum(x, 0)[-1]),
    "gradient": fg.grad(lambda x: fnp.tanh(x @ x.T[:, :5]).sum()),
    "sort": lambda x: fnp.sort(x, 1),
    "scan": lambda x: lax.scan(lambda c, r: (c + r.sum() * r, c * r[::-1]), x[0], x),
    "while": lambda x: lax.while_loop(
        lambda s: (s[1] < 5) & (s[0].sum() < 1e6),
        lambda s: (fnp.cumsum(s[0]) + x[0], s[1] + 1),
        (x[0], 0),
    ),
    "while by twos": lambda x: lax.while_loop(
        lambda s: (s[2] < 5) & (s[0].sum() < 1e6),
        lambda s: (fnp.cumsum(s[0], 1), s[0][::-1] - s[1], s[2] + 1),
        (x, x * 2, 0),
    ),
    "switch": lambda x: lax.switch(
        (x[0, 0] > 0).astype(int) + 7, [fnp.sin, lambda x: fnp.cumsum(x, 1), lambda x: x * 3], x
    ),
    "branch in a loop": lambda x: lax.fori_loop(
        0, 4, lambda i, s: lax.cond(i % 2 == 0, lambda s: fnp.cumsum(s, 0), lambda s: s - x, s), x
    ),
}


def programs(machine):
    """First call, recorded, repeated; several addresses; what a function closes over."""
    held = fg.device_put(f32(9), "gpu")
    for name, f in {**PROGRAMS, "held": lambda x: x * held + 1}.items():
        x = f32(6, 9)
        f = fg.jit(f)
        # Of small states, too.
        writing._EXCHANGED = 0 if "twos" in name else 1 << 40
        want = f(x) if name != "held" else x * f32(9) + 1
        there, other = fg.device_put(x, "gpu"), fg.device_put(x, "gpu")
        for given in (there, other, there, there, other):
            same(f(given), want)
        for _ in range(4):
            f(there)
        machine.asked()
        same(f(there), want)
        asked = machine.asked()
        # A program of one launch is not recorded.
        assert asked.count("cuGraphLaunch") + asked.count("cuLaunchKernel") == 1, (name, asked)


def waiting(machine):
    """Blocks that wait for each other: what they tell is cleared in each call, recorded or not."""
    x = f32(9_001)
    f = fg.jit(lambda x: fnp.cumsum(x), donate_argnums=0)
    for _ in range(4):
        given = fg.device_put(x, "gpu")
        same(f(given), np.cumsum(x.astype(np.float64)), 1e-3)
        assert given.is_deleted()


def long_rows(machine):
    """Rows beyond 48 KiB of shared memory: asked for once, and launched alone and recorded."""
    x = f32(96, 20_000)  # so many rows that each has a block of its own
    f = fg.jit(lambda x: fnp.exp(x - x.max(1, keepdims=True)) / fnp.exp(x).sum(1, keepdims=True))
    g = fg.jit(lambda x: lax.cumsum(nn.softmax(x * 2), axis=0))
    there = fg.device_put(x, "gpu")
    machine.asked()
    for _ in range(4):
        same(f(there), PROGRAMS["softmax"](x))
    asked = machine.asked()
    assert asked.count("cuFuncSetAttribute") == 1
    assert asked.index("cuFuncSetAttribute") < asked.index("cuLaunchKernel")
    for _ in range(4):
        same(g(there), g(x))
    asked = machine.asked()
    assert "cuGraphLaunch" in asked
    assert asked.index("cuFuncSetAttribute") < asked.index("cuStreamBeginCapture_v2")
    # Who asks for more than was said before is refused, as by CUDA.
    place = accelerators._homes[0].place
    size, handle = next((n, h) for (*_, n), h in place._kernels.items() if n)
    place.enter()
    more = 1, 512, size + 16
    refused(lambda: place.launch("k1", handle, more, [0, 0]), CudaError, "INVALID_VALUE")
    machine.forgive()


def training(machine):
    """Arguments donated, and written in place; after a while no memory is asked for."""
    w = fg.device_put(f32(20, 3), "gpu")
    own = f32(20, 3)

    def step(w, x, y):
        return w - 0.1 * fg.grad(lambda w: ((fnp.tanh(x @ w) - y) ** 2).mean())(w)

    f, g = fg.jit(step, donate_argnums=0), fg.jit(step)
    x, y = f32(40, 20), f32(40, 3)
    x_there, y_there = fg.device_put((x, y), "gpu")
    for k in range(8):
        if k == 4:
            machine.asked()
        old = w
        w, own = f(w, x_there, y_there), g(own, x, y)
        assert old.is_deleted()
    assert not {"cuMemAllocAsync", "cuStreamBeginCapture_v2"} & {*machine.asked()}
    same(w, own)


def copies(machine):
    """Arrays of every size to a device and back, at once and later."""
    for n in (0, 1, 1000, 1 << 15, 3_000_001):
        x = f32(n)
        y = fg.device_put(x, "gpu")
        np.testing.assert_array_equal(y, x)
        if n > 1 << 20:  # kernels of so much take the emulator long
            continue
        z = y + 1
        z.copy_to_host_async()
        np.testing.assert_array_equal(z, x + 1)
        w = y * 2
        w.copy_to_host_async()
        del w
    for dtype in ("bool", "int8", "float16", "complex64"):
        np.testing.assert_array_equal(
            fg.device_put(f32(33).astype(dtype), "gpu"), f32(33).astype(dtype)
        )
    many = [fg.device_put(f32(100) + k, "gpu") for k in range(200)]
    for k, y in enumerate(many):
        np.testing.assert_array_equal(y, f32(100) + k)
    assert not y.is_deleted() and fg.block_until_ready(y).is_ready()


def memory(machine):
    """A device that is full says so, and goes on."""
    kept = fg.device_put(f32(20_000), "gpu")
    gone = fg.device_put(f32(10_000), "gpu")
    del gone
    refused(lambda: fg.device_put(f32(40_000), "gpu"), MemoryError, "no room for 156.2 KiB")
    f = fg.jit(lambda x: (fnp.cumsum(x), x[:, None] + fnp.zeros(9, np.float32)))
    refused(partial(f, kept), MemoryError, "no room for")
    same(fg.jit(lambda x: x.sum())(kept), f32(20_000).sum(), 1e-2)
    del kept
    gc.collect()
    x = fg.device_put(f32(25_000), "gpu")
    # The driver may refuse pinned memory too.
    machine.fail("cuMemHostAlloc", OUT_OF_MEMORY)
    refused(x.copy_to_host_async, MemoryError, "pinned")
    np.testing.assert_array_equal(x, f32(25_000))


def errors(machine):
    """Refusals at each call of the driver leave the device usable, and nothing recording."""
    x = fg.device_put(f32(6, 9), "gpu")
    names = (
        *("cuLaunchKernel", "cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphLaunch"),
        *("cuGraphInstantiateWithFlags", "cuGraphConditionalHandleCreate", "cuGraphAddNode_v2"),
        *("cuStreamBeginCaptureToGraph", "cuStreamUpdateCaptureDependencies_v2"),
        *("cuModuleLoadData", "cuEventRecord", "cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2"),
    )
    for which in ("sums", "branch in a loop"):
        want = PROGRAMS[which](f32(6, 9))
        for name in names:
            for after in (0, 1, 3):
                f = fg.jit(lambda x, which=which: PROGRAMS[which](x))
                machine.fail(name, OUT_OF_RESOURCES, after)
                told = []
                for _ in range(4):
                    try:
                        same(f(x), want)
                        same(fg.device_put(f32(4), "gpu"), f32(4))
                    except CudaError as error:
                        told.append(str(error))
                assert all("OUT_OF_RESOURCES" in t for t in told) and len(told) <= 1
                machine.fail("", 0, 0, 0)
                for _ in range(3):
                    same(f(x), want)
                assert not machine.faults(), (which, name, after, machine.faults())


def devices(machine):
    """Arrays between devices, and programs on each of them."""
    one, two, three = fg.devices("gpu")
    x = fg.device_put(f32(6, 9), one)
    y = fg.device_put(x, two)
    same(y + 1, f32(6, 9) + 1)
    f = fg.jit(lambda x: (fnp.cumsum(x, 1), x.sum()))
    for _ in range(4):
        for at in (one, two, three):
            moved = fg.device_put(x, at)
            same(f(moved), f(f32(6, 9)))
            back = fg.device_put(moved * 2, one)
            del moved
            same(back + x, 3 * f32(6, 9))
    held = fg.device_put(f32(9), three)
    same(fg.jit(lambda v: v * held)(y), f32(6, 9) * f32(9))
    # Memory that another device has read goes back, and is given out again.
    for k in range(20):
        made = fg.device_put(f32(50) + k, one)
        there = fg.device_put(made, two)
        del made
        same(there, f32(50) + k)


class Silent:
    """In place of NCCL, which is another's: nobody meets."""

    def meet(self, *told):
        pass


def meshes(machine):
    """A program on several devices at once; where they meet, each reaches the others' memory."""
    nccl.Nccl = Silent
    mesh = Mesh(np.array(fg.devices("gpu")), ("i",))
    P = fg.P

    def step(x, y):
        return fnp.cumsum(x, 1) + y, fnp.sin(x).sum(1)

    f = fg.jit(fg.shard_map(step, mesh=mesh, in_specs=(P("i"), P()), out_specs=(P("i"), P("i"))))
    x = fg.device_put(f32(6, 9), NamedSharding(mesh, P("i")))
    y = fg.device_put(f32(9), NamedSharding(mesh, P()))
    for _ in range(4):
        same(f(x, y), step(f32(6, 9), f32(9)))
    same(fg.device_put(x, fg.devices("gpu")[1]), f32(6, 9))
    total = fg.shard_map(lambda x: lax.psum(x, "i") + 1, mesh=mesh, in_specs=P("i"), out_specs=P())
    total = fg.jit(total)
    for _ in range(3):
        fg.block_until_ready(total(x))
    # Each device lets the others in once, in one call or one for each.
    assert 3 <= machine.asked().count("cuMemPoolSetAccess") <= 6


def reshards(machine):
    """Arrays that come from one sharding to another: from device to device, in order."""
    gpus, P = fg.devices("gpu"), fg.P
    meshes = Mesh(np.array(gpus[:3]), "i"), Mesh(np.array(gpus).reshape(2, 2), ("a", "b"))
    value = f32(6, 4, 6)
    steps = [
        gpus[1],
        *(NamedSharding(meshes[0], P(*spec)) for spec in [("i",), (None, None, "i"), ()]),
        *(NamedSharding(meshes[1], P(*spec)) for spec in [("a", "b"), (None, ("b", "a")), ("b",)]),
        gpus[3],
    ]
    x = fg.device_put(value, gpus[0])
    machine.asked()
    f = fg.jit(lambda x: x * 2 - 1, donate_argnums=0)
    for _ in range(3):
        for step in steps:
            # What is moved is made just before, and written over just after.
            x = f(fg.device_put(x, step))
            value = value * 2 - 1
    asked = machine.asked()
    assert {"cuMemcpyPeerAsync", "cuMemcpy3DPeerAsync", "cuMemcpy3DAsync_v2"} <= set(asked)
    assert not [name for name in asked if name.startswith(("cuMemcpyHtoD", "cuMemcpyDtoH"))]
    same(x, value)


def threads(machine):
    """Several threads that compute, copy, wait and let go at once."""
    machine.lib.fake_pause(200)

    def outside(x):
        return fnp.cumsum(x, 1), x / x.sum()

    f = fg.jit(outside)
    loop = fg.jit(PROGRAMS["while"])
    want, last = f(f32(6, 9)), loop(f32(6, 9))
    shared = fg.device_put(f32(6, 9), "gpu")
    broken = []

    def work(number):
        try:
            for k in range(12):
                x = fg.device_put(f32(6, 9), "gpu") if (k + number) % 3 else shared
                # Others record in the meantime.
                fresh = fg.jit(lambda x: outside(x))
                fresh(x), fresh(x)
                outs = fresh(x)
                for _ in range(5):
                    shared.is_ready()
                if k % 2:
                    outs[0].is_ready()
                    fg.block_until_ready(outs)
                if k % 4 == 1:
                    outs[1].copy_to_host_async()
                same(outs, want)
                same(loop(x), last)
        except BaseException as error:
            broken.append(error)

    running = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert not broken, broken


def crossing(machine):
    """Threads that send arrays to each other's device at once."""
    one, two = fg.devices("gpu")
    mesh = Mesh(np.array([two, one]), ("i",))
    nccl.Nccl = Silent
    f = fg.jit(fg.shard_map(lambda x: x + 1, mesh=mesh, in_specs=fg.P("i"), out_specs=fg.P("i")))
    broken = []
    machine.lib.fake_pause(100)

    def work(at, to):
        try:
            for k in range(40):
                x = fg.device_put(f32(6, 9) + k, at)
                same(fg.device_put(x, to), f32(6, 9) + k)
                if k % 8 == 0:
                    same(f(f32(6, 9)), f32(6, 9) + 1)
        except BaseException as error:
            broken.append(error)

    running = [threading.Thread(target=work, args=p) for p in ((one, two), (two, one))]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(60)
    assert not broken and not any(t.is_alive() for t in running), broken


def collected(machine):
    """Objects of a device may go in a thread that never used it."""
    kept = []
    x = fg.device_put(f32(300), "gpu")
    y = x + 1
    y.copy_to_host_async()
    kept += [x, y, fg.jit(lambda x: (x.sum(), fnp.cumsum(x)))]
    kept[-1](x)
    kept[-1](x)
    kept.append(accelerators.homes()[0].begin(x.alive(), x.aval))
    mark = accelerators.homes()[0].place
    from funcgrad.kernels.cuda.runtime.place import Mark

    kept.append(Mark(mark))
    del x, y, mark

    def drop():
        kept.clear()
        gc.collect()
        fg.device_put(f32(5), "gpu")

    thread = threading.Thread(target=drop)
    thread.start()
    thread.join()
    same(fg.device_put(f32(7), "gpu") + 1, f32(7) + 1)


def libraries(machine):
    """Arrays lent to streams of other libraries, and theirs taken."""
    x = fg.device_put(f32(300), "gpu")
    place = accelerators.homes()[0].place
    other = place.driver.stream()
    where = place.driver.address_of(other)
    for stream in (None, 1, 2, -1, where):
        y = fg.dlpack.from_dlpack(Lent(x, stream))
        same(y * 2, 2 * f32(300))
        del y
        gc.collect()
    refused(partial(np.from_dlpack, x), (BufferError, RuntimeError), "[Dd]evice")
    z = x + 1
    assert z.__cuda_array_interface__["version"] == 3
    del z, x
    same(fg.device_put(f32(300), "gpu") + 1, f32(300) + 1)


class Lent:
    """An array of another library, which has its work in a stream of its own."""

    def __init__(self, array, stream):
        self.array, self.stream = array, stream

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, *, stream=None, **options):
        return self.array.__dlpack__(stream=self.stream, **options)


def leaving(machine):
    """The process ends with arrays, programs, marks and copies that are not done."""
    global left
    x = fg.device_put(f32(300), "gpu")
    f = fg.jit(lambda x: (x.sum(), fnp.cumsum(x)))
    outs = [f(x) for _ in range(3)]
    outs[0][0].copy_to_host_async()
    left = [x, f, outs]


SCENARIOS = {
    f.__name__: f
    for f in (
        *(
            programs,
            waiting,
            long_rows,
            training,
            copies,
            memory,
            errors,
            devices,
            meshes,
            reshards,
            threads,
            crossing,
        ),
        *(collected, libraries, leaving),
    )
}
COUNTS = {"devices": 3, "meshes": 3, "reshards": 4, "crossing": 2}
SIZES = {"memory": 200_000}


def main(library, name):
    """Run one of them."""
    cublaslt.available = cudnn.available = lambda: False
    machine = Machine(library, COUNTS.get(name, 1), SIZES.get(name, 1 << 30))

    def last():
        found = machine.faults()
        if found:
            sys.stderr.write("\n".join(["faults:", *found, ""]))
            sys.stderr.flush()

    # Registered first, it comes last.
    atexit.register(last)
    SCENARIOS[name](machine)
    gc.collect()
    assert not machine.faults(), "what the driver forbids was asked"


if __name__ == "__main__":
    main(*sys.argv[1:])

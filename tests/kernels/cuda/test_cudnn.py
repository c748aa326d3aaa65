"""Convolutions by cuDNN: what it is told of operands and gradients, and of what it may use."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import P, lax, nn
from funcgrad.config import config
from funcgrad.control import accelerators
from funcgrad.control.accelerators import CudaHome
from funcgrad.core import remote
from funcgrad.kernels.cuda import cudnn
from funcgrad.sharding import Mesh

from . import fake_cudnn
from .fake import FakeDriver, places_of
from .fake_cudnn import FakeCudnn
from .fake_nccl import FakeNccl
from .libcudnn import planning

FIRST = ("NCHW", "OIHW", "NCHW")
LAST = ("NHWC", "HWIO", "NHWC")
TOLERANCE = {"float16": 2e-2, "bfloat16": 5e-2, "float32": 1e-4, "float64": 1e-10}


def installed(monkeypatch, count=1):
    """GPUs whose convolutions are cuDNN's."""
    driver = FakeDriver(count)
    places = places_of(driver)
    for place in places:
        place.convolutions = True
    fake = FakeCudnn(driver)
    monkeypatch.setattr(cudnn, "import_module", {"cudnn": fake}.__getitem__)
    monkeypatch.setattr(cudnn, "available", lambda: True)
    monkeypatch.setattr(remote, "known", [])
    monkeypatch.setattr(accelerators, "_homes", [CudaHome(place) for place in places])
    return fake


@pytest.fixture
def dnn(monkeypatch):
    return installed(monkeypatch)


def drawn(*shape, dtype=np.float32):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(dtype)


def same(f, *args, times=3, of=None):
    """What a device gives, launched, recorded and repeated, is what the CPU gives."""
    f = fg.jit(f)
    want = fg.tree.leaves(f(*args))
    there = fg.device_put(tuple(args), fg.devices("gpu")[0])
    rate = TOLERANCE[of or want[0].dtype.name]
    for _ in range(times):
        for got, w in zip(fg.tree.leaves(f(*there)), want, strict=True):
            assert got.dtype == w.dtype
            got, w = (np.asarray(x).astype(np.float64) for x in (got, w))
            np.testing.assert_allclose(got, w, rate, rate * max(np.abs(w).max(initial=0), 1))


def convolved(x, w, window_strides=None, **params):
    strides = window_strides or (1,) * (x.ndim - 2)
    return lax.conv_general_dilated(x, w, strides, **params)


def ways(dnn):
    return [graph.way for graph in dnn.calls]


def launched(dnn):
    return [x[1] for x in dnn.driver.log if x[0] == "launch"]


def by_hand(dnn):
    """Kernels of ours that convolve."""
    return [n for n in launched(dnn) if re.match(r"convolution\d", n) and "copy" not in n]


# name: shapes of image and kernel, params; features are at least 8, as `problem_for` asks
CASES = {
    "features first": (
        (2, 9, 7, 6), (8, 9, 3, 3), {"padding": "VALID", "dimension_numbers": FIRST}
    ),
    "features last": ((2, 7, 6, 9), (3, 3, 9, 8), {"padding": "SAME", "dimension_numbers": LAST}),
    "one tap": ((2, 7, 6, 9), (1, 1, 9, 8), {"padding": "SAME", "dimension_numbers": LAST}),
    "strides": (
        (2, 9, 18, 17), (16, 9, 3, 2),
        {"padding": [(2, 1), (0, 3)], "window_strides": (2, 3), "dimension_numbers": FIRST},
    ),
    "strides, features last": (
        (2, 18, 17, 9), (3, 3, 9, 16),
        {"padding": "SAME", "window_strides": (2, 2), "dimension_numbers": LAST},
    ),
    "dilated kernel": (
        (2, 9, 14, 19), (8, 9, 3, 2),
        {"padding": [(2, 2), (1, 0)], "rhs_dilation": (2, 3), "dimension_numbers": FIRST},
    ),
    "groups": (
        (2, 6, 5, 18), (3, 3, 9, 16),
        {"padding": "SAME", "feature_group_count": 2, "dimension_numbers": LAST},
    ),
    "groups, features first": (
        (2, 18, 8, 6), (16, 9, 3, 3),
        {"padding": "SAME", "window_strides": (2, 1), "feature_group_count": 2,
         "dimension_numbers": FIRST},
    ),
    "one axis": ((2, 9, 30), (8, 9, 5), {"padding": "SAME"}),
    "three axes": ((2, 9, 5, 4, 5), (8, 9, 2, 3, 2), {"padding": "SAME"}),
    "one row": ((2, 1, 30, 9), (1, 5, 9, 8), {"padding": "SAME", "dimension_numbers": LAST}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name, dnn):
    x, w, params = CASES[name]
    x, w = drawn(*x), drawn(*w)
    same(lambda x, w: convolved(x, w, **params), x, w, times=1)
    assert len(dnn.calls) == 1 and not by_hand(dnn)
    dnn.calls.clear()

    def loss(x, w):
        return fnp.sin(convolved(x, w, **params)).sum()

    same(fg.grad(loss, (0, 1)), x, w)
    # Of one tap without strides, the operation is that whose kernel lies as it must.
    assert "kernel" in ways(dnn) and len({*dnn.calls}) == 3 and not by_hand(dnn)
    if name != "one tap":
        assert {*ways(dnn)} == {"out", "image", "kernel"}


def test_a_kernel_of_one_tap_is_not_copied(dnn):
    x, w, params = CASES["one tap"]
    same(lambda x, w: convolved(x, w, **params), drawn(*x), drawn(*w))
    assert {*ways(dnn)} == {"image"} and not launched(dnn)


def test_kernels_are_copied_only_where_they_lie_in_another_order(dnn):
    x, w, params = CASES["features first"]
    same(lambda x, w: convolved(x, w, **params), drawn(*x), drawn(*w))
    assert not launched(dnn)
    x, w, params = CASES["features last"]
    same(lambda x, w: convolved(x, w, **params), drawn(*x), drawn(*w), times=1)
    assert launched(dnn) == ["convolution0_copy"]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_dtypes(dtype, dnn):
    x, w, params = CASES["features last"]
    with fg.enable_x64(True):
        x, w = (drawn(*s).astype(getattr(fnp, dtype)) for s in (x, w))
        same(lambda x, w: convolved(x, w, **params), x, w)
        if dtype != "bfloat16":
            same(fg.grad(lambda *a: convolved(*a, **params).sum(), (0, 1)), x, w)
    names = {"float16": "HALF", "bfloat16": "BFLOAT16", "float64": "DOUBLE"}
    graph = dnn.calls[0]
    assert {t.kind.name for t in graph.tensors} == {names[dtype]}
    assert graph.compute.name == ("DOUBLE" if dtype == "float64" else "FLOAT")


def test_sums_of_halves_can_be_given_as_float32(dnn):
    x, w, params = CASES["features last"]
    x, w = drawn(*x, dtype=np.float16), drawn(*w, dtype=np.float16)
    same(
        lambda x, w: convolved(x, w, preferred_element_type=np.float32, **params),
        *(x, w),
        of="float16",
    )
    assert [t.kind.name for t in dnn.calls[0].tensors] == ["HALF", "HALF", "FLOAT"]


@pytest.mark.parametrize(
    ("precision", "rounded"),
    [(None, False), ("highest", False), ("tensorfloat32", True), ("high", True)],
)
def test_tf32_is_for_who_asks_for_it(precision, rounded, dnn):
    x, w, params = CASES["features first"]
    with fg.default_matmul_precision(precision):
        same(lambda x, w: convolved(x, w, **params), drawn(*x), drawn(*w))
    assert ("TENSOR_CORE" not in dnn.calls[0].barred) == rounded


def test_sums_are_in_order_unless_atomics_are_asked_for(dnn):
    x, w, params = CASES["features first"]
    same(lambda x, w: convolved(x, w, **params), drawn(*x), drawn(*w))
    always = {"DOWN_CONVERT_INPUTS", "REDUCED_PRECISION_REDUCTION", "WINOGRAD", "FFT"}
    assert always | {"NONDETERMINISTIC"} <= dnn.calls[0].barred
    dnn.calls.clear()
    config.update("gpu_scatter_atomics", True)
    try:
        same(lambda x, w: convolved(x, w, **params) + 1, drawn(*x), drawn(*w))
    finally:
        config.update("gpu_scatter_atomics", False)
    assert always <= dnn.calls[0].barred and "NONDETERMINISTIC" not in dnn.calls[0].barred


def test_batches_of_images_of_kernels_and_of_both(dnn):
    x, w, params = CASES["features last"]
    x, w = drawn(3, *x), drawn(3, *w)

    def f(x, w):
        return convolved(x, w, **params)

    for axes in ((0, None), (None, 0), (0, 0)):
        given = [a if k == 0 else a[0] for a, k in zip((x, w), axes, strict=True)]
        same(fg.vmap(f, axes), *given, times=1)
        each = fg.vmap(fg.grad(lambda *a: fnp.sin(f(*a)).sum(), (0, 1)), axes)
        same(each, *given, times=2)
    # Gradients by a kernel for each image have groups of images: these are ours.
    assert dnn.calls and len({*by_hand(dnn)}) == 2
    assert max(g.tensors[0].dim[1] for g in dnn.calls) == 27


REFUSED = {
    "negative padding": (
        (2, 9, 8, 9), (8, 9, 3, 2), {"padding": [(-1, 2), (1, -2)], "dimension_numbers": FIRST},
        "its padding is negative",
    ),
    "groups of images": (
        (4, 9, 6, 5), (16, 9, 3, 3),
        {"padding": [(1, 1), (1, 1)], "batch_group_count": 2, "dimension_numbers": FIRST,
         "lhs_dilation": (2, 1)},
        "it has groups of the batch",
    ),
    "zeros between and strides": (
        (2, 9, 12, 12), (8, 9, 3, 3),
        {"padding": [(1, 1), (2, 2)], "lhs_dilation": (2, 2), "window_strides": (3, 3),
         "dimension_numbers": FIRST},
        "it has strides, and zeros between",
    ),
    "an order of axes of its own": (
        (9, 2, 8, 9), (8, 9, 3, 3),
        {"padding": "SAME", "dimension_numbers": ("CNHW", "OIHW", "CNHW")},
        "its axes lie in an order that no operation",
    ),
    "other orders of image and result": (
        (2, 9, 8, 9), (8, 9, 3, 3),
        {"padding": "SAME", "dimension_numbers": ("NCHW", "OIHW", "NHWC")},
        "its axes lie in an order that no operation",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cudnn_has_no_operation_for_is_ours(name, dnn):
    x, w, params, why = REFUSED[name]
    x, w = drawn(*x), drawn(*w)
    same(lambda x, w: convolved(x, w, **params), x, w)
    assert not dnn.calls and by_hand(dnn)
    there = fg.device_put((x, w), fg.devices("gpu")[0])
    page = fg.jit(lambda x, w: convolved(x, w, **params)).lower(*there).explain()
    assert f"our own kernel: cuDNN does not take it, {why}" in page


@pytest.mark.parametrize("room", [None, 1 << 40])
def test_a_convolution_without_a_plan_is_ours(room, dnn):
    dnn.room = lambda graph: room
    x, w, params = CASES["features first"]
    same(lambda x, w: convolved(x, w, **params), drawn(*x), drawn(*w))
    assert dnn.asked == 1 and not dnn.calls and by_hand(dnn)
    there = fg.device_put((drawn(*x), drawn(*w)), fg.devices("gpu")[0])
    page = fg.jit(lambda x, w: convolved(x, w, **params)).lower(*there).explain()
    assert "our own kernel: cuDNN does not take this convolution here" in page


def test_other_errors_are_not_hidden(dnn):
    def broken(graph):
        raise RuntimeError("CUDNN_STATUS_INTERNAL_ERROR")

    dnn.room = broken
    x, w, params = CASES["features first"]
    there = fg.device_put((drawn(*x), drawn(*w)), fg.devices("gpu")[0])
    with pytest.raises(RuntimeError, match="INTERNAL_ERROR"):
        fg.jit(lambda x, w: convolved(x, w, **params))(*there)


def test_a_library_that_cannot_be_used_is_said_once(dnn, monkeypatch):
    def broken(_):
        raise RuntimeError("libcudnn.so.9 is not there")

    monkeypatch.setattr(cudnn, "import_module", broken)
    x, w, params = CASES["features first"]
    x, w = drawn(*x), drawn(*w)
    there = fg.device_put((x, w), fg.devices("gpu")[0])
    with pytest.warns(UserWarning, match=r"our own kernels: libcudnn.so.9 is not there"):
        first = fg.jit(lambda x, w: convolved(x, w, **params))(*there)
    # Warnings are errors here.
    fg.jit(lambda x, w: -convolved(x, w, **params))(*there)
    np.testing.assert_allclose(first, convolved(x, w, **params), 1e-4, 1e-4)


def test_plans_are_asked_for_once_and_share_one_room(dnn):
    x, w = drawn(2, 8, 6, 5), drawn(8, 8, 3, 3)
    rooms = iter((100, 0, 5000))
    dnn.room = lambda graph: next(rooms)

    def f(x, w):
        y = convolved(x, w, padding="SAME")
        y = convolved(convolved(y, w, padding="SAME"), w, padding="VALID")
        return convolved(y, w, (2, 2), padding="SAME")

    same(f, x, w, times=4)
    assert dnn.asked == 3 and len({*dnn.calls}) == 3 and not by_hand(dnn)
    # One of the most that any of them needs, and not one each.
    assert len([x for x in dnn.driver.log if x[0] == "allocate" and 5000 <= x[1] < 6000]) == 1


def test_a_loop_convolves_slices_that_are_aligned(dnn):
    def f(x, ws):
        return lax.scan(lambda x, w: (fnp.tanh(convolved(x, w, padding="SAME")), x.sum()), x, ws)

    same(f, drawn(2, 8, 6, 5), drawn(4, 8, 8, 3, 3) / 5)
    assert ways(dnn) and not by_hand(dnn)
    dnn.calls.clear()
    # Slices of 3 × 3 × 9 × 9 numbers begin at multiples of 4 bytes.
    same(f, drawn(2, 9, 6, 5), drawn(4, 9, 9, 3, 3) / 5)
    assert not dnn.calls and by_hand(dnn)
    there = fg.device_put((drawn(2, 9, 6, 5), drawn(4, 9, 9, 3, 3)), fg.devices("gpu")[0])
    assert "slices that begin anywhere" in fg.jit(f).lower(*there).explain()


def test_branches_and_loops_that_data_decide(dnn):
    x, w = drawn(2, 8, 6, 6), drawn(8, 8, 3, 3) / 6

    def f(x, w):
        def body(s):
            return convolved(s[0], w, padding="SAME"), s[1] + 1

        x, _ = lax.while_loop(lambda s: (s[1] < 3) & (fnp.abs(s[0]).sum() < 1e6), body, (x, 0))
        return lax.cond(x.sum() > 0, lambda x: convolved(x, w, padding="VALID").sum(), fnp.sum, x)

    same(f, x, w, times=3)
    assert dnn.calls and not by_hand(dnn)


class Foreign:
    """Memory of another library that begins where no plan can read it."""

    def __init__(self, driver, values):
        self.address = driver.allocate(values.nbytes + 4, 1) + 4
        driver.at(self.address, values.nbytes).view(values.dtype)[:] = values.ravel()
        self.shape, self.dtype = values.shape, values.dtype

    @property
    def __cuda_array_interface__(self):
        given = {"shape": self.shape, "typestr": self.dtype.str, "version": 3, "stream": 1}
        return {**given, "data": (self.address, False), "strides": None}


def test_memory_of_others_that_is_not_aligned_is_copied(dnn):
    x, w, params = CASES["features first"]
    x, w = drawn(*x), drawn(*w)
    there = fnp.asarray(Foreign(dnn.driver, x))
    f = fg.jit(lambda x, w: fnp.cos(convolved(x, w, **params)))
    for _ in range(3):
        np.testing.assert_allclose(f(there, w), f(x, w), 1e-4, 1e-4)
    assert ways(dnn) and not by_hand(dnn)


def test_a_training_step(dnn):
    net = nn.serial(
        nn.conv(8, (3, 3)), nn.relu, nn.conv(16, (3, 3), strides=(2, 2)), nn.relu,
        nn.conv(16, (3, 3)), nn.flatten(), nn.dense(10),
    )  # fmt: skip
    x = drawn(4, 12, 12, 8)
    params, state = net.init(fg.random.key(0), x)

    def step(params, x):
        grads = fg.grad(lambda p: (net.apply(p, state, x)[0] ** 2).mean())(params)
        return fg.tree.map(lambda p, g: p - 0.1 * g, params, grads)

    same(step, params, x)
    did = [g.way for g in {*dnn.calls}]
    assert sorted(did) == ["image"] * 2 + ["kernel"] * 3 + ["out"] * 3 and not by_hand(dnn)


def test_a_mesh_convolves_on_each_of_its_devices(monkeypatch):
    dnn = installed(monkeypatch, count=2)
    FakeNccl(dnn.driver).install(monkeypatch)
    x, w, params = CASES["features last"]
    x, w = drawn(*x), drawn(*w)
    mesh = Mesh(fg.devices("gpu"), "i")

    def loss(w, x):
        return fnp.sin(convolved(x, w, **params)).sum()

    def whole(x, w):
        return lax.psum(fg.grad(loss)(lax.pcast(w, "i", to="varying"), x), "i")

    step = fg.jit(fg.shard_map(whole, mesh=mesh, in_specs=(P("i"), P()), out_specs=P()))
    want = fg.grad(loss)(w, x)
    for _ in range(3):
        np.testing.assert_allclose(step(x, w), want, 1e-3, 1e-3)
    assert {g.device for g in dnn.calls} == {0, 1} and not by_hand(dnn)


@st.composite
def convolutions(draw):
    """A convolution of any kind."""
    rank = draw(st.integers(1, 3))
    groups, batches = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (3, 1), (1, 2)]))
    each = draw(st.integers(3, 9))
    space = [draw(st.integers(1, 7 if rank < 3 else 4)) for _ in range(rank)]
    taps = [draw(st.integers(1, 4 if rank < 3 else 3)) for _ in range(rank)]
    features, outs = draw(st.sampled_from([(8, 8), (9, 8), (8, 16), (16, 9)]))
    outs *= groups * batches
    first = draw(st.booleans())
    pads = st.sampled_from([0, 1, 2, 3, 1, -1])
    letters = "DHW"[3 - rank :]
    kernel = draw(st.sampled_from(["OI" + letters, letters + "IO", "O" + letters + "I"]))
    order = "NC" + letters if first else "N" + letters + "C"
    sizes = {"N": each * batches, "C": features * groups, "O": outs, "I": features}
    x = [sizes[a] if a in sizes else space[letters.index(a)] for a in order]
    w = [sizes[a] if a in sizes else taps[letters.index(a)] for a in kernel]
    params = {
        "window_strides": tuple(draw(sizes_of(rank, 1, 3))),
        "padding": [(draw(pads), draw(pads)) for _ in range(rank)],
        "lhs_dilation": tuple(draw(sizes_of(rank, 1, 2))),
        "rhs_dilation": tuple(draw(sizes_of(rank, 1, 2))),
        "dimension_numbers": (order, kernel, order),
        "feature_group_count": groups,
        "batch_group_count": batches,
    }
    return tuple(x), tuple(w), params


def sizes_of(rank, low, high):
    plain = st.just([1] * rank)
    return plain | st.lists(st.integers(low, high), min_size=rank, max_size=rank)


@settings(max_examples=20)
@given(convolutions())
def test_random_convolutions_and_their_gradients(case):
    x, w, params = case
    x, w = drawn(*x), drawn(*w)
    with pytest.MonkeyPatch.context() as patch:
        dnn = installed(patch)

        def f(x, w):
            y = convolved(x, w, **params)
            return y, fg.vjp(lambda x, w: convolved(x, w, **params), x, w)[1](fnp.cos(y))

        same(f, x, w, times=1)
        # Fake or not, cuDNN is asked for nothing but what it documents.
        assert dnn.asked or not dnn.calls


@pytest.mark.parametrize("name", ["no image", "no feature", "no output", "no place"])
def test_sizes_of_zero(name, dnn):
    x, w = {
        "no image": ((0, 9, 7, 6), (8, 9, 3, 3)),
        "no feature": ((2, 0, 7, 6), (8, 0, 3, 3)),
        "no output": ((2, 9, 7, 6), (0, 9, 3, 3)),
        "no place": ((2, 9, 2, 6), (8, 9, 3, 3)),
    }[name]
    x, w = drawn(*x), drawn(*w)

    def loss(x, w):
        return fnp.sin(convolved(x, w, padding="VALID")).sum()

    same(lambda x, w: (convolved(x, w, padding="VALID"), fg.grad(loss, (0, 1))(x, w)), x, w)
    assert not dnn.calls


def test_explain_says_who_convolves(dnn, monkeypatch):
    x, w, params = CASES["groups"]
    there = fg.device_put((drawn(*x), drawn(*w)), fg.devices("gpu")[0])
    page = fg.jit(lambda x, w: convolved(x, w, **params)).lower(*there).explain()
    assert "2 × 6 × 5 places, 9 features and 3 × 3 taps to 8 features, 2 groups" in page
    assert "by cuDNN, in 4096 bytes of its own" in page
    assert "the kernel of a convolution, in the order of axes that cuDNN takes" in page
    lowered = fg.jit(lambda x, w: convolved(x, w, **params)).lower(drawn(*x), drawn(*w))
    page = lowered.explain(target="sm_90")
    assert "our own kernel: on a device cuDNN does it" in page
    monkeypatch.setattr(cudnn, "available", lambda: False)
    page = fg.jit(lambda x, w: -convolved(x, w, **params)).lower(
        drawn(*x), drawn(*w)
    ).explain(target="sm_90")  # fmt: skip
    assert "cuDNN needs nvidia-cudnn-frontend: pip install 'funcgrad[cudnn13]'" in page


def test_one_file_knows_cudnn():
    folder = Path(cudnn.__file__).parents[2]
    named = [
        f for f in folder.rglob("*.py") if re.search(r'import_module\("cudnn"\)', f.read_text())
    ]
    assert [f.name for f in named] == ["cudnn.py"]


def test_the_frontend_is_as_the_fake_has_it():
    real = pytest.importorskip("cudnn")
    for enum in (fake_cudnn.data_type, fake_cudnn.heur_mode, fake_cudnn.numerical_note):
        for member in enum:
            assert hasattr(getattr(real, enum.__name__), member.name), member
    for name in ("create_handle", "set_stream", "pygraph", "cudnnGraphNotSupportedError"):
        assert hasattr(real, name) and hasattr(FakeCudnn, name), name
    methods = [n for n in dir(fake_cudnn.Graph) if not n.startswith("_")]
    absent = [n for n in methods if n not in ("axes", "tensors") and not hasattr(real.pygraph, n)]
    assert not absent
    tensor = real.pygraph().tensor(
        dim=[1, 1, 1, 1], stride=[1, 1, 1, 1], data_type=real.data_type.FLOAT, uid=1, name="x"
    )
    setters = [n for n in dir(fake_cudnn.Tensor) if n.startswith("set_")]
    assert not [n for n in setters if not hasattr(tensor, n)]


def test_cudnn_itself_has_plans_for_an_h200(tmp_path):
    """It plans for a device that is described to it; nothing runs."""
    pytest.importorskip("cudnn")
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler makes what cuDNN loads for a driver")
    planning.build(tmp_path, compiler, subprocess.run)
    made = subprocess.run(
        [sys.executable, "-m", planning.__name__, str(tmp_path)],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert made.returncode == 0 and "0 without a plan" in made.stdout, made.stderr[-4000:]

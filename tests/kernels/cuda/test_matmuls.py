"""Products by cuBLASLt: what it is told of matrices, epilogues, batches, and of what it may use."""

import re
from pathlib import Path

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax, nn
from funcgrad.control import accelerators
from funcgrad.control.accelerators import CudaHome
from funcgrad.core import remote
from funcgrad.kernels.cuda import cublaslt
from funcgrad.sharding import Mesh

from . import fake_cublaslt
from .fake import FakeDriver, places_of
from .fake_cublaslt import FakeCublasLt
from .fake_nccl import FakeNccl

TOLERANCE = {"float16": 2e-2, "bfloat16": 5e-2, "float32": 1e-4, "float64": 1e-10}


@pytest.fixture
def lt(monkeypatch):
    """A GPU whose products are cuBLASLt's."""
    driver = FakeDriver()
    (place,) = places_of(driver)
    place.matmuls = True
    fake = FakeCublasLt(driver)
    monkeypatch.setattr(cublaslt, "import_module", {"nvmath.bindings.cublasLt": fake}.__getitem__)
    monkeypatch.setattr(remote, "known", [])
    monkeypatch.setattr(accelerators, "_homes", [CudaHome(place)])
    return fake


def drawn(*shape, dtype=np.float32):
    return np.random.default_rng(len(shape)).normal(size=shape).astype(dtype)


def same(f, *args, times=3):
    """What a device gives, launched, recorded and repeated, is what the CPU gives."""
    f = fg.jit(f)
    want = fg.tree.leaves(f(*args))
    there = fg.device_put(tuple(args), fg.devices("gpu")[0])
    for _ in range(times):
        for got, w in zip(fg.tree.leaves(f(*there)), want, strict=True):
            assert got.dtype == w.dtype
            got, w = (np.asarray(x).astype(np.float64) for x in (got, w))
            np.testing.assert_allclose(got, w, TOLERANCE[want[0].dtype.name], 1e-2 * (
                want[0].dtype.itemsize < 4) + 1e-5)  # fmt: skip


PRODUCTS = {
    "as it lies": (lambda x, y: x @ y, (70, 50), (50, 90)),
    "left transposed": (lambda x, y: x.T @ y, (50, 70), (50, 90)),
    "right transposed": (lambda x, y: x @ y.T, (70, 50), (90, 50)),
    "both transposed": (lambda x, y: x.T @ y.T, (50, 70), (90, 50)),
    "batch": (lambda x, y: x @ y, (3, 20, 30), (3, 30, 40)),
    "two axes of a batch": (lambda x, y: x @ y, (2, 3, 20, 30), (2, 3, 30, 40)),
    "one side for all": (
        lambda x, y: fnp.einsum("abij,bjk->abik", x, y), (2, 3, 20, 17), (3, 17, 18)
    ),
    "heads inside": (
        lambda x, y: fnp.einsum("btnh,bsnh->bnts", x, y), (2, 20, 3, 16), (2, 24, 3, 16)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PRODUCTS)
def test_products(name, lt):
    f, left, right = PRODUCTS[name]
    same(f, drawn(*left), drawn(*right))
    assert lt.calls and not [x for x in lt.driver.log if "product" in str(x)]


def halves_multiplied(x, y):
    first, second = fnp.split((x @ y).reshape(-1), 2)
    return first.reshape(32, 40) @ second.reshape(40, 32)


# name: function, operands, bytes that divide where the sides begin
PARTS = {
    "columns": (lambda x, y: x[:, 10:90] @ y, (70, 100), (80, 30), 8),
    "rows": (lambda x, y: x[10:90] @ y, (100, 70), (70, 30), 16),
    "columns of the right side": (lambda x, y: x @ y[:, 5:], (70, 40), (40, 35), 4),
    "of both": (lambda x, y: x[4:, :64] @ y[:64, 8:40], (70, 80), (96, 48), 16),
    "of a batch": (lambda x, y: x[1:, :, 4:] @ y[:2], (3, 20, 34), (4, 30, 40), 16),
    "calls for each of a batch": (
        lambda x, y: fnp.matmul(x[:, 1:], y), (2, 3, 25, 17), (2, 2, 17, 18), 4
    ),
    "turned": (lambda x, y: x[:, 8:].T @ y, (50, 70), (50, 90), 16),
    "two parts of one product": (halves_multiplied, (40, 30), (30, 64), 16),
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_parts_are_multiplied_where_they_lie(name, lt):
    f, left, right, aligned = PARTS[name]
    same(f, drawn(*left), drawn(*right))
    assert lt.calls and not [x for x in lt.driver.log if x[0] == "launch"]
    asked = [o["algorithms"].values() for o, _ in lt.calls]
    least = min(w["MIN_ALIGNMENT_A_BYTES"] for found in asked for w in found)
    assert least == aligned


@pytest.mark.parametrize(
    ("first", "width", "copied"), [(8, 64, False), (10, 64, True), (10, 66, False)]
)
def test_parts_of_halves_are_copied_where_fewer_bytes_move_at_once(first, width, copied, lt):
    x, y = drawn(70, 128, dtype=np.float16), drawn(width, 32, dtype=np.float16)
    same(lambda x, y: x[:, first : first + width] @ y, x, y)
    assert bool([x for x in lt.driver.log if x[0] == "launch"]) == copied


def test_a_part_without_an_algorithm_has_a_kernel_of_ours(lt):
    lt.knows = lambda operation, alignment: alignment == 16
    same(lambda x, y: x[:, 10:90] @ y, drawn(70, 100), drawn(80, 30))
    assert not lt.calls
    (named,) = {x[1] for x in lt.driver.log if x[0] == "launch"}
    assert named.startswith("k")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_dtypes(dtype, lt):
    with fg.enable_x64(True):
        x, y = (drawn(*s).astype(getattr(fnp, dtype)) for s in ((70, 50), (50, 90)))
        same(lambda x, y: x @ y, x, y)
    ((operation, layouts), *_) = lt.calls
    number = {"float16": 2, "bfloat16": 14, "float64": 1}[dtype]
    assert {x["dtype"] for x in layouts} == {number}
    assert operation["compute"] == (70 if dtype == "float64" else 68)


def test_sums_of_halves_can_be_given_as_float32(lt):
    x, y = (drawn(*s, dtype=np.float16) for s in ((70, 50), (50, 90)))
    same(lambda x, y: lax.dot(x, y, preferred_element_type=np.float32), x, y)
    assert [x["dtype"] for x in lt.calls[0][1]] == [2, 2, 0]


@pytest.mark.parametrize(
    ("precision", "compute"),
    [(None, 68), ("highest", 68), ("float32", 68), ("tensorfloat32", 77), ("high", 77)],
)
def test_tf32_is_for_who_asks_for_it(precision, compute, lt):
    x, y = drawn(70, 50), drawn(50, 90)
    with fg.default_matmul_precision(precision):
        same(lambda x, y: x @ y, x, y)
    assert lt.calls[0][0]["compute"] == compute


EPILOGUES = {
    "BIAS": lambda x, w, b: x @ w + b,
    "RELU": lambda x, w, b: fnp.maximum(x @ w, 0),
    "RELU_BIAS": lambda x, w, b: nn.relu(b + x @ w),
    "GELU": lambda x, w, b: nn.gelu(x @ w),
    "GELU_BIAS": lambda x, w, b: nn.gelu(x @ w + b),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", EPILOGUES)
def test_epilogues(name, dtype, lt):
    x, w, b = (drawn(*s).astype(getattr(fnp, dtype)) for s in ((40, 30), (30, 64), (64,)))
    same(EPILOGUES[name], x, w, b)
    assert {x for x in lt.driver.log if x[0] == "matmul"} == {("matmul", name)}
    assert not [x for x in lt.driver.log if x[0] == "launch"]


def test_an_epilogue_of_a_batch(lt):
    same(lambda x, w, b: nn.relu(x @ w + b), drawn(3, 20, 30), drawn(30, 64), drawn(64))
    assert ("matmul", "RELU_BIAS") in lt.driver.log


NOT_EPILOGUES = {
    "another function": lambda x, w, b: fnp.tanh(x @ w + b),
    "the exact gelu": lambda x, w, b: nn.gelu(x @ w, approximate=False),
    "a bias for each row": lambda x, w, b: x @ w + b[:40, None],
    "read twice": lambda x, w, b: (nn.relu(x @ w), x @ w),
    "another place": lambda x, w, b: nn.relu(x @ w)[::-1],
    "a bias of another product": lambda x, w, b: x @ w + (b[None] @ (w.T @ w))[0],
}


@pytest.mark.parametrize("name", NOT_EPILOGUES)
def test_what_is_no_epilogue_has_a_kernel_of_its_own(name, lt):
    same(NOT_EPILOGUES[name], drawn(40, 30), drawn(30, 64), drawn(64))
    assert [x for x in lt.driver.log if x[0] == "launch"]


def test_gradients_of_a_network(lt):
    def loss(w, v, x):
        return (nn.gelu(x @ w) @ v).sum()

    same(fg.grad(loss, (0, 1)), drawn(30, 64), drawn(64, 20), drawn(40, 30))


def by_hand(x):
    return x / 2 * (1 + fnp.tanh(np.float32(0.7978845608) * (x + np.float32(0.044715) * x * x * x)))


def layer(p, x, act=nn.gelu):
    w, b, v = p
    return ((act(x @ w + b) @ v) ** 2).mean()


def weights(columns=128, dtype="float32"):
    shapes = (64, columns), (columns,), (columns, 64), (256, 64)
    w, b, v, x = (drawn(*s).astype(getattr(fnp, dtype)) for s in shapes)
    return (w / 8, b, v / 8), x


def of_relu(p, x):
    return layer(p, x, nn.relu)


def without_bias(p, x, act=nn.gelu):
    return ((act(x @ p[0]) @ p[2]) ** 2).mean()


def of_one_weight(p, x, act=nn.gelu):
    return fg.grad(lambda w: layer((w, *p[1:]), x, act))(p[0])


def stacked(p, x, act=nn.gelu):
    for w, b, v in p:
        x = act(x @ w + b) @ v
    return (x * x).mean()


GRADIENTS = {
    "a layer": (fg.grad(layer), "GELU_AUX_BIAS", "DGELU_BGRAD"),
    "written by hand": (
        fg.grad(lambda p, x: layer(p, x, by_hand)), "GELU_AUX_BIAS", "DGELU_BGRAD"
    ),
    "without a bias": (fg.grad(without_bias), "GELU_AUX", "DGELU"),
    "the bias has no gradient": (of_one_weight, "GELU_AUX_BIAS", "DGELU"),
    "with the value": (fg.value_and_grad(layer), "GELU_AUX_BIAS", "DGELU_BGRAD"),
    "in a loop": (
        lambda p, x: lax.scan(lambda p, x: (fg.grad(layer)(p, x), None), p, x[None])[0],
        *("GELU_AUX_BIAS", "DGELU_BGRAD"),
    ),
    "ReLU": (fg.grad(of_relu), "RELU_BIAS", "DRELU_BGRAD"),
    "ReLU by hand": (
        fg.grad(lambda p, x: layer(p, x, lambda x: fnp.where(x > 0, x, 0))),
        *("RELU_BIAS", "DRELU_BGRAD"),
    ),
    "ReLU without a bias": (
        fg.grad(lambda p, x: without_bias(p, x, nn.relu)), "RELU", "DRELU"
    ),
    "ReLU, the bias has no gradient": (
        lambda p, x: of_one_weight(p, x, nn.relu), "RELU_BIAS", "DRELU"
    ),
    "ReLU, with the value": (fg.value_and_grad(of_relu), "RELU_BIAS", "DRELU_BGRAD"),
    "ReLU in a loop": (
        lambda p, x: lax.scan(lambda p, x: (fg.grad(of_relu)(p, x), None), p, x[None])[0],
        *("RELU_BIAS", "DRELU_BGRAD"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_by_epilogues(name, lt):
    f, forward, backward = GRADIENTS[name]
    same(f, *weights())
    did = [x[1] for x in lt.driver.log if x[0] == "matmul"]
    assert forward in did and backward in did


def test_layers_above_each_other(lt):
    p, x = weights()
    same(fg.grad(stacked), [p, tuple(2 * a for a in p), tuple(a / 2 for a in p)], x, times=1)
    did = [x[1] for x in lt.driver.log if x[0] == "matmul"]
    assert did.count("GELU_AUX_BIAS") == did.count("DGELU_BGRAD") == 3


def test_layers_of_relu_above_each_other(lt):
    p, x = weights(136)
    layers = [p, tuple(2 * a for a in p), tuple(a / 2 for a in p)]
    same(fg.grad(lambda p, x: stacked(p, x, nn.relu)), layers, x, times=1)
    did = [x[1] for x in lt.driver.log if x[0] == "matmul"]
    assert did.count("RELU_BIAS") == did.count("DRELU_BGRAD") == 3
    # Rows of 136 bits begin at multiples of 128.
    leads = {o["EPILOGUE_AUX_LD"] for o, _ in lt.calls if "EPILOGUE_AUX_LD" in o}
    assert leads == {256}


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_slope_of_relu_at_0_is_0(dtype, lt):
    """Inputs, weights and biases of 0 and 1 add up to 0 exactly, and to less and more."""
    kind = getattr(fnp, dtype)
    drawn = np.random.default_rng(0)
    w, b, v = (drawn.integers(-1, 2, s).astype(kind) for s in ((64, 128), (128,), (128, 64)))
    x = (drawn.integers(-1, 2, (256, 64)) * (drawn.random((256, 64)) < 0.1)).astype(kind)
    assert (x @ w + b == 0).any()

    def loss(p, x):
        y = nn.relu(x @ p[0] + p[1]) @ p[2]
        return (lax.stop_gradient(fnp.sign(y)) * y).sum()

    f = fg.jit(fg.grad(loss))
    there = fg.device_put(((w, b, v), x), "gpu")
    for got, want in zip(f(*there), f((w, b, v), x), strict=True):
        np.testing.assert_array_equal(np.asarray(got), want)
    assert ("matmul", "DRELU_BGRAD") in lt.driver.log


def linear(p, x):
    w, b, v = p
    return (((x @ w + b) @ v) ** 2).mean()


def packed(p, x):
    """Queries, keys and values of one product, whose cotangent no map makes."""
    w, b, v = p
    q, k, u = (y.reshape(2, 128, 2, 16) for y in fnp.split(x @ w + b, 3, -1))
    y = nn.dot_product_attention(q, k, u, is_causal=True)
    return (y.reshape(256, 32) @ v[:32]).sum() / 64


# name: function, columns of the first weights, epilogue
SUMS = {
    "a layer without an activation": (fg.grad(linear), 128, "BGRADA"),
    "of the left side": (
        lambda p, x: ((x @ p[0]).T @ x, (x @ p[0]).sum(0)), 128, "BGRADB"
    ),
    "of an odd width": (fg.grad(linear), 37, "BGRADA"),
    "an attention": (fg.grad(packed), 96, "BGRADA"),
    "in a loop": (
        lambda p, x: lax.scan(lambda p, x: (fg.grad(linear)(p, x), None), p, x[None])[0],
        128, "BGRADA",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SUMS)
def test_sums_of_a_side(name, lt):
    f, columns, epilogue = SUMS[name]
    same(f, *weights(columns))
    assert ("matmul", epilogue) in lt.driver.log


def test_sums_of_a_side_of_bfloat16(lt):
    f, there = fg.jit(fg.grad(linear)), fg.device_put(weights(dtype="bfloat16"), "gpu")
    for got, want in zip(fg.tree.leaves(f(*there)), fg.tree.leaves(f(*weights())), strict=True):
        assert got.dtype == fnp.bfloat16
        apart = np.asarray(got).astype(np.float32) - want
        assert np.linalg.norm(apart) < 2e-2 * np.linalg.norm(want)
    assert ("matmul", "BGRADA") in lt.driver.log


NOT_SUMS = {
    "along rows": lambda p, x: (x.T @ (x @ p[0]), (x @ p[0]).sum(1)),
    "of something else": lambda p, x: (x.T @ (x @ p[0]), (2 * (x @ p[0])).sum(0)),
    "the largest": lambda p, x: (x.T @ (x @ p[0]), (x @ p[0]).max(0)),
    "read before the product": lambda p, x: (
        (fnp.tanh((x @ p[0]).sum(0)) + x[:, :1]).T @ (x @ p[0]) / 64
    ),
    "of a part": lambda p, x: (x[:128].T @ (x @ p[0])[:128], (x @ p[0]).sum(0)),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_SUMS)
def test_what_is_no_sum_of_a_side_has_kernels_of_its_own(name, lt):
    same(NOT_SUMS[name], *weights())
    assert not [x for x in lt.driver.log if x[0] == "matmul" and "BGRAD" in x[1]]


def test_a_sum_without_an_algorithm_is_a_launch(lt):
    names = fake_cublaslt.Epilogue
    lt.knows = lambda o, alignment: names(o["EPILOGUE"]) != names.BGRADA or None
    same(fg.grad(linear), *weights())
    assert not [x for x in lt.driver.log if x[0] == "matmul" and "BGRAD" in x[1]]


def cotangent_first(p, x):
    cotangent = fnp.sin(x) @ p[2].T
    out, pull = fg.vjp(lambda p: nn.gelu(x @ p[0] + p[1]), p)
    return out, pull(cotangent)


NOT_GRADIENTS = {
    "rows of an odd width": (fg.grad(layer), 124),
    "the exact gelu": (
        fg.grad(lambda p, x: layer(p, x, lambda x: nn.gelu(x, approximate=False))), 128
    ),
    "another function": (fg.grad(lambda p, x: layer(p, x, nn.silu)), 128),
    "ReLU, rows of an odd width": (fg.grad(of_relu), 124),
    "maximum, whose slope at 0 is a half": (
        fg.grad(lambda p, x: layer(p, x, lambda x: fnp.maximum(x, 0))), 128
    ),
    "a slope of 1 at 0": (
        fg.grad(lambda p, x: layer(p, x, lambda x: fnp.where(x >= 0, x, 0))), 128
    ),
    "half of it": (fg.grad(lambda p, x: layer(p, x, lambda x: nn.gelu(x) / 2)), 128),
    "what goes in is read too": (
        fg.grad(lambda p, x: layer(p, x) + fnp.cos(x @ p[0] + p[1]).sum()), 128
    ),
    "a cotangent that is there before": (cotangent_first, 128),
    "what goes in comes out": (
        lambda p, x: (fg.grad(layer)(p, x), x @ p[0]), 128
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_GRADIENTS)
def test_gradients_that_are_no_epilogues(name, lt):
    f, columns = NOT_GRADIENTS[name]
    same(f, *weights(columns))
    did = {x[1] for x in lt.driver.log if x[0] == "matmul"}
    assert not [x for x in did if "AUX" in x or (x.startswith("D") and x != "DEFAULT")]


def test_a_slope_without_an_algorithm_is_a_map(lt):
    names = fake_cublaslt.Epilogue
    lt.knows = lambda o, alignment: names(o["EPILOGUE"]) != names.DGELU_BGRAD or None
    same(fg.grad(layer), *weights())
    assert {x[1] for x in lt.driver.log if x[0] == "matmul"} == {"DEFAULT"}


def test_gradients_by_epilogues_of_bfloat16(lt):
    f, there = fg.jit(fg.grad(layer)), fg.device_put(weights(dtype="bfloat16"), "gpu")
    for got, want in zip(fg.tree.leaves(f(*there)), fg.tree.leaves(f(*weights())), strict=True):
        assert got.dtype == fnp.bfloat16
        apart = np.asarray(got).astype(np.float32) - want
        assert np.linalg.norm(apart) < 2e-2 * np.linalg.norm(want)
    did = [x[1] for x in lt.driver.log if x[0] == "matmul"]
    assert "GELU_AUX_BIAS" in did and "DGELU_BGRAD" in did


def test_an_algorithm_is_asked_for_once_for_a_product(lt):
    same(lambda x, y: (x @ y) @ y @ y, drawn(70, 50), drawn(50, 50) / 7, times=4)
    assert lt.asked == 1 and len(lt.calls) >= 3


def test_a_loop_multiplies_slices(lt):
    def f(x, ws):
        return lax.scan(lambda x, w: (fnp.tanh(x @ w), x.sum()), x, ws)

    same(f, drawn(40, 33), drawn(5, 33, 33) / 9)
    # Slices of 33 × 33 numbers begin at multiples of 4 bytes only.
    assert lt.asked >= 2


@pytest.mark.parametrize("answer", [None, False])
def test_a_product_without_an_algorithm_has_a_kernel_of_ours(answer, lt):
    lt.knows = lambda operation, alignment: answer
    same(lambda x: x @ x.T, drawn(70, 50))
    assert lt.asked == 1 and not lt.calls and [x for x in lt.driver.log if x[0] == "launch"]
    there = fg.device_put(drawn(70, 50), fg.devices("gpu")[0])
    assert "cuBLASLt does not take this product here" in fg.jit(
        lambda x: x @ x.T
    ).lower(there).explain()  # fmt: skip


def test_an_epilogue_without_an_algorithm_is_a_map(lt):
    lt.knows = lambda o, alignment: o["EPILOGUE"] == fake_cublaslt.Epilogue.DEFAULT or None
    same(EPILOGUES["GELU_BIAS"], drawn(40, 30), drawn(30, 64), drawn(64))
    assert ("matmul", "DEFAULT") in lt.driver.log and len(lt.calls) == 2
    assert [x for x in lt.driver.log if x[0] == "launch"]


def test_an_alignment_without_an_algorithm_is_an_error(lt):
    lt.knows = lambda o, alignment: alignment == 16

    def f(x, ws):
        return lax.scan(lambda x, w: (fnp.tanh(x @ w), x.sum()), x, ws)[0]

    there = fg.device_put((drawn(40, 33), drawn(5, 33, 33)), fg.devices("gpu")[0])
    with pytest.raises(RuntimeError, match=r"no algorithm for Matmul\(given='float32'"):
        fg.jit(f)(*there)


def test_other_errors_are_not_hidden(lt):
    def broken(operation, alignment):
        raise fake_cublaslt.CuBLASLtError(14)

    lt.knows = broken
    there = fg.device_put(drawn(70, 50), fg.devices("gpu")[0])
    with pytest.raises(fake_cublaslt.CuBLASLtError, match="status 14"):
        fg.jit(lambda x: x @ x.T)(there)


def test_a_library_that_cannot_be_used_is_said_once(lt, monkeypatch):
    def broken(_):
        raise RuntimeError("libcublasLt.so.13 is not there")

    monkeypatch.setattr(cublaslt, "import_module", broken)
    x = fg.device_put(drawn(70, 50), fg.devices("gpu")[0])
    with pytest.warns(UserWarning, match=r"our own kernels: libcublasLt.so.13 is not there"):
        first = fg.jit(lambda x: x @ x.T)(x)
    # Warnings are errors here.
    fg.jit(lambda x: x.T @ x)(x)
    np.testing.assert_allclose(first, drawn(70, 50) @ drawn(70, 50).T, 1e-4, 1e-4)


def test_a_bias_of_a_slice_is_asked_for_as_it_lies(lt):
    def f(x, ws, bs):
        return lax.scan(lambda x, wb: (nn.relu(x @ wb[0] + wb[1]), None), x, (ws, bs))[0]

    # Rows of 33 numbers begin at multiples of 4 bytes.
    same(f, drawn(40, 33), drawn(6, 33, 33) / 9, drawn(6, 33))
    assert ("matmul", "RELU_BIAS") in lt.driver.log


def test_a_mesh_multiplies_on_each_of_its_devices(monkeypatch):
    driver = FakeDriver(2)
    places = places_of(driver)
    for place in places:
        place.matmuls = True
    fake = FakeCublasLt(driver)
    monkeypatch.setattr(cublaslt, "import_module", {"nvmath.bindings.cublasLt": fake}.__getitem__)
    monkeypatch.setattr(remote, "known", [])
    monkeypatch.setattr(accelerators, "_homes", [CudaHome(place) for place in places])
    FakeNccl(driver).install(monkeypatch)
    ins, outs, mesh = (fg.P("i"), fg.P()), fg.P("i"), Mesh(fg.devices("gpu"), "i")
    f = fg.jit(fg.shard_map(lambda x, w: fnp.tanh(x @ w), mesh=mesh, in_specs=ins, out_specs=outs))
    x, w = drawn(40, 30), drawn(30, 64)
    for _ in range(3):
        np.testing.assert_allclose(f(x, w), np.tanh(x @ w), 1e-4, 1e-4)
    assert len(fake.calls) >= 2 and fake.asked == 2


def test_explain_says_who_multiplies(lt, monkeypatch):
    x, w, b = drawn(40, 30), drawn(30, 64), drawn(64)
    there = fg.device_put((x, w, b), fg.devices("gpu")[0])
    page = fg.jit(EPILOGUES["RELU_BIAS"]).lower(*there).explain()
    assert "by cuBLASLt, epilogue RELU_BIAS" in page
    lowered = fg.jit(lambda x, w: x @ w).lower(x, w)
    monkeypatch.setattr(cublaslt, "available", lambda: False)
    page = lowered.explain(target="sm_90")
    assert "cuBLASLt needs nvmath-python: pip install 'funcgrad[cuda13]'" in page
    monkeypatch.setattr(cublaslt, "available", lambda: True)
    page = fg.jit(lambda x, w: x @ w).lower(x, w).explain(target="sm_80")
    assert "our own kernel: on a device cuBLASLt does it" in page


def test_one_file_knows_cublaslt():
    folder = Path(cublaslt.__file__).parents[2]
    named = [f for f in folder.rglob("*.py") if re.search(r"nvmath\.", f.read_text())]
    assert [f.name for f in named] == ["cublaslt.py"]


def test_the_bindings_are_as_the_fake_has_them():
    real = pytest.importorskip("nvmath.bindings.cublasLt")
    for name in ("MatmulDescAttribute", "Epilogue", "MatrixLayoutAttribute"):
        for member in getattr(fake_cublaslt, name):
            assert int(getattr(real, name)[member.name]) == member
    for member in fake_cublaslt.MatmulPreferenceAttribute:
        assert int(real.MatmulPreferenceAttribute[member.name]) == member
    wanted = [d for d in dir(FakeCublasLt) if d.startswith(("matmul_", "matrix_"))]
    for name in [*wanted, "create", "matmul"]:
        assert callable(getattr(real, name)), name
    assert np.dtype(real.matmul_heuristic_result_dtype) == fake_cublaslt.RESULT
    for enum, kind in (
        (fake_cublaslt.MatmulDescAttribute, real.get_matmul_desc_attribute_dtype),
        (fake_cublaslt.MatrixLayoutAttribute, real.get_matrix_layout_attribute_dtype),
        (fake_cublaslt.MatmulPreferenceAttribute, real.get_matmul_preference_attribute_dtype),
    ):
        for member in enum:
            assert np.dtype(kind(int(member))).itemsize == fake_cublaslt.SIZES[member.name]
    assert issubclass(real.cuBLASLtError, Exception)
    codes = {"float32": "32F", "float64": "64F", "float16": "16F", "bfloat16": "16BF"}
    numbers = pytest.importorskip("nvmath").CudaDataType
    assert {n: int(numbers[f"CUDA_R_{c}"]) for n, c in codes.items()} == cublaslt.DTYPES
    kinds = pytest.importorskip("nvmath.bindings.cublas")
    found = [kinds.ComputeType[f"COMPUTE_{n}"] for n in ("32F", "64F", "32F_FAST_TF32")]
    assert found == [cublaslt.COMPUTE_32F, cublaslt.COMPUTE_64F, cublaslt.COMPUTE_TF32]
    assert {False: kinds.Operation.N, True: kinds.Operation.T} == cublaslt.OPERATIONS

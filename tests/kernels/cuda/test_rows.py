"""What threads keep of rows: at the limits of what there is room for, the same numbers."""

import re

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn
from funcgrad.config import enable_x64
from funcgrad.core.evaluate import run_numpy
from funcgrad.kernels.cuda import limits, long_rows
from funcgrad.kernels.cuda.emulated import emulate
from funcgrad.kernels.cuda.emulator import Emulator
from funcgrad.kernels.cuda.lanes import EmulationError
from funcgrad.kernels.cuda.program import cuda_program

from .running import in_memory, simplified, traced

RATES = {"bfloat16": 5e-2, "float32": 1e-4, "float64": 1e-10}
# What a block keeps of float32 rows on GPUs of a capability, in elements: 32 of each of 512 threads
# in registers, and as many vectors of four as there is room for in shared memory.
WHOLE = {"sm_90": 512 * (32 + 112), "sm_80": 512 * (32 + 80)}


@pytest.fixture(autouse=True)
def a_block_does_a_row(monkeypatch):
    """However few rows there are."""
    monkeypatch.setattr(long_rows, "GAIN", 0)


def layer_norm(x):
    centred = x - x.mean(-1, keepdims=True)
    return centred / fnp.sqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)


FUNCTIONS = {
    "softmax": nn.softmax,
    "layer norm's gradient": fg.grad(lambda x: (layer_norm(x) ** 3).sum()),
    "cross-entropy's gradient": fg.grad(lambda x: -nn.log_softmax(x, axis=-1)[:, 0].mean()),
    "gradient of two rows": lambda x: fg.vjp(nn.softmax, x)[1](fnp.sin(x[::-1]))[0],
    "place": lambda x: fnp.argmax(x - x.mean(1, keepdims=True), 1),
    "row beside rows": lambda x: nn.softmax(x * x[:1] + x[0, 0]),
}


def drawn(rows, width, dtype):
    x = np.random.default_rng(width).normal(size=(rows, width))
    return x.astype(fnp.bfloat16 if dtype == "bfloat16" else dtype)


def agrees(f, x, target="sm_90", kind="rows"):
    """The row of the one kernel that does f as NumPy does, whether or not memory is aligned."""
    with enable_x64():
        closed, inputs = traced(f, x)
        program = cuda_program(closed, simplified, target=target)
        (want,) = map(in_memory, run_numpy(closed, inputs))
        found = [emulate(program, inputs, aligned)[0].reshape(-1) for aligned in (True, False)]
    # The order of a fold depends on sizes alone.
    np.testing.assert_array_equal(*found)
    rate = RATES.get(want.dtype.name, 0)
    got, want = (a.astype(np.float64) for a in (found[0], want))
    np.testing.assert_allclose(got, want, rtol=rate, atol=rate)
    (kernel,) = program.kernels
    assert kernel.launch.kind == kind
    return kernel.launch


@pytest.mark.parametrize("width", [17, 33, 128, 1000, 1024, 1025, 1500, 9001])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_rows_of_every_length(name, width):
    launch = agrees(FUNCTIONS[name], drawn(3, width, "float32"))
    assert launch.row.again == 0 and launch.row.registers
    assert width % 2 == 0 or launch.row.wide == 1
    assert name != "softmax" or width not in (128, 1000, 1024, 1500) or launch.row.wide == 4


@pytest.mark.parametrize("width", [1025, 1500, 8200, 9001])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_single_row(name, width):
    launch = agrees(FUNCTIONS[name], drawn(1, width, "float32"), kind="block")
    assert launch.row.again == 0 and launch.row.registers


@pytest.mark.parametrize("width", [2, 100, 1024])
def test_a_short_row_alone_stays_in_the_cache(width):
    assert agrees(nn.softmax, drawn(1, width, "float32"), kind="block").row is None


@pytest.mark.parametrize("over", [0, 4, 513])
def test_a_single_row_at_the_limit(over):
    launch = agrees(nn.softmax, drawn(1, WHOLE["sm_90"] + over, "float32"), kind="block")
    assert launch.row.again == {0: 0, 4: 4, 513: 1}[over]


@pytest.mark.parametrize("target", WHOLE)
def test_folds_of_every_type_have_room_beside_what_is_kept(target):
    """What a launch asks for, and the arrays of its text, are what a block can have together."""
    kinds = "int8 uint8 int16 uint16 int32 uint32 int64 uint64 float16 bfloat16 float64".split()

    def f(x):
        parts = [x.astype(getattr(fnp, kind)).max(1) for kind in kinds]
        return nn.softmax(x), fnp.argmax(x, 1), *parts

    with enable_x64():
        closed, _ = traced(f, np.ones((2, (1 << 17) + 1), np.float32))
        kernels = cuda_program(closed, simplified, target=target).kernels
    sizes = []
    for kernel in kernels:
        rooms = re.findall(r"cuda.shared.array\((\d+), (\w+)\)", kernel.text)
        own = sum(int(n) * np.dtype(kind).itemsize for n, kind in rooms)
        sizes.append((own, kernel.launch.shared))
    assert max(own for own, _ in sizes) > 1024 and max(shared for _, shared in sizes) > 150_000
    assert max(map(sum, sizes)) <= limits.most_shared(target)


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
@pytest.mark.parametrize("width", [33, 1024, 2056, 4097])
@pytest.mark.parametrize("name", ["softmax", "layer norm's gradient", "gradient of two rows"])
def test_rows_of_other_dtypes(name, width, dtype):
    agrees(FUNCTIONS[name], drawn(2, width, dtype))


@pytest.mark.parametrize("target", WHOLE)
@pytest.mark.parametrize(
    ("over", "again", "wide"), [(0, 0, 4), (4, 4, 4), (511, 0, 1), (513, 1, 1)]
)
def test_rows_at_the_limit(over, again, wide, target):
    # Where elements are moved one by one there is room for one more of each thread.
    launch = agrees(nn.softmax, drawn(2, WHOLE[target] + over, "float32"), target)
    assert launch.row.again == again and launch.row.wide == wide
    assert limits.PLAIN < launch.shared <= limits.most_shared(target)


@pytest.mark.parametrize("kib", [0, 9, 20])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_rows_of_which_a_part_is_read_again(name, kib, monkeypatch):
    monkeypatch.setattr("funcgrad.kernels.cuda.row_plan._USUAL", 4)
    monkeypatch.setitem(limits._MOST, (9, 0), kib)
    launch = agrees(FUNCTIONS[name], drawn(2, 8200, "float32"))
    assert launch.row.again > 0 and launch.row.registers <= 4
    assert (launch.row.shared > 0) == (kib == 20 or (kib == 9 and len(launch.row.values) == 1))
    assert launch.shared <= kib << 10


ONCE = {
    "softmax": nn.softmax,
    "softmax twice": lambda x: nn.softmax(x) * 2 + nn.softmax(x),
    "cross-entropy's gradient": FUNCTIONS["cross-entropy's gradient"],
    "softmax's gradient": fg.grad(lambda x: (nn.softmax(x) ** 3).sum()),
}
AGAIN = {
    "what it is made of": lambda x: nn.softmax(x) * x,
    "nothing costly": layer_norm,
    "another type": lambda x: nn.softmax(x.astype(np.float64)),
}


@pytest.mark.parametrize(
    ("name", "over"),
    [("softmax", -4000), ("softmax", 0), ("softmax", 20_000), *((name, 4) for name in ONCE)],
)
def test_what_is_costly_is_made_once_where_it_is_kept(name, over, monkeypatch):
    f, x = ONCE[name], drawn(2, WHOLE["sm_90"] + over, "float32")
    row = agrees(f, x).row
    assert row.instead and row.left and (row.again > 0) == (over > 0)
    closed, inputs = traced(f, x)
    once = cuda_program(closed, simplified)
    monkeypatch.setattr("funcgrad.kernels.cuda.row_makes._WORTH", np.inf)
    again = cuda_program(closed, simplified)
    # In each loop of each part of a row there is an exponential less; it has the same bits.
    assert once.text.count("exp_float32(") < again.text.count("exp_float32(")
    assert not again.kernels[0].launch.row.instead
    np.testing.assert_array_equal(emulate(once, inputs)[0], emulate(again, inputs)[0])


@pytest.mark.parametrize("name", AGAIN)
def test_what_later_loops_need_stays(name):
    row = agrees(AGAIN[name], drawn(2, 9001, "float32")).row
    assert not row.instead and not row.left


@pytest.mark.parametrize("kib", [3, 50])
def test_values_of_several_types_share_what_is_asked_for(kib, monkeypatch):
    monkeypatch.setattr("funcgrad.kernels.cuda.row_plan._USUAL", 4)
    monkeypatch.setitem(limits._MOST, (9, 0), kib)

    def f(x, y):
        x, y = x - x.max(1, keepdims=True), y - y.max(1, keepdims=True)
        return x.astype(np.float64) * y

    with enable_x64():
        closed, inputs = traced(f, drawn(2, 3000, "float32"), drawn(2, 3000, "float64"))
        program = cuda_program(closed, simplified)
        (want,) = run_numpy(closed, inputs)
        (found,) = emulate(program, inputs)
    np.testing.assert_allclose(found.reshape(want.shape), want, rtol=1e-10)
    kinds = set(re.findall(r"cuda.shared.array\(0, (\w+)\)", program.text))
    assert kinds == (set() if kib == 3 else {"float32", "float64"})


def test_loops_that_give_lanes_other_elements_keep_nothing():
    def f(x, w):
        return nn.softmax(x) @ w + nn.softmax(x[:, ::-1]) @ w

    closed, _ = traced(f, drawn(3, 200, "float32"), drawn(200, 40, "float32"))
    for kernel in cuda_program(closed, simplified).kernels:
        assert getattr(kernel.launch, "shared", 0) == 0


def test_limits_by_capability():
    found = [limits.most_shared(t) >> 10 for t in ("sm_80", "sm_89", "sm_90", "sm_100")]
    assert found == [163, 99, 227, 227]
    assert limits.most_shared("sm_99") == limits.PLAIN
    with pytest.raises(ValueError, match="sm_80"):
        limits.most_shared("sm_75")


def emulated(body, shared):
    text = "def k(a):\n" + "".join(f"    {line}\n" for line in body)
    a = np.arange(64, dtype=np.float32)
    Emulator(text).launch("k", 1, 64, [a], shared)
    return a


def test_what_a_launch_asks_for_is_all_there_is():
    body = ["i = cuda.threadIdx.x", "kept = cuda.shared.array(0, float32)", "kept[i] = a[i]"]
    body += ["cuda.syncthreads()", "a[i] = kept[63 - i]"]
    assert np.array_equal(emulated(body, 256), np.arange(64)[::-1])
    with pytest.raises(EmulationError, match=r"\[63\] is outside of its 63 elements"):
        emulated(body, 252)
    # Another array of it is the same memory.
    body[2:2] = ["more = cuda.shared.array(0, uint32)"]
    with pytest.raises(EmulationError, match="holds another type"):
        emulated([*body, "more[i] = uint32(1)"], 256)

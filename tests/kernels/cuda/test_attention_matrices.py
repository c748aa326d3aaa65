"""Attention of 16-bit floats by tensor cores, as the emulator lays tiles and registers out."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn
from funcgrad.errors import CompileError
from funcgrad.ir.nests import Buffer
from funcgrad.kernels.cuda import attention_cuts, limits
from funcgrad.kernels.cuda.attention import Attention
from funcgrad.kernels.cuda.emulator import Emulator
from funcgrad.kernels.cuda.lanes import EmulationError

from .running import both_ways, program_of, traced

# Weights are rounded before they meet values, results once more: by parts of the largest of them.
TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2}


def drawn(*shape, dtype=np.float16, seed=11):
    # The same numbers in whatever order tests run.
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(dtype)


def operands(rows=40, columns=70, width=16, values=16, shared=1, heads=1, batch=1, dtype="float16"):
    dtype = getattr(fnp, dtype)
    return (
        drawn(batch, rows, heads, width, dtype=dtype, seed=1),
        drawn(batch, columns, shared, width, dtype=dtype, seed=2),
        drawn(batch, columns, shared, values, dtype=dtype, seed=3),
    )


def agrees(f, *xs):
    """What the emulator gives is what NumPy gives for the same numbers as float32."""
    program, _, found = both_ways(*traced(f, *xs))
    want = fg.tree.leaves(f(*(np.asarray(x).astype(np.float32) for x in xs)))
    rate = TOLERANCE[xs[0].dtype.name]
    for outs in found:
        for got, w in zip(outs, want, strict=True):
            assert got.dtype.name in (xs[0].dtype.name, "float32")
            got, w = (np.asarray(x).reshape(-1).astype(np.float64) for x in (got, w))
            least = rate * max(1.0, np.abs(w).max(initial=0) / 3)
            np.testing.assert_allclose(got, w, rtol=rate, atol=least)
    return program


MASK = np.random.default_rng(11).random((1, 1, 40, 70)) > 0.4
MASK[0, 0, 3] = False
BIAS = np.zeros((1, 1, 40, 70), np.float32)
BIAS[0, 0, 0, :65] = -np.inf
BIAS[0, 0, 1, :] = np.finfo(np.float32).min
BIAS[0, 0, 2, 66] = 80
LENGTHS = {
    "query_seq_lengths": np.array([31], np.int32),
    "key_value_seq_lengths": np.array([5], np.int32),
}
# name: options of the attention, and of its operands
CASES = {
    "pieces exchanged": ({"is_causal": True}, {"width": 64, "values": 64, "rows": 70}),
    "128 wide, 80 wide": ({}, {"width": 128, "values": 80}),
    "an odd number of pieces": ({}, {"width": 40, "values": 24, "dtype": "bfloat16"}),
    "numbers moved one by one": ({}, {"width": 33, "values": 7}),
    "whole tiles": ({"is_causal": True}, {"rows": 128, "columns": 128}),
    "heads that share keys": ({"is_causal": True}, {"heads": 4, "shared": 2}),
    "a mask, and a query that sees nothing": ({"mask": MASK}, {}),
    "lengths": (LENGTHS, {}),
    "a bias without room for a factor": ({"bias": BIAS}, {}),
    "a window that leaves tiles out": (
        {"local_window_size": (9, 3)}, {"rows": 200, "columns": 200}
    ),
    "a window beyond the last key": ({"local_window_size": (9, 3)}, {"rows": 100, "columns": 40}),
    "a causal window": (
        {"local_window_size": (5, 4), "is_causal": True}, {"rows": 140, "columns": 140}
    ),
    "queries after the last key": ({"is_causal": True}, {"rows": 130, "columns": 64}),
    "keys after the last query": ({"is_causal": True}, {"rows": 20, "columns": 130}),
}  # fmt: skip


def with_gradients(options, sizes):
    """Four kernels do an attention and its gradient, three of them by tensor cores."""
    xs = operands(**sizes)

    def loss(*xs):
        out = nn.dot_product_attention(*xs, **options).astype(np.float32)
        return fnp.sin(out).sum(), out

    program = agrees(fg.grad(loss, (0, 1, 2), has_aux=True), *xs)
    assert [k.launch.kind for k in program.kernels].count("attention") == 4
    assert program.text.count("by tensor cores") == 3
    return program


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name):
    with_gradients(*CASES[name])


# What is cut as for many heads: the same, and heads of every kind of width.
WIDE = {
    "32 queries a warp": ({"is_causal": True}, {"width": 64, "values": 64, "rows": 130}),
    "warps that share keys": (
        {"is_causal": True}, {"width": 128, "values": 128, "rows": 150, "columns": 140}
    ),
    "rows that reach into the next bank": ({}, {"width": 80, "values": 112, "rows": 70}),
    "a scale below zero": ({"scale": -0.3, "is_causal": True}, {"width": 96, "values": 96}),
    "256 wide": ({"is_causal": True}, {"width": 256, "values": 256, "rows": 70, "columns": 130}),
    "200 and 129 wide": ({"mask": MASK}, {"width": 200, "values": 129, "dtype": "bfloat16"}),
    "192 wide, a window": (
        {"local_window_size": (9, 3)},
        {"width": 192, "values": 128, "rows": 200, "columns": 200, "heads": 2},
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CASES, *WIDE])
def test_values_and_gradients_as_for_many_heads(name, monkeypatch):
    monkeypatch.setattr(attention_cuts, "WANTED_BLOCKS", 1)
    with_gradients(*{**CASES, **WIDE}[name])


@pytest.mark.slow
@pytest.mark.parametrize("kib", [52, 99, 163])
@pytest.mark.parametrize("width", [128, 256])
def test_less_shared_memory_has_smaller_tiles(width, kib, monkeypatch):
    monkeypatch.setitem(limits._MOST, (9, 0), kib)
    monkeypatch.setattr(attention_cuts, "WANTED_BLOCKS", 1)
    sizes = {"width": width, "values": width, "rows": 70}
    program = with_gradients({"is_causal": True}, sizes)
    shared = [k.launch.shared for k in program.kernels]
    assert max(shared) <= kib << 10 and max(shared) > limits.PLAIN


def attention_of(width):
    given = Buffer((2, 300, 1, 40, width), np.dtype(np.float16), "x")
    key = Buffer((2, 300, 40, width), np.dtype(np.float16), "y")
    return Attention(None, {"query": given, "key": key, "value": key})


def test_a_gpu_of_which_nothing_is_known():
    with pytest.raises(CompileError, match="heads of 256 has 50 KiB of tiles.*sm_99.*than 48"):
        attention_cuts.cut_of(attention_of(256), "keys", "sm_99", 3)


@pytest.mark.parametrize("step", attention_cuts.OWN)
@pytest.mark.parametrize("target", ["sm_80", "sm_86", "sm_90", "sm_99"])
def test_cuts_fit_for_every_width(step, target):
    """Whatever a head's width is, there is a cut that fits, with what it has within its bounds."""
    for width in range(1, 257 if target != "sm_99" else 201):
        a = attention_of(width)
        stats = 3 * (step == "keys")
        cut = attention_cuts.cut_of(a, step, target, stats)
        rooms = attention_cuts.rooms_of(a, cut, step, stats)
        assert 4 * rooms.words <= limits.most_shared(target)
        last = max(rooms.tiles.values(), key=lambda room: room.offset)
        assert last.offset + last.pitch * last.rows <= rooms.stats
        assert rooms.stats + stats * cut.tile + rooms.span * cut.twice <= rooms.words
        assert all(room.wide >= width or room.name in ("weights", "slopes")
                   for room in rooms.tiles.values())  # fmt: skip


@pytest.mark.slow
def test_long_sequences_are_the_same_kernels(monkeypatch):
    """What the CPU does tile by tile; results and cotangents are halves there too."""
    monkeypatch.setattr("funcgrad.nn.attention.TILE", 64)
    xs = operands(rows=70, columns=66, width=24, values=24, dtype="bfloat16")

    def loss(*xs):
        out = nn.dot_product_attention(*xs, is_causal=True).astype(np.float32)
        return fnp.sin(out).sum(), out

    program = agrees(fg.grad(loss, (0, 1, 2), has_aux=True), *xs)
    assert [k.launch.kind for k in program.kernels].count("attention") == 4
    forward = next(k for k in program.kernels if k.launch.kind == "attention")
    assert {b.dtype.name for b in forward.params[:4]} == {"bfloat16"}


@pytest.mark.slow
@pytest.mark.parametrize("width", [16, 80])
def test_many_heads_have_larger_blocks(width):
    program = agrees(
        nn.dot_product_attention,
        *operands(rows=3, columns=5, width=width, values=width, batch=17, heads=8, shared=8),
    )
    assert "a block of 128 threads has 128 queries" in program.text


@pytest.mark.parametrize(
    ("which", "names"), [((1,), "d_key"), ((2,), "d_value"), ((0,), "d_query")]
)
def test_gradients_of_one_operand(which, names):
    def loss(*xs):
        return fnp.sin(nn.dot_product_attention(*xs).astype(np.float32)).sum()

    program = agrees(fg.grad(loss, which), *operands())
    assert f"{names})" in program.text


def test_float32_is_not_rounded():
    xs = operands(dtype="float32")
    assert "mma" not in program_of(lambda *xs: nn.dot_product_attention(*xs), *xs).text


COPIES = """
def kernel(given, out):
    lane = cuda.threadIdx.x
    tiles = cuda.shared.array({size}, uint32)
    copy_16(tiles, 4 * lane, given, 8 * lane, lane < 20)
    {wait}
    cuda.syncthreads()
    a, b, c, d = {how}(tiles, {place})
    out[lane] = a
    out[lane + 32] = d
"""


def fetched(how="fetch_matrices", wait="wait_copies()", place="4 * lane", size=128):
    text = COPIES.format(how=how, wait=wait, place=place, size=size)
    given, out = np.arange(256, dtype=np.uint16), np.zeros(64, np.uint32)
    Emulator(text).launch("kernel", 1, 32, [given, out])
    return np.where(np.arange(256) < 160, given, 0).reshape(4, 8, 8), out.view(np.uint16)


def test_matrices_lie_as_the_manual_says():
    """Lane 4 · row + k has two neighbours of a row; turned over, of a column."""
    for how in ("fetch_matrices", "fetch_turned"):
        matrices, found = fetched(how)
        for out, matrix in zip(found.reshape(2, 64), (matrices[0], matrices[3]), strict=True):
            want = matrix.T if how == "fetch_turned" else matrix
            np.testing.assert_array_equal(out, want.reshape(-1))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"wait": "pass"}, "read where a copy has not been waited for"),
        ({"place": "4 * lane + 1"}, "begins between two boundaries"),
        ({"place": "8 * (lane % 16)"}, "rows of a matrix lie in one bank"),
        ({"size": 124}, "outside of its 124 elements"),
    ],
)
def test_what_a_gpu_leaves_undefined(changed, message):
    with pytest.raises(EmulationError, match=message):
        fetched(**changed)


def test_a_copy_must_be_waited_for():
    text = COPIES.partition("    {wait}")[0].format(size=128)
    with pytest.raises(EmulationError, match="never waited for"):
        Emulator(text).launch("kernel", 1, 32, [np.zeros(256, np.uint16), np.zeros(64, np.uint32)])

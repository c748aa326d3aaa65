"""Every kernel for a GPU gives what NumPy gives, without races, and within bounds."""

import numpy as np
import pytest
from hypothesis import given

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax, nn
from funcgrad.config import config, enable_x64
from funcgrad.kernels.cuda import long_rows, segments

from ... import goldens
from ..drawn import examples, programs
from ..landmarks import LANDMARKS
from .running import both_ways, program_of, traced

TOLERANCE = {"float16": 3e-2, "bfloat16": 5e-2, "float32": 1e-4, "float64": 1e-10}


def f32(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def i32(*shape):
    return np.random.default_rng(3).integers(-50, 50, shape).astype(np.int32)


def agrees(closed, inputs):
    program, want, found = both_ways(closed, inputs)
    for outs in found:
        for got, w in zip(outs, want, strict=True):
            assert got.dtype == w.dtype and got.shape == w.shape
            if w.dtype.kind in "biu":
                np.testing.assert_array_equal(got, w)
            else:
                rate = TOLERANCE[w.dtype.name]
                got, w = (x.astype(np.float64) for x in (got, w))
                np.testing.assert_allclose(got, w, rtol=rate, atol=rate)
    return program


@pytest.mark.parametrize("name", sorted(LANDMARKS))
def test_landmarks(name):
    f, *args = LANDMARKS[name]
    agrees(*traced(f, *args))


def layer_norm_gradients(x, scale, shift):
    def loss(x, scale, shift):
        centred = x - x.mean(-1, keepdims=True)
        spread = lax.rsqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)
        return fnp.sin(centred * spread * scale + shift).sum()

    return fg.grad(loss, argnums=(0, 1, 2))(x, scale, shift)


def batch_norm_gradients(x, scale, other):
    def loss(x, scale):
        centred = x - x.mean((0, 1, 2))
        return (nn.relu(centred * lax.rsqrt(x.var((0, 1, 2)) + 1e-5) * scale) * other).sum()

    return fg.grad(loss, argnums=(0, 1))(x, scale)


# name: kinds of the launches, function, arguments
TABLE = {
    "map of any length": (["map"], lambda x: x * 2 + 1, f32(1003)),
    "map with a broadcast row": (["map"], lambda x, v: fnp.tanh(x + v), f32(33, 72), f32(72)),
    "map of odd rows": (["map"], lambda x, v: x + v, f32(13, 7), f32(7)),
    "transposition": (["tiles"], lambda x: x.T + 1, f32(33, 70)),
    "transposition of matrices": (
        ["tiles"], lambda x, y, v: x.swapaxes(1, 2) * 2 + y.swapaxes(1, 2) + v,
        f32(2, 40, 64), f32(2, 40, 64), f32(40),
    ),
    "transposition beside what lies along": (
        ["tiles"], lambda x, y: x.T - y, f32(50, 70), f32(70, 50)
    ),
    "transposition of few columns": (["map"], lambda x: x.T + 1, f32(5, 70)),
    "branch of elements": (
        ["map"], lambda x, p: lax.cond(p[0] > 0, fnp.sin, lambda x: x * p[1], x + 1) * 2,
        f32(130), f32(2),
    ),
    "branch of eight": (
        ["map"], lambda x, k: lax.switch(k[1] % 8, [fnp.sin, *[fnp.cos, fnp.abs, fnp.exp] * 2,
        lambda x: -x], x), f32(130), i32(2),
    ),
    "slices": (["map"], lambda x: x[3:-2] - x[:-5], f32(130)),
    "concatenation": (["map"], lambda x, y: fnp.concatenate([x, 2 * y]), f32(70), f32(66)),
    "gather": (["map"], lambda x, i: x[i] * 2, f32(50, 12), i32(40)),
    "softmax, a warp a row": (["rows"], nn.softmax, f32(11, 100)),
    "softmax, a block a row": (["rows"], nn.softmax, f32(3, 1500)),
    "softmax of rows that no block can keep": (["rows"], nn.softmax, f32(2, 11000)),
    "gradients of rows that no block can keep": (
        ["rows"], lambda x, y: fg.vjp(nn.softmax, x)[1](y)[0], f32(2, 9000), f32(2, 9000)
    ),
    "log-sum-exp": (["rows"], lambda x: nn.logsumexp(x, axis=-1), f32(9, 200)),
    "layer norm's gradients": (None, layer_norm_gradients, f32(40, 36), f32(36), f32(36)),
    "sum of all": (["chunks", "block"], lambda x: x.sum(), f32(300, 200)),
    "sum and maximum of all": (
        ["chunks", "block"], lambda x: (x.sum(), x.max()), f32(300, 200)
    ),
    "place of the largest of many": (["chunks", "block"], lambda x: fnp.argmax(x), f32(300_001)),
    "softmax of rows longer than are kept twice": (["rows"], nn.softmax, f32(3, 9004)),
    "softmax of two long rows": (["chunks"] * 3, lambda x: nn.softmax(x), f32(2, 200_000)),
    "extremes of a long row of 16-bit floats": (
        ["chunks", "rows"], lambda x: (x.max(1), fnp.argmin(x, 1), x.mean(1)),
        f32(2, 400_004).astype(np.float16),
    ),
    "sum of columns": (["column", "rows"], lambda x: x.sum(0), f32(2000, 40)),
    "sums of many columns": (["column", "map"], lambda x: x.sum(0), f32(700, 8200)),
    "four folds of columns": (
        ["column", "rows"],
        lambda x, y: ((x * y).sum(0), x.max(0), y.prod(0), (x + y).min(0)),
        f32(1900, 7), f32(1900, 7),
    ),
    "folds of columns of two dtypes": (
        None, lambda x, y: (x.sum(0), (x * y).sum(0), (y > 0).all(0)),
        f32(1900, 7).astype(fnp.bfloat16), f32(1900, 7),
    ),
    "batch norm's gradients": (
        None, batch_norm_gradients, f32(9, 6, 7, 5), f32(5), f32(9, 6, 7, 5)
    ),
    "sum of the middle": (["column", "rows"], lambda x: x.sum(1), f32(6, 600, 10)),
    "sums of two axes, one in between": (
        ["column", "map"], lambda x: x.sum((0, 2)), f32(9, 5, 70, 8)
    ),
    "maxima of the middle, and what is made of them": (
        None, lambda x: (x / x.max(1, keepdims=True), x.sum(1)), f32(6, 600, 10)
    ),
    "sum of the middle of bfloat16": (
        None, lambda x: x.sum(1), f32(6, 300, 10).astype(fnp.bfloat16)
    ),
    "softmax along the middle": (None, lambda x: nn.softmax(x, axis=1), f32(6, 300, 10)),
    "argmax of rows": (["rows"], lambda x: fnp.argmax(x, 1), f32(100, 300)),
    "any and all": (None, lambda x: ((x > 0).any(1), (x > 5).all()), f32(50, 60)),
    "cumulative sums": (["column"], lambda x: fnp.cumsum(x, 1), f32(20, 30)),
    "cumulative logsumexp": (["column"], lambda x: lax.cumlogsumexp(x, 1), f32(20, 30)),
    "cumulative sums of long rows": (["scan"], lambda x: fnp.cumsum(x, 1) * 2, f32(3, 600)),
    "cumulative sums of a row by many blocks": (
        ["map", "scan"], lambda x: fnp.cumsum(x), f32(20_000)
    ),
    "cumulative maxima of rows by many blocks": (
        ["map", "scan"], lambda x: lax.cummax(x, axis=1, reverse=True), f32(3, 10_000)
    ),
    "cumulative sums from the end by many blocks": (
        ["map", "scan"], lambda x: lax.cumsum(x * 2, axis=0, reverse=True), f32(20_000)
    ),
    "cumulative sums of odd rows by many blocks": (
        ["map", "scan"], lambda x: fnp.cumsum(x, 1), f32(2, 9_001)
    ),
    "cumulative sums of float64 by many blocks": (
        ["map", "scan"], lambda x: fnp.cumsum(x, 1), f32(2, 7_000).astype(np.float64)
    ),
    "cumulative maxima of bytes by many blocks": (
        ["map", "scan"], lambda x: lax.cummax(x, axis=0), (i32(9_000) % 100).astype(np.int8)
    ),
    "cumulative counts by many blocks": (
        None, lambda x: fnp.cumsum(x > 0) - x, f32(9_001)
    ),
    "cumulative sums of short rows": (["scan"], lambda x: fnp.cumsum(x, 1), f32(5, 66)),
    "cumulative products of bfloat16 by many blocks": (
        None, lambda x: fnp.cumprod(x), 1 + f32(9_000).astype(fnp.bfloat16) / 99
    ),
    "cumulative maxima from the end": (
        ["scan"], lambda x: lax.cummax(x, axis=0, reverse=True), f32(300)
    ),
    "cumulative products of integers": (["scan"], lambda x: fnp.cumprod(x), i32(300) % 3),
    "cumulative sums of columns": (["column"], lambda x: fnp.cumsum(x, 0), f32(100, 30)),
    "scatter of rows": (
        ["map", "column"],
        lambda x, i: x.at[i].add(1.0),
        f32(200, 100),
        np.array([3, 3, 5, 199, 0]),
    ),
    "scatter of elements": (None, lambda x, i: x.at[i].set(i * 1.0), f32(9), i32(30) % 9),
    "scatter of many rows": (
        ["map", "map", "sort", "segments"],
        lambda x, i, u: x.at[i].add(u * 2), f32(200, 100), i32(300) % 37 - 3, f32(300, 100),
    ),
    "scatter of many rows in bfloat16": (
        None, lambda x, i, u: x.at[i].add(u), f32(9, 500).astype(fnp.bfloat16), i32(90) % 11,
        f32(90, 500).astype(fnp.bfloat16),
    ),
    "scatter of pairs of places": (
        None, lambda x, i, j: x.at[i, j].add(1.5), f32(70, 80), i32(300) % 9, i32(300) % 90,
    ),
    "scatter of many elements, the last one stays": (
        None, lambda x, i: x.at[i].set(fnp.arange(400)), i32(5000), i32(400) % 9,
    ),
    "scatter to places that differ": (
        ["map", "map"],
        lambda x, i, u: x.at[i].add(u, unique_indices=True),
        f32(5000), np.random.default_rng(5).permutation(5000)[:800], f32(800),
    ),
    "integers": (["map"], lambda x: (x // 7, x % 5, -x, abs(x), x << 3), i32(100)),
    "random bits": (["map"], lambda k: fg.random.bits(k, (100,)), fg.random.key(0)),
    "complex": (None, lambda x: (x * 1j + 2).real ** 2, f32(100)),
    "bfloat16": (["map"], lambda x: fnp.sin(x) * x, f32(100).astype(fnp.bfloat16)),
    "bytes": (["map"], lambda x: x > 0, i32(100).astype(np.int8)),
    "nothing": (["map"], lambda x: x + 1, f32(0)),
    "sum of nothing": (None, lambda x: x.sum(0), f32(0, 5)),
    "sort": (["sort"], lambda x: fnp.sort(x), f32(5, 100)),
    "sort of columns": (["sort"], lambda x: fnp.sort(x, 0), f32(33, 7)),
    "places of sorted rows": (None, lambda x: fnp.argsort(x // 9), i32(3, 70)),
    "sort by two keys": (
        ["sort"], lambda x, y, z: lax.sort((x, y, z), num_keys=2), i32(300) % 3, i32(300) % 5,
        f32(300),
    ),
    "sort with what is no number": (
        ["map", "sort"], lambda x: lax.sort((x, fnp.arange(40))),
        np.where(i32(40) > 25, np.nan, f32(40)),
    ),
    "sort of bfloat16": (["sort"], lambda x: fnp.sort(x), f32(70).astype(fnp.bfloat16)),
    "sort of long rows": (
        ["sort"] * 3, lambda x: fnp.sort(x), f32(2, 5000)
    ),
    "places of long sorted columns": (
        None, lambda x: fnp.argsort(x, 0, stable=True), i32(3000, 2)
    ),
    "top": (["sort"], lambda x: lax.top_k(x, 5), f32(6, 70)),
    "top of integers": (["sort"], lambda x: lax.top_k(x, 3), i32(6, 70).astype(np.int8)),
    "top of float16": (["sort"], lambda x: lax.top_k(x, 3), f32(6, 70).astype(np.float16)),
    "top of long rows": (None, lambda x: lax.top_k(x, 7), f32(2, 2100)),
    "product": (["product"], lambda x, y: x @ y, f32(70, 50), f32(50, 90)),
    "product, both transposed": (
        ["product"], lambda x, y: x.T @ y.T, f32(50, 70), f32(90, 50)
    ),
    "product of its own": (["product"], lambda x: x @ x.T, f32(45, 33)),
    "product of parts": (
        ["product"], lambda x, y: x[3:, 5:40] @ y[:35, 2:], f32(70, 50), f32(50, 90)
    ),
    "product, long": (["product", "parts"], lambda x, y: x.T @ y, f32(1100, 20), f32(1100, 40)),
    "products of a batch": (
        ["product", "map"], lambda x, y: fnp.einsum("abij,bjk->abik", x, y), f32(2, 3, 20, 17),
        f32(3, 17, 18),
    ),
    "products of a batch, long": (
        None, lambda x, y: fnp.einsum("aji,ajk->aki", x, y), f32(2, 600, 20),
        f32(2, 600, 18),
    ),
    "product of bfloat16": (
        ["product"], lambda x, y: x @ y, f32(40, 50).astype(fnp.bfloat16),
        f32(50, 30).astype(fnp.bfloat16),
    ),
    "product of float16, summed as float32": (
        ["product", "parts"],
        lambda x, y: lax.dot(x, y, preferred_element_type=np.float32),
        f32(20, 600).astype(np.float16), f32(600, 40).astype(np.float16),
    ),
    "product of large tiles": (["product"], lambda x, y: x @ y, f32(1500, 9), f32(9, 1450)),
    "product and what follows": (
        ["product", "map"], lambda x, w, b: fnp.tanh(x @ w + b), f32(40, 30), f32(30, 64), f32(64)
    ),
    "two orders of the same rows": (
        None, lambda x: (x.sum(1, keepdims=True) * x).sum(0), f32(300, 40)
    ),
}  # fmt: skip


SHOWN = (
    "scatter of many rows",
    "transposition",
    "sum of all",
    "place of the largest of many",
    "softmax of two long rows",
    "sum of columns",
    "cumulative sums of long rows",
    "cumulative sums of a row by many blocks",
    "bfloat16",
)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_table(name):
    kinds, f, *args = TABLE[name]
    program = agrees(*traced(f, *args))
    if kinds is not None:
        assert [k.launch.kind for k in program.kernels] == kinds


@pytest.mark.parametrize(
    ("f", "rest"),
    [
        (nn.softmax, ()),
        (nn.log_softmax, ()),
        (lambda x, y: fg.vjp(nn.softmax, x)[1](y)[0], (f32(3, 65536),)),
        (lambda x, y: fg.vjp(nn.log_softmax, x)[1](y)[0], (f32(3, 65536),)),
        (lambda x, v: (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True) * v, (f32(65536),)),
    ],
)
def test_long_rows_keep_nothing_in_memory(f, rest, monkeypatch):
    monkeypatch.setattr(long_rows, "GAIN", 0)
    program = program_of(f, f32(3, 65536), *rest)
    ends = {*program.block.inputs, *map(program.block.root, program.block.outputs)}
    assert len(program.kernels) == 1
    assert {*map(program.block.root, program.kernels[0].params)} <= ends


def atomically(f, *args):
    before = config.read("gpu_scatter_atomics")
    config.update("gpu_scatter_atomics", True)
    try:
        return agrees(*traced(f, *args))
    finally:
        config.update("gpu_scatter_atomics", before)


@pytest.mark.parametrize(
    ("op", "dtype", "kind"),
    [
        ("add", "float32", "atomics"),
        ("add", "int32", "atomics"),
        ("max", "int32", "atomics"),
        ("min", "uint32", "atomics"),
        ("max", "float32", "segments"),
        ("add", "float16", "segments"),
        ("set", "float32", "segments"),
    ],
)
def test_atomics_are_used_where_asked_for_and_where_there_are_such(op, dtype, kind):
    x, i, u = f32(700, 9), i32(100) % 40, f32(100, 9)
    x, u = ((20 * a).astype(dtype) for a in (abs(x), abs(u)))
    program = atomically(lambda x, i, u: getattr(x.at[i], op)(u), x, i, u)
    assert program.kernels[-1].launch.kind == kind
    assert ("atomic operations" in program.explain("f")) == (kind == "atomics")
    assert f"atomic_{op}_{dtype}" in program.text or kind == "segments"


@pytest.mark.parametrize(
    ("f", "shapes"),
    [
        (lambda x, i, u: x.at[i].add(u), ((5000,), (700,))),
        (lambda x, i, u: x.at[:, i].max(u), ((2, 2500), (2, 300))),
        (lambda x, i, u: x.at[i].mul(u), ((70, 80), (130, 80))),
    ],
)
def test_long_segments_go_in_pieces(f, shapes, monkeypatch):
    monkeypatch.setattr(segments, "PIECE", 64)
    shape, given = shapes
    program = agrees(
        *traced(
            f,
            f32(*shape),
            i32(given[0] if len(shape) < 2 or shape[0] > 2 else given[1]) % 3,
            f32(*given),
        )
    )
    assert [k.launch.kind for k in program.kernels][-2:] == ["pieces", "segments"]


def test_a_sum_by_segments_does_not_depend_on_the_order_of_lanes():
    """Up to the next piece updates of a place are added one after the other, as they are given."""
    i, u = i32(900) % 7, f32(900)
    want = np.zeros(4200, np.float32)
    for place, update in zip(i, u, strict=True):
        want[place] += update
    closed, inputs = traced(lambda x, i, u: x.at[i].add(u), np.zeros(4200, np.float32), i, u)
    _, _, found = both_ways(closed, inputs)
    assert all(np.array_equal(got[0], want) for got in found)


def test_sources_are_as_before(request):
    sections = {name: program_of(f, *args).text for name, (f, *args) in LANDMARKS.items()}
    sections |= {f"table: {name}": program_of(*TABLE[name][1:]).text for name in SHOWN}
    goldens.check("cuda.txt", sections, request.config.getoption("--golden") == "update")


def test_explain_names_what_has_no_kernel():
    lowered = fg.jit(lambda x: fnp.sin(lax.linalg.schur(x)[0])).lower(f32(70, 70))
    page = lowered.explain(target="sm_90")
    assert page.startswith("<lambda> for sm_90 on a GPU: 1 kernel, 1 refused")
    assert "not on the GPU yet: it is no loop over elements" in page
    assert "test_emulated.py" in page.splitlines()[-1]
    assert str(lowered.cuda).count("@kernel") == 1


@pytest.mark.parametrize("dtype", ["float64", "int64", "uint64", "float16"])
def test_other_dtypes(dtype):
    with enable_x64():
        x = (np.arange(1, 201) % 7).astype(dtype).reshape(10, 20)
        agrees(*traced(lambda x: (x * x, x.sum(1), x.max(), x.min(0)), x))


def test_a_kernel_of_whose_results_nobody_reads_any_is_left_out():
    def first(x):
        return fnp.argmax(fnp.cumprod(1 + fnp.tanh(x), 0), 1)

    x = np.ones((2, 1), np.float32)
    assert len(agrees(*traced(first, x)).kernels) == 1
    assert len(fg.jit(first).lower(x).stages.block.steps) == 1


@examples(25)
@given(programs("EXACT"))
def test_exact_random_programs(program):
    inputs = program.inputs()
    with enable_x64():
        closed, flat = traced(program, *inputs)
        found = both_ways(closed, flat)
    if found is None:
        return
    for outs in found[2]:
        for got, want in zip(outs, found[1], strict=True):
            assert np.array_equal(got, want, equal_nan=want.dtype.kind == "f"), (got, want)


@examples(25)
@given(programs("SMOOTH", 6))
def test_smooth_random_programs(program):
    inputs = program.inputs()
    with enable_x64():
        closed, flat = traced(program, *inputs)
        found = both_ways(closed, flat)
    if found is None:
        return
    for outs in found[2]:
        for got, want in zip(outs, found[1], strict=True):
            rate = TOLERANCE[want.dtype.name]
            got, want = (x.astype(np.float64) for x in (got, want))
            np.testing.assert_allclose(got, want, rtol=rate, atol=rate)

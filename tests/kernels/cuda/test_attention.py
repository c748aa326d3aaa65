"""Attention on a GPU is one kernel, its gradient three, for all that attention can be asked."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn
from funcgrad.control.jit import simplified

from .running import both_ways, program_of, traced
from .test_emulated import agrees

DRAWN = np.random.default_rng(7)


def drawn(*shape, dtype=np.float32):
    return DRAWN.normal(size=shape).astype(dtype)


def operands(rows=70, columns=90, heads=2, shared=2, width=12, values=12, dtype=np.float32):
    return (
        drawn(2, rows, heads, width, dtype=dtype),
        drawn(2, columns, shared, width, dtype=dtype),
        drawn(2, columns, shared, values, dtype=dtype),
    )


MASK = DRAWN.random((2, 1, 70, 90)) > 0.4
MASK[1, 0, 3] = False
LENGTHS = {
    "query_seq_lengths": np.array([70, 13], np.int32),
    "key_value_seq_lengths": np.array([5, 90], np.int32),
}
# name: options of the attention, and of its operands
CASES = {
    "all pairs": ({}, {}),
    "causal": ({"is_causal": True}, {}),
    "causal, more queries than keys": ({"is_causal": True}, {"rows": 130, "columns": 64}),
    "heads that share keys": ({"is_causal": True}, {"heads": 4}),
    "a mask, and a query that sees nothing": ({"mask": MASK}, {}),
    "lengths": (LENGTHS, {}),
    "window": ({"local_window_size": (9, 30)}, {}),
    "bias": ({"bias": drawn(1, 2, 70, 90), "is_causal": True}, {}),
    "wide heads": ({"scale": 0.3}, {"width": 33, "values": 128, "rows": 20, "columns": 30}),
    "bfloat16": ({"is_causal": True}, {"dtype": fnp.bfloat16}),
    "float16": ({}, {"dtype": np.float16, "rows": 64, "columns": 128, "width": 16, "values": 16}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name):
    options, sizes = CASES[name]
    xs = operands(**sizes)

    def attend(*xs):
        return nn.dot_product_attention(*xs, **options)

    program = agrees(*traced(attend, *xs))
    kinds = [k.launch.kind for k in program.kernels]
    assert kinds.count("attention") == 1 and "product" not in kinds and "rows" not in kinds

    def loss(*xs):
        return fnp.sin(attend(*xs).astype(np.float32)).sum()

    program = agrees(*traced(lambda *xs: fg.grad(loss, (0, 1, 2))(*xs), *xs))
    kinds = [k.launch.kind for k in program.kernels]
    assert kinds.count("attention") == 4 and "product" not in kinds


@pytest.mark.parametrize("which", [(0,), (1,), (2,), (0, 2)])
def test_gradients_of_some_operands(which):
    xs = operands(rows=20, columns=30)

    def loss(*xs):
        return fnp.sin(nn.dot_product_attention(*xs)).sum()

    agrees(*traced(lambda *xs: fg.grad(loss, which)(*xs), *xs))


@pytest.mark.parametrize("dtype", [np.float32, fnp.bfloat16])
def test_nothing_is_transposed_or_copied_around_it(dtype):
    """Products, attention, and the slopes of the loss: no other kernel moves a head."""
    x = np.ones((2, 64, 64), dtype)
    weights = [np.ones((64, n), dtype) for n in (64, 32, 32, 64)]

    def layer(weights, x):
        shapes = zip(weights[:3], (4, 2, 2), strict=True)
        q, k, v = ((x @ w).reshape(2, 64, heads, 16) for w, heads in shapes)
        y = nn.dot_product_attention(q, k, v, is_causal=True)
        return y.reshape(x.shape) @ weights[3]

    def loss(weights, x):
        return fnp.sin(layer(weights, x).astype(np.float32)).sum()

    kinds = [k.launch.kind for k in program_of(layer, weights, x).kernels]
    assert kinds == [*["product"] * 3, "attention", "product"]
    kinds = [k.launch.kind for k in program_of(fg.grad(loss), weights, x).kernels]
    assert kinds.count("attention") == 4 and kinds.count("map") == 1
    assert {*kinds} == {"product", "attention", "map"}


def test_a_batch_of_attentions_is_one():
    q, k, v = (drawn(3, *x.shape) for x in operands(rows=20, columns=30))

    def loss(q, k, v, mask):
        return fnp.sin(nn.dot_product_attention(q, k, v, mask=mask)).sum()

    mask = DRAWN.random((2, 1, 20, 30)) > 0.3
    f = fg.vmap(fg.grad(loss, (0, 1, 2)), in_axes=(0, 0, None, None))
    program = agrees(*traced(f, q, k, v[0], mask))
    assert [k.launch.kind for k in program.kernels].count("attention") == 4


def test_long_sequences_are_one_kernel_too(monkeypatch):
    """What the CPU does tile by tile, in loops."""
    monkeypatch.setattr(nn.attention, "TILE", 64)
    xs = operands(rows=70, columns=66, heads=1, shared=1)

    def loss(*xs):
        return fnp.sin(nn.dot_product_attention(*xs, is_causal=True)).sum()

    closed, inputs = traced(fg.value_and_grad(loss, (0, 1, 2)), *xs)
    program, want, found = both_ways(closed, inputs)
    assert [k.launch.kind for k in program.kernels].count("attention") == 4
    for outs in found:
        for got, w in zip(outs, want, strict=True):
            np.testing.assert_allclose(got, w, 1e-4, 1e-4)


def test_extreme_scores():
    q, k, v = operands(rows=3, columns=70, heads=1, shared=1)
    bias = np.zeros((2, 1, 3, 70), np.float32)
    bias[0, 0, 0, :65] = -np.inf
    bias[0, 0, 1, 66] = np.inf
    bias[1, 0, 2] = -np.inf
    bias[1, 0, 0] = np.finfo(np.float32).min

    def f(*xs):
        return nn.dot_product_attention(*xs, bias=bias)

    agrees(*traced(f, q, 1e3 * k, v))


@pytest.mark.parametrize("what", ["dropout", "float64", "wide"])
def test_what_has_no_kernel_of_the_whole_is_done_step_by_step(what):
    xs = operands(rows=20, columns=30, width=300 if what == "wide" else 12)
    options = {}
    if what == "dropout":
        options = {"dropout_rate": 0.5, "dropout_key": fg.random.key(3)}
    if what == "float64":
        with fg.enable_x64(True):
            xs = tuple(x.astype(np.float64) for x in xs)
            program = agrees(*traced(lambda *xs: nn.dot_product_attention(*xs, **options), *xs))
    else:
        program = agrees(*traced(lambda *xs: nn.dot_product_attention(*xs, **options), *xs))
    assert "attention" not in [k.launch.kind for k in program.kernels]


def test_higher_derivatives_are_done_step_by_step():
    xs = operands(rows=5, columns=6, heads=1, shared=1)

    def loss(*xs):
        return fnp.sin(nn.dot_product_attention(*xs)).sum()

    def curvature(q, k, v):
        return fg.jvp(fg.grad(loss), (q, k, v), (q, k, v))[1]

    agrees(*traced(curvature, *xs))


def test_explain_says_what_is_one_kernel():
    xs = operands()
    page = program_of(lambda *xs: nn.dot_product_attention(*xs, is_causal=True), *xs).explain("f")
    assert "2 × 2 heads, 70 queries of 12, 90 keys, values of 12, causal" in page
    assert "a block of 256 threads has 64 queries, and goes through the keys" in page


def test_the_cpu_shares_the_scores_of_both_passes():
    """There the program is the one of all scores, and the backward pass makes none again."""
    xs = operands()

    def loss(*xs):
        return fnp.sin(nn.dot_product_attention(*xs)).sum()

    text = str(simplified(fg.make_jaxpr(fg.grad(loss, (0, 1, 2)))(*xs)))
    assert text.count("= dot_general") == 6 and text.count("= exp") == 1
    assert "fused" not in text


def of_one_product(heads, shared, width, order):
    """A layer whose queries, keys and values are parts of one product, in some order of axes."""

    def split(p, n, t):
        ends = np.cumsum([heads * width, shared * width])
        parts = fnp.split(p, [int(e) for e in ends], -1)
        return [x.reshape(n, t, -1, width) for x in parts]

    def parts_of_heads(p, n, t):
        p = p.reshape(n, t, 3, heads, width)
        return [p[:, :, k] for k in range(3)]

    def in_heads(p, n, t):
        p = p.reshape(n, t, heads, 3, width)
        return [p[:, :, :, k] for k in range(3)]

    cut = {"split": split, "parts of heads": parts_of_heads, "in heads": in_heads}[order]

    def loss(x, w, b):
        q, k, v = cut(x @ w + b, *x.shape[:2])
        y = nn.dot_product_attention(q, k, v, is_causal=True)
        return fnp.sin(y.astype(np.float32)).sum()

    return loss


PACKED = {
    "side by side": (2, 2, 16, "split"),
    "heads that share keys": (4, 2, 8, "split"),
    "one axis for three": (2, 2, 16, "parts of heads"),
    "inside of heads": (2, 2, 16, "in heads"),
    "of an odd width": (2, 1, 17, "split"),
    "of a width of 12": (2, 2, 12, "parts of heads"),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float16, fnp.bfloat16])
@pytest.mark.parametrize("name", PACKED)
def test_parts_of_one_product_are_read_and_written_where_they_lie(name, dtype):
    heads, shared, width, order = PACKED[name]
    columns = (heads + 2 * shared) * width
    x, w, b = ((drawn(*s) / 4).astype(dtype) for s in ((2, 21, 24), (24, columns), (columns,)))
    loss = of_one_product(heads, shared, width, order)
    program = agrees(*traced(fg.grad(loss, (0, 1, 2)), x, w, b))
    attending = [k for k in program.kernels if k.launch.kind == "attention"]
    forward, _, queries, keys = attending
    assert len({*forward.params[:3]}) == len({*queries.params[:3]}) == 1
    assert queries.params[-1] is keys.params[-1] is keys.params[-2]
    (source,) = {*forward.params[:3]}
    assert source.size == 2 * 21 * columns == keys.params[-1].size
    # What makes the bias, the loss's slope, and a bias's cotangent: nothing that copies.
    others = [k.launch.kernel for k in program.kernels if hasattr(k.launch, "kernel")]
    assert not any(k.copies for k in others)


def test_parts_of_few_bytes_are_copied():
    x, w, b = drawn(1, 16, 8), drawn(8, 36), drawn(36)
    program = agrees(*traced(of_one_product(3, 3, 4, "in heads"), x, w, b))
    (forward,) = [k for k in program.kernels if k.launch.kind == "attention"]
    assert len({*forward.params[:3]}) == 3


def test_parts_that_others_read_too_are_written_apart():
    x, w = drawn(2, 21, 24), drawn(24, 96)

    def loss(x, w):
        p = (x @ w).reshape(2, 21, 3, 2, 16)
        q, k, v = (p[:, :, i] for i in range(3))
        return fnp.sin(nn.dot_product_attention(q, fnp.tanh(k), v)).sum()

    program = agrees(*traced(fg.grad(loss, (0, 1)), x, w))
    *_, queries, keys = [k for k in program.kernels if k.launch.kind == "attention"]
    assert queries.params[-1] is not keys.params[-1]


def test_one_head_of_keys_for_all_is_no_copy():
    q, k = drawn(2, 20, 4, 16), drawn(2, 30, 1, 16)

    def f(q, k):
        wide = fnp.broadcast_to(k, (2, 30, 4, 16))
        return nn.dot_product_attention(q, wide, wide)

    program = agrees(*traced(f, q, k))
    assert [kernel.launch.kind for kernel in program.kernels] == ["attention"]

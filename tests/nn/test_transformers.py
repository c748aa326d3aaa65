"""Blocks of Transformers: PyTorch's, step by step, stacked, derivatives, errors."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn, random
from funcgrad.test_util import check_grads

rng = np.random.default_rng(0)
key = random.key(0)
B, T, S, D, N, HIDDEN = 2, 6, 5, 8, 4, 12
x = rng.normal(size=(B, T, D))
memory = rng.normal(size=(B, S, D))
lengths = np.array([4, 6])


@pytest.fixture(autouse=True)
def float64():
    with fg.enable_x64(True):
        yield


def made(layer, at=x):
    """Params drawn in float64, and the state."""
    params, state = layer.init(key, at)
    draw = np.random.default_rng(1)
    return fg.tree.map(lambda p: np.asarray(draw.normal(0, 0.4, p.shape)), params), state


BLOCKS = {
    "encoder": (nn.encoder_block(N, HIDDEN), x),
    "encoder, norm last": (nn.encoder_block(N, HIDDEN, norm_first=False, activation=nn.relu), x),
    "encoder with a mask": (nn.encoder_block(N, HIDDEN), (x, nn.padding_mask(lengths, T))),
    "decoder": (nn.decoder_block(N, HIDDEN), x),
    "decoder of today": (
        nn.decoder_block(
            N,
            HIDDEN,
            norm=nn.rms_norm(),
            net=nn.gated_feed_forward(HIDDEN),
            key_heads=2,
            rotary=100.0,
            bias=False,
        ),
        x,
    ),
    "decoder with a memory": (nn.decoder_block(N, HIDDEN, cross=True), (x, memory)),
    "net": (nn.feed_forward(HIDDEN), x),
    "gated net": (nn.gated_feed_forward(HIDDEN, bias=True), x),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_derivatives(name):
    block, given = BLOCKS[name]
    params, state = made(block, given)

    def f(params, x):
        whole = (x, *given[1:]) if isinstance(given, tuple) else x
        y, new = block.apply(params, state, whole)
        assert fg.tree.structure(new) == fg.tree.structure(state)
        return y[0] if isinstance(given, tuple) else y

    y = f(params, x)
    assert y.shape == x.shape
    np.testing.assert_allclose(fg.jit(f)(params, x), y, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(
        fg.vmap(f, (None, 0))(params, np.stack([x, x]))[1], y, rtol=1e-8, atol=1e-12
    )
    check_grads(f, (params, x), 1, ("rev",), eps=1e-6)


def dense_of(layer):
    return {"weight": layer.weight.detach().numpy().T, "bias": layer.bias.detach().numpy()}


def norm_of(layer):
    return {"scale": layer.weight.detach().numpy(), "shift": layer.bias.detach().numpy()}


def attention_of(layer):
    weights = np.split(layer.in_proj_weight.detach().numpy(), 3)
    biases = np.split(layer.in_proj_bias.detach().numpy(), 3)
    maps = {
        step: {"weight": w.T, "bias": b}
        for step, w, b in zip(("query", "key", "value"), weights, biases, strict=True)
    }
    return {**maps, "out": dense_of(layer.out_proj)}


def step_of(norm, layer):
    return {"norm": norm_of(norm), "layer": layer, "dropout": ()}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_as_torch(kind, norm_first, masked):
    torch = pytest.importorskip("torch", reason="a comparison needs the peer: funcgrad[bench]")
    make = {
        "encoder": torch.nn.TransformerEncoderLayer,
        "decoder": torch.nn.TransformerDecoderLayer,
    }[kind]
    theirs = make(D, N, HIDDEN, 0.0, batch_first=True, norm_first=norm_first, dtype=torch.float64)
    with torch.no_grad():
        for p in theirs.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.4, p.shape)))
    net = [dense_of(theirs.linear1), (), dense_of(theirs.linear2)]
    params = {"attention": step_of(theirs.norm1, attention_of(theirs.self_attn))}
    seen, m = (torch.from_numpy(v).requires_grad_() for v in (x, memory))
    padded = torch.from_numpy(np.arange(S) >= np.array([3, 5])[:, None])
    options = {"norm_first": norm_first, "activation": nn.relu}
    if kind == "encoder":
        params["net"] = step_of(theirs.norm2, net)
        block, given = nn.encoder_block(N, HIDDEN, **options), x
        extra = {}
        if masked:
            given = (x, nn.padding_mask(lengths, T))
            extra = {"src_key_padding_mask": torch.from_numpy(np.arange(T) >= lengths[:, None])}
        want = theirs(seen, **extra)
    else:
        params["cross"] = step_of(theirs.norm2, attention_of(theirs.multihead_attn))
        params["net"] = step_of(theirs.norm3, net)
        block, given = nn.decoder_block(N, HIDDEN, cross=True, **options), (x, memory)
        future = torch.triu(torch.ones(T, T, dtype=torch.bool), 1)
        extra = {}
        if masked:
            given = (x, memory, None, nn.padding_mask(np.array([3, 5]), S))
            extra = {"memory_key_padding_mask": padded}
        want = theirs(seen, m, tgt_mask=future, **extra)
    _, state = block.init(key, given)
    weights = rng.normal(size=x.shape)
    (want * torch.from_numpy(weights)).sum().backward()

    def loss(params, x):
        y, _ = block.apply(params, state, (x, *given[1:]) if isinstance(given, tuple) else x)
        y = y[0] if isinstance(y, tuple) else y
        return fnp.sum(y * weights), y

    (of_params, of_x), found = fg.grad(loss, (0, 1), has_aux=True)(params, x)
    np.testing.assert_allclose(found, want.detach().numpy(), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(of_x, seen.grad.numpy(), rtol=1e-7, atol=1e-9)
    slope = of_params["net"]["layer"][0]["weight"].T
    np.testing.assert_allclose(slope, theirs.linear1.weight.grad.numpy(), rtol=1e-7, atol=1e-9)
    slope = of_params["attention"]["norm"]["scale"]
    np.testing.assert_allclose(slope, theirs.norm1.weight.grad.numpy(), rtol=1e-7, atol=1e-9)


def decoder(cache=None):
    """A small language model; with a cache, one that goes part by part."""
    return nn.serial(
        nn.dense(D),
        nn.learned_positions(T, cache=cache is not None),
        nn.repeat(nn.decoder_block(N, HIDDEN, cache=cache), 3),
        nn.layer_norm(),
        nn.dense(7),
    )


def test_a_network_part_by_part():
    params, state = made(decoder())
    want, _ = decoder().apply(params, state, x)
    _, state = decoder(cache=T).init(key, x)
    step = fg.jit(decoder(cache=T).apply)
    ys = []
    for t in range(T):
        y, state = step(params, state, x[:, t : t + 1])
        ys.append(y)
    np.testing.assert_allclose(np.concatenate(ys, 1), want, rtol=1e-8, atol=1e-10)


def test_causal_blocks_do_not_look_ahead():
    params, state = made(decoder())
    changed = x.copy()
    changed[:, 4:] += 1
    a, b = (decoder().apply(params, state, v)[0] for v in (x, changed))
    np.testing.assert_array_equal(a[:, :4], b[:, :4])
    assert not np.allclose(a[:, 4:], b[:, 4:])


def test_padding_does_not_count():
    net = nn.repeat(nn.encoder_block(N, HIDDEN), 2)
    mask = nn.padding_mask(lengths, T)
    params, state = made(net, (x, mask))
    (y, same), _ = net.apply(params, state, (x, mask))
    np.testing.assert_array_equal(same, mask)
    alone, _ = net.apply(params, state, (x[:1, :4], mask[:1, ..., :4]))
    np.testing.assert_allclose(y[0, :4], alone[0][0], rtol=1e-8)


@pytest.mark.parametrize("gated", [False, True])
def test_dropout(gated):
    net = nn.gated_feed_forward(HIDDEN, dropout=0.5) if gated else None
    block = nn.encoder_block(N, HIDDEN, dropout=0.5, net=net)
    params, state = made(block)
    still, same = block.apply(params, state, x)
    assert fg.tree.structure(same) == fg.tree.structure(state)
    first, new = block.apply(params, state, x, train=True)
    again, _ = block.apply(params, state, x, train=True)
    second, _ = block.apply(params, new, x, train=True)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, second)
    assert not np.allclose(first, still)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: nn.serial(nn.encoder_block(3, 8)).init(key, x),
            r"^serial\[0\]\.encoder_block\.attention\.layer\.multi_head_attention: .*3 does not",
        ),
        (
            lambda: nn.decoder_block(N, 8, cross=True).init(key, x),
            r"decoder_block with cross attention got f64\[2,6,8\] and no memory",
        ),
        (
            lambda: nn.encoder_block(N, 8).init(key, (x, None, memory)),
            r"encoder_block takes \(x, mask\)",
        ),
        (
            lambda: nn.encoder_block(N, 8).apply({}, {}, x),
            r"params with the entries \['attention', 'net'\]",
        ),
    ],
)
def test_errors(call, text):
    with pytest.raises(ValueError, match=text) as caught:
        call()
    assert "test_transformers.py" in str(caught.value)

"""Multi-head attention and positions: by hand, PyTorch, step by step, derivatives, errors."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn, random
from funcgrad.test_util import check_grads

rng = np.random.default_rng(0)
key = random.key(0)
B, T, S, D, N = 2, 6, 5, 8, 4
x = rng.normal(size=(B, T, D))
memory = rng.normal(size=(B, S, 7))
lengths = np.array([4, 6])


@pytest.fixture(autouse=True)
def float64():
    with fg.enable_x64(True):
        yield


def made(layer, at=x):
    """Params away from zero, in float64, and the state."""
    params, state = layer.init(key, at)
    draw = np.random.default_rng(1)
    return fg.tree.map(lambda p: np.asarray(draw.normal(0, 0.4, p.shape)), params), state


LAYERS = {
    "plain": nn.multi_head_attention(N),
    "grouped": nn.multi_head_attention(N, key_heads=2, bias=False),
    "causal": nn.multi_head_attention(N, causal=True, head_features=3),
    "rotary": nn.multi_head_attention(2, causal=True, rotary=100.0, window=2),
}


@pytest.mark.parametrize("name", LAYERS)
def test_derivatives(name):
    layer = LAYERS[name]
    params, state = made(layer)
    f = lambda p, x: layer.apply(p, state, x)[0]  # noqa: E731
    assert f(params, x).shape == x.shape
    np.testing.assert_allclose(fg.jit(f)(params, x), f(params, x), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(
        fg.vmap(f, (None, 0))(params, x[:, None])[:, 0], f(params, x), rtol=1e-8, atol=1e-12
    )
    check_grads(f, (params, x), 1, ("rev",), eps=1e-6)


def test_attention_dropout():
    layer = nn.multi_head_attention(N, attention_dropout=0.5)
    plain = nn.multi_head_attention(N)
    params, state = made(layer)
    assert list(state) == ["dropout"]
    fg.tree.map(np.testing.assert_array_equal, layer.init(key, x)[0], plain.init(key, x)[0])
    want, _ = plain.apply(params, (), x)
    y, same = layer.apply(params, state, x)
    np.testing.assert_array_equal(y, want)
    assert same is state
    first, after = layer.apply(params, state, x, train=True)
    again, _ = layer.apply(params, state, x, train=True)
    second, _ = layer.apply(params, after, x, train=True)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - want).max() > 0.1
    assert np.abs(first - second).max() > 0.1
    # What comes out is that of all weights on average.
    draws = fg.jit(fg.vmap(lambda k: layer.apply(params, {"dropout": k}, x, train=True)[0]))
    mean = draws(fg.random.split(key, 2000)).mean(0)
    np.testing.assert_allclose(mean, want, atol=0.15)
    check_grads(lambda p: layer.apply(p, state, x, train=True)[0], (params,), 1, ("rev",), eps=1e-6)


def test_attention_dropout_beside_a_cache():
    layer = nn.decoder_block(N, 8, attention_dropout=0.5, cache=T)
    params, state = layer.init(key, x)
    _, after = layer.apply(params, state, x, train=True)
    assert set(after["attention"]["layer"]) == {"dropout", "key", "value", "length"}
    assert int(after["attention"]["layer"]["length"]) == T


def test_cross_attention():
    layer = nn.multi_head_attention(N)
    params, state = made(layer, (x, memory))
    mask = nn.padding_mask(np.array([5, 3]), S)
    y, _ = layer.apply(params, state, (x, memory, mask))
    alone, _ = layer.apply(params, state, (x[1:], memory[1:, :3]))
    np.testing.assert_allclose(y[1], alone[0], rtol=1e-8)
    check_grads(
        lambda p, x, m: layer.apply(p, state, (x, m, mask))[0],
        (params, x, memory),
        1,
        ("rev",),
        eps=1e-6,
    )


@pytest.mark.parametrize("form", ["plain", "causal", "padding", "cross"])
def test_as_torch(form):
    torch = pytest.importorskip("torch", reason="a comparison needs the peer: funcgrad[bench]")
    cross = form == "cross"
    size = 7 if cross else D
    theirs = torch.nn.MultiheadAttention(
        D, N, batch_first=True, kdim=size, vdim=size, dtype=torch.float64
    )
    ours = nn.multi_head_attention(N, causal=form == "causal")
    with torch.no_grad():
        for p in theirs.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.4, p.shape)))
    given = {n: p.detach().numpy() for n, p in theirs.named_parameters()}
    if cross:
        w = [given[f"{n}_proj_weight"] for n in "qkv"]
    else:
        w = np.split(given["in_proj_weight"], 3)
    b = np.split(given["in_proj_bias"], 3)
    params = {
        step: {"weight": w[i].T, "bias": b[i]} for i, step in enumerate(("query", "key", "value"))
    }
    params["out"] = {"weight": given["out_proj.weight"].T, "bias": given["out_proj.bias"]}
    seen = memory if cross else x
    a, m = (torch.from_numpy(v).requires_grad_() for v in (x, seen))
    options = {}
    mask = None
    if form == "causal":
        options["attn_mask"] = torch.triu(torch.ones(T, T, dtype=torch.bool), 1)
    if form == "padding":
        options["key_padding_mask"] = torch.from_numpy(np.arange(T) >= lengths[:, None])
        mask = nn.padding_mask(lengths, T)
    want, _ = theirs(a, m, m, need_weights=False, **options)
    weights = rng.normal(size=want.shape)
    (want * torch.from_numpy(weights)).sum().backward()

    def loss(params, x, m):
        y, _ = ours.apply(params, (), (x, m, mask))
        return fnp.sum(y * weights), y

    (of_params, of_x, of_m), found = fg.grad(loss, (0, 1, 2), has_aux=True)(params, x, seen)
    np.testing.assert_allclose(found, want.detach().numpy(), rtol=1e-8)
    np.testing.assert_allclose(of_x, a.grad.numpy(), rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(of_m, m.grad.numpy(), rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(
        of_params["out"]["weight"].T, theirs.out_proj.weight.grad.numpy(), rtol=1e-7, atol=1e-10
    )
    np.testing.assert_allclose(
        np.concatenate([of_params[n]["bias"] for n in ("query", "key", "value")]),
        theirs.in_proj_bias.grad.numpy(),
        rtol=1e-7,
        atol=1e-10,
    )


OPTIONS = {
    "plain": {},
    "grouped": {"key_heads": 2},
    "rotary": {"rotary": 100.0},
    "window": {"window": 2, "rotary": 10.0},
}


@pytest.mark.parametrize("parts", [(1,) * T, (T,), (3, 1, 2)])
@pytest.mark.parametrize("name", OPTIONS)
def test_part_by_part_is_the_whole(name, parts):
    whole = nn.multi_head_attention(N, causal=True, **OPTIONS[name])
    layer = nn.multi_head_attention(N, cache=9, **OPTIONS[name])
    params, _ = made(whole)
    want, _ = whole.apply(params, (), x)
    _, state = layer.init(key, x)
    step = fg.jit(layer.apply)
    ys, at = [], 0
    for size in parts:
        y, state = step(params, state, x[:, at : at + size])
        ys.append(y)
        at += size
    np.testing.assert_allclose(np.concatenate(ys, 1), want, rtol=1e-8, atol=1e-12)
    assert int(state["length"]) == T
    y, _ = step(params, state, x[:, :4])
    assert np.isnan(y).all()
    with pytest.raises(ValueError, match="a cache of 9 vectors, 6 of them there, got 4 more"):
        layer.apply(params, state, x[:, :4])


def test_a_mask_over_the_cache():
    layer = nn.multi_head_attention(N, cache=T)
    params, state = made(layer)
    mask = np.ones((B, 1, 1, T), bool)
    mask[1, ..., 0] = False
    y, _ = layer.apply(params, state, (x, None, mask))
    full = nn.multi_head_attention(N, causal=True)
    want, _ = full.apply(params, (), x[1:, 1:])
    np.testing.assert_allclose(y[1, 1:], want[0], rtol=1e-8)


def test_sinusoids():
    found = nn.sinusoidal_positions(np.arange(4), 6)
    for p in range(4):
        for i in range(3):
            angle = p / 10000 ** (2 * i / 6)
            np.testing.assert_allclose(found[p, 2 * i : 2 * i + 2], [np.sin(angle), np.cos(angle)])
    layer = nn.add_sinusoidal_positions()
    y, _ = layer.apply((), (), 0 * x)
    np.testing.assert_allclose(y[1], nn.sinusoidal_positions(np.arange(T), D))


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotations(interleaved):
    q, k = rng.normal(size=(2, T, 3, 4))

    def turn(v, positions):
        return nn.rotary(v, positions, base=50.0, interleaved=interleaved)

    at = np.arange(T)
    np.testing.assert_allclose(turn(q, 0 * at), q)
    np.testing.assert_allclose(np.linalg.norm(turn(q, at), axis=-1), np.linalg.norm(q, axis=-1))
    # Scores depend on distances alone.
    near = np.einsum("tnh,snh->nts", turn(q, at), turn(k, at))
    far = np.einsum("tnh,snh->nts", turn(q, at + 30), turn(k, at + 30))
    np.testing.assert_allclose(near, far, rtol=1e-8, atol=1e-12)
    pair = [0, 1] if interleaved else [0, 2]
    a = 3.0
    turned = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) @ q[3, 0, pair]
    np.testing.assert_allclose(turn(q, at)[3, 0, pair], turned)
    check_grads(lambda v: turn(v, at), (q,), 1, eps=1e-6)


@pytest.mark.parametrize(
    "make", [lambda **k: nn.learned_positions(8, **k), nn.add_sinusoidal_positions]
)
def test_positions_part_by_part(make):
    params, _ = made(make())
    want, _ = make().apply(params, (), x)
    _, state = make(cache=True).init(key, x)
    step = fg.jit(make(cache=True).apply)
    first, state = step(params, state, x[:, :4])
    second, state = step(params, state, x[:, 4:])
    np.testing.assert_allclose(np.concatenate([first, second], 1), want, rtol=1e-10)
    assert int(state["position"]) == T
    if params != ():
        beyond, _ = step(params, state, x[:, :3])
        assert np.isnan(beyond[:, 2]).all()
        assert not np.isnan(beyond[:, :2]).any()
        check_grads(lambda p, x: make().apply(p, (), x)[0], (params, x), 1, eps=1e-6)


def applied(layer, given, at=x, state=None):
    def call():
        params, start = layer.init(key, at)
        return layer.apply(params, start if state is None else state, given)

    return call


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: nn.multi_head_attention(4, key_heads=3), "multiple of the key heads"),
        (lambda: nn.multi_head_attention(3).init(key, x), r"f64\[2,6,8\]: 3 does not divide 8"),
        (lambda: nn.multi_head_attention(2).init(key, x[0]), r"f64\[6,8\]"),
        (
            applied(LAYERS["plain"], x[..., :5]),
            r"^multi_head_attention\.query\.dense: .*f64",
        ),
        (applied(LAYERS["plain"], (x, None, np.ones((2, 1, 6, 3), bool))), r"\(2, 4, 6, 6\)"),
        (applied(LAYERS["rotary"], (x, memory)), "Give None as memory"),
        (applied(nn.multi_head_attention(2, cache=9), x, state=()), "state with the entries"),
        (applied(nn.multi_head_attention(2, cache=9), x[:1]), "for a batch of 1"),
        (
            applied(nn.learned_positions(6), np.ones((1, 7, 8))),
            r"table f64\[6,8\] got f64\[1,7,8\]",
        ),
        (applied(nn.add_sinusoidal_positions(), x[0]), "Add the axes that are missing"),
        (applied(nn.add_sinusoidal_positions(), x[..., :3]), "Give an even number"),
        (lambda: nn.rotary(x, np.arange(3)), r"positions of shape \(3,\)"),
    ],
)
def test_errors(call, text):
    with pytest.raises(ValueError, match=text) as caught:
        call()
    assert "test_attention_layers.py" in str(caught.value)

"""Recurrent layers: loops by hand, PyTorch, lengths, parts of sequences, derivatives, errors."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn, random
from funcgrad.test_util import check_grads

rng = np.random.default_rng(0)
key = random.key(0)
B, T, D, H = 3, 5, 4, 6
x = rng.normal(size=(B, T, D))
lengths = np.array([5, 2, 0])
MAKE = {"rnn": nn.rnn, "lstm": nn.lstm, "gru": nn.gru}
CELLS = {"rnn": nn.rnn_cell, "lstm": nn.lstm_cell, "gru": nn.gru_cell}


def wide(layer, *args):
    params, state = layer.init(key, *args)
    return fg.tree.map(lambda leaf: np.asarray(leaf, np.float64), (params, state))


@pytest.fixture(autouse=True)
def float64():
    with fg.enable_x64(True):
        yield


@pytest.mark.parametrize("name", MAKE)
def test_cells_one_after_another(name):
    layer = MAKE[name](H, 2)
    params, state = wide(layer, x)
    seen = x
    for own in params:
        zeros = np.zeros((B, H))
        carry = (zeros, zeros) if name == "lstm" else zeros
        ys = []
        for t in range(T):
            carry = CELLS[name](own["forward"], carry, seen[:, t])
            ys.append(carry[0] if name == "lstm" else carry)
        seen = np.stack(ys, 1)
    found, same = layer.apply(params, state, x)
    np.testing.assert_allclose(found, seen, rtol=1e-10)
    assert same == ()
    compiled, _ = fg.jit(layer.apply)(params, state, x)
    np.testing.assert_allclose(compiled, seen, rtol=1e-8)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", MAKE)
def test_derivatives(name, bidirectional):
    layer = MAKE[name](2, 2, bidirectional=bidirectional)
    params, state = wide(layer, x)
    check_grads(
        lambda p, x: layer.apply(p, state, (x, lengths))[0], (params, x), 1, ("rev",), eps=1e-6
    )


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", MAKE)
def test_lengths(name, bidirectional):
    layer = MAKE[name](H, 2, bidirectional=bidirectional)
    params, state = wide(layer, x)
    found, _ = fg.jit(layer.apply)(params, state, (x, lengths))
    for i, length in enumerate(lengths):
        assert (found[i, length:] == 0).all()
        if length:
            alone, _ = layer.apply(params, state, x[i : i + 1, :length])
            np.testing.assert_allclose(found[i, :length], alone[0], rtol=1e-8)


@pytest.mark.parametrize("name", MAKE)
def test_parts_of_a_sequence(name):
    layer = MAKE[name](H, 2, carry=True)
    params, state = wide(layer, x)
    whole, end = layer.apply(params, state, x)
    first, between = layer.apply(params, state, x[:, :2])
    second, last = layer.apply(params, between, x[:, 2:])
    np.testing.assert_allclose(np.concatenate([first, second], 1), whole, rtol=1e-10)
    fg.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10), last, end)
    _, short = layer.apply(params, state, (x, lengths))
    _, two = layer.apply(params, state, x[:, :2])
    a, b = fg.tree.leaves(short), fg.tree.leaves(two)
    for u, v in zip(a, b, strict=True):
        np.testing.assert_allclose(u[1], v[1], rtol=1e-10)
        np.testing.assert_array_equal(u[2], 0 * u[2])


@pytest.mark.parametrize("name", MAKE)
def test_truncated_backpropagation(name):
    """Gradients within windows; a window of the whole length is full backpropagation."""
    layer = MAKE[name](H, 1, carry=True)
    params, start = wide(layer, x)

    def windows(size):
        def loss(params, state, part):
            y, state = layer.apply(params, state, part)
            return fnp.sum(y**2), state

        total, state = fg.tree.map(np.zeros_like, params), start
        for t in range(0, T, size):
            grads, state = fg.grad(loss, has_aux=True)(params, state, x[:, t : t + size])
            total = fg.tree.map(np.add, total, grads)
        return fg.tree.leaves(total)

    full = fg.tree.leaves(fg.grad(lambda p: fnp.sum(layer.apply(p, start, x)[0] ** 2))(params))
    for a, b in zip(windows(T), full, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8)
    assert not all(np.allclose(a, b) for a, b in zip(windows(2), full, strict=True))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", ["rnn", "rnn relu", "lstm", "gru"])
def test_as_torch(name, bidirectional):
    torch = pytest.importorskip("torch", reason="a comparison needs the peer: funcgrad[bench]")
    kind, *form = name.split()
    options = {"nonlinearity": "relu"} if form else {}
    theirs = getattr(torch.nn, kind.upper())(
        D, H, 2, batch_first=True, bidirectional=bidirectional, dtype=torch.float64, **options
    )
    ours = MAKE[kind](
        H, 2, bidirectional=bidirectional, **({"activation": nn.relu} if form else {})
    )

    def take(numbers):
        """PyTorch's arrays in our form: transposed, biases added where only their sum counts."""
        params = []
        for i in range(2):
            layer = {}
            for way, end in (("forward", ""), ("backward", "_reverse"))[: 1 + bidirectional]:
                w, u, b, c = (
                    numbers[f"{n}_l{i}{end}"]
                    for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                )
                own = {"input": w.T, "hidden": u.T, "bias": b + c}
                if kind == "gru":
                    own["bias"] = b + np.concatenate([c[: 2 * H], np.zeros(H)])
                    own["candidate_bias"] = c[2 * H :]
                layer[way] = own
            params.append(layer)
        return params

    params = take({n: p.detach().numpy() for n, p in theirs.named_parameters()})
    weights = rng.normal(size=(B, T, H * (1 + bidirectional)))
    y = torch.from_numpy(x).requires_grad_()
    sizes = np.array([5, 2, 3])
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        y, torch.from_numpy(sizes), batch_first=True, enforce_sorted=False
    )
    want, _ = torch.nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
    (want * torch.from_numpy(weights)).sum().backward()

    def loss(params, x):
        out, _ = ours.apply(params, (), (x, sizes))
        return fnp.sum(out * weights), out

    (of_params, of_x), found = fg.grad(loss, (0, 1), has_aux=True)(params, x)
    np.testing.assert_allclose(found, want.detach().numpy(), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(of_x, y.grad.numpy(), rtol=1e-8, atol=1e-12)
    for n, p in theirs.named_parameters():
        i, way = int(n.split("_l")[1][0]), "backward" if n.endswith("_reverse") else "forward"
        name_ = (
            {"ih": "input", "hh": "hidden"}.get(n[7:9])
            if n.startswith("weight")
            else ("bias" if n.startswith("bias_ih") else None)
        )
        if name_:
            slope = np.asarray(of_params[i][way][name_])
            np.testing.assert_allclose(slope, p.grad.numpy().T, rtol=1e-7, atol=1e-10)
        elif kind == "gru":
            slope = of_params[i][way]["candidate_bias"]
            np.testing.assert_allclose(slope, p.grad.numpy()[2 * H :], rtol=1e-7, atol=1e-10)


def test_in_networks():
    net = nn.serial(nn.lstm(H), nn.gru(H, bidirectional=True), nn.dense(2))
    params, state = net.init(key, x.astype(np.float32))
    y, _ = fg.vmap(net.apply, in_axes=(None, None, 0))(params, state, x.astype(np.float32)[None])
    assert y.shape == (1, B, T, 2)
    assert y.dtype == np.float32
    counts = [leaf.size for leaf in fg.tree.leaves(params[0])]
    assert sum(counts) == 4 * H * (D + H + 1)


def applied(layer, given, weights=None, state=None):
    """A call with params of the layer, or of another one."""

    def call():
        own, start = layer.init(key, x)
        params = own if weights is None else weights.init(key, x)[0]
        return layer.apply(params, start if state is None else state, given)

    return call


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: nn.lstm(H).init(key, x[0]), r"\[batch, time, features\], got f64\[5,4\]"),
        (applied(nn.gru(H), x[..., :3]), r"gru with input weights of f64\[4,18\] got f64\[3,5,3\]"),
        (applied(nn.rnn(H), (x, lengths[:2])), r"lengths i64\[2\] for sequences f64\[3,5,4\]"),
        (applied(nn.rnn(H), (x, lengths + 1)), "Give lengths from 0 to 5"),
        (applied(nn.rnn(H), (x, lengths - 1)), "lengths from -1 to 4"),
        (applied(nn.lstm(H, carry=True), x[:2]), r"state of f64\[3,6\] for a batch f64\[2,5,4\]"),
        (applied(nn.lstm(H, carry=True), x, state=()), "of 1 layers got state"),
        (lambda: nn.lstm(H, 2).apply(nn.lstm(H).init(key, x)[0], (), x), "of 2 layers got params"),
        (lambda: nn.gru(H).apply(nn.rnn(H).init(key, x)[0], (), x), "candidate_bias"),
        (lambda: nn.gru(H, bidirectional=True, carry=True), "Give whole sequences"),
        (lambda: nn.gru(H, 0), "at least 1 layer"),
    ],
)
def test_errors(call, text):
    with fg.enable_x64(True), pytest.raises(ValueError, match=text) as caught:
        call()
    assert "test_recurrent.py" in str(caught.value)

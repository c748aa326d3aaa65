"""Compressed layers: how near they are, on random weights and on a network that reads digits."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn, optim, random

key = random.key(0)
rng = np.random.default_rng(0)
image = rng.normal(size=(3, 6, 5, 4)).astype(np.float32)

LAYERS = {
    "dense": (nn.dense(8), image),
    "dense bare": (nn.dense(8, bias=False), image),
    "conv": (nn.conv(8, (3, 3), (2, 1)), image),
    "conv bare": (nn.conv(8, (3, 2), bias=False), image),
    "conv groups": (nn.conv(8, (3, 3), groups=2), image),
    "depthwise": (nn.depthwise_conv((3, 3), multiplier=2), image),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def made(name):
    layer, given = LAYERS[name]
    params, state = layer.init(key, given)
    if "bias" in params:
        params["bias"] = params["bias"] + rng.normal(size=params["bias"].shape).astype(np.float32)
    return layer, params, state, given


@every_layer
def test_fold_batch_norm_changes_nothing(name):
    layer, params, state, given = made(name)
    y, _ = layer.apply(params, state, given)
    norm = nn.batch_norm(epsilon=1e-3)
    own, averages = norm.init(key, y)
    for _ in range(3):
        own = fg.tree.map(lambda v: v + rng.normal(size=v.shape).astype(np.float32), own)
        _, averages = norm.apply(own, averages, y, train=True)
    expected, _ = norm.apply(own, averages, y)
    folded = nn.fold_batch_norm(params, own, averages, epsilon=1e-3)
    found, _ = layer.apply(folded, state, given)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_fold_batch_norm_without_scale_and_shift():
    layer, params, state, given = made("dense")
    norm = nn.batch_norm(scale=False, shift=False)
    y, _ = layer.apply(params, state, given)
    own, averages = norm.init(key, y)
    _, averages = norm.apply(own, averages, y, train=True)
    found, _ = layer.apply(nn.fold_batch_norm(params, own, averages), state, given)
    np.testing.assert_allclose(found, norm.apply(own, averages, y)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fixed", [False, True])
@every_layer
def test_quantize(name, fixed):
    layer, params, state, given = made(name)
    small = nn.quantize(params, given if fixed else None)
    assert small["weight"]["int8"].dtype == np.int8
    off = np.abs(nn.decompress(small)["weight"] - params["weight"])
    assert (off <= np.asarray(small["weight"]["scale"]) / 2 * 1.001).all()
    expected, _ = layer.apply(params, state, given)
    found, _ = fg.jit(layer.apply)(small, state, given)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 0.03 * np.abs(expected).max()
    alone, _ = layer.apply(small, state, given[:1])
    np.testing.assert_allclose(alone, found[:1], rtol=1e-5, atol=1e-5)
    assert np.linalg.norm(found - expected) < 0.02 * np.linalg.norm(expected)


def test_quantize_zeros():
    params = {"weight": np.zeros((3, 2), np.float32)}
    small = nn.quantize(params, np.zeros((1, 3), np.float32))
    y, _ = nn.dense(2, bias=False).apply(small, (), np.zeros((1, 3), np.float32))
    np.testing.assert_array_equal(y, 0)


@pytest.mark.parametrize("name", ["dense", "dense bare", "conv", "conv bare"])
def test_factorize(name):
    layer, params, state, given = made(name)
    matrix = np.reshape(params["weight"], (-1, 8))
    full = min(matrix.shape)
    expected, _ = layer.apply(params, state, given)
    found, _ = layer.apply(nn.factorize(params, full), state, given)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    values = np.linalg.svd(matrix, compute_uv=False)
    near = nn.decompress(nn.factorize(params, 2))["weight"]
    # The nearest matrix of rank 2 is off by the singular values left out (Eckart and Young).
    off = np.linalg.norm(np.reshape(near, matrix.shape) - matrix)
    np.testing.assert_allclose(off, np.sqrt(np.sum(values[2:] ** 2)), rtol=1e-4)
    share = np.sum(values[:2] ** 2) / np.sum(values**2)
    by_energy = nn.factorize(params, energy=float(share) - 1e-3)["weight"]
    assert by_energy["right"].shape == (2, 8)
    y, _ = fg.jit(layer.apply)(nn.factorize(params, 2), state, given)
    again, _ = layer.apply(nn.decompress(nn.factorize(params, 2)), state, given)
    np.testing.assert_allclose(y, again, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.9, 1.0])
def test_masks(sparsity):
    net = nn.serial(nn.dense(20), nn.relu, nn.dense(3))
    params, _ = net.init(key, image)
    params[2]["weight"] = params[2]["weight"] * 100
    masks = nn.magnitude_masks(params, sparsity)
    for i in (0, 2):
        kept = np.asarray(masks[i]["weight"])
        assert (~kept).sum() == int(sparsity * kept.size)
        sizes = np.abs(params[i]["weight"])
        if 0 < sparsity < 1:
            assert sizes[~kept].max() <= sizes[kept].min()
        assert bool(masks[i]["bias"].all())
    whole = nn.magnitude_masks(params, sparsity, together=True)
    dropped = [int((~np.asarray(whole[i]["weight"])).sum()) for i in (0, 2)]
    assert sum(dropped) == int(sparsity * 140)
    if sparsity == 0.3:
        assert dropped == [42, 0]


def test_equal_weights_are_counted():
    masks = nn.magnitude_masks({"weight": np.ones((4, 5), np.float32)}, 0.25)
    assert int(masks["weight"].sum()) == 15


def test_pruned_weights_stay_pruned_in_training():
    layer, params, state, given = made("dense")
    masks = nn.magnitude_masks(params, 0.5)
    pruned = nn.prune(params, masks)
    slopes = fg.grad(lambda p: layer.apply(nn.prune(p, masks), state, given)[0].sum())(pruned)
    np.testing.assert_array_equal(slopes["weight"] == 0, ~np.asarray(masks["weight"]))
    assert fg.tree.structure(nn.prune(params, masks)) == fg.tree.structure(params)


@pytest.fixture(scope="module")
def digits():
    """A network that has learnt scikit-learn's digits; how to train it on and to test it."""
    datasets = pytest.importorskip("sklearn.datasets", reason="the digits are scikit-learn's")
    images, labels = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    images = (images[order].reshape(-1, 8, 8, 1) / 16).astype(np.float32)
    labels = labels[order].astype(np.int32)
    net = nn.serial(
        nn.conv(16, (3, 3), bias=False),
        nn.batch_norm(),
        nn.relu,
        nn.max_pool((2, 2)),
        nn.conv(32, (3, 3)),
        nn.relu,
        nn.flatten(),
        nn.dense(64),
        nn.relu,
        nn.dense(10),
    )
    optimizer = optim.adam(2e-3)

    @fg.jit
    def step(params, masks, state, moments, x, y):
        def loss(params):
            logits, new = net.apply(nn.prune(params, masks), state, x, train=True)
            return fnp.mean(nn.softmax_cross_entropy(logits, fg.nn.one_hot(y, 10))), new

        (_, state), slopes = fg.value_and_grad(loss, has_aux=True)(params)
        updates, moments = optimizer.update(slopes, moments, params)
        return optim.apply_updates(params, updates), state, moments

    def train(params, state, masks, epochs):
        moments = optimizer.init(params)
        for i in list(range(0, 1400, 100)) * epochs:
            x, y = images[i : i + 100], labels[i : i + 100]
            params, state, moments = step(params, masks, state, moments, x, y)
        return nn.prune(params, masks), state

    def right(net, params, state):
        return float(nn.accuracy(net.apply(params, state, images[1400:])[0], labels[1400:]))

    params, state = net.init(key, images[:1])
    params, state = train(params, state, nn.magnitude_masks(params, 0.0), 12)
    return net, params, state, train, right


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "loss"),
    [("int8", 0.005), ("sparse", 0.02), ("low rank", 0.02), ("folded", 0.0)],
)
def test_accuracy_on_digits(digits, form, loss):
    """Each keeps the share of digits read right, up to a bound; at least 95 % are."""
    net, params, state, train, right = digits
    before = right(net, params, state)
    assert before > 0.95
    small = list(params)
    if form == "int8":
        for i in (0, 4, 7, 9):
            small[i] = nn.quantize(params[i])
    elif form == "sparse":
        masks = nn.magnitude_masks(params, 0.7)
        small, state = train(params, state, masks, 4)
        assert float((small[7]["weight"] == 0).mean()) >= 0.7 - 1e-3
    elif form == "low rank":
        small[4] = nn.factorize(params[4], rank=26)
        small[7] = nn.factorize(params[7], rank=32)
    else:
        small[0] = nn.fold_batch_norm(params[0], params[1], state[1])
        del small[1]
        state = state[:1] + state[2:]
        net = nn.serial(
            nn.conv(16, (3, 3)), nn.relu, nn.max_pool((2, 2)), nn.conv(32, (3, 3)), nn.relu,
            nn.flatten(), nn.dense(64), nn.relu, nn.dense(10),
        )  # fmt: skip
    assert right(net, small, state) >= before - loss - 1e-6


def form(name, layer):
    _, params, _, _ = made(layer)
    return nn.quantize(params) if name == "int8" else nn.factorize(params, 2)


ERRORS = {
    "fold other": (
        lambda: nn.fold_batch_norm(made("dense")[1], {}, nn.batch_norm().init(key, image)[1]),
        r"weight of f32\[4,8\] and a norm of f32\[4\]",
    ),
    "fold no state": (lambda: nn.fold_batch_norm(made("dense")[1], {}, ()), "needs norm state"),
    "fold compressed": (
        lambda: nn.fold_batch_norm(form("int8", "dense"), {}, nn.batch_norm().init(key, image)[1]),
        r"an array, got one with the parts \['int8', 'scale'\]",
    ),
    "sparsity": (lambda: nn.magnitude_masks({}, -0.1), "sparsity from 0 to 1, got -0.1"),
    "quantize norm": (lambda: nn.quantize({"scale": image}), r"entries \['weight'\]"),
    "rank": (lambda: nn.factorize(made("dense")[1], 5), "rank 4 got rank 5"),
    "no rank": (lambda: nn.factorize(made("dense")[1]), "either a rank or an energy"),
    "energy": (lambda: nn.factorize(made("dense")[1], energy=1.5), r"energy in \(0, 1\], got 1.5"),
    "groups": (
        lambda: LAYERS["conv groups"][0].apply(form("svd", "conv groups"), (), image),
        "conv of 2 groups got a factorised weight",
    ),
    "shape": (
        lambda: nn.dense(8).apply(form("int8", "dense"), (), image[..., :3]),
        r"weight of shape \(4, 8\) got",
    ),
    "transposed": (
        lambda: nn.conv_transpose(4, (3, 3)).apply(form("int8", "conv"), (), image),
        "conv_transpose takes a weight that is an array",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    call, text = ERRORS[name]
    with pytest.raises(ValueError, match=text) as caught:
        call()
    assert "test_compression.py" in str(caught.value)

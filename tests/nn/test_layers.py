"""Every layer: shapes, finite differences, jit and vmap; what each does by value; bad input."""

import itertools

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn, random
from funcgrad.test_util import check_grads

key = random.key(0)
rng = np.random.default_rng(0)
x = rng.normal(size=(2, 6, 6, 4))
ids = np.array([[0, 3], [2, 2]], np.int32)
pair = (x, rng.normal(size=x.shape))

# name: the layer, its input, the shape of its output
LAYERS = {
    "activation": (nn.activation(nn.gelu), x, (2, 6, 6, 4)),
    "adaptive_avg_pool": (nn.adaptive_avg_pool((4, 1)), x, (2, 4, 1, 4)),
    "adaptive_max_pool": (nn.adaptive_max_pool((1, 4)), x, (2, 1, 4, 4)),
    "avg_pool": (nn.avg_pool((3, 3), (1, 1), "SAME"), x, (2, 6, 6, 4)),
    "batch_norm": (nn.batch_norm(), x, (2, 6, 6, 4)),
    "bilinear": (nn.bilinear(5), pair, (2, 6, 6, 5)),
    "branch": (nn.serial(nn.branch(nn.relu, nn.dense(3)), nn.concat()), x, (2, 6, 6, 7)),
    "channel_shuffle": (nn.channel_shuffle(2), x, (2, 6, 6, 4)),
    "concat": (nn.concat(1), pair, (2, 12, 6, 4)),
    "conv": (nn.conv(6, (3, 2), (2, 1), "VALID", groups=2), x, (2, 2, 5, 6)),
    "conv_transpose": (nn.conv_transpose(3, (3, 2), (2, 1)), x, (2, 12, 6, 3)),
    "dense": (nn.dense(5), x, (2, 6, 6, 5)),
    "depthwise_conv": (nn.depthwise_conv((2, 2), (3, 3)), x, (2, 2, 2, 4)),
    "drop_path": (nn.drop_path(0.4), x, (2, 6, 6, 4)),
    "dropout": (nn.dropout(0.4), x, (2, 6, 6, 4)),
    "elementwise_max": (nn.elementwise_max(), pair, (2, 6, 6, 4)),
    "elementwise_product": (nn.elementwise_product(), pair, (2, 6, 6, 4)),
    "elementwise_sum": (nn.elementwise_sum((1.0, -2.0)), pair, (2, 6, 6, 4)),
    "embedding": (nn.embedding(4, 3, dtype=np.float64), ids, (2, 2, 3)),
    "flatten": (nn.flatten(), x, (2, 144)),
    "global_avg_pool": (nn.global_avg_pool(), x, (2, 4)),
    "global_max_pool": (nn.global_max_pool(), x, (2, 4)),
    "group_norm": (nn.group_norm(2), x, (2, 6, 6, 4)),
    "instance_norm": (nn.instance_norm(), x, (2, 6, 6, 4)),
    "layer_norm": (nn.layer_norm((1, 2, 3)), x, (2, 6, 6, 4)),
    "local_response_norm": (nn.local_response_norm(3, alpha=0.5), x, (2, 6, 6, 4)),
    "local_response_norm within": (
        nn.local_response_norm(3, alpha=0.5, within_channel=True),
        x,
        (2, 6, 6, 4),
    ),
    "lp_pool": (nn.lp_pool(3.0, (2, 2)), x, (2, 3, 3, 4)),
    "max_pool": (nn.max_pool((2, 3), (1, 2)), x, (2, 5, 2, 4)),
    "max_pool_indices": (nn.serial(nn.max_pool_indices((2, 2)), nn.max_unpool((2, 2))), x, x.shape),
    "parallel": (nn.serial(nn.parallel(nn.dense(2), nn.relu), nn.concat()), pair, (2, 6, 6, 6)),
    "pixel_shuffle": (nn.pixel_shuffle(2), x, (2, 12, 12, 1)),
    "pixel_unshuffle": (nn.pixel_unshuffle(3), x, (2, 2, 2, 36)),
    "repeat": (nn.repeat(nn.dense(4), 2), x, x.shape),
    "reshape": (nn.reshape(-1, 8), x, (2, 18, 8)),
    "residual": (nn.residual(nn.dense(4)), x, x.shape),
    "prelu": (nn.prelu(axis=(1, -1)), x, x.shape),
    "rms_norm": (nn.rms_norm(), x, x.shape),
    "scale_and_shift": (nn.scale_and_shift(axis=(1, 3)), x, x.shape),
    "separable_conv": (nn.separable_conv(5, (3, 3), multiplier=2), x, (2, 6, 6, 5)),
    "serial": (nn.serial(), x, x.shape),
    "slice_along": (nn.slice_along(2, 1, 5, 2), x, (2, 6, 2, 4)),
    "spatial_pyramid_pool": (nn.spatial_pyramid_pool((1, 2, 3)), x, (2, 56)),
    "spectral_norm": (nn.spectral_norm(nn.dense(3)), x, (2, 6, 6, 3)),
    "split": (nn.serial(nn.split((1, 3)), nn.concat(1)), x[..., :3], None),
    "stateless": (nn.stateless(lambda key, x: 2.0, lambda p, x: p * x, "twice"), x, x.shape),
    "stochastic_pool": (nn.stochastic_pool((2, 2)), np.abs(x), (2, 3, 3, 4)),
    "upsample": (nn.upsample((2, 1)), x, (2, 12, 6, 4)),
}
LAYERS["max_unpool"] = LAYERS["max_pool_indices"]
LAYERS["split"] = (nn.serial(nn.split(2), nn.elementwise_sum()), x, (2, 6, 6, 2))
NO_LAYERS = {"Layer", "initializers"}


def test_every_layer_is_here():
    made = {n for n in vars(nn) if getattr(getattr(nn, n), "__module__", "") in MODULES}
    assert made - NO_LAYERS == {name.split()[0] for name in LAYERS}


FILES = "combinators convolution layer linear normalization pooling regularization shaping".split()
MODULES = {f"funcgrad.nn.{name}" for name in FILES}


@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", sorted(LAYERS))
def test_shapes_derivatives_and_transforms(name, train):
    layer, given, shape = LAYERS[name]
    with fg.enable_x64(True):
        params, state = layer.init(key, given)
        y, new = layer.apply(params, state, given, train=train)
        assert y.shape == shape and y.dtype == np.float64
        assert fg.tree.structure(new) == fg.tree.structure(state)
        spec = fg.eval_shape(lambda g: layer.init(key, g), given)
        assert fg.tree.map(np.shape, spec) == fg.tree.map(np.shape, (params, state))

        def apply(params, given):
            return layer.apply(params, state, given, train=train)[0]

        # In training, u and v of the spectral norm move with the weight; derivatives hold them.
        if not (train and name == "spectral_norm"):
            check_grads(apply, (params, given), 1, eps=1e-6)
        np.testing.assert_allclose(fg.jit(apply)(params, given), y, rtol=1e-9, atol=1e-12)
        twice = fg.tree.map(lambda v: np.stack([v, v[::-1]]), given)
        many = fg.vmap(apply, in_axes=(None, 0))(params, twice)
        turned = apply(params, fg.tree.map(lambda v: v[::-1], given))
        np.testing.assert_allclose(many, np.stack([y, turned]), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", sorted(set(LAYERS) - {"embedding"}))
def test_half_precision_stays(name):
    layer, given, _ = LAYERS[name]
    given = fg.tree.map(lambda v: v.astype(np.float16), given)
    params, state = layer.init(key, given)
    y, _ = layer.apply(params, state, given, train=True)
    assert y.dtype == np.float16
    assert bool(fnp.isfinite(y).all())


GEOMETRIES = [
    (window, stride, padding, dilation, groups)
    for (window, stride, dilation), padding, groups in itertools.product(
        [((3, 3), (1, 1), (1, 1)), ((4, 2), (2, 3), (1, 1)), ((3, 2), (1, 2), (2, 2))],
        ["SAME", "SAME_LOWER", "VALID", ((2, 1), (0, 1))],
        [1, 2],
    )
]


@pytest.mark.parametrize(("window", "stride", "padding", "dilation", "groups"), GEOMETRIES)
def test_transposed_convolution_is_the_adjoint(window, stride, padding, dilation, groups):
    how = {"dilation": dilation, "groups": groups, "bias": False}
    with fg.enable_x64(True):
        back = nn.conv_transpose(4, window, stride, padding, **how)
        forth = nn.conv(6, window, stride, padding, **how)
        y = rng.normal(size=(2, 4, 5, 6))
        params, state = back.init(key, y)
        z, _ = back.apply(params, state, y)
        v = rng.normal(size=z.shape)
        w, _ = forth.apply(params, state, v)
        assert w.shape == y.shape
        np.testing.assert_allclose(fnp.vdot(w, y), fnp.vdot(v, z), rtol=1e-12)


def test_padding_lies_before_or_after():
    ones = np.ones((1, 5, 1), np.float32)
    for padding, sums in (("SAME", [2, 2, 1]), ("SAME_LOWER", [1, 2, 2])):
        layer = nn.conv(1, (2,), (2,), padding, weight_init=nn.initializers.ones)
        y, _ = layer.apply(*layer.init(key, ones), ones)
        np.testing.assert_array_equal(y[0, :, 0], sums)


def test_embedding_out_of_range_is_nan():
    layer = nn.embedding(4, 2)
    y, _ = layer.apply(*layer.init(key, ids), np.array([3, 4, -1]))
    np.testing.assert_array_equal(np.isnan(y).all(axis=1), [False, True, True])


def run(layer, given, **how):
    return layer.apply(*layer.init(key, given), given, **how)


def test_pools_by_value():
    ramp = fnp.arange(16.0).reshape(1, 4, 4, 1)
    np.testing.assert_allclose(run(nn.avg_pool((3, 3), (1, 1), "SAME"), ramp * 0 + 1)[0], 1)
    np.testing.assert_array_equal(run(nn.max_pool((2, 2)), ramp)[0].ravel(), [5, 7, 13, 15])
    whole = np.arange(16, dtype=np.int32).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(run(nn.max_pool((2, 2)), -whole)[0].ravel(), [0, -2, -8, -10])
    (_, places), _ = run(nn.max_pool_indices((2, 2)), ramp)
    np.testing.assert_array_equal(places.ravel(), [5, 7, 13, 15])
    assert places.dtype == np.int32
    pyramid, _ = run(nn.spatial_pyramid_pool((1, 2), "avg"), ramp)
    np.testing.assert_allclose(pyramid[0], [7.5, 2.5, 4.5, 10.5, 12.5])
    assert float(fg.grad(lambda v: run(nn.lp_pool(2.0, (2, 2)), v)[0].sum())(ramp * 0).sum()) == 0


@pytest.mark.parametrize("size", [1, 2, 3])
def test_local_response_norm_within_a_channel(size):
    layer = nn.local_response_norm(size, alpha=0.7, beta=0.6, k=1.5, within_channel=True)
    before = size // 2
    padded = np.pad(x**2, ((0, 0), (before, size), (before, size), (0, 0)))
    near = sum(padded[:, i : i + 6, j : j + 6] for i in range(size) for j in range(size))
    with fg.enable_x64(True):
        np.testing.assert_allclose(run(layer, x)[0], x / (1.5 + 0.7 * near / size**2) ** 0.6)


def test_stochastic_pool():
    layer = nn.stochastic_pool((2,))
    given = np.tile(np.array([1.0, 3.0, 0.0, 0.0], np.float32), (4000, 1))[..., None]
    params, state = layer.init(key, given)
    y, new = layer.apply(params, state, given, train=True)
    assert set(np.unique(y[:, 0])) == {1, 3}
    assert abs(float((y[:, 0] == 3).mean()) - 0.75) < 0.03
    np.testing.assert_array_equal(y[:, 1], 0)
    again, _ = layer.apply(params, new, given, train=True)
    assert not np.array_equal(y, again)
    mean, same = layer.apply(params, state, given)
    np.testing.assert_allclose(mean[0, :, 0], [2.5, 0])
    assert same is state


@pytest.mark.parametrize(
    ("layer", "together"),
    [
        (nn.dropout(0.3), ()),
        (nn.dropout(0.3, broadcast_axes=(1,)), (1,)),
        (nn.drop_path(0.3), (1, 2)),
    ],
)
def test_dropping(layer, together):
    given = np.ones((3000, 2, 3), np.float32)
    params, state = layer.init(key, given)
    y, new = fg.jit(lambda s: layer.apply(params, s, given, train=True))(state)
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.7], rtol=1e-6)
    assert abs(float((y == 0).mean()) - 0.3) < 0.03
    for axis in range(1, 3):
        assert bool((y == fnp.take(y, np.array([0]), axis=axis)).all()) == (axis in together)
    again, _ = layer.apply(params, new, given, train=True)
    assert not np.array_equal(y, again)
    assert layer.apply(params, state, given)[0] is given


def test_dropout_of_all_and_of_nothing():
    assert float(run(nn.dropout(1.0), x, train=True)[0].sum()) == 0
    np.testing.assert_array_equal(run(nn.dropout(0.0), x, train=True)[0], x)


def test_batch_norm_of_a_batch_that_is_spread():
    layer = nn.batch_norm(axis_name="devices")
    given = rng.normal(size=(4, 3, 5)).astype(np.float32)
    params, state = layer.init(key, given[0])

    def one(x):
        return layer.apply(params, state, x, train=True)

    parts, spread = fg.vmap(one, axis_name="devices")(given)
    whole, new = nn.batch_norm().apply(params, state, given.reshape(12, 5), train=True)
    np.testing.assert_allclose(parts.reshape(12, 5), whole, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(spread["variance"][2], new["variance"], rtol=1e-5)


def test_batch_norm_of_global_and_of_batch_averages():
    given = rng.normal(3, 2, (50, 4)).astype(np.float32)
    params, state = nn.batch_norm().init(key, given)
    fixed = nn.batch_norm(use_global_stats=True)
    y, new = fixed.apply(params, state, given, train=True)
    np.testing.assert_allclose(y, given, rtol=1e-4)
    np.testing.assert_array_equal(new["mean"], state["mean"])
    y, new = nn.batch_norm(use_global_stats=False).apply(params, state, given)
    np.testing.assert_allclose(np.mean(y, axis=0), 0, atol=1e-5)
    np.testing.assert_array_equal(new["mean"], state["mean"])
    assert nn.batch_norm().init(key, given.astype(np.float16))[1]["mean"].dtype == np.float32


def test_spectral_norm_divides_by_the_largest_singular_value():
    layer = nn.spectral_norm(nn.dense(5, bias=False))
    with fg.enable_x64(True):
        params, state = layer.init(key, x)
        for _ in range(200):
            y, state = layer.apply(params, state, x, train=True)
        largest = np.linalg.norm(params["weight"], 2)
        np.testing.assert_allclose(y, x @ params["weight"] / largest, rtol=1e-8)


ERRORS = {
    "dense features": (lambda: nn.dense(0), "features of at least 1, got 0"),
    "dense scalar": (lambda: run(nn.dense(3), np.float32(1)), r"dense takes .* got f32\[\]"),
    "dense input": (
        lambda: nn.dense(3).apply(*nn.dense(3).init(key, x), x[..., :2]),
        r"shape \(4, 3\) got f64\[2,6,6,2\]|shape \(4, 3\) got f32\[2,6,6,2\]",
    ),
    "bilinear one": (lambda: nn.bilinear(3).init(key, x), "pair of arrays"),
    "bilinear input": (
        lambda: nn.bilinear(3).apply(nn.bilinear(3).init(key, pair)[0], (), (x, x[..., :2])),
        r"\[4,4,3\] got .*\[2,6,6,2\]",
    ),
    "conv axes": (lambda: nn.conv(4, (3, 3)).init(key, x[0]), "takes inputs of 4 axes"),
    "conv channels": (
        lambda: nn.conv(4, (3, 3)).apply(nn.conv(4, (3, 3)).init(key, x)[0], (), x[..., :3]),
        r"weight of shape \(3, 3, 4, 4\) got .*\[2,6,6,3\]: the weight is for 4 channels",
    ),
    "conv padding": (lambda: nn.conv(4, (3, 3), padding="FULL"), "unknown padding 'FULL'"),
    "conv pads": (lambda: nn.conv(4, (3, 3), padding=((1, 1),)), "padding of 2 pairs"),
    "conv minus": (lambda: nn.conv(4, (3,), padding=((1, -1),)), "numbers from 0 on"),
    "conv strides": (lambda: nn.conv(4, (3, 3), (2,)), "strides of 2 positive integers.*(2,)"),
    "conv window": (lambda: nn.conv(4, (3, 0)), r"window of 2 positive integers.*\(3, 0\)"),
    "conv no window": (lambda: nn.conv(4, ()), "window of one or more positive"),
    "conv dilation": (lambda: nn.conv(4, (3,), dilation=(-1,)), "dilation of 1 positive"),
    "conv 4d": (lambda: nn.conv(4, (1,) * 4), "one to three axes"),
    "conv groups": (lambda: nn.conv(4, (3, 3), groups=3), "3 groups got 4 features"),
    "conv channel groups": (
        lambda: nn.conv(6, (3, 3), groups=3).init(key, x),
        "3 groups got 4 channels, which they do not divide",
    ),
    "transposed groups": (lambda: nn.conv_transpose(4, (3,), groups=3), "3 groups got 4 features"),
    "transposed output": (
        lambda: nn.conv_transpose(4, (3,), (2,), "VALID", output_padding=(2,)),
        r"output_padding of \(2,\)",
    ),
    "transposed same": (
        lambda: nn.conv_transpose(4, (3,), (2,), output_padding=(1,)),
        "none with 'SAME'",
    ),
    "transposed nothing": (
        lambda: run(nn.conv_transpose(4, (2, 2), padding=(5, 5)), x),
        r"leaves the extents \(-3, -3\)",
    ),
    "pool padding": (lambda: nn.max_pool((2, 2), padding="half"), "max_pool got unknown padding"),
    "pool axes": (lambda: run(nn.avg_pool((2,)), x), "avg_pool with a window of 1 axes"),
    "lp_pool": (lambda: nn.lp_pool(-1.0, (2, 2)), "positive p, got -1.0"),
    "pyramid": (lambda: nn.spatial_pyramid_pool((1,), "min"), "got 'min'"),
    "pyramid level": (lambda: nn.spatial_pyramid_pool((1, 0)), "level 1 of at least 1, got 0"),
    "global pool": (lambda: run(nn.global_avg_pool(), ids), r"\[batch, \*space, channels\]"),
    "batch_norm momentum": (lambda: nn.batch_norm(momentum=1.5), "momentum from 0 to 1, got 1.5"),
    "batch_norm state": (
        lambda: nn.batch_norm().apply(nn.batch_norm().init(key, x)[0], (), x),
        r"batch_norm needs state with the entries \['mean', 'variance'\], got tuple",
    ),
    "batch_norm channels": (
        lambda: nn.batch_norm().apply(*nn.batch_norm().init(key, x), x[..., :2]),
        r"params of f32\[4\] got",
    ),
    "layer_norm size": (
        lambda: nn.layer_norm().apply(*nn.layer_norm().init(key, x), x[..., :2]),
        r"layer_norm with params of .*\[4\] got",
    ),
    "group_norm": (lambda: nn.group_norm(3).init(key, x), "do not divide 4 channels"),
    "dropout rate": (lambda: nn.dropout(-0.1), "rate from 0 to 1.*got -0.1"),
    "drop_path rate": (lambda: nn.drop_path(1.1), "got 1.1"),
    "dropout state": (
        lambda: nn.dropout(0.5).apply((), (), x, train=True),
        r"dropout needs state with the entries \['key'\], got tuple",
    ),
    "concat shapes": (lambda: run(nn.concat(0), (x, x[:, :2])), "agree in all other axes"),
    "concat one": (lambda: run(nn.concat(0), x), "concat takes a tuple"),
    "sum shapes": (lambda: run(nn.elementwise_sum(), (x, x[:1])), "arrays of one shape"),
    "sum coefficients": (
        lambda: run(nn.elementwise_sum((1.0,)), pair),
        "1 coefficients got",
    ),
    "shuffle": (lambda: run(nn.channel_shuffle(3), x), "4 channels are not divided by 3"),
    "pixel_shuffle": (lambda: run(nn.pixel_shuffle(3), x), "4 channels are not divided by 9"),
    "pixel_unshuffle": (lambda: run(nn.pixel_unshuffle(4), x), "extents it does not divide"),
    "spectral weight": (
        lambda: nn.spectral_norm(nn.dense(3), weight="w").init(key, x),
        r"entries \['w'\], got \['bias', 'weight'\]",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    call, text = ERRORS[name]
    with pytest.raises(ValueError, match=text) as caught:
        call()
    assert "test_layers.py" in str(caught.value)


def test_wrong_types():
    with pytest.raises(TypeError, match="embedding takes integers"):
        nn.embedding(3, 2).init(key, x)
    for layer in (nn.dense(2), nn.conv(2, (3, 3)), nn.dropout(0.5), nn.repeat(nn.dense(4), 2)):
        with pytest.raises(TypeError, match=r"random\.key"):
            layer.init(x, x)


def test_one_hot():
    found = nn.one_hot(np.array([0, 2, 5]), 3)
    np.testing.assert_array_equal(found, [[1, 0, 0], [0, 0, 1], [0, 0, 0]])


def test_losses():
    logits = fnp.asarray(x[0, 0, :, :3].astype(np.float32))
    labels = np.array([0, 2, 1, 1, 0, 2])
    by_number = nn.softmax_cross_entropy(logits, labels)
    by_share = nn.softmax_cross_entropy(logits, nn.one_hot(labels, 3))
    np.testing.assert_allclose(by_number, by_share, rtol=1e-5)
    assert by_number.shape == (6,)
    check_grads(lambda v: nn.softmax_cross_entropy(v, labels), (logits,), 2)
    assert bool(fnp.isnan(nn.softmax_cross_entropy(logits, labels + 7)).all())
    with pytest.raises(ValueError, match=r"Give labels of shape \(6,\)"):
        nn.softmax_cross_entropy(logits, labels[:2])
    assert float(nn.accuracy(nn.one_hot(labels, 3), labels)) == 1.0
    np.testing.assert_allclose(nn.squared_error(fnp.ones(2), fnp.zeros(2)), [1, 1])

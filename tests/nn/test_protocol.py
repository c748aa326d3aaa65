"""The protocol of layers: combinators, state that is carried, paths in errors and scopes."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn, random
from funcgrad.nn.layer import begin
from funcgrad.test_util import check_grads

key = random.key(0)
x = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype(np.float32)
row = x[:, 0, 0]


def counter():
    """A layer that adds the number of its training calls: a state one can see."""

    def apply(params, state, x, *, train=False):
        return x + state["calls"], {"calls": state["calls"] + train}

    return nn.Layer(lambda key, x: ((), {"calls": fnp.zeros((), x.dtype)}), apply, "counter")


def test_specs_and_batches_init_alike():
    net = nn.serial(nn.conv(4, (3, 3)), nn.relu, nn.flatten(), nn.dense(5))
    by_batch = net.init(key, x)
    by_spec = net.init(key, fg.ShapeDtypeStruct(x.shape, x.dtype))
    assert fg.tree.structure(by_batch) == fg.tree.structure(by_spec)
    fg.tree.map(np.testing.assert_array_equal, by_batch, by_spec)
    assert net.init(key, x.astype(np.float16))[0][3]["weight"].dtype == np.float16


def nested(depth, counted):
    """A layer that counts the traces of its apply, below so many combinators."""

    def apply(params, state, x, *, train=False):
        counted.append(x.shape)
        return x, state

    net = nn.Layer(lambda key, x: ((), ()), apply, "counted")
    for _ in range(depth):
        net = nn.serial(nn.residual(nn.repeat(nn.serial(net), 2)), nn.branch(nn.relu), nn.concat())
    return net


def test_init_traces_each_part_once():
    traces = {}
    for depth in (1, 3):
        counted = []
        nested(depth, counted).init(key, row)
        traces[depth] = len(counted)
    assert traces == {1: 1, 3: 1}


@pytest.mark.parametrize(
    "net",
    [
        nn.serial(nn.dense(4), nn.relu),
        nn.residual(lambda x: x.astype("float16"), nn.dense(3)),
        nn.branch(nn.dense(4), nn.serial()),
        nn.repeat(nn.serial(nn.dense(3), nn.relu), 2),
    ],
    ids=lambda net: net.name,
)
def test_init_knows_what_apply_gives(net):
    whole = nn.serial(net, nn.activation(lambda y: y, "same"))
    params, state, y = begin(whole, key, row)
    assert y == fg.eval_shape(whole.apply, params, state, row)[0]


def test_padding_by_one_number():
    params, state = nn.conv(2, (3, 3)).init(key, x)
    by = [nn.conv(2, (3, 3), padding=p) for p in (1, (1, 1), ((1, 1), (1, 1)))]
    ys = [np.asarray(layer.apply(params, state, x)[0]) for layer in by]
    np.testing.assert_array_equal(ys[0], ys[1])
    np.testing.assert_array_equal(ys[0], ys[2])
    with pytest.raises(ValueError, match="from 0 on"):
        nn.conv(2, (3, 3), padding=-1)


def test_serial_trains():
    net = nn.serial(nn.conv(4, (3, 3)), nn.relu, nn.max_pool((2, 2)), nn.flatten(), nn.dense(5))
    params, state = net.init(key, x)
    labels = np.array([1, 3])

    def loss(params):
        logits, _ = net.apply(params, state, x, train=True)
        return nn.softmax_cross_entropy(logits, labels).mean()

    before, grads = fg.jit(fg.value_and_grad(loss))(params)
    after = loss(fg.tree.map(lambda p, g: p - 0.01 * g, params, grads))
    assert float(after) < float(before)


def test_state_goes_in_and_comes_out():
    net = nn.serial(counter(), nn.residual(counter()), nn.branch(counter(), nn.relu))
    params, state = net.init(key, row)
    step = fg.jit(lambda s: net.apply(params, s, row, train=True)[1])
    assert [float(v) for v in fg.tree.leaves(state)] == [0, 0, 0]
    state = step(step(state))
    assert [float(v) for v in fg.tree.leaves(state)] == [2, 2, 2]
    _, same = net.apply(params, state, row)
    assert fg.tree.leaves(same) == fg.tree.leaves(state)


def test_parallel_and_branch():
    both = nn.parallel(nn.dense(4), nn.tanh)
    params, state = both.init(key, (row, x))
    (a, b), _ = both.apply(params, state, (row, x))
    assert a.shape == (2, 4)
    np.testing.assert_allclose(b, np.tanh(x), rtol=1e-6)
    block = nn.serial(nn.branch(nn.dense(4), nn.relu), nn.concat())
    params, state = block.init(key, row)
    y, _ = block.apply(params, state, row)
    np.testing.assert_allclose(y[:, 4:], np.maximum(row, 0))
    assert y.shape == (2, 7)


def test_residual_by_value():
    net = nn.residual(nn.relu, nn.dense(3))
    params, state = net.init(key, row)
    weight, bias = params["shortcut"]["weight"], params["shortcut"]["bias"]
    y, _ = net.apply(params, state, row)
    np.testing.assert_allclose(y, np.maximum(row, 0) + row @ weight + bias, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("remat", [False, True])
def test_repeat_is_a_loop(remat):
    layer = nn.serial(nn.dense(3), nn.tanh, counter())
    net = nn.repeat(layer, 4, remat=remat)
    params, state = net.init(key, row)
    assert params[0]["weight"].shape == (4, 3, 3)
    assert not np.allclose(params[0]["weight"][0], params[0]["weight"][1])
    y, new = fg.jit(lambda x: net.apply(params, state, x, train=True))(row)
    np.testing.assert_array_equal(new[2]["calls"], np.ones(4))
    expected = row
    for i in range(4):
        own = fg.tree.map(lambda leaf, i=i: leaf[i], params)
        expected, _ = layer.apply(own, layer.init(key, row)[1], expected)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    check_grads(lambda p, x: net.apply(p, state, x)[0], (params, row), 1, modes=["rev"])


def test_vmap_of_a_network_is_an_ensemble():
    net = nn.serial(nn.dense(4), nn.relu, nn.dense(2))
    params, states = fg.vmap(lambda k: net.init(k, row))(random.split(key, 3))
    ys, _ = fg.vmap(net.apply, in_axes=(0, 0, None))(params, states, row)
    assert ys.shape == (3, 2, 2)
    one = fg.tree.map(lambda leaf: leaf[1], params)
    np.testing.assert_allclose(ys[1], net.apply(one, states, row)[0], rtol=1e-5)


NESTED = nn.serial(nn.relu, nn.residual(nn.serial(nn.tanh, nn.dense(3))), name="net")
ERRORS = {
    "init deep": (
        lambda: nn.serial(nn.residual(nn.serial(nn.conv(3, (3,))))).init(key, x),
        ValueError,
        r"^serial\[0\]\.residual\.layer\.serial\[0\]\.conv: conv .*f32\[2,6,6,3\]",
    ),
    "apply deep": (
        lambda: NESTED.apply(*NESTED.init(key, row), x[..., :2]),
        ValueError,
        r"^net\[1\]\.residual\.layer\.serial\[1\]\.dense: dense .*\(3, 3\) .*f32\[2,6,6,2\]",
    ),
    "under jit": (
        lambda: fg.jit(NESTED.apply)(*NESTED.init(key, row), x[..., :2]),
        ValueError,
        r"^net\[1\]\.residual\.layer\.serial\[1\]\.dense: ",
    ),
    "user's function": (
        lambda: nn.serial(lambda x: fnp.add(x, np.ones(5))).apply([()], [()], row),
        ValueError,
        r"^serial\[0\]\.function: Incompatible shapes",
    ),
    "shortcut": (
        lambda: nn.serial(nn.residual(nn.dense(5))).init(key, row),
        ValueError,
        r"^serial\[0\]\.residual: .*f32\[2,5\].*f32\[2,3\]",
    ),
    "repeat": (lambda: nn.repeat(nn.dense(5), 2).init(key, row), ValueError, r"f32\[2,5\] of f32"),
    "repeat dtype": (
        lambda: nn.repeat(lambda x: x.astype("float16"), 2).init(key, row),
        ValueError,
        r"f16\[2,3\] of f32\[2,3\]",
    ),
    "repeat none": (lambda: nn.repeat(nn.relu, 0), ValueError, "at least 1"),
    "repeat params": (
        lambda: nn.repeat(nn.dense(3), 2).apply(nn.dense(3).init(key, row)[0], (), row),
        ValueError,
        "first axis is the layer",
    ),
    "few params": (
        lambda: NESTED.apply([], [], row),
        ValueError,
        "net of 2 layers got params for 0",
    ),
    "no state": (
        lambda: NESTED.apply(NESTED.init(key, row)[0], (), row),
        ValueError,
        "net of 2 layers got state for 0",
    ),
    "foreign params": (
        lambda: nn.serial(nn.dense(3)).apply([()], [()], row),
        ValueError,
        r"^serial\[0\]\.dense: dense needs params with the entries \['bias', 'weight'\], got tuple",
    ),
    "one array": (
        lambda: nn.parallel(nn.relu, nn.relu).init(key, row[0]),
        ValueError,
        r"parallel of 2 layers got input for one, f32\[3\]",
    ),
    "a norm of a block": (
        lambda: nn.serial(nn.encoder_block(2, 8)).apply(
            *nn.serial(nn.encoder_block(2, 8)).init(key, x[:, 0, :, :2]), x[:, 0]
        ),
        ValueError,
        r"^serial\[0\]\.encoder_block\.attention\.norm\.layer_norm: .*f32\[2\].*f32\[2,6,3\]",
    ),
    "a window too large": (
        lambda: nn.serial(nn.conv(2, (3, 9), padding="VALID")).init(key, x),
        ValueError,
        r"^serial\[0\]\.conv: .*\(3, 9\).*f32\[2,6,6,3\]",
    ),
    "a pool too large": (
        lambda: nn.serial(nn.max_pool((3, 3), dilation=(3, 3))).init(key, x),
        ValueError,
        r"^serial\[0\]\.max_pool: .*\(7, 7\).*f32\[2,6,6,3\]",
    ),
    "padding of one axis": (
        lambda: nn.conv(2, (3, 3), padding=((1, 1),)),
        ValueError,
        r"padding of 2 pairs .*\(\(1, 1\),\)",
    ),
    "wrong key": (
        lambda: NESTED.init(3, row),
        TypeError,
        r"^net: random\.split expects a key",
    ),
    "no layer": (lambda: nn.serial(nn.relu, 3), TypeError, "made of layers and functions, got 3"),
    "no key": (lambda: nn.serial(nn.dense(2)).init(x, row), TypeError, r"random\.key"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_the_path(name):
    call, kind, text = ERRORS[name]
    with pytest.raises(kind, match=text) as caught:
        call()
    if name != "no key":
        assert "test_protocol.py" in str(caught.value)


def test_eqns_bear_the_path():
    params, state = NESTED.init(key, row)
    jaxpr = fg.make_jaxpr(NESTED.apply)(params, state, row)
    scopes = {eqn.primitive.name: eqn.source.name_stack for eqn in jaxpr.jaxpr.eqns}
    assert scopes["tanh"] == "net[1]/residual.layer/serial[0].tanh"


@pytest.mark.parametrize("wrap", [lambda f: f, fg.jit])
def test_nans_name_the_layer(wrap):
    net = nn.serial(nn.relu, nn.serial(lambda x: x - 1, fnp.log))
    params, state = net.init(key, row)
    with fg.debug_nans(True), pytest.raises(FloatingPointError) as caught:
        wrap(lambda x: net.apply(params, state, x)[0])(row)
    assert "in the scope serial[1]/serial[1].log" in str(caught.value)

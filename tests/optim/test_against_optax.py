"""Step for step against optax: updates, states, dtypes, over 50 steps on several shapes."""

import types
import warnings

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import optim

from .cases import LATER, MATRICES, METHODS, PARTS, SEARCHES, VALUES
from .problem import STEPS, gradient, loss, params

jax = pytest.importorskip("jax", reason="a differential test needs the peer: funcgrad[bench]")
optax = pytest.importorskip("optax", reason="a differential test needs the peer: optax")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    names = {n: getattr(optax, n) for n in dir(optax) if not n.startswith("_")}
    names |= {n: getattr(optax.contrib, n) for n in dir(optax.contrib) if not n.startswith("_")}
PEER = types.SimpleNamespace(**{**names, "global_norm": optax.tree.norm})


NARROW = {"trace dtype", "ema", "adam bfloat16"}


def leaves_of(tree, module):
    """Leaves as NumPy arrays, keys as their words."""
    found = []
    for x in module.tree.leaves(tree):
        is_key = module.dtypes.issubdtype(x.dtype, module.dtypes.prng_key)
        found.append(np.asarray(module.random.key_data(x) if is_key else x))
    return found


def agree(ours, theirs, rtol=2e-5, atol=2e-6):
    found, wanted = leaves_of(ours, fg), leaves_of(theirs, jax)
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        if a.dtype.name == "bfloat16":
            np.testing.assert_allclose(a.astype("f"), b.astype("f"), rtol=2e-2, atol=1e-3)
        else:
            np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def names_of(state):
    """The names of a state: of its namedtuples and their fields, in order."""
    if isinstance(state, tuple) and hasattr(state, "_fields"):
        inner = [(f, names_of(getattr(state, f))) for f in state._fields]
        return (type(state).__name__, inner)
    if isinstance(state, dict):
        return {k: names_of(v) for k, v in state.items()}
    if isinstance(state, (tuple, list)):
        return [names_of(v) for v in state]
    return None


def peer_loss(tree):
    """`loss`, for the peer."""
    jnp = jax.numpy
    return sum(
        jnp.sum(2 * jnp.log(jnp.cosh(p - 1)) - 0.3 / 7 * jnp.cos(7 * p))
        for p in jax.tree.leaves(tree)
    )


def follow(make, steps=STEPS, values=False, search=False, jit=True, **tolerance):
    """Both along the path of the peer: each step from the same params and gradients."""
    ours, peer = make(optim), make(PEER)
    now = params()
    state = ours.init(fg.tree.map(fnp.asarray, now))
    peer_state = peer.init(jax.tree.map(jax.numpy.asarray, now))
    assert names_of(state) == names_of(peer_state)
    agree(state, peer_state)
    update, peer_update = ours.update, peer.update
    if search:

        def update(g, state, p, value):
            return ours.update(g, state, p, value=value, grad=g, value_fn=loss)

        def peer_update(g, state, p, value):
            return peer.update(g, state, p, value=value, grad=g, value_fn=peer_loss)

    # Compiling a search costs more than a few steps of it.
    update, peer_update = fg.jit(update) if jit else update, jax.jit(peer_update)
    for _ in range(steps):
        grads = fg.tree.map(gradient, now)
        extra = {"value": np.float32(loss(now))} if values or search else {}
        out, state = update(grads, state, now, **extra)
        peer_out, peer_state = peer_update(grads, peer_state, now, **extra)
        agree(out, peer_out, **tolerance)
        now = jax.tree.map(np.asarray, optax.apply_updates(now, peer_out))
        now = jax.tree.map(lambda x: np.where(np.isfinite(x), x, np.float32(0.5)), now)
    assert names_of(state) == names_of(peer_state)
    agree(state, peer_state, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_methods(name):
    follow(METHODS[name])


@pytest.mark.parametrize("name", LATER)
def test_later_methods(name):
    follow(LATER[name], rtol=1e-4, atol=1e-5)


def test_sam_at_once():
    def make(o, grad):
        climb = o.chain(o.normalize(), o.sgd(0.1))
        method = o.sam(o.adam(0.1), climb, 3, opaque_mode=True)
        return types.SimpleNamespace(
            init=method.init,
            update=lambda g, s, p: method.update(g, s, p, grad_fn=lambda q, i: grad(q)),
        )

    def slope(o):
        return fg.grad(loss) if o is optim else jax.grad(peer_loss)

    follow(lambda o: make(o, slope(o)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["non_negative", "simplex", "l1_sphere", "l1_ball"])
@pytest.mark.parametrize("scale", [0.7, 200.0])
def test_projections(name, scale):
    check_projection(name, *([] if name == "non_negative" else [scale]))


@pytest.mark.parametrize("name", ["l2_sphere", "l2_ball", "linf_ball"])
@pytest.mark.parametrize("scale", [0.7, 200.0])
def test_projections_by_other_norms(name, scale):
    check_projection(name, scale)


@pytest.mark.parametrize("name", ["vector", "hyperplane", "halfspace"])
def test_projections_on_planes(name):
    check_projection(name, params(3), *([] if name == "vector" else [-0.5]))


def test_projection_on_a_box():
    check_projection("box", params(3), fg.tree.map(lambda x: x + 0.5, params(3)))
    check_projection("box", -0.2, 0.4)
    # optax 0.2.8 takes this for a tree of one leaf alone.
    found = optim.projections.projection_hypercube(params(), 0.4)
    agree(found, jax.tree.map(lambda x: np.clip(x, 0, np.float32(0.4)), params()))


def check_projection(name, *args):
    """Value, under jit too, and derivative are those of the peer."""
    ours = getattr(optim.projections, f"projection_{name}")
    peer = getattr(optax.projections, f"projection_{name}")
    at, weights = params(), params(9)
    trees = (fg.tree, jax.tree)
    peer_args = (
        args
        if name != "box" or not np.isscalar(args[0])
        else tuple(jax.tree.map(lambda x, end=end: np.full_like(x, end), at) for end in args)
    )
    for f in (ours, fg.jit(ours)):
        agree(f(at, *args), peer(at, *peer_args))

    def total(project, module, given):
        pairs = zip(module.leaves(project(*given)), module.leaves(weights), strict=True)
        return sum((y * w).sum() for y, w in pairs)

    agree(
        fg.grad(lambda x: total(ours, trees[0], (x, *args)))(at),
        jax.grad(lambda x: total(peer, trees[1], (x, *peer_args)))(at),
        rtol=1e-4,
        atol=1e-5,
    )


def test_power_iteration():
    matrix = np.random.default_rng(0).normal(size=(6, 6)).astype(np.float32)
    matrix = matrix @ matrix.T
    found, peer = optim.power_iteration(matrix), optax.power_iteration(matrix)
    agree(found, peer, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[0], np.linalg.eigvalsh(matrix)[-1], rtol=1e-5)
    v0 = params()
    weights = fg.tree.map(np.abs, params(4))
    found = fg.jit(
        lambda v: optim.power_iteration(lambda v: fg.tree.map(lambda a, b: a * b, weights, v), v0=v)
    )(v0)
    assert float(found[0]) == pytest.approx(max(w.max() for w in fg.tree.leaves(weights)), rel=1e-3)


@pytest.mark.parametrize("name", PARTS)
def test_parts(name):
    # Inside of a program XLA keeps bfloat16 in more digits than the dtype has.
    narrow = {"steps": 10, "rtol": 2e-2, "atol": 2e-2} if name in NARROW else {}
    follow(PARTS[name], **narrow)


@pytest.mark.slow
@pytest.mark.parametrize("name", SEARCHES)
def test_searches(name):
    # Line searches alone are at a minimum soon, where the last bits of the loss decide.
    steps = STEPS if "lbfgs" in name else 6
    follow(SEARCHES[name], steps, search=True, jit=steps > 6, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("name", VALUES)
def test_methods_that_see_the_loss(name):
    follow(VALUES[name], values=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", MATRICES)
def test_methods_on_matrices(name):
    follow(MATRICES[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("least", [0.0, 0.5, 2.0])
@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("safe_norm", {}),
        ("safe_norm", {"axis": 1}),
        ("safe_norm", {"axis": 0, "keepdims": True}),
        ("safe_norm", {"ord": 1, "axis": -1}),
        ("safe_root_mean_squares", {}),
    ],
)
def test_norms_from_below(name, how, least):
    ours, peer = getattr(optim, name), getattr(optax, name)
    for x in (np.zeros((2, 3), np.float32), ROWS):
        agree(ours(x, least, **how), peer(x, least, **how))
        found = fg.grad(lambda x: fnp.sum(ours(x, least, **how) ** 2))(x)
        agree(found, jax.grad(lambda x: (peer(x, least, **how) ** 2).sum())(x))


ROWS = np.array([[0.0, 0.0, 0.0], [0.3, -0.4, 0.0], [3.0, 0.1, -4.0]], np.float32)


def test_rprop_has_the_same_memory():
    """optax 0.2.8 gives each step one call late; ours, as the paper and PyTorch, at once."""
    ours, peer = optim.rprop(0.01), optax.rprop(0.01)
    now = params()
    state, peer_state = ours.init(now), peer.init(now)
    late = fg.tree.map(np.zeros_like, now)
    update, peer_update = fg.jit(ours.update), jax.jit(peer.update)
    for _ in range(STEPS):
        grads = fg.tree.map(gradient, now)
        out, state = update(grads, state, now)
        peer_out, peer_state = peer_update(grads, peer_state, now)
        agree(state, peer_state)
        turned = fg.tree.map(lambda u, before: (u == 0) & (before != 0), out, late)
        agree(fg.tree.map(lambda u, t: np.where(t, 0, u), late, turned), peer_out)
        late = fg.tree.map(np.asarray, out)
        now = fg.tree.map(lambda p, u: np.asarray(p + u), now, late)


@pytest.mark.parametrize("reset", [False, True])
def test_lookahead(reset):
    now = params()
    ours = optim.lookahead(optim.adam(0.1), 3, 0.5, reset_state=reset)
    peer = optax.lookahead(optax.adam(0.1), 3, 0.5, reset_state=reset)
    both = optim.LookaheadParams.init_synced(fg.tree.map(fnp.asarray, now))
    peer_both = optax.LookaheadParams.init_synced(now)
    state, peer_state = ours.init(both), peer.init(peer_both)
    for _ in range(8):
        grads = fg.tree.map(gradient, fg.tree.map(np.asarray, both.fast))
        out, state = ours.update(grads, state, both)
        peer_out, peer_state = peer.update(grads, peer_state, peer_both)
        agree(out, peer_out, rtol=1e-4, atol=1e-5)
        both = optim.apply_updates(both, out)
        peer_both = optax.apply_updates(peer_both, peer_out)
    agree(state, peer_state, rtol=1e-4, atol=1e-5)


def test_private_aggregation():
    rng = np.random.default_rng(0)
    grads = {"w": rng.normal(size=(6, 3, 2)), "b": rng.normal(size=(6, 2))}
    grads = {k: x.astype(np.float32) for k, x in grads.items()}
    grads["w"][2] = grads["b"][2] = 0
    for ours, peer in [
        (
            optim.per_example_global_norm_clip(grads, 1.5),
            optax.per_example_global_norm_clip(grads, 1.5),
        ),
        (
            optim.per_example_layer_norm_clip(grads, 1.5, uniform=False),
            optax.per_example_layer_norm_clip(
                jax.tree.map(jax.numpy.asarray, grads), 1.5, uniform=False
            ),
        ),
    ]:
        agree(ours, peer)
    key = jax.random.key(4)
    ours = optim.differentially_private_aggregate(1.0, 0.5, 4)
    peer = optax.contrib.differentially_private_aggregate(1.0, 0.5, key)
    agree(ours.update(grads, ours.init(None))[0], peer.update(grads, peer.init(None))[0])


COUNTS = [0, 1, 2, 3, 9, 10, 11, 24, 25, 49, 50, 51, 99, 100, 101, 150, 1000]
SCHEDULES = {
    "constant": lambda o: o.constant_schedule(0.3),
    "polynomial": lambda o: o.polynomial_schedule(1.0, 0.1, 2.5, 90, 10),
    "linear": lambda o: o.linear_schedule(0.1, 1.0, 50, 1),
    "no transition": lambda o: o.linear_schedule(0.1, 1.0, 0),
    "piecewise": lambda o: o.piecewise_constant_schedule(1.0, {10: 0.5, 50: 0.1, 100: 3.0}),
    "exponential": lambda o: o.exponential_decay(1.0, 10, 0.9, 9),
    "staircase": lambda o: o.exponential_decay(1.0, 10, 0.9, 9, staircase=True, end_value=0.5),
    "growth": lambda o: o.exponential_decay(1.0, 10, 1.1, end_value=2.0),
    "cosine": lambda o: o.cosine_decay_schedule(2.0, 100, 0.1, 1.3),
    "linear onecycle": lambda o: o.linear_onecycle_schedule(100, 2.0),
    "cosine onecycle": lambda o: o.cosine_onecycle_schedule(100, 2.0, 0.25),
    "interpolate linear": lambda o: o.piecewise_interpolate_schedule(
        "linear", 1.0, {10: 2, 50: 0.3}
    ),
    "interpolate cosine": lambda o: o.piecewise_interpolate_schedule(
        "cosine", 1.0, {0: 2, 50: 0.3}
    ),
    "interpolate none": lambda o: o.piecewise_interpolate_schedule("cosine", 1.0),
    "warmup constant": lambda o: o.warmup_constant_schedule(0.0, 1.0, 10),
    "warmup cosine": lambda o: o.warmup_cosine_decay_schedule(0.0, 1.0, 10, 100, 0.05),
    "warmup exponential": lambda o: o.warmup_exponential_decay_schedule(0.0, 1.0, 10, 20, 0.5),
    "join": lambda o: o.join_schedules(
        [o.constant_schedule(1.0), o.linear_schedule(1.0, 0.0, 40), o.constant_schedule(0.5)],
        [10, 50],
    ),
    "sgdr": lambda o: o.sgdr_schedule(
        [
            {"init_value": 0.0, "peak_value": v, "warmup_steps": 5, "decay_steps": n}
            for v, n in [(1.0, 25), (0.5, 75)]
        ]
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name):
    ours, peer = SCHEDULES[name](optim), SCHEDULES[name](optax)
    found = [float(ours(n)) for n in COUNTS]
    wanted = [float(peer(n)) for n in COUNTS]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    steps = np.array(COUNTS, np.int32)
    np.testing.assert_allclose(
        fg.jit(fg.vmap(lambda n: 1.0 * ours(n)))(steps), found, rtol=1e-5, atol=1e-6
    )


def test_names_and_defaults_are_optax_s():
    """Whatever both have takes the same arguments with the same defaults."""
    import inspect

    checked = 0
    for name, value in vars(optim).items():
        peer = names.get(name)
        if not inspect.isfunction(value) or peer is None or name in OWN:
            continue
        ours = inspect.signature(value).parameters
        theirs = inspect.signature(peer).parameters
        assert [*ours] == [n for n in theirs if (name, n) not in FIXED], name
        for n, p in ours.items():
            default = theirs[n].default
            # A dtype, a function or a transformation is no number to compare.
            same = p.default == default or (name, n) in UNEQUAL
            assert same, (name, n)
        checked += 1
    assert checked > 90


# nadam and nadamw are adam and adamw with one keyword given; global_norm is tree.norm there.
FIXED = {("nadam", "nesterov"), ("nadamw", "nesterov")}
# tree.norm in optax by now, and a function whose keywords depend on the names of its arguments.
OWN = {"global_norm"}
UNEQUAL = {
    ("scale_by_distance_over_gradients", "param_dtype"),
    ("adafactor", "dtype_momentum"),
    ("scale_by_factored_rms", "decay_rate_fn"),
    ("lbfgs", "linesearch"),
    ("power_iteration", "precision"),
    ("adopt", "clip_value_fn"),
    ("scale_by_adopt", "clip_value_fn"),
}

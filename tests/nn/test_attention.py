"""dot_product_attention: against loops, JAX and PyTorch; tiles, derivatives, memory, errors."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn
from funcgrad.ir.jaxpr import ClosedJaxpr
from funcgrad.nn import attention, attention_tiles
from funcgrad.test_util import check_grads

rng = np.random.default_rng(0)
B, T, S, N, K, H = 2, 7, 9, 4, 2, 3
query = rng.normal(size=(B, T, N, H))
key, value = rng.normal(size=(2, B, S, K, H))
bias = rng.normal(size=(1, N, T, S))
mask = rng.uniform(size=(B, 1, T, S)) < 0.6
mask[0, 0, 3] = False
weights = rng.normal(size=(B, T, N, H))

CASES = {
    "plain": {},
    "scale": {"scale": 0.3},
    "causal": {"is_causal": True},
    "bias": {"bias": bias},
    "bias of a row": {"bias": bias[:, :, :1], "is_causal": True},
    "bias of a column": {"bias": bias[..., :1]},
    "mask": {"mask": mask},
    "lengths": {
        "query_seq_lengths": np.array([6, 3], np.int32),
        "key_value_seq_lengths": np.array([9, 4], np.int32),
    },
    "window": {"local_window_size": (2, 5)},
    "all": {"bias": bias, "mask": mask, "is_causal": True, "local_window_size": 4},
}


@pytest.fixture(params=["direct", "tiles"])
def form(request, monkeypatch):
    """Which form of the algorithm the sizes above call for."""
    if request.param == "direct":
        return
    # Neither size divides its length; the next test has sizes that do.
    blocks = (attention_tiles.Blocks(T, 3), attention_tiles.Blocks(S, 4))
    monkeypatch.setattr(attention, "TILE", 1)
    monkeypatch.setattr(attention, "divided", lambda operands: blocks)


def by_loops(query, key, value, bias=None, mask=None, **rest):
    """One pair at a time."""
    scale = rest.get("scale", H**-0.5)
    window = rest.get("local_window_size")
    left, right = (window, window) if isinstance(window, int) else window or (T + S, T + S)
    rows = rest.get("query_seq_lengths", np.full(B, T))
    columns = rest.get("key_value_seq_lengths", np.full(B, S))
    out = np.zeros((B, T, N, H))
    every = np.ones((B, N, T, S), bool)
    bias = 0.0 * every if bias is None else bias + 0.0 * every
    mask = every if mask is None else mask & every
    for b, n, t in np.ndindex(B, N, T):
        own = key[b, :, n // (N // K)], value[b, :, n // (N // K)]
        s = scale * own[0] @ query[b, t, n] + bias[b, n, t]
        j = np.arange(S)
        counts = mask[b, n, t] & (j >= t - left) & (j <= t + right) & (j < columns[b])
        counts &= (j <= t) | (not rest.get("is_causal", False))
        if not counts.any():
            s, counts = 0 * s, np.ones(S, bool)
        p = np.where(counts, np.exp(s - s[counts].max()), 0)
        out[b, t, n] = (p / p.sum()) @ own[1] * (t < rows[b])
    return out


def outputs(name):
    options = dict(CASES[name])
    extra = (options.pop("bias"),) if "bias" in options else ()
    return lambda *xs: nn.dot_product_attention(*xs, **options), (query, key, value, *extra)


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives(name, form):
    f, xs = outputs(name)
    with fg.enable_x64(True):
        want = by_loops(query, key, value, **CASES[name])
        for g in (f, fg.jit(f)):
            np.testing.assert_allclose(g(*xs), want, rtol=1e-10, atol=1e-12)
        check_grads(f, xs, 1, eps=1e-6)


def test_sizes_that_divide(monkeypatch):
    blocks = (attention_tiles.Blocks(T, 7), attention_tiles.Blocks(S, 3))
    monkeypatch.setattr(attention, "TILE", 1)
    monkeypatch.setattr(attention, "divided", lambda operands: blocks)
    f, xs = outputs("all")
    with fg.enable_x64(True):
        np.testing.assert_allclose(f(*xs), by_loops(query, key, value, **CASES["all"]), rtol=1e-9)
        check_grads(f, xs, 1, ("rev",), eps=1e-6)


def test_how_lengths_are_divided():
    for batch, length in ((1, 5000), (64, 300), (4096, 20), (1, 3)):
        operands = {
            "query": np.empty((batch, length, 2, 2, 8)),
            "key": np.empty((batch, length, 2, 8)),
        }
        rows, columns = attention_tiles.divided(operands)
        assert 4 * batch * rows.size * columns.size <= attention_tiles.TILE
        starts = [int(columns.start(i)) for i in range(columns.number)]
        assert starts[0] == 0
        assert starts[-1] + columns.size == length


def test_second_derivatives(form):
    with fg.enable_x64(True):
        check_grads(lambda q: outputs("causal")[0](q, key, value), (query,), 2, eps=1e-5)


def test_tiles_under_jit_and_vmap(form):
    def loss(q, k, v):
        return fnp.sum(nn.dot_product_attention(q, k, v, mask=mask[0, :, :], bias=bias[0]) * q)

    many = [np.stack([x, x[::-1]]).astype(np.float32) for x in (query, key, value)]
    found = fg.vmap(fg.jit(fg.grad(loss, (0, 1, 2))))(*many)
    for i in range(2):
        alone = fg.grad(loss, (0, 1, 2))(*(x[i] for x in many))
        for a, b in zip(found, alone, strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["plain", "bias of a row", "lengths", "all"])
def test_as_jax(name, form):
    jax = pytest.importorskip("jax", reason="a differential test needs the peer: funcgrad[bench]")
    options = {k: v.astype(np.float32) if k == "bias" else v for k, v in CASES[name].items()}
    xs = [x.astype(np.float32) for x in (query, key, value)]

    def loss(package, q, k, v):
        out, log = package.nn.dot_product_attention(q, k, v, return_residual=True, **options)
        return (out * weights.astype(np.float32)).sum(), (out, log)

    places = (0, 1, 2)
    slopes, values = fg.grad(lambda *xs: loss(fg, *xs), places, has_aux=True)(*xs)
    theirs, wanted = jax.grad(lambda *xs: loss(jax, *xs), places, has_aux=True)(*xs)
    for a, b in zip((*values, *slopes), (*wanted, *theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    half = [x.astype(fnp.bfloat16) for x in xs]
    a = nn.dot_product_attention(*half, **options)
    b = jax.nn.dot_product_attention(*half, **options)
    assert a.dtype == fnp.bfloat16
    np.testing.assert_allclose(a.astype("float32"), b.astype("float32"), atol=0.06)


@pytest.mark.parametrize("name", ["causal", "bias", "mask"])
def test_as_torch(name, form):
    torch = pytest.importorskip("torch", reason="a comparison needs the peer: funcgrad[bench]")
    options = {"is_causal": name == "causal"}
    if name == "bias":
        options["attn_mask"] = torch.from_numpy(bias)
    if name == "mask":
        options["attn_mask"] = torch.from_numpy(mask | (mask.sum(-1, keepdims=True) == 0))
    ours = {"bias": {"bias": bias}, "mask": {"mask": mask}}.get(name, CASES[name])
    xs = [torch.from_numpy(x.copy()).requires_grad_() for x in (query, key, value)]
    moved = (x.transpose(1, 2) for x in xs)
    attend = torch.nn.functional.scaled_dot_product_attention
    want = attend(*moved, enable_gqa=True, **options).transpose(1, 2)
    rows = ~((name == "mask") & ~mask.any(-1)[:, 0, :, None, None])
    (want * torch.from_numpy(weights * rows)).sum().backward()
    with fg.enable_x64(True):

        def loss(*xs):
            out = nn.dot_product_attention(*xs, **ours)
            return fnp.sum(out * weights * rows), out

        slopes, out = fg.grad(loss, (0, 1, 2), has_aux=True)(query, key, value)
        np.testing.assert_allclose(out * rows, want.detach().numpy() * rows, rtol=1e-8, atol=1e-10)
        for found, x in zip(slopes, xs, strict=True):
            np.testing.assert_allclose(found, x.grad, rtol=1e-8, atol=1e-10)


def drop(query, key, value, rate=0.4, **rest):
    options = {"dropout_rate": rate, "dropout_key": fg.random.key(3), **rest}
    return nn.dot_product_attention(query, key, value, **options)


def test_dropped_weights(form):
    with fg.enable_x64(True):
        # Values that tell the weights: out[..., s] is the weight of key s.
        each = np.broadcast_to(np.eye(S)[None, :, None], (B, S, K, S))
        whole = np.asarray(nn.dot_product_attention(query, key, each))
        found = np.asarray(drop(query, key, each))
        kept = found != 0
        np.testing.assert_allclose(found[kept], whole[kept] / 0.6, rtol=1e-6)
        assert 0.5 < kept.mean() < 0.7
        assert all(0.4 < kept[:, :, n].mean() < 0.8 for n in range(N))
        check_grads(drop, (query, key, value), 1, eps=1e-4)
        np.testing.assert_array_equal(drop(query, key, value, rate=1.0), 0)
        plain = nn.dot_product_attention(query, key, value)
        np.testing.assert_array_equal(drop(query, key, value, dropout_key=None), plain)


def test_dropped_weights_do_not_depend_on_tiles(monkeypatch):
    with fg.enable_x64(True):
        want = fg.jit(drop)(query, key, value)
        for height, width in ((3, 4), (7, 2), (1, 9)):
            blocks = (attention_tiles.Blocks(T, height), attention_tiles.Blocks(S, width))
            monkeypatch.setattr(attention, "TILE", 1)
            monkeypatch.setattr(attention, "divided", lambda operands, blocks=blocks: blocks)
            np.testing.assert_allclose(drop(query, key, value), want, rtol=1e-6, atol=1e-12)


def sizes(closed):
    """The number of elements of every value in a program, bodies of loops included."""
    for eqn in closed.jaxpr.eqns:
        yield from (v.aval.size for v in eqn.outvars)
        for param in eqn.params.values():
            for inner in param if isinstance(param, tuple | list) else [param]:
                if isinstance(inner, ClosedJaxpr):
                    yield from sizes(inner)


@pytest.mark.parametrize("length", [4096, 5001])
def test_scores_of_all_pairs_are_never_there(length):
    x = fg.ShapeDtypeStruct((1, length, 2, 16), np.float32)

    def loss(*xs):
        return fnp.sum(nn.dot_product_attention(*xs, is_causal=True, local_window_size=(900, 0)))

    for f in (loss, fg.grad(loss, (0, 1, 2))):
        largest = max(sizes(fg.jit(f).lower(x, x, x).simplified))
        # Queries, keys and values have 32 numbers for each position; a tile has 128 · 512 · 2.
        assert largest <= max(2 * 16 * (length + 512), 2 * 128 * 512)


ROW = {"bias": (1, 4, 4096, 4096), "mask": (1, 1, 4096, 4096)}


@pytest.mark.slow
@pytest.mark.parametrize("what", ["value", "gradient", "tangent", "bias", "mask", "dropout"])
def test_compiled_attention_has_no_more_than_a_row_of_tiles(what):
    """Scores of all pairs are 256 MiB; what is planned besides arguments and results is not."""
    x = fg.ShapeDtypeStruct((1, 4096, 4, 32), np.float32)

    def attend(*xs, extra=None):
        options = {what: extra} if extra is not None else {"is_causal": True}
        if what == "dropout":
            options = {"dropout_rate": 0.1, "dropout_key": fg.random.key(0)}
        return nn.dot_product_attention(*xs, **options)

    changes = {
        "gradient": lambda *xs: fg.grad(lambda *xs: attend(*xs).sum(), (0, 1, 2))(*xs),
        "tangent": lambda *xs: fg.jvp(attend, xs, xs),
        "bias": lambda *xs: attend(*xs[:3], extra=xs[3]),
        "mask": lambda *xs: attend(*xs[:3], extra=xs[3]),
    }
    dtype = np.bool_ if what == "mask" else np.float32
    wide = [fg.ShapeDtypeStruct(ROW[what], dtype)] if what in ROW else []
    compiled = fg.jit(changes.get(what, attend)).lower(x, x, x, *wide).compile()
    # Operands in the order of tiles have 2 MiB each, a row of tiles 128 · 4096 · 4 numbers, 8 MiB.
    assert compiled.memory_analysis().temp_size_in_bytes < 48 << 20


@pytest.mark.slow
def test_long_sequences_are_exact():
    q, k, v = rng.normal(size=(3, 1, 3001, 2, 8)).astype(np.float32)
    found = fg.jit(lambda *xs: nn.dot_product_attention(*xs, is_causal=True))(q, k, v)
    for t in (0, 1, 127, 128, 2999, 3000):
        s = np.einsum("nh,snh->ns", q[0, t], k[0, : t + 1]) / np.sqrt(8)
        p = np.exp(s - s.max(-1, keepdims=True))
        want = np.einsum("ns,snh->nh", p / p.sum(-1, keepdims=True), v[0, : t + 1])
        np.testing.assert_allclose(found[0, t], want, rtol=1e-4, atol=1e-5)


def test_extreme_scores(form):
    def loss(q):
        return fnp.sum(nn.dot_product_attention(q, key, value, is_causal=True) * weights)

    for size in (1e4, 1e18):
        value_, slope = fg.value_and_grad(loss)(size * query)
        assert np.isfinite(value_)
        assert np.isfinite(slope).all()
    empty = nn.dot_product_attention(query, key, value, np.full((1, 1, T, S), -np.inf))
    assert np.isnan(empty).all()


def call(**changes):
    given = {"query": query, "key": key, "value": value} | changes
    return lambda: nn.dot_product_attention(**given)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (call(key=key[..., :2]), r"query \(2, 7, 4, 3\), key \(2, 9, 2, 2\)"),
        (call(value=value[:, 1:]), "Give each key a value"),
        (call(query=query[:, :, :3]), "3 query heads for 2 key heads"),
        (call(query=query[0, 0]), r"query of shape \(4, 3\)"),
        (call(query=query.astype(np.float16)), "Give them one dtype"),
        (call(mask=mask[..., :5]), r"broadcasts to .*\(2, 4, 7, 9\)"),
        (call(mask=bias), "True for pairs that count"),
        (call(bias=bias[:, :3]), r"bias of shape \(1, 3, 7, 9\)"),
        (call(query_seq_lengths=np.ones(3, np.int32)), r"integers of shape \(2,\)"),
        (call(local_window_size=-1), "from 0"),
        (call(implementation="cudnn"), "leave it out"),
        (call(dropout_rate=1.5, dropout_key=fg.random.key(0)), "a rate from 0 to 1"),
    ],
)
def test_errors(wrong, text):
    with pytest.raises(ValueError, match=text) as caught:
        wrong()
    assert "test_attention.py" in str(caught.value)

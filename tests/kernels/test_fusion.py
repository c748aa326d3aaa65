"""Which values share a kernel."""

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp


def kernels_of(f, *args):
    """The kernels of a program that go over more than a thousand elements, and their inputs."""
    text = fg.jit(f).lower(*args).explain()
    heads = [line for line in text.splitlines() if line.startswith("k") and "_join" not in line]
    return [head for head in heads if "00]" in head.split("->")[0]]


def layer_norm(x, scale, shift):
    mean = fnp.mean(x, -1, keepdims=True)
    variance = fnp.mean((x - mean) ** 2, -1, keepdims=True)
    return (x - mean) * fg.lax.rsqrt(variance + 1e-5) * scale + shift


def test_layer_norm_and_its_gradients_read_their_input_once():
    rng = np.random.default_rng(0)
    x, t = (rng.standard_normal((300, 200)).astype(np.float32) for _ in range(2))
    scale, shift = (rng.standard_normal(200).astype(np.float32) for _ in range(2))

    def both(x, scale, shift, t):
        y, back = fg.vjp(layer_norm, x, scale, shift)
        return y, back(t)

    (head,) = (h for h in kernels_of(both, x, scale, shift, t) if "[300,200]" in h)
    assert head.count("[300,200]") == 4  # x and t in, the value and the gradient of x out
    y, (dx, dscale, dshift) = fg.jit(both)(x, scale, shift, t)
    plain, (px, pscale, pshift) = both(*(fnp.array(a) for a in (x, scale, shift, t)))
    for ours, theirs in ((y, plain), (dx, px), (dscale, pscale), (dshift, pshift)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_sums_over_rows_share_a_loop_with_what_comes_later():
    x = np.ones((300, 200), np.float32)

    def f(x):
        columns = x.sum(0)
        return columns, fnp.exp(x - x.max(1, keepdims=True))

    assert len(kernels_of(f, x)) == 1
    columns, rows = fg.jit(f)(x)
    np.testing.assert_array_equal(columns, np.full(200, 300))
    np.testing.assert_array_equal(rows, np.ones((300, 200)))


def test_what_reads_sums_over_rows_waits_for_all_of_them():
    x = np.arange(60_000, dtype=np.float32).reshape(300, 200)

    def f(x):
        return x - x.mean(0)

    assert len(kernels_of(f, x)) == 2
    np.testing.assert_allclose(fg.jit(f)(x), x - x.mean(0), rtol=1e-3, atol=1e-2)


def test_groups_with_a_step_between_them_that_one_needs_are_not_joined():
    x = np.linspace(0, 1, 60_000, dtype=np.float32).reshape(300, 200)

    def f(x):
        shifted = x - x.max(1, keepdims=True)
        ordered = fnp.sort(shifted, 1)
        return shifted, ordered * x

    shifted, product = fg.jit(f)(x)
    want = x - x.max(1, keepdims=True)
    np.testing.assert_allclose(shifted, want, rtol=1e-6)
    np.testing.assert_allclose(product, np.sort(want, 1) * x, rtol=1e-6)


def test_a_group_waits_for_what_the_other_one_reads():
    x, y = (np.random.default_rng(k).standard_normal((300, 200)).astype(np.float32) for k in (0, 1))

    def f(x, y):
        early = fnp.exp(x - x.max(1, keepdims=True))
        total = fnp.sort(y[0]).sum()
        return early, early * x + total * y

    (both,) = (h for h in kernels_of(f, x, y) if h.count("[300,200]") > 1)
    assert both.count("[300,200]") == 4  # x and y in, both results out
    early, late = fg.jit(f)(x, y)
    want = np.exp(x - x.max(1, keepdims=True))
    np.testing.assert_allclose(early, want, rtol=1e-5)
    np.testing.assert_allclose(late, want * x + y[0].sum() * y, rtol=1e-4, atol=1e-4)


def test_values_read_at_ever_more_places_get_memory():
    """Each step reads the one before at two places, which would be a million in the end."""
    x = np.linspace(-1, 1, 64, dtype=np.float32)

    def f(x):
        for _ in range(20):
            x = fnp.concatenate([x[:32], x[32:]]) * 1.5
        return x

    assert len(fg.jit(f).lower(x).stages.llvm) < 1_000_000
    np.testing.assert_allclose(fg.jit(f)(x), x * 1.5**20, rtol=1e-5)


def test_folds_over_the_leading_loop_are_joined_only_where_there_are_chunks():
    def f(x):
        y = fnp.tanh(x)
        narrow = x.astype(fnp.bfloat16).sum((0, 1))
        return y.sum(0), (x * 2).max((0, 1)), fnp.prod(1 + x / len(x), 0), narrow

    joined = {}
    for rows in (1, 9, 40_000):
        x = np.linspace(-1, 1.5, rows * 6 * 5).reshape(rows, 6, 5).astype(np.float32)
        found = fg.jit(f)(x)
        joined[rows] = "_join" in str(fg.jit(f).lower(x).explain())
        wanted = (np.tanh(x).sum(0, dtype="f8"), (x * 2).max((0, 1)), np.prod(1 + x / rows, 0))
        for a, b in zip(found, wanted, strict=False):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
        sums = x.astype(fnp.bfloat16).astype("f8").sum((0, 1))
        np.testing.assert_allclose(np.asarray(found[3], "f8"), sums, rtol=0.02, atol=0.05 * rows)
    assert joined == {1: False, 9: False, 40_000: True}


def momentum_step(params, moments, scale):
    grads = [scale * p for p in params]
    moments = [0.9 * m + g for m, g in zip(moments, grads, strict=True)]
    params = [p - 0.1 * m for p, m in zip(params, moments, strict=True)]
    return params, moments


def test_updates_of_many_weights_are_one_kernel_for_each():
    """Though the moments of all other weights lie between a weight's own and its update."""
    rng = np.random.default_rng(0)
    params, moments = (
        [rng.standard_normal((10 * k + 10, 100)).astype(np.float32) for k in range(30)]
        for _ in range(2)
    )
    heads = kernels_of(momentum_step, params, moments, np.float32(2))
    assert len(heads) == 30
    assert all(head.split("->")[1].count(":f32") == 2 for head in heads)
    for ours, theirs in zip(
        fg.jit(momentum_step)(params, moments, np.float32(2)),
        momentum_step(params, moments, np.float32(2)),
        strict=True,
    ):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_what_is_no_result_is_not_made_long_before_it_is_read():
    rng = np.random.default_rng(0)
    xs = [rng.standard_normal((100, 100 * k + 100)).astype(np.float32) for k in range(30)]
    w = rng.standard_normal((100, 100)).astype(np.float32)

    def f(xs, w):
        first = [fnp.sin(x) for x in xs]
        return first, [w @ (fnp.exp(x) + y) for x, y in zip(xs, first, strict=True)]

    heads = kernels_of(f, xs, w)
    assert len(heads) > 30
    for ours, x in zip(fg.jit(f)(xs, w)[1], xs, strict=True):
        np.testing.assert_allclose(ours, w @ (np.exp(x) + np.sin(x)), rtol=1e-3, atol=1e-3)

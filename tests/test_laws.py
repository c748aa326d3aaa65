"""The laws of the transforms, on random programs in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.core.evaluate import eval_closed
from funcgrad.ir.checking import check_jaxpr

from .programs import matrices, programs

seeds = st.integers(0, 1000)


@pytest.fixture(autouse=True, scope="module")
def _x64():
    with fg.enable_x64():
        yield


def close(got, want, tolerance=1e-9):
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


@given(programs(forward=False), seeds)
def test_evaluating_the_jaxpr_is_calling_the_function(f, seed):
    x, y = matrices(seed)
    closed = fg.make_jaxpr(f)(x, y)
    check_jaxpr(closed.jaxpr)
    (out,) = eval_closed(closed, x, y)
    close(out, f(x, y), 1e-12)


@given(programs(forward=False), seeds)
def test_jit_changes_nothing(f, seed):
    x, y = matrices(seed)
    close(fg.jit(f)(x, y), f(x, y), 1e-12)
    lowered = fg.jit(f).lower(x, y)
    check_jaxpr(lowered.simplified.jaxpr)


@given(programs(forward=False), seeds)
def test_vmap_is_a_stacked_loop(f, seed):
    xs, ys = matrices(seed, batch=(4,))
    close(fg.vmap(f)(xs, ys), np.stack([f(x, y) for x, y in zip(xs, ys, strict=True)]))
    close(fg.vmap(f, in_axes=(0, None))(xs, ys[0]), np.stack([f(x, ys[0]) for x in xs]))


@given(programs(), seeds)
def test_linearize_is_jvp_and_is_linear(f, seed):
    x, y, u, v = matrices(seed, 4)
    out, pushed = fg.jvp(f, (x, y), (u, v))
    out2, linear = fg.linearize(f, x, y)
    close(out2, out, 1e-12)
    close(linear(u, v), pushed)
    close(linear(2 * u, 2 * v), 2 * np.asarray(pushed))


@given(programs(), seeds)
def test_forward_is_the_finite_difference(f, seed):
    x, y, u, v = matrices(seed, 4)
    _, pushed = fg.jvp(f, (x, y), (u, v))
    h = 1e-5
    ahead = np.asarray(f(x + h * u, y + h * v))
    behind = np.asarray(f(x - h * u, y - h * v))
    close(pushed, (ahead - behind) / (2 * h), 1e-5)


@given(programs(), seeds)
def test_forward_equals_reverse(f, seed):
    x, y = matrices(seed)
    close(fg.jacfwd(f)(x, y), fg.jacrev(f)(x, y))


@given(programs(forward=False), seeds)
def test_reverse_is_the_finite_difference(f, seed):
    x, y, u, v = matrices(seed, 4)
    gx, gy = fg.grad(lambda x, y: fnp.sum(f(x, y)), argnums=(0, 1))(x, y)
    h = 1e-5
    ahead, behind = np.sum(f(x + h * u, y + h * v)), np.sum(f(x - h * u, y - h * v))
    close(np.sum(gx * u) + np.sum(gy * v), (ahead - behind) / (2 * h), 1e-4)


@given(programs(max_size=4, forward=False), seeds)
def test_transforms_commute(f, seed):
    """vmap of grad is grad of the sum of vmap; jit around and inside changes nothing."""
    xs, ys = matrices(seed, batch=(3,))

    def total(x, y):
        return fnp.sum(f(x, y))

    inside = fg.vmap(fg.grad(total))(xs, ys)
    outside = fg.grad(lambda xs, ys: fnp.sum(fg.vmap(total)(xs, ys)))(xs, ys)
    close(inside, outside)
    close(fg.jit(fg.vmap(fg.grad(fg.jit(total))))(xs, ys), inside)
    close(fg.vmap(fg.jit(fg.grad(total)))(xs, ys), inside)


@settings(max_examples=15)
@given(programs(max_size=3), seeds)
def test_higher_derivatives(f, seed):
    """The second derivative agrees in four orders of modes, the third with a difference of it."""
    x, y, u, _ = matrices(seed, 4)

    def along(s):
        return fnp.sum(f(x + s * u, y))

    def forward(g):
        return lambda s: fg.jvp(g, (s,), (1.0,))[1]

    second = [a(b(along))(0.1) for a in (forward, fg.grad) for b in (forward, fg.grad)]
    for found in second[1:]:
        close(found, second[0], 1e-8)
    third = fg.grad(forward(fg.grad(along)))(0.1)
    h = 1e-4
    curve = fg.jit(fg.grad(fg.grad(along)))
    close(third, (curve(0.1 + h) - curve(0.1 - h)) / (2 * h), 1e-4)


@given(programs(max_size=3), seeds)
def test_no_perturbation_confusion(f, seed):
    """An inner derivative at a point that depends on the outer variable."""
    x, y, u, v = matrices(seed, 4)

    def inner(s):
        return fg.jvp(lambda t: fnp.sum(f(x + t * u, y + s * v)), (s,), (1.0,))[1]

    h = 1e-5
    close(fg.grad(inner)(0.2), (inner(0.2 + h) - inner(0.2 - h)) / (2 * h), 1e-4)

"""checkpoint: the same derivatives, with fewer values kept."""

from functools import partial

import numpy as np
import pytest

from funcgrad import debug, lax
from funcgrad.ad_checkpoint import (
    checkpoint,
    checkpoint_name,
    checkpoint_policies,
    print_saved_residuals,
    saved_residuals,
)
from funcgrad.api.forward import jvp, linearize
from funcgrad.api.mapping import vmap
from funcgrad.api.reverse import grad, value_and_grad
from funcgrad.api.tracing import make_jaxpr
from funcgrad.control.custom_vjp import custom_vjp
from funcgrad.control.jitted import jit
from funcgrad.control.scan import scan

W = np.arange(9, dtype=np.float32).reshape(3, 3) / 9
X = np.linspace(-1, 1, 3, dtype=np.float32)


def close(a, b):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-6)


def net(w, x):
    y = checkpoint_name(lax.sin(lax.dot(w, x)), "hidden")
    return lax.reduce_sum(lax.sin(lax.dot(w, lax.cos(y))), (0,))


def policies():
    p = checkpoint_policies
    return [
        None,
        p.everything_saveable,
        p.nothing_saveable,
        p.dots_saveable,
        p.dots_with_no_batch_dims_saveable,
        p.save_only_these_names("hidden"),
        p.save_any_names_but_these("hidden"),
        p.save_anything_except_these_names("hidden"),
        p.save_from_both_policies(p.dots_saveable, p.save_only_these_names("hidden")),
    ]


@pytest.mark.parametrize("policy", policies())
def test_derivatives_are_the_same(policy):
    f = checkpoint(net, policy=policy)
    want = grad(net, (0, 1))(W, X)
    for g in (
        grad(f, (0, 1)),
        jit(grad(f, (0, 1))),
        grad(jit(f), (0, 1)),
        grad(checkpoint(f), (0, 1)),
    ):
        for a, b in zip(g(W, X), want, strict=True):
            close(a, b)
    close(f(W, X), net(W, X))
    close(jvp(partial(f, W), (X,), (X,))[1], jvp(partial(net, W), (X,), (X,))[1])
    batch = np.stack([X, 2 * X])
    close(vmap(grad(f, 1), (None, 0))(W, batch), vmap(grad(net, 1), (None, 0))(W, batch))
    total = grad(lambda b: lax.reduce_sum(vmap(f, (None, 0))(W, b), (0,)))
    close(total(batch), vmap(grad(net, 1), (None, 0))(W, batch))

    def twice(h):
        return grad(lambda x: lax.reduce_sum(lax.sin(grad(h, 1)(W, x)), (0,)))

    close(twice(f)(X), twice(net)(X))
    close(jit(twice(f))(X), twice(net)(X))


def kept(f, *args):
    return sorted((a.short(), text.split(" from ")[0]) for a, text in saved_residuals(f, *args))


def test_what_is_kept_follows_the_policy():
    p = checkpoint_policies
    found = kept(checkpoint(net), W, X)
    assert [a for a, _ in found] == ["f32[3,3]", "f32[3]"]
    by_policy = {
        p.dots_saveable: "output of dot_general",
        p.save_only_these_names("hidden"): "named 'hidden'",
    }
    for policy, text in by_policy.items():
        assert text in [t for _, t in kept(checkpoint(net, policy=policy), W, X)]
    named = kept(checkpoint(net, policy=p.save_any_names_but_these("hidden")), W, X)
    assert named == found
    assert len(kept(checkpoint(net, policy=p.everything_saveable), W, X)) > len(found)


def test_dots_inside_jitted_functions_are_seen():
    f = checkpoint(
        lambda x: lax.reduce_sum(lax.sin(jit(lax.dot)(W, x)), (0,)),
        policy=(checkpoint_policies.dots_saveable),
    )
    assert "output of dot_general" in [t for _, t in kept(f, X)]


def test_the_forward_pass_runs_again_only_where_it_must():
    runs = []

    def body(x):
        y = lax.sin(x)
        debug.callback(lambda y: runs.append(float(y)), y)
        return lax.sin(y)

    grad(checkpoint(body))(0.5)
    assert len(runs) == 1


def test_printing(capsys):
    text = str(make_jaxpr(checkpoint(lambda x: lax.sin(lax.sin(x))))(1.0))
    assert "remat2[" in text and "differentiated=False" in text and "prevent_cse=True" in text
    assert "policy=None" in text
    text = str(make_jaxpr(grad(checkpoint(lambda x: lax.sin(lax.sin(x)))))(1.0))
    assert "differentiated=True" in text and text.count("remat2[") == 1
    print_saved_residuals(checkpoint(net), W, X)
    assert "f32[3,3] from the argument w" in capsys.readouterr().out
    assert "name[name=hidden]" in str(make_jaxpr(net)(W, X))


def test_static_arguments_and_options():
    @checkpoint(static_argnums=(1,))
    def f(x, power):
        return lax.mul(x, float(power)) if power > 1 else x

    close(grad(f)(2.0, 3), 3.0)
    close(grad(f)(2.0, power=1), 1.0)
    g = checkpoint(lambda x, *, flag: lax.sin(x) if flag else x, static_argnames="flag")
    close(grad(g)(0.5, flag=True), np.cos(0.5))
    with pytest.raises(TypeError, match="callable"):
        checkpoint(3)


def test_in_scans_and_around_custom_rules():
    @custom_vjp
    def triple(x):
        return lax.sin(x)

    triple.defvjp(lambda x: (lax.sin(x), x), lambda x, ct: (lax.mul(ct, 3.0),))
    close(grad(checkpoint(triple))(0.5), 3.0)
    close(jit(grad(checkpoint(lambda x: lax.mul(triple(x), 2.0))))(0.5), 6.0)

    def loop(step, x):
        return scan(lambda c, _: (step(c), None), x, None, length=3)[0]

    want = grad(partial(loop, lax.sin))(0.5)
    for options in ({}, {"prevent_cse": False}):
        step = checkpoint(lax.sin, **options)
        close(grad(partial(loop, step))(0.5), want)
        close(jit(grad(partial(loop, step)))(0.5), want)


def test_closing_over_a_differentiated_value():
    close(grad(lambda a: checkpoint(lambda x: lax.mul(a, lax.sin(x)))(0.5))(2.0), np.sin(0.5))
    value, slope = value_and_grad(lambda a: vmap(checkpoint(lambda x: lax.mul(a, x)))(X)[1])(2.0)
    close(value, 2 * X[1])
    close(slope, X[1])
    close(linearize(checkpoint(lax.sin), 0.5)[1](1.0), np.cos(0.5))


def test_static_arguments_need_no_hash():
    """As in JAX; equinox gives trees with dictionaries."""
    f = checkpoint(lambda tree, x: x * tree[0]["scale"], static_argnums=0)
    for scale in (2.0, 3.0):
        assert grad(lambda x, s=scale: f(({"scale": s},), x))(1.5) == scale

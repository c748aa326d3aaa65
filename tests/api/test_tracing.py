"""Evaluation while tracing, and shapes without arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.core.trace import Tracer


def test_what_is_concrete_is_evaluated_and_the_rest_traced() -> None:
    seen = []

    @fg.jit
    def f(x):
        with fg.ensure_compile_time_eval():
            known = fnp.arange(3).sum() + 1
            traced = x * known
            seen.append((isinstance(known, Tracer), isinstance(traced, Tracer)))
            assert known == 4
        return traced

    assert f(2.0) == 8
    assert seen == [(False, True)]
    assert fg.grad(f)(2.0) == 4


@pytest.mark.parametrize("transform", [fg.jit, fg.vmap, fg.grad, lambda f: fg.jit(fg.grad(f))])
def test_transforms_within_the_evaluation_of_constants(transform) -> None:
    def f(x):
        with fg.ensure_compile_time_eval():
            return fg.jit(fnp.sin)(x) * fg.lax.scan(lambda c, v: (c + v, v), 0.0, fnp.ones(3))[0]

    x = fnp.ones(2) if transform is fg.vmap else 1.0
    want = 3 * (np.cos(1.0) if transform not in (fg.jit, fg.vmap) else np.sin(1.0))
    np.testing.assert_allclose(transform(f)(x), np.broadcast_to(want, np.shape(x)), rtol=1e-6)


def test_eval_shape_passes_on_what_stands_for_arrays() -> None:
    struct = fg.ShapeDtypeStruct((3, 2), "float32")
    assert fg.eval_shape(lambda x: (struct, x.T), struct) == (
        struct,
        fg.ShapeDtypeStruct((2, 3), "float32"),
    )


def test_custom_rules_of_trees_without_leaves() -> None:
    same = fg.custom_jvp(lambda text, x: x, nondiff_argnums=(0,))
    same.defjvp(lambda text, primals, tangents: (primals[0], tangents[0]))
    assert same("text", {"a": None}) == {"a": None}
    back = fg.custom_vjp(lambda x: x)
    back.defvjp(lambda x: (x, None), lambda _, ct: (ct,))
    assert back(()) == ()


def test_primals_under_symbolic_zeros_are_leaves() -> None:
    from funcgrad.custom_derivatives import CustomVJPPrimal

    @fg.custom_vjp
    def f(x, y):
        return x * y

    def fwd(x, y):
        kinds = fg.tree.map(type, (x, y))
        assert kinds == (CustomVJPPrimal, CustomVJPPrimal)
        return x.value * y.value, (x.value, y.value, x.perturbed, y.perturbed)

    def bwd(kept, ct):
        assert kept[2:] == (True, False)
        return ct * kept[1], None

    f.defvjp(fwd, bwd, symbolic_zeros=True)
    assert fg.grad(f)(2.0, 3.0) == 3

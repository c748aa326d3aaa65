"""Values that only kernels see lie as their readers go over them."""

from __future__ import annotations

from typing import Any

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.ir.loops import Affine
from funcgrad.ir.nests import For, Node, Store, expressions, loads_of, offset_of
from funcgrad.kernels.program import Launch


def strided(f: Any, *args: Any) -> int:
    """How many loads go across memory in the innermost loops of a program."""
    count = 0

    def walk(nodes: list[Node], inner: For | None) -> None:
        nonlocal count
        for node in nodes:
            if isinstance(node, For):
                walk(node.body, node)
            elif inner is not None:
                for load in loads_of(*expressions(node)):
                    place: Affine = offset_of(load.source, load.index)
                    count += abs(place.axes.get(inner.axis, 0)) > 1
                if isinstance(node, Store):
                    count += abs(offset_of(node.target, node.index).axes.get(inner.axis, 0)) > 1

    for step in fg.jit(f).lower(*args).stages.block.steps:
        if isinstance(step, Launch):
            walk(step.kernel.body, None)
    return count


def array(*shape: int) -> Any:
    return fnp.asarray(np.random.default_rng(3).normal(size=shape).astype(np.float32))


def test_a_transposition_moves_through_what_is_kept() -> None:
    """Read twice and costly, the value is kept; it is made in the order of its reader."""
    x, y = array(40), array(30)

    def f(x: Any, y: Any) -> Any:
        kept = fnp.exp(x[:, None] * y)
        return (kept + fnp.flip(kept, 0)).T

    assert strided(f, x, y) == 0
    np.testing.assert_allclose(fg.jit(f)(x, y), f(x, y), rtol=1e-6)


def test_what_must_be_read_across_is_read_once() -> None:
    x = array(40, 30)

    def f(x: Any) -> Any:
        kept = fnp.exp(x)
        return (kept + fnp.flip(kept, 0)).T

    assert 0 < strided(f, x) <= 2
    np.testing.assert_allclose(fg.jit(f)(x), f(x), rtol=1e-6)


def test_results_and_arguments_stay_as_they_are() -> None:
    x, y = array(40), array(30)

    def f(x: Any, y: Any) -> Any:
        kept = fnp.exp(x[:, None] * y)
        return kept, kept.T

    for got, want in zip(fg.jit(f)(x, y), f(x, y), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_a_hessian_reads_no_identity_and_nothing_across() -> None:
    x = array(50)

    def rosenbrock(x: Any) -> Any:
        return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    hessian = fg.hessian(rosenbrock)
    assert strided(hessian, x) == 0
    assert not fg.jit(hessian).lower(x).stages.block.constants
    np.testing.assert_allclose(fg.jit(hessian)(x), hessian(x), rtol=1e-4, atol=1e-3)


def test_what_lies_in_memory_as_it_is_wanted_is_not_copied() -> None:
    def f(x: Any, y: Any) -> Any:
        # Unit axes between a product, a factor and another product.
        factor = fnp.linalg.cholesky((x @ x.T + 90 * fnp.eye(40))[None, :, None].reshape(1, 40, 40))
        return factor[0] @ y

    x, y = array(40, 40), array(40, 9)
    lowered = fg.jit(f).lower(x, y)
    launches = [s for s in lowered.stages.block.steps if isinstance(s, Launch)]
    assert len(launches) == 1, [s.kernel for s in launches]
    want = np.linalg.cholesky(np.asarray(x) @ np.asarray(x).T + 90 * np.eye(40)) @ np.asarray(y)
    np.testing.assert_allclose(fg.jit(f)(x, y), want, 1e-4, 1e-4)

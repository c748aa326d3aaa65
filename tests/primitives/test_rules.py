"""Every rule of every primitive, on every example it names.

The tests are generated from the registry: a primitive without a rule, an example, or a statement
that it cannot have one, fails here.
"""

from pathlib import Path

import numpy as np
import pytest

from funcgrad.config import enable_x64
from funcgrad.control.jitted import jit
from funcgrad.core.evaluate import eval_closed, run_numpy
from funcgrad.core.primitive import AxisData, registry
from funcgrad.core.staging import stage
from funcgrad.core.zeros import UndefinedPrimal, instantiate
from funcgrad.ir import dtypes
from funcgrad.ir.avals import aval_of
from funcgrad.ir.checking import check_jaxpr
from funcgrad.transforms.batch import batch_flat
from funcgrad.transforms.jvp import jvp_flat
from funcgrad.transforms.linearize import linearize_flat
from funcgrad.transforms.transpose import backward_pass

from .rules import (
    COMPILED,
    IDS,
    PAIRS,
    arrays,
    assert_close,
    assert_same,
    finite_difference,
    flat_function,
    inexact_operands,
    inner,
    is_differentiable,
    numeric_outs,
    random_like,
    stack,
)

SIZE = 3
ROOT = Path(__file__).resolve().parents[2]

every_case = pytest.mark.parametrize(("primitive", "example"), PAIRS, ids=IDS)


@pytest.fixture(autouse=True)
def _x64():
    with enable_x64():
        yield


def differentiable(primitive, example):
    """The flat function, its values and their positions; skips what has no derivative."""
    positions = inexact_operands(primitive, example)
    if not is_differentiable(primitive) or not positions:
        pytest.skip("declared without derivative")
    fun = flat_function(primitive, example, positions)
    values = [np.asarray(example.args[i]) for i in positions]
    if not any(numeric_outs(fun(*values))):
        pytest.skip("no output has a derivative")
    return fun, values


@pytest.mark.parametrize("name", sorted(registry))
def test_every_primitive_is_tested(name):
    primitive = registry[name]
    if next(iter(primitive.examples()), None) is None:
        assert primitive.tested_in, f"{name} has no examples and names no file of tests"
        assert (ROOT / primitive.tested_in).is_file(), primitive.tested_in


@every_case
def test_impl_agrees_with_abstract_eval(primitive, example):
    avals = tuple(aval_of(x) for x in example.args)
    inferred, _ = primitive.infer(avals, example.params)
    fun = flat_function(primitive, example, range(len(example.args)))
    closed = stage(fun, avals)
    check_jaxpr(closed.jaxpr)
    raw = run_numpy(closed, arrays(example.args))
    assert [(r.shape, r.dtype) for r in raw] == [(a.shape, a.dtype) for a in inferred]
    for got, want in zip(fun(*example.args), raw, strict=True):
        assert_same(got, want)
    for got, want in zip(eval_closed(closed, *example.args), raw, strict=True):
        assert_same(got, want)
    for got, want in zip(jit(fun)(*example.args), raw, strict=True):
        assert_same(got, want, COMPILED.get(want.dtype.name, 1e-9))


@every_case
def test_jvp_is_the_finite_difference(primitive, example):
    fun, values = differentiable(primitive, example)
    tangents = [random_like(v, 3 + i) for i, v in enumerate(values)]
    outs, found = jvp_flat(fun, values, tangents)
    want = finite_difference(fun, values, tangents, 1e-4)
    for out, t, w in zip(outs, found, want, strict=True):
        if dtypes.issubdtype(aval_of(out).dtype, np.inexact):
            assert aval_of(instantiate(t)).strong() == aval_of(out).strong()
            assert_close(instantiate(t), w, max(example.tolerance, 1e-6))


# Defined on complex numbers, but not by an analytic function; or (atan2) by way of a logarithm, in
# which a step this small is lost.
NOT_ANALYTIC = {
    *("atan2", "clamp", "conj", "max", "min", "sign"),
    *("cholesky", "eig", "householder_product", "ormqr", "qr"),
}


@every_case
def test_jvp_is_the_complex_step(primitive, example):
    """f'(x) = Im f(x + ih) / h, exact to rounding because nothing is subtracted."""
    fun, values = differentiable(primitive, example)
    if primitive.name in NOT_ANALYTIC or any(v.dtype != np.float64 for v in values):
        pytest.skip("no analytic function of real values")
    tangents = [random_like(v, 3 + i) for i, v in enumerate(values)]
    step = 1e-30
    try:
        outs = arrays(fun(*[v + 1j * step * t for v, t in zip(values, tangents, strict=True)]))
    except (TypeError, ValueError):
        pytest.skip("real operands only")
    if any(out.dtype != np.complex128 for out in outs):
        pytest.skip("the result of complex operands is real")
    _, found = jvp_flat(fun, values, tangents)
    for out, t in zip(outs, found, strict=True):
        if np.isfinite(out).all():
            assert_close(instantiate(t), out.imag / step, 1e-9)


@every_case
def test_transpose_is_the_adjoint(primitive, example):
    fun, values = differentiable(primitive, example)
    outs, linear = linearize_flat(fun, values)
    tangents = [random_like(v, 5 + i) for i, v in enumerate(values)]
    _, pushed = jvp_flat(fun, values, tangents)
    nonzero = [i for i, nz in enumerate(linear.nonzero_outs) if nz]
    cts = [random_like(outs[i], 9 + i) for i in nonzero]
    args = [UndefinedPrimal(v.aval) for v in linear.jaxpr.invars]
    pulled = backward_pass(linear.jaxpr, linear.residuals, args, cts)
    # ⟨Jv, w⟩ without conjugation is what reverse mode transposes.
    left = sum(
        np.sum(np.asarray(instantiate(pushed[i])) * ct) for i, ct in zip(nonzero, cts, strict=True)
    )
    right = sum(
        np.sum(t * np.asarray(instantiate(p))) for t, p in zip(tangents, pulled, strict=True)
    )
    for p, v in zip(pulled, values, strict=True):
        assert aval_of(instantiate(p)).shape == v.shape
        assert aval_of(instantiate(p)).dtype == v.dtype
    if all(v.dtype.kind == "f" for v in values) and all(ct.dtype.kind == "f" for ct in cts):
        assert_close(left, right, 1e-7)
    else:
        assert_close(np.real(left), np.real(right), 1e-7)


def batch_choices(example):
    """For each operand alone and each axis, and all operands at axis 0, the batch axes."""
    ranks = [np.ndim(x) for x in example.args]
    for i, rank in enumerate(ranks):
        for at in range(rank + 1):
            yield tuple(at if j == i else None for j in range(len(ranks)))
    yield tuple(0 for _ in ranks)


def batched_args(example, dims):
    """Arguments with batch axes, and the arguments of each element."""
    args, rows = [], [[] for _ in range(SIZE)]
    for x, d in zip(example.args, dims, strict=True):
        x = np.asarray(x)
        if d is None:
            args.append(x)
            parts = [x] * SIZE
        else:
            parts = [np.roll(x, i) if x.size and x.dtype.kind != "V" else x for i in range(SIZE)]
            args.append(np.stack(parts, axis=d))
        for row, part in zip(rows, parts, strict=True):
            row.append(part)
    return args, rows


@every_case
def test_batch_is_a_loop(primitive, example):
    fun = flat_function(primitive, example, range(len(example.args)))
    for dims in batch_choices(example):
        if not any(d is not None for d in dims):
            continue
        args, rows = batched_args(example, dims)
        outs, out_dims = batch_flat(fun, AxisData(None, SIZE), args, dims)
        want = stack([arrays(fun(*row)) for row in rows])
        for out, d, w in zip(outs, out_dims, want, strict=True):
            value = np.asarray(out)
            value = np.stack([value] * SIZE) if d is None else np.moveaxis(value, d, 0)
            assert value.dtype == w.dtype
            if w.dtype.kind in "fc":
                np.testing.assert_allclose(value, w, rtol=1e-8, atol=1e-8)
            else:
                np.testing.assert_array_equal(value, w)


def reverse(fun, values, seed=21):
    """Gradient of a fixed random contraction of a flat function's real outputs."""

    def pull(*xs):
        outs, linear = linearize_flat(fun, xs)
        cts = [
            random_like(np.zeros(aval_of(out).shape, aval_of(out).dtype), seed + i)
            for i, (out, nz) in enumerate(zip(outs, linear.nonzero_outs, strict=True))
            if nz
        ]
        args = [UndefinedPrimal(v.aval) for v in linear.jaxpr.invars]
        found = backward_pass(linear.jaxpr, linear.residuals, args, cts)
        return [instantiate(x) for x in found]

    return pull


@every_case
def test_second_derivatives(primitive, example):
    if example.order < 2:
        pytest.skip("differentiable once at this point")
    fun, values = differentiable(primitive, example)
    pull = reverse(fun, values)
    tangents = [random_like(v, 31 + i) for i, v in enumerate(values)]
    _, forward_over_reverse = jvp_flat(pull, values, tangents)
    want = finite_difference(pull, values, tangents, 1e-4)
    for t, w in zip(forward_over_reverse, want, strict=True):
        assert_close(instantiate(t), w, max(example.tolerance, 1e-5))
    if any(v.dtype.kind == "c" for v in values):
        return
    # Reverse over reverse: the Hessian is symmetric, so ⟨v, H w⟩ = ⟨w, H v⟩.
    _, linear = linearize_flat(pull, values)
    weights = [random_like(v, 41 + i) for i, v in enumerate(values)]
    args = [UndefinedPrimal(v.aval) for v in linear.jaxpr.invars]
    given = [w for w, nz in zip(weights, linear.nonzero_outs, strict=True) if nz]
    twice = [instantiate(x) for x in backward_pass(linear.jaxpr, linear.residuals, args, given)]
    pushed = [instantiate(t) for t in forward_over_reverse]
    assert_close(inner(twice, tangents), inner(pushed, weights), 1e-6)


@every_case
def test_transforms_of_transforms(primitive, example):
    """vmap∘jvp = jvp∘vmap, vmap∘grad = grad∘vmap, and jit around each."""
    fun, values = differentiable(primitive, example)
    dims = [0] * len(values)
    batch = [np.stack([np.roll(v, i) if v.size else v for i in range(SIZE)]) for v in values]
    tangents = [random_like(b, 51 + i) for i, b in enumerate(batch)]

    def mapped(*xs):
        outs, out_dims = batch_flat(fun, AxisData(None, SIZE), xs, dims)
        return fronted(outs, out_dims)

    def push(*xs):
        half = len(xs) // 2
        outs, found = jvp_flat(fun, xs[:half], xs[half:])
        return [instantiate(t) for o, t in zip(outs, found, strict=True) if has_tangent(o)]

    outs, found = jvp_flat(mapped, batch, tangents)
    left = [instantiate(t) for o, t in zip(outs, found, strict=True) if has_tangent(o)]
    right = fronted(*batch_flat(push, AxisData(None, SIZE), [*batch, *tangents], dims + dims))
    for a, b in zip(left, right, strict=True):
        assert_same(a, b)

    pull = reverse(fun, values)
    loop = stack([arrays(pull(*row)) for row in zip(*batch, strict=True)])

    def mapped_pull(*xs):
        return fronted(*batch_flat(pull, AxisData(None, SIZE), xs, dims))

    for got in (mapped_pull(*batch), jit(mapped_pull)(*batch)):
        for a, b in zip(got, loop, strict=True):
            np.testing.assert_allclose(np.asarray(a), b, rtol=1e-7, atol=1e-7)


def has_tangent(x):
    return aval_of(x).to_tangent().dtype != dtypes.float0


def fronted(outs, dims):
    """Outputs with their batch axes in front."""
    from funcgrad.core.axes import to_front

    return [to_front(x, d, SIZE) for x, d in zip(outs, dims, strict=True)]

"""Kernels of the user's own, compiled by Numba, under every transform and in every process."""

import os
import subprocess
import sys
import threading
import tracemalloc

import numba
import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.config import enable_x64
from funcgrad.kernels.canonical import Canonical
from funcgrad.test_util import check_grads


@numba.njit
def clipped_cube(x, low, out):
    """max(x, low)³, row by row."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            v = max(x[i, j], low)
            out[i, j] = v * v * v


def cube_jvp(primals, tangents):
    x, low = primals
    dx, dlow = tangents
    v = fnp.maximum(x, low)
    return cube(x, low), 3 * v * v * fnp.where(x > low, dx, dlow)


cube = fg.custom_kernel(clipped_cube, shape=lambda x, low: x, jvp=cube_jvp, name="cube")


def reference(x, low):
    return np.maximum(x, low) ** 3


@fg.custom_kernel(
    shape=lambda x: [x, fg.ShapeDtypeStruct((), x.dtype)],
    vjp=lambda args, outs, cts: (cts[0][::-1] + cts[1] * 2 * args[0],),
)
@numba.njit
def flipped_and_squares(x, flipped, total):
    total[()] = 0
    for i in range(x.size):
        flipped[x.size - 1 - i] = x[i]
        total[()] += x[i] * x[i]


@fg.custom_kernel(shape=lambda x: x)
@numba.njit
def roots(x, out):
    for i in range(x.size):
        if x[i] < 0:
            raise ValueError("a negative number")
        out[i] = np.sqrt(x[i])


x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize("run", [lambda f: f, fg.jit], ids=["eager", "jit"])
@pytest.mark.parametrize(
    "given",
    [x, x.T, x[:, ::-1], x[::2], np.asfortranarray(x), x.astype(np.int32), x[:0], x.astype("f8")],
)
def test_values_on_any_memory(given, run):
    with enable_x64():
        out = run(lambda v: cube(v, given.dtype.type(0)))(given)
    assert out.dtype == given.dtype
    np.testing.assert_allclose(out, reference(given, 0), rtol=1e-6)


@pytest.mark.parametrize("lowering", ["fast", "source", "python", "numpy"])
def test_every_lowering_runs_it(lowering):
    fg.config.update("lowering", lowering)
    try:
        out = fg.jit(lambda v: cube(fnp.sin(v), 0.1) + 1)(x)
        np.testing.assert_allclose(out, reference(np.sin(x), 0.1) + 1, rtol=1e-6)
    finally:
        fg.config.update("lowering", "fast")


def test_the_program_calls_machine_code():
    lowered = fg.jit(lambda v: cube(v * 2, 0.1) + 1).lower(x)
    assert "called out: nothing" in lowered.explain()
    assert "native code" in str(lowered.schedule)
    assert "declare i32 @fg_native_0(ptr, ptr)" in lowered.llvm


@pytest.mark.parametrize("axes", [(0, None), (1, None), (None, 0), (0, 0), (2, 0)])
@pytest.mark.parametrize("run", [lambda f: f, fg.jit], ids=["eager", "jit"])
def test_vmap_is_a_loop_in_machine_code(axes, run):
    rng = np.random.default_rng(0)
    stacked = rng.normal(size=(5, 5, 5)).astype(np.float32)
    lows = np.linspace(-1, 1, 5, dtype=np.float32)
    given = stacked if axes[0] is not None else stacked[0], lows if axes[1] is not None else 0.2
    got = run(fg.vmap(cube, axes))(*given)
    rows = np.moveaxis(given[0], axes[0], 0) if axes[0] is not None else [given[0]] * 5
    bounds = lows if axes[1] is not None else [0.2] * 5
    want = np.stack([reference(a, b) for a, b in zip(rows, bounds, strict=True)])
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_vmap_of_vmap_and_outputs_of_rank_0():
    rows = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for f in (lambda v: v, fg.jit):
        flipped, totals = f(fg.vmap(fg.vmap(flipped_and_squares)))(rows)
        assert np.array_equal(flipped, rows[..., ::-1])
        np.testing.assert_allclose(totals, (rows**2).sum(-1))
    crossed = fg.vmap(fg.vmap(cube, (None, 0)), (0, None))(rows, np.array([1, 5, 9], np.float32))
    want = [[reference(r, b) for b in (1, 5, 9)] for r in rows]
    np.testing.assert_allclose(crossed, want)


def test_a_rule_for_batches():
    seen = []

    def rule(size, batched, x):
        seen.append((size, batched))
        return twice(x), True

    @fg.custom_kernel(shape=lambda x: x, batch=rule)
    @numba.njit
    def twice(x, out):
        out.ravel()[:] = 2 * x.ravel()

    got = fg.vmap(twice)(x)
    assert seen == [(3, [True])]
    assert np.array_equal(got, 2 * x)


@pytest.mark.parametrize("rule", [lambda n, b, x: (x[0], True), lambda n, b, x: ([x, x], True)])
def test_a_wrong_rule_for_batches_is_an_error(rule):
    f = fg.custom_kernel(roots.kernel.dispatcher, shape=lambda x: x, batch=rule)
    with pytest.raises(TypeError, match="batch rule .* of the kernel roots gave f32"):
        fg.vmap(f)(abs(x))


def test_derivatives():
    with enable_x64():
        wide = np.linspace(-1, 1, 6).reshape(2, 3) + 0.01
        for f in (cube, fg.jit(cube)):
            check_grads(f, (wide, 0.1), order=2, modes=["fwd", "rev"])
        batched = fg.jit(fg.vmap(lambda v, b: cube(v, b).sum(), (0, None)))
        check_grads(batched, (np.stack([wide, 2 * wide]), 0.1), order=1)
        f = fg.jit(lambda v: flipped_and_squares(v)[0][0] * flipped_and_squares(v)[1])
        check_grads(f, (wide[0],), order=1, modes=["rev"])
    with pytest.raises(TypeError, match="forward-mode"):
        fg.jvp(flipped_and_squares, (x[0],), (x[0],))


def test_without_rules_differentiating_is_an_error():
    with pytest.raises(TypeError, match=r"(?s)kernel roots was differentiated.*Give custom_kernel"):
        fg.grad(lambda v: roots(v).sum())(x[0])
    assert fg.grad(lambda v: (v * roots(lax.stop_gradient(abs(v)))).sum())(x[0]).shape == (4,)


def test_inside_loops_and_branches():
    def step(c, row):
        c = lax.cond(row[0] > 0, lambda c: cube(c, 0.1), lambda c: c * 0.5, c)
        return c, c.sum()

    def f(c, rows):
        return lax.scan(step, c, rows)

    got, sums = fg.jit(f)(x, x)
    c = x
    for row, total in zip(x, sums, strict=True):
        c = reference(c, np.float32(0.1)) if row[0] > 0 else c * 0.5
        np.testing.assert_allclose(total, c.sum(), rtol=1e-5)
    np.testing.assert_allclose(got, c, rtol=1e-5)
    assert fg.grad(lambda c: fg.jit(f)(c, x)[0].sum())(x).shape == x.shape


@pytest.mark.parametrize("run", [lambda f: f, fg.jit, lambda f: fg.jit(fg.vmap(f))])
def test_what_a_kernel_raises_reaches_the_caller(run):
    given = fnp.array([[1.0, 4.0], [9.0, -1.0]])
    f = run(lambda v: roots(v.ravel()))
    for _ in range(2):
        with pytest.raises(ValueError, match="a negative number") as caught:
            f(given)
        notes = "\n".join(caught.value.__notes__)
        assert "in the kernel roots" in notes
        if run is fg.jit:
            assert "roots(v.ravel())" in notes
    assert np.array_equal(fg.jit(lambda v: roots(v))(given[0]), [1, 2])


def test_threads_share_a_program():
    f = fg.jit(lambda v: cube(v, 0.1).sum())
    given = [fnp.full((30, 40), k / 10) for k in range(8)]
    found = {}

    def work(k):
        for _ in range(20):
            found.setdefault(k, set()).add(float(f(given[k])))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for k in range(8):
        (total,) = found[k]
        assert total == pytest.approx(1200 * max(k / 10, 0.1) ** 3, rel=1e-5)


def test_calls_leave_nothing_behind():
    f = fg.jit(lambda v: cube(v, 0.1))
    big = fnp.ones((200, 100))
    f(big)
    tracemalloc.start()
    for _ in range(200):
        f(big)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 200_000


SCRIPT = """
import sys
import numpy as np
import numba
import funcgrad as fg
import funcgrad.numpy as fnp

factor = float(sys.argv[1])

@fg.custom_kernel(shape=lambda x: x)
@numba.njit
def scaled(x, out):
    for i in range(x.size):
        if x[i] > 50:
            raise ValueError("too large")
        out[i] = factor * x[i]

f = fg.jit(fg.vmap(lambda x: fnp.exp(scaled(x) * 0) + scaled(x)))
print(float(f(fnp.arange(6.0).reshape(2, 3)).sum()), "funcgrad.kernels.pipeline" in sys.modules)
try:
    f(fnp.full((2, 3), 51.0))
except ValueError as error:
    print(error, "|", error.__notes__[0].replace("\\n", " "))
"""


def test_second_process_compiles_the_kernel_only(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    environment = {**os.environ, "FUNCGRAD_CACHE_DIR": str(tmp_path / "cache")}

    def answer(factor):
        command = [sys.executable, str(path), str(factor)]
        out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        first, second = out.stdout.splitlines()
        value, compiled = first.split()
        assert "too large" in second and "script.py:18" in second and "kernel scaled" in second
        return float(value), compiled == "True"

    assert answer(1.0) == (21.0, True)
    # Another kernel in the same place: the program is the same, and calls the new one.
    assert answer(2.0) == (36.0, False)


def test_two_kernels_of_one_program_are_told_apart():
    def scaled(factor):
        @numba.njit
        def kernel(x, out):
            out[:] = factor * x

        return fg.custom_kernel(kernel, shape=lambda x: x)

    one, two = scaled(1), scaled(2)
    row = fnp.ones(3)
    assert np.array_equal(fg.jit(lambda v: one(v) + 10 * two(v))(row), [21, 21, 21])
    texts = {
        Canonical(fg.make_jaxpr(f)(row)).text
        for f in (lambda v: one(two(v)), lambda v: one(one(v)))
    }
    assert len(texts) == 2


def wrong_dtype():
    return roots(fnp.ones(3, "bfloat16"))


def wrong_count():
    return fg.custom_kernel(clipped_cube, shape=lambda x: x)(x)


def wrong_shape_rule():
    return fg.custom_kernel(roots.kernel.dispatcher, shape=lambda x: (3, 4))(x[0])


def a_key():
    return roots(fg.random.key(0))


def writes_what_it_reads():
    @numba.njit
    def kernel(x, out):
        x[0] = 1

    return fg.jit(fg.custom_kernel(kernel, shape=lambda x: x))(x[0])


def wrong_rank():
    return fg.jit(cube)(x[0], 0.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fg.custom_kernel(abs, shape=x), "takes a function compiled by Numba"),
        (wrong_dtype, r"was given bf16\[3\], of a dtype"),
        (a_key, "was given key"),
        (wrong_count, "takes 3 arguments, .* called with 1 arrays"),
        (wrong_shape_rule, r"shape rule of the kernel roots gave 3 for \(f32\[4\]\)"),
        (writes_what_it_reads, "(?s)cannot compile the kernel kernel .*test_custom_kernels.py.*"),
        (wrong_rank, "(?s)cannot compile the kernel cube"),
        (lambda: roots("text"), "the arguments of the kernel roots"),
    ],
)  # fmt: skip
def test_wrong_use_is_a_type_error(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_wrong_options_are_errors():
    kernel = roots.kernel.dispatcher
    with pytest.raises(ValueError, match="takes jvp or vjp, not both"):
        fg.custom_kernel(kernel, shape=x, jvp=cube_jvp, vjp=cube_jvp)
    with pytest.raises(ValueError, match='batch is "loop", a function or None'):
        fg.custom_kernel(kernel, shape=x, batch="threads")
    with pytest.raises(ValueError, match="made with batch=None"):
        fg.vmap(fg.custom_kernel(kernel, shape=lambda x: x, batch=None))(x)

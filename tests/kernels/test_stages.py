"""The stages of a jitted function: printed, checked, explained, counted."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.ir.loops import (
    Affine,
    Axis,
    Const,
    Load,
    apply,
    axis_index,
    cast,
    clamped,
    const,
    index_of,
    int64,
    select,
)
from funcgrad.ir.nests import Acc, Accumulate, Buffer, For, Kernel, Store
from funcgrad.kernels.checking import KernelChecker, check_memory, interval
from funcgrad.kernels.memory import Plan

f32 = np.dtype(np.float32)
i32 = np.dtype(np.int32)
X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)


def lowered(f=lambda x: nn_like(x), *args):
    return fg.jit(f).lower(*(args or (X,)))


def nn_like(x):
    return fnp.exp(x) / fnp.exp(x).sum(axis=1, keepdims=True)


def looped(x):
    def turn(c, r):
        return fnp.sort(fnp.tanh(c @ r)), c.sum()

    return lax.scan(turn, x[0], fnp.stack([x.T @ x] * 3))


# Values.


def test_every_stage_prints():
    found = lowered()
    assert "exp" in str(found.jaxpr) and "exp" in str(found.simplified)
    assert "group 1:" in str(found.groups)
    assert "for i0 < 3" in str(found.loops)
    assert str(found.schedule).startswith("0  k1 ->")
    assert str(found.memory).splitlines()[0].split() == ["buffer", "offset", "bytes", "steps"]
    assert "def program(" in found.source and "define i32 @program" in found.llvm
    assert "program" in found.asm
    found.check()
    for stage in (found.groups, found.loops, found.schedule, found.memory):
        assert repr(stage) == str(stage)


def test_stages_of_loops_are_indented():
    found = lowered(looped)
    assert re.search(r"^body of .*scan", str(found.groups), re.M)
    assert re.search(r"^   body\n   0  ", str(found.schedule), re.M)
    found.check()


def test_memory_shows_lifetimes_and_offsets():
    def f(x):
        y = fnp.sort(x, axis=1)
        return fnp.sort(y + 1, axis=0) * 2

    table = str(lowered(f).memory)
    assert re.search(r"f32\[3,4\] +0 +48 +\d+\.\.\d+", table)
    assert "arena of" in table


def test_source_runs_as_a_file(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(lowered().source.replace("compiled as kernel", "plain as kernel"))
    space = {}
    exec(compile(path.read_text(), str(path), "exec"), space)
    out = np.empty(12, np.float32)
    space["program"]((), np.empty(0, np.uint8), X.ravel(), out)
    np.testing.assert_allclose(out.reshape(3, 4), np.asarray(nn_like(X)), rtol=1e-6)


def test_costs_are_counted_from_the_loops():
    cost = lowered(lambda x, y: x * y + 1, X, X).cost()
    assert (cost.flops, cost.transcendentals, cost.bytes) == (24, 0, 3 * 48)
    analysis = lowered(lambda x: fnp.sin(x), X).cost_analysis()
    assert analysis["transcendentals"] == 12
    assert analysis["bytes accessed"] == 96
    assert analysis["eqns"] == {"sin": 1}
    big = np.ones((64, 64), np.float32)
    assert lowered(lambda a, b: a @ b, big, big).cost().flops == 2 * 64**3
    turns = lowered(lambda x: lax.fori_loop(0, 5, lambda i, c: fnp.sort(c * 2), x), X[0])
    assert turns.cost().flops >= 5 * 4


def test_compiled_tells_its_memory_and_text():
    compiled = lowered().compile()
    np.testing.assert_allclose(compiled(X), np.asarray(nn_like(X)), rtol=1e-6)
    stats = compiled.memory_analysis()
    assert stats.argument_size_in_bytes == stats.output_size_in_bytes == 48
    assert stats.generated_code_size_in_bytes > 0
    assert "program" in compiled.as_text()
    assert compiled.cost_analysis()["flops"] > 0


def test_compiled_takes_scalars():
    compiled = fg.jit(lambda x, s: x * s).lower(X, 2.0).compile()
    np.testing.assert_array_equal(compiled(X, 3.0), X * 3)


# Explanations.


def test_explanation_names_kernels_call_outs_and_copies():
    def f(x):
        return lax.linalg.hessenberg(fnp.sin(x))[0], x

    text = lowered(f, np.ones((3, 3), np.float32)).explain()
    assert text.startswith("f: 1 kernel, 0 library calls, 1 call-out;")
    assert "k1: a:f32[3,3] -> b:f32[3,3]" in text
    assert "b:f32[3,3] = sin a" in text
    assert "serial: less than 20 us of work" in text
    assert "called out: hessenberg" in text
    assert "copied: a into output 1, 36 B" in text


def test_explanation_says_why_groups_were_split():
    def f(x):
        y = fnp.cumsum(x, axis=0)
        return fnp.sin(y)

    text = lowered(f, np.ones((300, 40), np.float32)).explain()
    assert re.search(r"a kernel of its own: not with \w+: \w+ goes one step after the other", text)


def test_explanation_says_what_threads_share():
    text = lowered(fnp.tanh, np.ones((1000, 1000), np.float32)).explain()
    assert re.search(r"threads: \d+ chunks of \d+", text)


@pytest.mark.parametrize("level", [1, 2, 4])
def test_debug_prints_stages_to_stderr(level):
    code = (
        "import numpy as np, funcgrad as fg, funcgrad.numpy as fnp\n"
        "fg.jit(lambda x: fnp.sin(x))(np.ones(3, np.float32))"
    )
    root = fg.__file__.rsplit("funcgrad", 1)[0]
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "FUNCGRAD_DEBUG": str(level), "PYTHONPATH": root},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout == ""
    assert "1 kernel, 0 library calls" in run.stderr
    assert ("== groups" in run.stderr) == (level >= 2)
    assert ("== loops" in run.stderr) == (level >= 3)
    assert ("== llvm" in run.stderr) == (level >= 4)


# Checks that find faults.


def kernel(body, params, scratch=()):
    return Kernel("k", params, params, list(scratch), body, 1, 1, None, 1.0, [])


def fault(body, params, match):
    with pytest.raises(AssertionError, match=match):
        KernelChecker(kernel(body, params)).check()


def test_checker_finds_what_is_out_of_bounds():
    a, i = Buffer((4,), f32, "a"), Axis(5)
    at = (axis_index(i),)
    fault([For(i, [Store(a, at, const(0, f32))])], [a], r"a\[.*may be out of bounds")
    b, j = Buffer((4,), f32, "b"), Axis(4, "j")
    value = Load(a, (axis_index(j) + 1,), f32, None)
    fault([For(j, [Store(b, (axis_index(j),), value)])], [a, b], "out of bounds")
    guarded = Load(a, (axis_index(j) + 1,), f32, apply("lt", const(0, int64), const(1, int64)))
    KernelChecker(kernel([For(j, [Store(b, (axis_index(j),), guarded)])], [a, b])).check()


def test_checker_wants_loaded_indices_clamped():
    a, where = Buffer((4,), f32, "a"), Buffer((3,), i32, "w")
    i = Axis(3)
    index = index_of(Load(where, (axis_index(i),), i32, None))
    loose = [For(i, [Store(a, (index,), const(0, f32))])]
    fault(loose, [a, where], "out of bounds")
    tight = [For(i, [Store(a, (clamped(index, 3),), const(0, f32))])]
    KernelChecker(kernel(tight, [a, where])).check()


def test_checker_finds_axes_and_types_and_folds():
    a, i, j = Buffer((4,), f32, "a"), Axis(4, "i"), Axis(4, "j")
    fault([For(i, [Store(a, (axis_index(j),), const(0, f32))])], [a], "axis j<4 is not bound")
    fault([For(i, [Store(a, (axis_index(i),), const(0, i32))])], [a], "int32 is stored into a")
    mixed = apply("add", const(0, f32), const(0, i32))
    fault([For(i, [Store(a, (axis_index(i),), mixed)])], [a], "add of float32, int32")
    chosen = select(const(1, i32), const(0, f32), const(0, f32))
    fault([For(i, [Store(a, (axis_index(i),), chosen)])], [a], "select")
    acc = Acc("add", f32, "acc")
    fault([For(i, [Accumulate(acc, const(0, f32))])], [a], "outside of its loops")
    fault([Store(a, (Affine(),), acc)], [a], "read before its loops")
    fault([For(i, [For(i, [])])], [a], "bound twice")
    b = Buffer((4,), f32, "b")
    fault([For(i, [Store(b, (axis_index(i),), const(0, f32))])], [a], "b is written and not among")


def test_checker_finds_work_that_chunks_repeat():
    a, b = Buffer((100,), f32, "a"), Buffer((100,), f32, "b")
    i, j = Axis(100, "i"), Axis(100, "j")
    body = [For(i, [Store(a, (axis_index(i),), const(0, f32))])]
    body.append(For(j, [Store(b, (axis_index(j),), const(0, f32))], [], False, True))
    whole = Kernel("k", [a, b], [a, b], [], body, 100, 100, None, 1.0, [])
    KernelChecker(whole).check()
    parts = Kernel("k", [a, b], [a, b], [], body, 100, 50, None, 1.0, [])
    with pytest.raises(AssertionError, match="a is written by every chunk"):
        KernelChecker(parts).check()


def test_one_row_is_reduced_once():
    x = np.ones((1, 200_000), np.float32)
    lowered(lambda x: fnp.exp(x) / fnp.exp(x).sum(axis=1, keepdims=True), x).check()


def test_folds_keep_their_place_when_loops_change_theirs():
    """The kept axes of this product are (8, 1), and the loop over 8 is the inner one."""
    rng = np.random.default_rng(0)
    w, v = rng.normal(size=(64, 32)), rng.normal(size=(64, 1))
    w, v, c = w.astype(np.float32), v.astype(np.float32), np.ones((1, 32), np.float32)
    got = fg.jit(lambda w, v, c: c - (w.T @ v).T)(w, v, c)
    np.testing.assert_allclose(got, c - (w.T @ v).T, rtol=1e-4, atol=1e-4)


def test_intervals():
    i = Axis(10)
    index = axis_index(i) * 3 - 2
    assert interval(index) == (-2, 25)
    value = Load(Buffer((1,), i32, "a"), (Affine(),), i32, None)
    wide = cast(value, int64)
    assert interval(wide) == (-(2.0**31), 2.0**31 - 1)
    low = apply("max", wide, const(0, int64))
    assert interval(apply("rem", low, const(7, int64))) == (0, 6)
    assert interval(apply("div", apply("min", low, const(20, int64)), const(7, int64))) == (0, 2)
    assert interval(apply("add", value, value)) == (-(2.0**31), 2.0**31 - 1)
    assert interval(Const(5, int64)) == (5, 5)


def test_memory_checker_finds_overlaps():
    def f(x):
        return fnp.sort(fnp.sort(x, axis=0) + fnp.sort(x, axis=1), axis=0) * 2

    stages = lowered(f).stages
    check_memory(stages.block, stages.memory)
    flat = Plan(dict.fromkeys(stages.memory.offsets, 0), stages.memory.size)
    with pytest.raises(AssertionError, match="share memory while both are alive"):
        check_memory(stages.block, flat)
    small = Plan(stages.memory.offsets, 8)
    with pytest.raises(AssertionError, match="outside of the arena"):
        check_memory(stages.block, small)


def failing(*args, **kwargs):
    raise RuntimeError("out of order")


# Where a compile may fail: asking a primitive, making loops of a group, writing their text; making
# a product; the body of a loop. A group is named by what it stores, here a product with 2.
@pytest.mark.parametrize(
    ("place", "body", "named"),
    [
        ("funcgrad.primitives.transcendental.Tanh.lower", False, "tanh"),
        ("funcgrad.kernels.program.Scheduler", False, "mul"),
        ("funcgrad.kernels.emit.program.KernelEmitter.text", False, "mul"),
        ("funcgrad.kernels.program.Builder.step", False, "dot_general"),
        ("funcgrad.primitives.transcendental.Tanh.lower", True, "tanh"),
    ],
)
def test_a_compile_that_fails_names_the_eqn_and_the_line(place, body, named, monkeypatch):
    def model(x):
        return fnp.tanh(x @ x) * 2  # the line

    def looped(x):
        return fg.lax.fori_loop(0, 3, lambda i, c: model(c), x)

    lowered = fg.jit(looped if body else model).lower(fnp.ones((30, 30)))
    monkeypatch.setattr(place, failing)
    with pytest.raises(RuntimeError, match="out of order") as error:
        lowered.compile()
    (note,) = error.value.__notes__
    assert note.startswith("while compiling")
    assert f"{named} of float32[30,30]" in note
    assert "test_stages.py" in note
    assert "# the line" in note

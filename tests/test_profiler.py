"""Profiles: times, counts and names of kernels, and files that trace viewers read."""

import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax, profiler


@fg.jit
def step(x, w):
    with fg.named_scope("hidden"):
        h = fnp.tanh(x @ w)
    with fg.named_scope("loss"):
        return fnp.exp(h).sum()


x, w = np.ones((600, 300), np.float32), np.ones((300, 400), np.float32)


def test_times_and_names():
    plain = step(x, w)
    with fg.profile():
        step(x, w)
    with fg.profile() as p:
        begun = time.perf_counter()
        for _ in range(20):
            out = step(x, w)
        wall = time.perf_counter() - begun
    assert out == plain
    rows = p.rows
    assert all(r.seconds > 0 and r.calls == 20 and r.program == "step" for r in rows)
    assert sum(r.share for r in rows) == pytest.approx(1)
    total = sum(r.seconds for r in rows)
    assert 0.5 * wall < total <= p.program_seconds <= wall <= p.seconds
    assert p.compile_seconds == 0
    (product,) = [r for r in rows if "dot_general" in r.operations]
    assert product.scopes == ("hidden",)
    assert "h = fnp.tanh(x @ w)" in product.source
    flops = product.flops_per_second * product.seconds / product.calls
    assert flops == pytest.approx(2 * 600 * 300 * 400)
    fused = max((r for r in rows if "exp" in r.operations), key=lambda r: r.seconds)
    assert {"exp", "reduce_sum"} <= set(fused.operations) and "loss" in fused.scopes
    assert fused.bytes_per_second > 0


def test_the_table():
    with fg.profile() as p:
        step(x, w)
    head, *lines, end = str(p).splitlines()
    assert head.split()[:4] == ["program", "kernel", "calls", "ms"]
    assert len(lines) == len(p.rows)
    assert all("step" in line and "test_profiler.py:" in line for line in lines)
    assert "ms in all: programs" in end


def test_counts_in_loops():
    @fg.jit
    def f(x, n):
        c, _ = lax.scan(lambda c, r: (fnp.cos(c @ c) + r.sum(), None), x, fnp.ones((7, 3)))
        return lax.while_loop(
            lambda s: s[0] < n, lambda s: (s[0] + 1, fnp.sin(s[1] @ s[1])), (0, c)
        )

    with fg.profile() as p:
        f(np.eye(4, dtype=np.float32), 5)
    counts = {}
    for row in p.rows:
        for op in row.operations:
            counts.setdefault(op, set()).add(row.calls)
    assert 7 in counts["cos"] and 5 in counts["sin"]
    assert 6 in {r.calls for r in p.rows if "lt" in r.operations}
    assert all(r.seconds >= 0 for r in p.rows)


def test_a_loop_in_registers_is_one_kernel():
    @fg.jit
    def f(xs):
        return lax.scan(lambda c, a: (fnp.sin(c) + a, c), 0.0, xs)

    with fg.profile() as p:
        f(np.ones(100, np.float32))
    (row,) = [r for r in p.rows if "sin" in r.operations]
    assert row.calls == 1 and row.operations[0] == "scan" and "test_profiler.py" in row.source


@pytest.mark.parametrize(
    "f",
    [
        lambda v: (v, v[:0], 3.0),
        lambda v: fg.pure_callback(np.negative, fg.ShapeDtypeStruct((3,), np.float32), v),
        lambda v: lax.cond(v[0] > 0, fnp.sin, fnp.cos, v),
        lambda v: fg.grad(lambda v: lax.scan(lambda c, _: (c * v, c), v, None, 3)[1].sum())(v),
        lambda v: fnp.linalg.inv(v[:, None] + fnp.eye(3)) @ v,
    ],
)
def test_programs_give_the_same(f):
    v = np.array([1.0, 2.0, 4.0], np.float32)
    want = fg.jit(f)(v)
    with fg.profile() as p:
        got = fg.jit(f)(v)
    for a, b in zip(fg.tree.leaves(got), fg.tree.leaves(want), strict=True):
        assert np.array_equal(a, b)
    assert p.program_seconds > 0


def test_only_what_is_profiled_is_timed():
    f = fg.jit(lambda v: v * 2)
    with fg.profile() as p:
        f(x)
        worker = threading.Thread(target=f, args=(w,))
        worker.start()
        worker.join()
    f(x)
    assert [r.calls for r in p.rows] == [1]
    assert not fg.config.profile
    assert "clock_gettime" not in f.lower(x).llvm


def test_profiles_nest():
    with fg.profile() as outer:
        step(x, w)
        with fg.profile() as inner:
            step(x, w)
    assert {r.calls for r in outer.rows} == {2}
    assert {r.calls for r in inner.rows} == {1}


def events_of(path):
    whole = json.loads(path.read_text())
    assert whole["displayTimeUnit"] == "ms"
    for event in whole["traceEvents"]:
        assert event["ph"] in "XM" and isinstance(event["pid"], int)
        assert isinstance(event["tid"], int) and isinstance(event["name"], str)
        if event["ph"] == "X":
            assert event["ts"] >= 0 and event["dur"] >= 0 and isinstance(event["args"], dict)
    return [e for e in whole["traceEvents"] if e["ph"] == "X"]


def test_the_trace_file(tmp_path):
    with fg.profile() as p, profiler.TraceAnnotation("epoch", number=3):
        step(x, w)
        step(x, w)
    p.save(tmp_path / "trace.json")
    events = events_of(tmp_path / "trace.json")
    (epoch,) = [e for e in events if e["cat"] == "annotation"]
    assert epoch["name"] == "epoch" and epoch["args"] == {"number": "3"}
    programs = [e for e in events if e["cat"] == "program"]
    assert [e["name"] for e in programs] == ["step", "step"]
    kernels = [e for e in events if e["cat"] == "kernel"]
    assert len(kernels) == 2 * len(p.rows)
    assert {e["tid"] for e in events} == {threading.get_native_id()}

    def within(inner, outer):
        # Times are in microseconds, rounded as floats are.
        end = outer["ts"] + outer["dur"]
        return outer["ts"] - 0.01 <= inner["ts"] and inner["ts"] + inner["dur"] <= end + 0.01

    assert all(within(e, epoch) for e in programs)
    assert all(any(within(k, e) for e in programs) for k in kernels)
    assert any("hidden" in k["args"].get("scopes", "") for k in kernels)


def test_more_events_than_there_is_room_for(tmp_path):
    @fg.jit
    def f(n):
        return lax.fori_loop(0, n, lambda i, c: fnp.sin(c @ c), fnp.eye(16))

    with fg.profile() as p:
        f(20_000)
    assert 20_000 in {r.calls for r in p.rows}
    assert p.events_lost > 0
    p.save(tmp_path / "trace.json")
    assert 1000 < len(events_of(tmp_path / "trace.json")) < 20_000


def test_traces_of_all_threads(tmp_path):
    @profiler.annotate_function
    def work():
        step(x, w)

    with profiler.trace(tmp_path / "logs"):
        workers = [threading.Thread(target=work) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        with pytest.raises(RuntimeError, match="is under way"):
            profiler.start_trace(tmp_path)
    with pytest.raises(RuntimeError, match="No trace is under way"):
        profiler.stop_trace()
    assert not fg.config.profile
    (path,) = (tmp_path / "logs").glob("*.json")
    (table,) = (tmp_path / "logs").glob("*.txt")
    events = events_of(path)
    assert len({e["tid"] for e in events if e["cat"] == "program"}) == 2
    assert sum(e["name"].endswith("work") for e in events) == 2
    assert "tanh" in table.read_text()


def test_step_annotations_and_wrapped_functions():
    with fg.profile() as p, profiler.StepTraceAnnotation("train", step_num=4):
        pass
    assert [(e.name, e.told) for e in p._events] == [("train", {"step_num": "4"})]

    def named(a):
        """Its text."""
        return a

    assert profiler.annotate_function(named, name="other").__doc__ == "Its text."
    assert profiler.annotate_function(named)(3) == 3


def test_profile_of_a_process():
    code = "import funcgrad as fg; fg.jit(lambda x: fg.numpy.sin(x) + 1)(fg.numpy.ones(5))"
    environment = {**os.environ, "FUNCGRAD_PROFILE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert "sin add" in run.stderr and "ms in all: programs" in run.stderr

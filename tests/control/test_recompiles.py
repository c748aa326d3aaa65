"""What explain_recompiles tells."""

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp


def test_nothing_traced_yet():
    f = fg.jit(lambda x: x)
    assert "has not been traced" in f.explain_recompiles()


def test_shape_of_a_leaf():
    f = fg.jit(lambda p, x: p["w"] @ x)
    for n in (3, 4):
        f({"w": fnp.ones((2, n))}, fnp.ones(n))
    told = f.explain_recompiles()
    assert "traced 2 times" in told
    assert "args[0]['w']: float32[2,3], then float32[2,4]" in told
    assert "args[1]: float32[3], then float32[4]" in told


def test_weak_type():
    f = fg.jit(lambda x: x + 1)
    f(2.0)
    f(np.float32(2.0))
    assert "args[0]: float32[] (weak), then float32[]" in f.explain_recompiles()


def test_structure():
    f = fg.jit(lambda x: fg.tree.leaves(x)[0])
    f((1.0, 2.0))
    f([1.0])
    assert "arguments: " in f.explain_recompiles()


def test_static_value_keyword_and_option():
    f = fg.jit(lambda x, n=1, scale=1.0: x * n * scale, static_argnames="n")
    f(fnp.ones(3), n=2, scale=1.0)
    f(fnp.ones(3), n=3, scale=1.0)
    with fg.enable_x64(True):
        f(fnp.ones(3), n=3, scale=1.0)
    told = f.explain_recompiles()
    assert "static arguments: n=2, then n=3" in told
    assert "option enable_x64: False, then True" in told


def test_what_is_made_is_logged(caplog):
    f = fg.jit(lambda x: x * 3 + 0.125)
    with fg.log_compiles():
        f(fnp.ones(5))
        told = [record.getMessage() for record in caplog.records]
        assert told[0] == told[2].replace("Compiling", "Tracing") == "Tracing <lambda> for f32[5]"
        assert told[1].startswith("Finished tracing <lambda> in ")
        assert told[3].startswith("Finished compiling <lambda> in ") and len(told) == 4
        assert {(r.name, r.levelname) for r in caplog.records} == {("funcgrad", "WARNING")}
        f(fnp.ones(5))
        assert len(caplog.records) == 4
    f(fnp.ones(6))
    assert len(caplog.records) == 4

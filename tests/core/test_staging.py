"""Staging: what is written down, where it came from, and what is refused."""

import threading

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.errors import LeakedTracerError, UnexpectedTracerError
from funcgrad.ir.checking import JaxprTypeError, check_jaxpr
from funcgrad.ir.jaxpr import Jaxpr, Var

x = np.ones(3, np.float32)


def test_text_in_the_notation_of_the_field():
    text = str(fg.make_jaxpr(lambda x, y: (fnp.sin(x) + 2.0, x.sum() * y))(x, np.float32(1)))
    assert text == (
        "{ lambda ; a:f32[3] b:f32[]. let\n"
        "    c:f32[3] = sin a\n"
        "    d:f32[3] = add c 2.0:f32[]\n"
        "    e:f32[] = reduce_sum[axes=(0,)] a\n"
        "    f:f32[] = mul e b\n"
        "  in (d, f) }"
    )


def test_captured_arrays_become_constvars():
    closed = fg.make_jaxpr(lambda y: y * x)(x)
    assert len(closed.jaxpr.constvars) == 1
    np.testing.assert_array_equal(closed.consts[0], x)


def test_static_argnums():
    closed = fg.make_jaxpr(lambda x, n: x * n if n > 1 else x, static_argnums=1)(x, 3)
    assert len(closed.jaxpr.invars) == 1
    assert "3.0:f32[]" in str(closed)


def test_axis_env():
    closed = fg.make_jaxpr(lambda x: lax.psum(x, "i"), axis_env=[("i", 4)])(x)
    assert "psum" in str(closed)
    with pytest.raises(NameError, match="unbound axis name: 'i'"):
        fg.make_jaxpr(lambda x: lax.psum(x, "i"))(x)


def test_return_shape_and_eval_shape():
    def f(x):
        return {"a": x[:, None], "b": (x > 0).sum()}

    _, shapes = fg.make_jaxpr(f, return_shape=True)(x)
    for found in (shapes, fg.eval_shape(f, fg.ShapeDtypeStruct((3,), np.float32))):
        assert (found["a"].shape, found["a"].dtype) == ((3, 1), np.float32)
        assert (found["b"].shape, found["b"].dtype) == ((), np.int32)
    with pytest.raises(TypeError):
        fg.eval_shape(lambda x: x @ x[:2], x)


def test_source_lines_and_names():
    def f(x):
        with fg.named_scope("outer"), fg.named_scope("inner"):
            y = fnp.sin(x)  # this line
        return fnp.cos(y)

    text = fg.make_jaxpr(f)(x).pretty_print(source_info=True, name_stack=True)
    sine, cosine = (next(s for s in text.splitlines() if w in s) for w in ("= sin", "= cos"))
    assert "test_staging.py" in sine
    assert "this line" in sine
    assert "outer/inner" in sine
    assert "outer" not in cosine
    assert "#" not in str(fg.make_jaxpr(f)(x))


def test_leaks_are_found():
    kept = []

    def leaky(x):
        kept.append(fnp.sin(x))
        return x

    with fg.checking_leaks(), pytest.raises(LeakedTracerError, match=r"(?s)leaky.*fnp\.sin"):
        fg.make_jaxpr(leaky)(x)
    kept.clear()
    fg.make_jaxpr(leaky)(x)
    with pytest.raises(UnexpectedTracerError, match=r"(?s)made at.*fnp\.sin"):
        fnp.cos(kept[0])
    with fg.checking_leaks():
        fg.make_jaxpr(fnp.sin)(x)


def test_results_that_are_no_arrays_are_refused():
    with pytest.raises(TypeError, match=r"not a valid array type.*\['a'\]"):
        fg.make_jaxpr(lambda x: {"a": "text"})(x)
    with pytest.raises(TypeError, match="not a valid array type"):
        fg.make_jaxpr(lambda x: x)("text")


def test_threads_do_not_see_each_others_traces():
    found, ready, done = [], threading.Event(), threading.Event()

    def other():
        ready.wait(5)
        found.append(fnp.sin(x))
        done.set()

    thread = threading.Thread(target=other)
    thread.start()

    def f(y):
        ready.set()
        assert done.wait(5)
        return fnp.cos(y)

    closed = fg.make_jaxpr(f)(x)
    thread.join()
    assert [e.primitive.name for e in closed.eqns] == ["cos"]
    assert isinstance(found[0], fg.Array)


def test_checker_takes_good_jaxprs_and_refuses_broken_ones():
    good = fg.make_jaxpr(lambda x: fnp.sin(x) + fnp.cos(x))(x).jaxpr
    check_jaxpr(good)
    with pytest.raises(JaxprTypeError, match="read before it is bound"):
        check_jaxpr(good.replace(eqns=good.eqns[::-1]))
    with pytest.raises(JaxprTypeError, match="bound twice"):
        check_jaxpr(good.replace(eqns=[good.eqns[0], *good.eqns]))
    with pytest.raises(JaxprTypeError, match="read before it is bound.*outputs"):
        check_jaxpr(good.replace(outvars=[Var(good.out_avals[0])]))
    eqn = good.eqns[0]
    wrong = Var(eqn.outvars[0].aval.update(shape=(4,)))
    with pytest.raises(JaxprTypeError, match=r"bound to f32\[3\]"):
        check_jaxpr(Jaxpr([], good.invars, [wrong], [eqn.replace(outvars=[wrong])]))
    with pytest.raises(JaxprTypeError, match="2 outputs are bound but 1"):
        check_jaxpr(good.replace(eqns=[eqn.replace(outvars=[*eqn.outvars, wrong])]))


def test_stand_ins_with_another_shape_or_dtype():
    one = fg.ShapeDtypeStruct((3,), np.float32, weak_type=True)
    assert one.update(shape=(2, 2)) == fg.ShapeDtypeStruct((2, 2), np.float32, weak_type=True)
    assert one.update(dtype=np.int32, weak_type=False) == fg.ShapeDtypeStruct((3,), np.int32)
    with pytest.raises(TypeError, match="size"):
        one.update(size=3)

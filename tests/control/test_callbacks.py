"""Callbacks run when the program runs, in order, once for each element where asked."""

import io

import numpy as np
import pytest

from funcgrad import debug, lax
from funcgrad.api.mapping import vmap
from funcgrad.api.reverse import grad
from funcgrad.api.tracing import make_jaxpr
from funcgrad.control.callbacks import io_callback, pure_callback
from funcgrad.control.custom_jvp import custom_jvp
from funcgrad.control.jitted import jit
from funcgrad.control.scan import scan
from funcgrad.core.shapes import ShapeDtypeStruct

XS = np.arange(3, dtype=np.float32)
SCALAR = ShapeDtypeStruct((), np.float32)


def double(x, vmap_method="sequential", seen=None):
    def call(x):
        if seen is not None:
            seen.append(x.shape)
        return np.asarray(x) * 2

    return pure_callback(
        call, ShapeDtypeStruct(np.shape(x), np.float32), x, vmap_method=vmap_method
    )


def test_pure_callback_under_jit_and_scan():
    assert float(double(np.float32(2))) == 4
    assert float(jit(double)(np.float32(2))) == 4
    ys = scan(lambda c, x: (c, double(x)), 0.0, XS)[1]
    np.testing.assert_array_equal(np.asarray(ys), 2 * XS)


@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_vmap_methods(wrap):
    shapes = {
        "sequential": [()] * 3,
        "sequential_unrolled": [()] * 3,
        "expand_dims": [(3,)],
        "broadcast_all": [(3,)],
        "legacy_vectorized": [(3,)],
    }
    for method, want in shapes.items():
        seen = []
        got = wrap(vmap(lambda x, m=method, s=seen: double(x, m, s)))(XS)
        np.testing.assert_array_equal(np.asarray(got), 2 * XS)
        assert seen == want
    with pytest.raises(ValueError, match="needs a vmap_method"):
        vmap(lambda x: double(x, None))(XS)


def test_arguments_that_are_not_mapped():
    for method, want in (("expand_dims", (1,)), ("broadcast_all", (3,)), ("legacy_vectorized", ())):
        seen = []

        def add(x, y, seen=seen):
            seen.append(y.shape)
            return np.asarray(x) + np.asarray(y)

        vmap(lambda x, m=method, f=add: pure_callback(f, SCALAR, x, np.float32(1), vmap_method=m))(
            XS
        )
        assert seen == [want]


def test_results_are_checked():
    cases = [
        (lambda x: np.zeros(2, np.float32), "float32\\[2\\].*promises float32\\[\\]"),
        (lambda x: np.int32(1), "int32\\[\\] as result 0"),
        (lambda x: (x, x), "returned 2 arrays"),
    ]
    for fun, text in cases:
        with pytest.raises(RuntimeError, match=text):
            jit(lambda x, f=fun: pure_callback(f, SCALAR, x))(1.0)
    with pytest.raises(ValueError, match="vmap_method must be one of"):
        pure_callback(lambda x: x, SCALAR, 1.0, vmap_method="all")
    with pytest.raises(ValueError, match="shape and dtype"):
        pure_callback(lambda x: x, "f32", 1.0)


def test_the_users_exception_is_shown():
    def fail(x):
        raise ZeroDivisionError("from the user")

    with pytest.raises(ZeroDivisionError, match="from the user"):
        jit(lambda x: pure_callback(fail, SCALAR, x))(1.0)


def test_derivatives_need_a_rule():
    with pytest.raises(ValueError, match="do not support JVP"):
        grad(double)(np.float32(1))
    with pytest.raises(ValueError, match="do not support JVP"):
        grad(lambda x: io_callback(lambda x: x, SCALAR, x))(1.0)
    f = custom_jvp(lambda x: double(x))
    f.defjvp(lambda p, t: (f(*p), lax.mul(t[0], 2.0)))
    assert float(grad(f)(np.float32(3))) == 2
    np.testing.assert_array_equal(np.asarray(vmap(jit(grad(f)))(XS)), [2, 2, 2])


@pytest.mark.parametrize("ordered", [False, True])
def test_io_callbacks_are_kept_and_keep_their_order(ordered):
    log = []

    @jit
    def f(x):
        io_callback(lambda x: log.append(("a", float(x))), None, x, ordered=ordered)
        scan(
            lambda c, i: (
                io_callback(lambda i: log.append(("s", int(i))), None, i, ordered=ordered),
                i,
            ),
            None,
            np.arange(2),
        )
        io_callback(lambda x: log.append(("b", float(x))), None, x, ordered=ordered)
        return x

    f(1.0)
    assert log == [("a", 1.0), ("s", 0), ("s", 1), ("b", 1.0)]
    text = str(make_jaxpr(f)(1.0))
    assert "io_callback[" in text


def test_vmap_of_io_callbacks():
    log = []
    vmap(lambda x: io_callback(lambda x: log.append(float(x)), None, x))(XS)
    assert log == [0, 1, 2]
    with pytest.raises(ValueError, match="Cannot vmap the ordered"):
        vmap(lambda x: io_callback(lambda x: None, None, x, ordered=True))(XS)


def test_print_under_each_transform(capsys):
    def f(x):
        debug.print("x={x} s={}", "text", x=x)
        return lax.mul(x, x)

    def out():
        return capsys.readouterr().out

    f(2.0)
    assert out() == "x=2.0 s=text\n"
    jit(f)(2.0)
    assert out() == "x=2.0 s=text\n"
    vmap(f)(XS)
    assert out() == "".join(f"x={x} s=text\n" for x in XS)
    assert float(grad(f)(2.0)) == 4
    assert out() == "x=2.0 s=text\n"
    grad(jit(f))(2.0)
    assert out() == "x=2.0 s=text\n"
    jit(vmap(grad(f)))(XS)
    assert out() == "".join(f"x={x} s=text\n" for x in XS)
    debug.print(ordered=True)("{:.2f}", np.float32(1.5))
    assert out() == "1.50\n"


def test_print_checks_its_format():
    with pytest.raises(ValueError, match=r"Unused arguments to debug.print: \['x'\]"):
        debug.print("x", x=1.0)
    with pytest.raises(IndexError):
        debug.print("{} {}", 1.0)


def test_debug_callback_gets_static_values_as_they_are():
    seen = []

    @jit
    def f(x):
        debug.callback(lambda x, name: seen.append((name, float(x))), x, name="w")
        debug.callback(ordered=True)(lambda x: seen.append(float(x)), x)
        return x

    f(2.0)
    assert seen == [("w", 2.0), 2.0]


def test_breakpoint_shows_the_values_of_the_run():
    def inner(x, stdin, stdout):
        label, endless = "label", []
        endless.append(endless)
        debug.breakpoint(stdin=stdin, stdout=stdout)
        return lax.mul(x, 2.0), label

    for wrap in (lambda g: g, jit):
        stdin = io.StringIO("p x\np label\nx.shape\nbad\nl\nbt\nu\nd\nc\n")
        stdout = io.StringIO()
        wrap(lambda x, i=stdin, o=stdout: inner(x, i, o)[0])(np.float32(3))
        text = stdout.getvalue()
        assert "3." in text and "'label'" in text and "()" in text and "NameError" in text
        assert "-> debug.breakpoint" in text
    with pytest.raises(KeyboardInterrupt):
        inner(1.0, io.StringIO("q\n"), io.StringIO())


@pytest.mark.parametrize("size", [(), (2,)])
def test_a_function_of_numbers_in_a_branch_is_called_where_it_is_taken(size):
    """Numbers alone are no reason to call it while the program is made."""
    calls = []

    def called(x):
        calls.append(int(x))
        return np.float32(7)

    def f(x):
        def taken(x):
            y = pure_callback(called, ShapeDtypeStruct((), np.float32), np.int32(3))
            return lax.broadcast(y, size)

        return lax.cond(x > 1, taken, lambda x: lax.broadcast(x, size), x)

    g = jit(f)
    np.testing.assert_array_equal(g(np.float32(0.5)), np.full(size, 0.5, np.float32))
    assert not calls
    np.testing.assert_array_equal(g(np.float32(2.0)), np.full(size, 7, np.float32))
    assert calls == [3]

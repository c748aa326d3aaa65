"""Checks of derivatives: true rules pass, and false ones are named with their place."""

from functools import partial

import numpy as np
import pytest

from funcgrad import test_util, tree
from funcgrad.api.forward import jvp
from funcgrad.api.reverse import vjp
from funcgrad.config import enable_x64
from funcgrad.primitives.arithmetic import add, mul
from funcgrad.primitives.casting import convert_element_type
from funcgrad.primitives.transcendental import cos, exp, sin

x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)


def f(params, n):
    return {"out": mul(sin(params["x"]), cos(params["y"])), "next": add(n, np.int32(1))}


@pytest.mark.parametrize("wide", [False, True])
def test_true_derivatives_pass_in_all_modes(wide):
    with enable_x64(wide):
        kind = np.float64 if wide else np.float32
        args = ({"x": x.astype(kind), "y": 0.5}, np.int32(3))
        test_util.check_grads(
            lambda p, n: f(p, n)["out"],
            ({"x": x.astype(kind), "y": x.astype(kind)}, np.int32(3)),
            3,
            ("fwd", "rev", "lin"),
        )
        test_util.check_jvp(lambda p, n: n, partial(jvp, lambda p, n: n), args)


def test_integer_results_are_compared_by_value_only():
    args = ({"x": x, "y": x}, np.int32(3))
    test_util.check_grads(f, args, 2)


def test_complex_and_half_precision():
    z = (x + 1j * x[::-1]).astype(np.complex64)
    test_util.check_grads(lambda z: mul(exp(z), z), (z,), 2)
    test_util.check_grads(sin, (x.astype(np.float16),), 1)
    test_util.check_grads(lambda a: convert_element_type(sin(a), np.float16), (x,), 1)


def test_false_jvp_names_leaf_and_element():
    def f_jvp(primals, tangents):
        out, t = jvp(lambda a: {"s": sin(a)}, primals, tangents)
        wrong = np.array(t["s"])
        wrong[1, 2] += 1
        return out, {"s": wrong}

    with pytest.raises(AssertionError, match=r"JVP: tangent result\['s'\]\[1, 2\] is .* 1 of 6"):
        test_util.check_jvp(lambda a: {"s": sin(a)}, f_jvp, (x,))


def test_false_vjp_names_the_argument():
    def g(p):
        return mul(sin(p["a"]), p["b"])

    def f_vjp(*args):
        out, pull = vjp(g, *args)
        return out, lambda ct: tree.map(lambda c: mul(c, np.float32(2)), pull(ct))

    def half_wrong(*args):
        out, pull = vjp(g, *args)
        return out, lambda ct: ({**pull(ct)[0], "b": x},)

    args = ({"a": x, "b": x},)
    with pytest.raises(AssertionError, match=r"(?s)\['a'\] alone.*\['b'\] alone"):
        test_util.check_vjp(g, f_vjp, args)
    with pytest.raises(AssertionError, match="VJP: projection") as error:
        test_util.check_vjp(g, half_wrong, args, err_msg="VJP")
    assert "['b'] alone" in str(error.value)
    assert "['a'] alone" not in str(error.value)


def test_values_and_trees_are_compared():
    with pytest.raises(AssertionError, match="JVP: value result is"):
        test_util.check_jvp(sin, partial(jvp, cos), (1.0,))
    with pytest.raises(AssertionError, match="has the tree"):
        test_util.check_jvp(sin, partial(jvp, lambda a: (sin(a),)), (1.0,))


def test_tolerances_by_dtype():
    def f_jvp(primals, tangents):
        out, t = jvp(sin, primals, tangents)
        return out, mul(t, np.float32(1.01))

    with pytest.raises(AssertionError):
        test_util.check_jvp(sin, f_jvp, (x,))
    test_util.check_jvp(sin, f_jvp, (x,), rtol={np.float32: 0.05})
    test_util.check_jvp(sin, f_jvp, (x,), atol=0.1)


def test_misuse():
    with pytest.raises(ValueError, match="takes modes"):
        test_util.check_grads(sin, (1.0,), 1, "fwd")
    with pytest.raises(ValueError, match="order from 1"):
        test_util.check_grads(sin, (1.0,), 0)

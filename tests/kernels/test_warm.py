"""A second process finds what the first compiled, and never a program that differs."""

import gc
import os
import subprocess
import sys
import weakref

import numpy as np
import pytest

import funcgrad
import funcgrad.numpy as fnp
from funcgrad.core.primitive import registry
from funcgrad.kernels import warm
from funcgrad.kernels.canonical import Canonical, NoText

SCRIPT = """
import sys
import numpy as np
import funcgrad as fg
import funcgrad.numpy as fnp

table = fnp.arange(6.0) * float(sys.argv[1])

@fg.jit
def step(x):
    scale = fg.lax.scan(lambda c, a: (c + a, None), 0.0, x)[0]
    return fnp.exp(x) @ table + scale

print(float(step(fnp.ones(6))), "funcgrad.kernels.pipeline" in sys.modules)
"""


def answer(directory, factor):
    environment = {**os.environ, "FUNCGRAD_CACHE_DIR": str(directory)}
    command = [sys.executable, "-c", SCRIPT, str(factor)]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    value, compiled = out.stdout.split()
    return float(value), compiled == "True"


def test_second_process_compiles_nothing(tmp_path):
    first, compiled = answer(tmp_path, 1.0)
    again, compiled_again = answer(tmp_path, 1.0)
    assert compiled and not compiled_again
    assert first == again == pytest.approx(15 * np.e + 6, rel=1e-6)


def scanned(rules):
    """A program with a loop over calls that have, or have not, rules of differentiation."""
    double = funcgrad.custom_jvp(lambda a: 2 * a) if rules else funcgrad.jit(lambda a: 2 * a)
    if rules:
        double.defjvps(lambda t, y, a: 2 * t)

    def f(x):
        total, _ = funcgrad.lax.scan(lambda c, a: (c + double(a) * double(c), None), 1.0, x)
        return double(total)

    return f


@pytest.mark.parametrize("rules", [False, True])
def test_what_is_stored_is_not_even_simplified(rules, monkeypatch):
    x = fnp.arange(5.0)
    first = funcgrad.jit(scanned(rules))(x)

    def never(*_):
        raise AssertionError("it was simplified")

    monkeypatch.setattr("funcgrad.control.jit.simplify", never)
    assert funcgrad.jit(scanned(rules))(x) == first
    with pytest.raises(AssertionError, match="simplified"):
        funcgrad.jit(lambda x: scanned(rules)(x) + 1)(x)


def test_a_stored_program_lets_go_of_what_it_was_traced_from():
    def called():
        rows = fnp.ones((300, 300)) * 3
        f = funcgrad.jit(lambda x: x @ rows - 1)
        f(fnp.ones((2, 300)))
        return weakref.ref(rows.numpy())

    for held in (called(), called()):  # compiled, then from the store
        gc.collect()
        assert held() is None


def test_calls_are_written_once_and_count_by_what_they_do():
    def twice(first, second):
        return funcgrad.make_jaxpr(lambda x: second(first(x)))(np.ones(3, np.float32))

    sine, same, cosine = (funcgrad.jit(f) for f in (fnp.sin, lambda x: fnp.sin(x), fnp.cos))
    one = Canonical(twice(sine, sine), evaluated=True)
    assert one.text.count("sin[") == 1
    texts = {
        Canonical(twice(*pair), evaluated=True).text
        for pair in ((sine, cosine), (cosine, sine), (sine, sine), (cosine, cosine))
    }
    assert len(texts) == 4
    # The names of functions do not count.
    assert Canonical(twice(same, same), evaluated=True).text == one.text


def test_options_that_simplification_may_read_are_in_the_key():
    closed = funcgrad.make_jaxpr(fnp.sin)(np.ones(3, np.float32))
    with funcgrad.enable_x64():
        wide, _ = warm._key(closed)
    assert warm._key(closed)[0] not in (wide, None)


def test_captured_arrays_are_not_in_the_program(tmp_path):
    answer(tmp_path, 1.0)
    value, compiled = answer(tmp_path, 2.0)
    assert not compiled
    assert value == pytest.approx(30 * np.e + 6, rel=1e-6)


def captured_twice(one, other):
    """A program that captures an array, and calls one that captures an array."""
    inner = funcgrad.jit(lambda x: x * other)
    return funcgrad.jit(lambda x: inner(x) + 2 * one)


def test_one_array_captured_twice_is_another_program_than_two_arrays():
    rows = fnp.arange(6.0)
    x = fnp.ones(6)
    np.testing.assert_array_equal(captured_twice(rows, rows)(x), 3 * rows)
    np.testing.assert_array_equal(captured_twice(rows, 10 * rows)(x), 12 * rows)
    np.testing.assert_array_equal(captured_twice(10 * rows, rows)(x), 21 * rows)


def text_of(f, *args):
    return Canonical(funcgrad.make_jaxpr(f)(*args)).text


def test_equal_programs_have_equal_text():
    def f(x):
        return fnp.tanh(x) * 2.0

    def g(y):
        return fnp.tanh(y) * 2.0

    assert text_of(f, np.ones(3)) == text_of(g, np.ones(3))


@pytest.mark.parametrize(
    "other",
    [
        lambda x: x * np.float32(np.nextafter(np.float32(0.1), np.float32(1))),
        lambda x: x * 0.1 + 0.0,
        lambda x: x[::-1] * 0.1,
    ],
)
def test_what_differs_has_another_text(other):
    x = np.ones(3, np.float32)
    assert text_of(lambda x: x * np.float32(0.1), x) != text_of(other, x)


def test_captured_scalars_are_in_the_text():
    one, two = np.float32(1), np.float32(2)
    x = np.ones(3, np.float32)
    assert text_of(lambda x: x + one, x) != text_of(lambda x: x + two, x)


def test_call_outs_of_python_functions_are_not_kept():
    def f(x):
        shape = funcgrad.ShapeDtypeStruct(x.shape, x.dtype)
        return funcgrad.pure_callback(np.sin, shape, x)

    with pytest.raises(NoText):
        text_of(f, np.ones(3, np.float32))
    np.testing.assert_allclose(funcgrad.jit(f)(np.ones(3, np.float32)), np.sin(1.0), rtol=1e-6)


def test_primitives_from_elsewhere_are_not_kept_since_their_rules_may_change():
    tanh = registry["tanh"]

    class Elsewhere(type(tanh)):
        pass

    try:
        other = Elsewhere()
    finally:
        registry["tanh"] = tanh
    with pytest.raises(NoText):
        text_of(other.bind, np.ones(3, np.float32))
    assert text_of(tanh.bind, np.ones(3, np.float32))


def test_primitives_and_programs_in_params_have_text():
    def pooled(x):
        return fnp.sum(
            funcgrad.lax.reduce_window(x, -fnp.inf, funcgrad.lax.max, (2, 2), (2, 2), "SAME")
        )

    def folded(x):
        return funcgrad.lax.reduce(x, 0.0, lambda a, b: a + 2 * b, (0,))

    def scattered(x):
        return x.at[fnp.array([0, 0])].apply(fnp.sin)

    texts = {
        Canonical(funcgrad.jit(f).lower(fnp.ones((4, 4))).simplified).text
        for f in (funcgrad.grad(pooled), folded, scattered)
    }
    assert len(texts) == 3

"""debug_nans and debug_infs: programs run compiled, and the eqn that made a NaN is found after."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax

x = np.array([1.0, 4.0, 0.0], np.float32)
minus = -x


def text_of(f, *args, option=fg.debug_nans):
    with option(True), pytest.raises(FloatingPointError) as caught:
        f(*args)
    return str(caught.value)


def scoped(x):
    with fg.named_scope("outer"), fg.named_scope("inner"):
        y = fnp.log(x - 2)
    return y * 2


def body(c, r):
    c = c - r
    return fnp.sqrt(c), c * 0


def scanned(x):
    return lax.scan(body, fnp.float32(9.0), x)[0]


def counted(x):
    return lax.while_loop(lambda s: s[0] < 9, lambda s: (s[0] + 1, fnp.log(s[1])), (0, x))[1]


def branched(x):
    return lax.cond(x[0] > 0, lambda x: fnp.arccos(x), lambda x: x, x)


def nested(x):
    return fg.jit(lambda x: fnp.exp(scoped(x)))(x + 0)


def ruled(x):
    return fnp.where(x > 0, fnp.sqrt(x), 0.0).sum()


CASES = [
    (scoped, x, "in log", ["y = fnp.log(x - 2)", "in the scope outer/inner", "from -2 to 2"]),
    (scanned, np.array([1, 2, 8, 1], "f4"), "in sqrt", ["in turn 2 of scan", "return fnp.sqrt(c)"]),
    (counted, np.float32(2.0), "in log", ["in turn 2 of while", "operand 0: float32[], -0.366"]),
    (branched, x, "in acos", ["in branch 1 of cond", "fnp.arccos(x)"]),
    (nested, x, "in log", ["in the scope outer/inner"]),
    (fg.grad(lambda x: fnp.where(x > 0, fnp.sqrt(x), 0.0).sum()), x * 0, "in mul", ["inf"]),
    (fg.vmap(scoped), np.stack([x, x]), "in log", ["outer/inner"]),
    (lambda x: fnp.linalg.inv(x), np.zeros((2, 2), "f4"), "in ", ["test_blame.py"]),
    (fg.checkpoint(scoped), x, "in log", ["outer/inner"]),
    (lambda x: fnp.maximum(scoped(x), 0), x, "in log", ["outer/inner"]),
]


@pytest.mark.parametrize("lowering", ["fast", "numpy"])
@pytest.mark.parametrize(("f", "given", "eqn", "words"), CASES)
def test_the_eqn_is_named(f, given, eqn, words, lowering):
    fg.config.update("lowering", lowering)
    try:
        text = text_of(fg.jit(f), given)
    finally:
        fg.config.update("lowering", "fast")
    assert text.startswith("invalid value (nan) encountered " + eqn)
    for word in words:
        assert word in text, text
    assert "test_blame.py" in text


@pytest.mark.parametrize(("f", "given", "eqn", "words"), CASES[1:4])
def test_eager_control_flow_names_the_eqn_too(f, given, eqn, words):
    text = text_of(f, given)
    assert f"encountered {eqn}" in text
    assert all(word in text for word in words), text


def test_infinities():
    text = text_of(fg.jit(lambda x: 1 / x + 1), x, option=fg.debug_infs)
    assert text.startswith("invalid value (inf) encountered in div: its output float32[3] has 1")
    assert "operand 1: float32[3], from 0 to 4" in text
    with fg.debug_nans(True):
        assert np.isinf(fg.jit(lambda x: 1 / x)(x)[2])
    # What came out is the constant.
    text = text_of(fg.jit(lambda x: fnp.where(x > 0, 1 / x, -fnp.inf)), x, option=fg.debug_infs)
    assert "encountered in div" not in text and "-fnp.inf" in text


@pytest.mark.parametrize(
    "f",
    [
        lambda x: fnp.where(x > 0, fnp.log(x), 0.0),
        lambda x: fnp.isnan(fnp.log(x)).sum(),
        lambda x: fnp.nansum(fnp.log(x)),
        lambda x: lax.scan(lambda c, r: (fnp.maximum(fnp.log(r), 0) * 0 + c, None), 0.0, abs(x))[0],
        lambda x: fnp.log(x)[:0],
    ],
)
def test_what_no_result_has_is_no_error(f):
    with fg.debug_nans(True):
        got = fg.jit(f)(minus)
    np.testing.assert_array_equal(got, fg.jit(f)(minus))


def test_of_several_nans_the_one_that_came_out_is_named():
    def f(x):
        masked = fnp.where(x > 0, fnp.log(x), 0.0)
        return masked + fnp.sqrt(x)

    text = text_of(fg.jit(f), minus)
    assert "encountered in sqrt" in text


def test_a_nan_that_was_given_is_told():
    text = text_of(fg.jit(lambda x: x + 1), np.array([np.nan], np.float32))
    assert "result 0 float32[1] has 1 of them" in text
    assert "The program was given it" in text


def test_programs_run_compiled():
    ran = []

    def host(x):
        ran.append(x)
        return x

    def f(x):
        shape = fg.ShapeDtypeStruct(x.shape, x.dtype)
        return fg.pure_callback(host, shape, x) * 2

    with fg.debug_nans(True):
        from funcgrad.kernels.runtime.launch import Executable

        calls = []
        real = Executable.__call__
        Executable.__call__ = lambda self, *args: calls.append(self) or real(self, *args)
        try:
            fg.jit(f)(x)
        finally:
            Executable.__call__ = real
    assert len(ran) == 1 and len(calls) == 1


def test_donated_arguments_are_there_for_the_second_run():
    f = fg.jit(lambda x: fnp.log(x) * 2, donate_argnums=0)
    given = fnp.array([-1.0, 2.0])
    for _ in range(2):
        text = text_of(f, given)
        assert "encountered in log" in text and "from -1 to 2" in text
    assert np.array_equal(given, [-1, 2])
    f(fnp.array([1.0, 2.0]))
    text = text_of(f, fnp.array([-1.0, 2.0]))
    assert "from -1 to 2" in text


def test_values_are_those_of_other_runs():
    f = fg.jit(lambda x: (fnp.tanh(x), x.sum()))
    with fg.debug_nans(True), fg.debug_infs(True):
        got = f(x)
    for a, b in zip(got, f(x), strict=True):
        assert np.array_equal(a, b)


def test_effects_that_only_print_happen_once():
    seen = []

    def f(x):
        fg.debug.callback(seen.append, x[0])
        return fnp.log(x)

    text_of(fg.jit(f), minus)
    assert len(seen) == 1


def test_kernels_of_the_user():
    import numba

    @fg.custom_kernel(shape=lambda x: x)
    @numba.njit
    def roots(x, out):
        for i in range(x.size):
            out[i] = np.sqrt(x[i])

    text = text_of(fg.jit(lambda x: roots(x) + 1), minus)
    assert "encountered in custom_kernel" in text and "roots(x) + 1" in text


def test_programs_that_were_compiled_beforehand():
    compiled = fg.jit(lambda x: fnp.log(x) * 2).lower(fnp.ones(3)).compile()
    given = fnp.array([1.0, -1.0, 2.0])
    assert np.isnan(compiled(given)[1])
    with fg.debug_nans(True), pytest.raises(FloatingPointError) as error:
        compiled(given)
    text = str(error.value)
    assert "invalid value (nan) encountered in log: its output float32[3] has 1 of them" in text
    assert "fnp.log(x) * 2" in text

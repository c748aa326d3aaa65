"""jit: signatures, static and donated arguments, nesting, stages, and its errors."""

import threading

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax


def test_traces_once_for_each_signature():
    traced = []

    @fg.jit
    def f(x):
        traced.append(x.shape)
        return x * 2

    for _ in range(3):
        f(np.ones(3, np.float32))
    f(np.ones(4, np.float32))
    f(np.ones(3, np.int32))
    assert traced == [(3,), (4,), (3,)]


def test_weak_and_strong_scalars_are_different_signatures():
    f = fg.jit(lambda x: x + fnp.ones(2, fnp.bfloat16))
    assert f(1.0).dtype == fnp.bfloat16
    assert f(np.float32(1)).dtype == np.float32


def test_trees_in_and_out():
    f = fg.jit(lambda p, *, scale: {"a": p["a"] * scale, "b": (p["b"],)})
    out = f({"a": 2.0, "b": 3.0}, scale=4.0)
    assert float(out["a"]) == 8.0
    assert float(out["b"][0]) == 3.0


def test_static_arguments_by_position_and_name():
    @fg.jit(static_argnames="n")
    def f(x, n):
        return x * n if n > 1 else x

    assert float(f(2.0, 3)) == 6.0
    assert float(f(2.0, n=1)) == 2.0
    g = fg.jit(lambda kind, x: fnp.sin(x) if kind == "sin" else x, static_argnums=0)
    assert float(g("id", 2.0)) == 2.0


def test_static_argument_must_be_hashable():
    f = fg.jit(lambda x, shape: x, static_argnums=1)
    with pytest.raises(ValueError, match="Non-hashable static arguments") as error:
        f(1.0, [2])
    assert "static argument 1" in str(error.value)
    assert "tuple" in str(error.value)


def test_static_argnums_out_of_range():
    with pytest.raises(ValueError, match="out of range"):
        fg.jit(lambda x: x, static_argnums=3)
    with pytest.raises(ValueError, match="no parameter"):
        fg.jit(lambda x: x, static_argnames="y")


def test_donated_array_cannot_be_used_again():
    f = fg.jit(lambda x: x + 1, donate_argnums=0)
    x = fnp.ones(3)
    f(x)
    assert x.is_deleted()
    with pytest.raises(RuntimeError, match=r"deleted.*float32\[3\]"):
        x + 1


def test_nested_and_recursive_calls():
    inner = fg.jit(lambda x: fnp.sin(x) * 2)
    outer = fg.jit(lambda x: inner(x) + inner(x))
    np.testing.assert_allclose(outer(1.0), 4 * np.sin(1.0), rtol=1e-6)

    @fg.jit
    def endless(x):
        return endless(x) + 1

    with pytest.raises(RecursionError, match="endless calls itself with the same signature"):
        endless(1.0)


def test_recursion_on_a_static_argument():
    def power(x, n):
        return x if n == 1 else x * jitted(x, n - 1)

    jitted = fg.jit(power, static_argnums=1)
    assert float(jitted(2.0, 5)) == 32.0


def test_captured_tracers_are_operands():
    def f(x):
        return fg.jit(lambda y: y * x)(3.0)

    assert float(fg.grad(f)(2.0)) == 3.0
    np.testing.assert_allclose(fg.vmap(f)(np.arange(3.0, dtype=np.float32)), [0, 3, 6])
    assert float(fg.jit(f)(2.0)) == 6.0


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_captured_keys_are_constants(shape):
    keys = fg.random.split(fg.random.key(0), shape) if shape else fg.random.key(0)

    def f(x):
        return x + fg.vmap(fg.random.bits)(keys.reshape(-1)).sum().astype(np.float32)

    assert float(fg.jit(f)(1.0)) == float(f(1.0))


def test_a_method_can_be_jitted():
    class Model:
        scale = 3.0

        @fg.jit
        def apply(self, x):
            return x * self.scale

    fg.tree_util.register_static(Model)
    assert float(Model().apply(2.0)) == 6.0


def test_stages():
    f = fg.jit(lambda x: {"y": fnp.sin(x) + fnp.sin(x)})
    x = np.ones(3, np.float32)
    traced = f.trace(x)
    assert [e.primitive.name for e in traced.jaxpr.eqns] == ["sin", "sin", "add"]
    lowered = traced.lower()
    assert [e.primitive.name for e in lowered.simplified.eqns] == ["sin", "add"]
    assert "sin" in lowered.as_text()
    compiled = lowered.compile()
    np.testing.assert_allclose(compiled(x)["y"], 2 * np.sin(x), rtol=1e-6)
    with pytest.raises(TypeError, match=r"compiled for float32\[3\].*called with float32\[4\]"):
        compiled(np.ones(4, np.float32))
    assert f.eval_shape(x) == {"y": fg.ShapeDtypeStruct((3,), np.float32)}
    lowered.check()
    for stage in (traced, lowered, compiled):
        with pytest.raises(AttributeError, match="cannot be changed: fun_name was to be set"):
            stage.fun_name = "another"
    with pytest.raises(AttributeError):
        lowered.stages.memory = None


def test_disable_jit_runs_python():
    seen = []

    @fg.jit
    def f(x):
        seen.append(x)
        return x if x > 0 else -x

    with fg.disable_jit():
        assert float(f(fnp.float32(-2))) == 2.0
    assert isinstance(seen[0], fg.Array)


def test_clear_cache_traces_again():
    traced = []
    f = fg.jit(lambda x: traced.append(1) or x)
    f(1.0)
    f.clear_cache()
    f(1.0)
    assert len(traced) == 2


def test_tracing_in_several_threads():
    """Each thread traces its own programs; none sees another's tracers."""
    failures = []

    def work(seed):
        try:
            for n in range(1, 20):
                g = fg.jit(fg.grad(lambda x: fnp.sum(fnp.sin(x) * seed)))
                x = np.full(n, 0.5, np.float32)
                np.testing.assert_allclose(g(x), seed * np.cos(x), rtol=1e-5)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_branching_on_a_tracer():
    def f(x):
        return x if x > 0 else -x

    with pytest.raises(fg.errors.TracerBoolConversionError, match="test_jit.py"):
        fg.jit(f)(1.0)


def test_leaked_tracer():
    kept = []
    fg.jit(lambda x: kept.append(x) or x)(1.0)
    with pytest.raises(fg.errors.UnexpectedTracerError, match="Return the value"):
        kept[0] + 1
    with fg.checking_leaks(), pytest.raises(fg.errors.UnexpectedTracerError, match="eaked"):
        fg.jit(lambda x: kept.append(x) or x)(2.0)


def test_debug_nans_names_eqn_and_line():
    f = fg.jit(lambda x: fnp.log(x) * 2)
    with fg.debug_nans(), pytest.raises(FloatingPointError, match="log") as error:
        f(-1.0)
    assert "test_jit.py" in str(error.value)


def test_inline_leaves_no_eqn():
    f = fg.jit(lambda x: fnp.sin(x), inline=True)
    names = [e.primitive.name for e in fg.make_jaxpr(f)(1.0).eqns]
    assert names == ["sin"]


def test_result_does_not_alias_numpy_arguments():
    x = np.ones(3, np.float32)
    y = fg.jit(lambda x: x)(x)
    x[0] = 5
    assert float(y[0]) == 1.0


def test_lowering_keeps_effects_in_order(capsys):
    @fg.jit
    def f(x):
        fg.debug.print("first {}", x)
        fg.debug.print("second {}", x + 1)
        return lax.sin(x)

    f(1.0)
    assert capsys.readouterr().out.split("\n")[:2] == ["first 1.0", "second 2.0"]

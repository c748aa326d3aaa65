"""The Python that programs are printed as: it runs, it is readable, and it is what runs fast."""

import ast
import re
import subprocess
import sys

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.config import enable_x64
from funcgrad.control.jit import simplified
from funcgrad.core.evaluate import run_numpy
from funcgrad.ir.loops import Affine, Const, Load, apply, axis_index, const
from funcgrad.ir.loops import Axis as LoopAxis
from funcgrad.ir.nests import Buffer, For, Kernel, Store
from funcgrad.kernels import pipeline
from funcgrad.kernels.emit.source import KernelSource, Library
from funcgrad.kernels.emit.source_helpers import C_FUNCTIONS, HELPERS
from funcgrad.kernels.runtime import scripts

from .. import goldens
from .landmarks import LANDMARKS

every_landmark = pytest.mark.parametrize("name", LANDMARKS)


def stages_of(f, *args):
    closed = simplified(fg.make_jaxpr(f)(*args))
    return pipeline.lower(closed, simplified)


def of_landmark(name):
    f, *args = LANDMARKS[name]
    return stages_of(f, *args), fg.tree_util.tree_leaves(args)


# Whole programs.


@every_landmark
def test_landmark_runs_alike_in_every_way(name):
    stages, args = of_landmark(name)
    args = [np.asarray(x, a.dtype) for x, a in zip(args, stages.simplified.in_avals, strict=True)]
    want = run_numpy(stages.simplified, args)
    tolerance = 2e-2 if want[0].dtype == np.float16 else 2e-5
    for run in (pipeline.compiled(stages), pipeline.script(stages, "python")):
        for got, w in zip(run(args), want, strict=True):
            assert got.dtype == w.dtype
            np.testing.assert_allclose(got, w, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["softmax gradient", "argmax", "Collatz", "half precision"])
def test_numba_gives_the_bits_of_the_interpreter(name):
    stages, args = of_landmark(name)
    args = [np.asarray(x, a.dtype) for x, a in zip(args, stages.simplified.in_avals, strict=True)]
    compiled, plain = (pipeline.script(stages, how)(args) for how in ("source", "python"))
    for x, y in zip(compiled, plain, strict=True):
        assert x.tobytes() == y.tobytes()


def test_landmark_loops(request):
    update = request.config.getoption("--golden") == "update"
    from funcgrad.kernels.printing import Loops

    sections = {name: str(Loops(of_landmark(name)[0].block)) for name in LANDMARKS}
    goldens.check("loops.txt", sections, update)


def test_landmark_sources(request):
    """Kernels and drivers; the elementary functions, which tables make, are left out."""
    update = request.config.getoption("--golden") == "update"
    sections = {}
    for name in LANDMARKS:
        text = of_landmark(name)[0].python(numba=True)[0]
        parts = text.split("\n\n\n")
        own = [p for p in parts if "def program" in p or re.search(r"^# k\d+", p)]
        sections[name] = "\n\n\n".join(own)
    goldens.check("sources.txt", sections, update)


def test_text_is_the_same_under_any_hash_seed():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import numpy as np, funcgrad as fg, funcgrad.numpy as fnp\n"
        "def f(x, y): return fnp.tanh(x) @ y, fnp.sort(x), (x / y.sum(0)).argmax(), fnp.exp(x)\n"
        "print(fg.jit(f).lower(np.ones((5, 5), np.float32), np.ones((5, 5), np.float32)).source)"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code, scripts.__file__.split("funcgrad")[0]],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(found) == 1


@every_landmark
def test_source_is_a_module_that_imports_what_it_uses(name):
    text = of_landmark(name)[0].python(numba=True)[0]
    tree = ast.parse(text)
    defined = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            defined |= {a.asname or a.name for a in node.names}
    called = {
        n.func.id
        for n in ast.walk(tree)
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    builtins = {"range", "abs", "min", "max", "bool", "int", "reversed"} | set(C_FUNCTIONS)
    assert called <= defined | builtins


def test_lowering_option_chooses():
    f = fg.jit(lambda x: fnp.sin(x).sum())
    x = np.linspace(0, 1, 9, dtype=np.float32)
    found = []
    try:
        for how in ("fast", "python", "numpy"):
            fg.config.update("lowering", how)
            found.append(float(f(x)))
    finally:
        fg.config.update("lowering", "fast")
    np.testing.assert_allclose(found, np.sin(x).sum(), rtol=1e-6)
    with pytest.raises(ValueError, match="source"):
        fg.config.update("lowering", "slow")


def test_a_call_out_in_a_script_runs_its_rule():
    def f(x):
        return lax.sort(fnp.sin(x)) * 2

    x = np.linspace(0, 3, 7, dtype=np.float32)
    stages = stages_of(f, x)
    (got,) = pipeline.script(stages, "python")([x])
    np.testing.assert_allclose(got, np.sort(np.sin(x)) * 2, rtol=1e-6)


def test_arguments_of_any_layout():
    stages = stages_of(lambda x: x + 1, np.ones((3, 4), np.float32))
    x = np.arange(12, dtype=np.float32).reshape(4, 3).T
    np.testing.assert_array_equal(pipeline.script(stages, "python")([x])[0], x + 1)


def test_keys_are_words():
    key = fg.random.key(3)

    def f(k):
        return fg.random.split(k, 2)

    stages = stages_of(f, key)
    (got,) = pipeline.script(stages, "python")([key._value])
    np.testing.assert_array_equal(got, np.asarray(f(key)._value))


def test_traceback_shows_the_generated_line():
    script = scripts.Script("def program(rules, memory):\n    raise OSError\n", [], [], [], 0)
    with pytest.raises(OSError) as info:
        script([])
    assert "raise OSError" in str(info.traceback[-1].statement)


# Helpers.


def helpers(*names):
    library = Library()
    for name in names:
        library.ops.helper(name)
    space = {"kernel": scripts.plain, "c_function": scripts.c_function, "np": np}
    space |= {t: getattr(np, t) for t in "bool_ float32 float64 uint16 int64 uint64 uint32".split()}
    exec("\n".join(library.definitions()), space)
    return [space[name] for name in names]


@pytest.mark.parametrize("name", HELPERS)
def test_every_helper_is_a_function(name):
    assert callable(*helpers(name))


def test_float16_conversions_are_numpys():
    there, back = helpers("to_float16", "from_float16")
    bits = np.arange(0, 1 << 16, 7).astype(np.uint16)
    wide = bits.view(np.float16).astype(np.float32)
    found = np.array([back(b) for b in bits])
    np.testing.assert_array_equal(found, wide)
    finite = wide[np.isfinite(wide)]
    edges = np.float32([65519, 65520, 3e-8, 2.98e-8, 1e9, np.inf, np.nan])
    halves = np.concatenate([finite, finite + np.float32(1e-9), finite * np.float32(1.0003), edges])
    with np.errstate(all="ignore"):
        want = halves.astype(np.float16)
        got = np.array([there(x) for x in halves], np.uint16).view(np.float16)
    np.testing.assert_array_equal(got, want)


def test_bfloat16_conversions_are_those_of_ml_dtypes():
    import ml_dtypes

    there, back = helpers("to_bfloat16", "from_bfloat16")
    x = np.random.default_rng(0).normal(size=2000).astype(np.float32)
    x = np.concatenate([x, np.float32([0, -0.0, np.inf, -np.inf, np.nan, 3.4e38, 1e-40])])
    want = x.astype(ml_dtypes.bfloat16)
    got = np.array([there(v) for v in x], np.uint16)
    np.testing.assert_array_equal(np.array([back(b) for b in got]), want.astype(np.float32))


def test_minimum_and_maximum_order_zeros_and_keep_nan():
    low, high = helpers("minimum", "maximum")
    zero, minus = np.float32(0), np.float32(-0.0)
    for x, y in ((zero, minus), (minus, zero)):
        assert np.signbit(low(x, y)) and not np.signbit(high(x, y))
    nan = np.float32(np.nan)
    for x, y in ((nan, zero), (zero, nan)):
        assert np.isnan(low(x, y)) and np.isnan(high(x, y))


def test_integer_helpers():
    quotient, remainder, ones, zeros, high = helpers(
        "quotient", "remainder", "population_count", "leading_zeros", "high_product"
    )
    for x in (7, -7, 0, 6):
        for y in (2, -2, 3):
            assert quotient(np.int32(x), np.int32(y)) == int(x / y)
            assert remainder(np.int32(x), np.int32(y)) == np.fmod(x, y)
    with np.errstate(over="ignore"):
        for x in (0, 1, 255, 2**63, 2**64 - 1):
            assert ones(np.uint64(x)) == x.bit_count()
            assert zeros(np.uint64(x), 64) == 64 - x.bit_length()
            assert high(np.uint64(x), np.uint64(x)) == x * x >> 64


def test_elementary_functions_are_the_machine_codes_to_the_last_bit():
    def f(x):
        return [fnp.exp(x), fnp.tanh(x), fnp.log(abs(x)), lax.logistic(x), lax.erf(x), fnp.cbrt(x)]

    x = np.float32([0.1, -0.7, 3.3, -20, 88.9, 1e-30, -0.0, np.inf, -np.inf, np.nan, 1e-42])
    for dtype in (np.float32, np.float64):
        with enable_x64():
            y = x.astype(dtype)
            stages = stages_of(f, y)
            ways = [pipeline.compiled(stages)([y]), pipeline.script(stages, "python")([y])]
        for got, want in zip(*ways, strict=True):
            np.testing.assert_array_equal(got, want)


# Kernels by hand.


def source_of(kernel):
    library = Library()
    text = KernelSource(kernel, library, ["by hand"]).function(kernel.name)
    space = {"kernel": scripts.plain, "np": np, "float32": np.float32, "int32": np.int32}
    exec("\n".join([*library.definitions(), text]), space)
    return text, space[kernel.name]


def test_what_an_inner_loop_does_not_change_stands_in_front_of_it():
    f32 = np.dtype(np.float32)
    a, b = Buffer((4,), f32, "a"), Buffer((4, 5), f32, "b")
    i, j = LoopAxis(4, "i"), LoopAxis(5, "j")
    x = Load(a, (axis_index(i),), f32, None)
    outer = apply("mul", x, const(2, f32))
    value = apply("add", outer, apply("mul", x, x))
    body = [For(i, [For(j, [Store(b, (axis_index(i), axis_index(j)), value)])])]
    kernel = Kernel("k", [a, b], [b], [], body, 4, 4, None, 1.0, [])
    text, run = source_of(kernel)
    assert text == (
        "# k: a:f32[4] -> b:f32[4,5]\n"
        "# by hand\n"
        "@kernel\n"
        "def k(a, b):\n"
        "    for i in range(4):\n"
        "        a_at = a[i]\n"
        "        b_at = (a_at * float32(2.0)) + (a_at * a_at)\n"
        "        for j in range(5):\n"
        "            b[5 * i + j] = b_at\n"
    )
    given, out = np.arange(4, dtype=np.float32), np.zeros(20, np.float32)
    run(given, out)
    np.testing.assert_array_equal(out.reshape(4, 5), (2 * given + given**2)[:, None] + np.zeros(5))


def test_names_that_python_has_taken_are_changed():
    i32 = np.dtype(np.int32)
    buffers = [Buffer((1,), i32, name) for name in ("if", "in", "np", "min")]
    body = [Store(b, (Affine(),), Const(k, i32)) for k, b in enumerate(buffers)]
    text, run = source_of(Kernel("k", buffers, buffers, [], body, 1, 1, None, 1.0, []))
    assert "def k(if_1, in_1, np_1, min_1):" in text
    outs = [np.zeros(1, np.int32) for _ in buffers]
    run(*outs)
    assert [int(o[0]) for o in outs] == [0, 1, 2, 3]

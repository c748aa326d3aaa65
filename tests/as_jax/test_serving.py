"""`import jax` answered by funcgrad: what is found, what is absent, and how it is left again."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from funcgrad.as_jax.names import names, version

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed to compare with"
)


def run(*arguments: str, served: bool = True) -> str:
    """What a Python program in a fresh process prints."""
    command = [sys.executable, *(["-m", "funcgrad.as_jax"] if served else []), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


PRINTED = {
    "import jax; from jax.interpreters.partial_eval import dce_jaxpr as f; "
    "p = jax.make_jaxpr(lambda x, y: (x * 2, y + 1))(1, 2).jaxpr; "
    "less, used = f(p, [False, True]); print(len(less.eqns), used, f(p, True)[1], "
    "f(p, [True, False], [False, True])[1])": ("1 [False, True] [True, True] [True, True]"),
    "import jax; print(jax.__version__, jax.__version_info__)": (
        f"{version} ({', '.join(version.split('.'))})"
    ),
    "import jax, jax.numpy as jnp; print(jax.grad(jnp.sin)(0.0))": "1.0",
    "from jax import lax, random, nn, tree_util; print(lax.add(1, 2))": "3",
    "from jax.scipy.special import logsumexp as f; print(f.__name__)": "logsumexp",
    "import jax; print(isinstance(jax.numpy.ones(2), jax.Array))": "True",
    "import jax; print(jax.jit(lambda x: x + isinstance(x, jax.Array))(1))": "2",
    "import jax; print(isinstance(jax.numpy.ones(2), jax.numpy.ndarray))": "True",
    "import jax; print(jax.numpy.ndarray is jax.Array)": "True",
    "import jax; print(hasattr(jax, 'nonsense'), hasattr(jax, 'optim'))": "False False",
    "import jax; print(hasattr(jax, 'export'), jax.ref.__name__)": "True jax.ref",
    "from jax.experimental import pallas as pl; print(pl.pallas_call)": (
        "<jax.experimental.pallas.pallas_call: not in funcgrad>"
    ),
    "import jax; jax.config.update('jax_enable_x64', True); print(jax.numpy.ones(1).dtype)": (
        "float64"
    ),
    "import jax; jax.config.update('jax_platform_name', 'cpu')": "",
    "import jax; print(jax.config.jax_enable_x64, jax.config.read('jax_enable_x64'))": (
        "False False"
    ),
    "import jax; from jax.sharding import *; m = jax.make_mesh((1,), ('i',)); "
    "print(jax.device_put(1.5, NamedSharding(m, PartitionSpec())))": "1.5",
    "import jax; print(jax.pmap(lambda x: jax.lax.psum(x, 'i'), 'i')(jax.numpy.ones((1, 2))))": (
        "[[1. 1.]]"
    ),
    "import jax; from jax.sharding import PartitionSpec as P; m = jax.make_mesh((1,), ('i',)); "
    "print(jax.shard_map(lambda x: jax.lax.psum(x, 'i'), mesh=m, in_specs=P('i'), out_specs=P())"
    "(jax.numpy.arange(2.0)))": "[0. 1.]",
    "from jax._src import core; v = core.gensym()(core.ShapedArray((2,), 'float32')); "
    "print(v.aval)": "float32[2]",
    "import jax; f = jax._src.core.concrete_or_error; "
    "print(f(float, 2), f(None, jax.numpy.ones(())))": "2.0 1.0",
    "import jax\ntry: jax.jit(lambda x: jax._src.core.concrete_or_error(int, x, 'of n'))(1)\n"
    "except jax.errors.ConcretizationTypeError as e: print('of n' in str(e))": "True",
    "import copy; from jax._src.pjit import jit_p; p = copy.deepcopy(jit_p); p.name = 'mine'; "
    "print(p.name)": "mine",
    "from jax.extend.backend import get_backend as b; print(b('cpu').platform, b().devices())": (
        "cpu [CpuDevice(id=0)]"
    ),
    "from jax._src.tree_util import _registry as r; e = r[dict]; x, data = e.to_iter({'a': 1}); "
    "print(tuple(x), e.from_iter(data, [2]))": "(1,) {'a': 2}",
    "import jax; from jaxlib.xla_extension import PjitFunction as P; "
    "print(isinstance(jax.jit(abs), P), isinstance(abs, P))": "True False",
    "import jax; print(jax.Array.item(jax.numpy.ones(())), jax.numpy.ones(()).item())": "1.0 1.0",
    "import jax; print(jax.core.ShapedArray((2,), jax.numpy.dtype('int32')).at_least_vspace())": (
        "float0[2]"
    ),
    "from jax.extend import backend; print('cpu' in backend.backends())": "True",
    "from jax._src.tree_util import flatten_one_level as f; print(f([1, (2,)])[0])": "[1, (2,)]",
    "from jax._src import distributed as d; print(d.global_state.client)": "None",
    "from jax.experimental.pjit import pjit; print(pjit(lambda x: x + 1)(1))": "2",
    "from jax.experimental.mesh_utils import create_device_mesh as c; print(c((1, 1)).shape)": (
        "(1, 1)"
    ),
    "from jax._src.api import _infer_argnums_and_argnames as f; import inspect; "
    "s = inspect.signature(lambda a, b, *, c: 0); "
    "print(f(s, 1, None), f(s, None, 'a'), f(s, (0,), ('c',)), f(s, None, None))": (
        "((1,), ('b',)) ((0,), ('a',)) ((0,), ('c',)) ((), ())"
    ),
    "from jax.experimental.colocated_python import serialization as s; print(s.DeviceList)": (
        "<jax.experimental.colocated_python.serialization.DeviceList: not in funcgrad>"
    ),
    "import jax; from jax.interpreters import batching as b; from funcgrad.as_jax import *; "
    "from fractions import Fraction as F; b.register_vmappable(F, int, int, abs, abs, None); "
    "print(jax.vmap(lambda x: x)(jax.numpy.ones(1)))\n"
    "try: jax.vmap(lambda x: x)({'a': F(1)})\n"
    "except AbsentError as e: print(str(e).partition(' was')[0])": (
        "[1.]\nvmap by the rule that register_vmappable has for Fraction"
    ),
    "from importlib.metadata import version; print(version('jax'), version('jaxlib'))": (
        f"{version} {version}"
    ),
    "import jax.extend.linear_util as lu, jax; from jax.api_util import flatten_fun; "
    "leaves, at = jax.tree.flatten(((1, 2), {})); f, out = flatten_fun(lu.wrap_init(lambda *a: a), "
    "at); print(f.call_wrapped(*leaves), out())": "[1, 2] PyTreeSpec((*, *))",
    "import jax; print(jax.core.eval_jaxpr(*(lambda c: (c.jaxpr, c.consts))"
    "(jax.make_jaxpr(lambda x: x * 2)(1.0)), 3.0))": "[Array(6., dtype=float32, weak_type=True)]",
    "import jax; print(jax.jit(lambda x: x, in_shardings=None, out_shardings=None)(1))": "1",
    "import jax.experimental.pallas as pl; print(isinstance(1, pl.Slice))": "False",
    "from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as k; "
    "print(k.__name__.rpartition('.')[2])": "splash_attention_kernel",
    "import jax; x = jax.numpy.ones(2); print(x.platform()); jax.jit(lambda x: print("
    "hasattr(x, 'platform')))(x)": "cpu\nFalse",
    "import jax.numpy as jnp; all = vars(jnp); "
    "print('abs' in all, all['sin'] is jnp.sin, {*dir(jnp)} >= {*all})": "True True True",
    "from jax._src.numpy.util import promote_dtypes_inexact as p, ensure_arraylike as e; "
    "print(p(1, 2.5)[0].dtype, e('f', 1) + 1, len(e('f', 1, 2)))": "float32 2 2",
    "from jax.experimental import sparse; print(sparse.sparsify(lambda x: x * 2)(3))": "6",
    "import jax, pickle; x = jax.numpy.ones(2); kind = type(x); jax.jit(lambda x: print("
    "type(x).__module__.partition('.')[0]))(x); print(kind.__module__, jax.Array.__module__, "
    "*[pickle.loads(pickle.dumps(k)) is k for k in (kind, jax.Array)])": (
        "jax\njaxlib._jax jax True True"
    ),
    "import jax.numpy as jnp; from jax._src.numpy.einsum import _einsum; x = jnp.ones((2, 3)); "
    "path = ((1, 0), frozenset('j'), 'jk,ij->ik'), ((1, 0), frozenset('k'), 'ik,kl->il'); "
    "print(_einsum([x, x.T, x], path, None, None))": "[[6. 6. 6.]\n [6. 6. 6.]]",
    "import jax, jax.numpy as jnp\n"
    "def product(*args, **options): return -2 * jax.lax.dot_general(*args, **options)\n"
    "x = jnp.ones((2, 3))\n"
    "f = lambda x: jnp.einsum('ij,ij->', x, x, _dot_general=product)\n"
    "print(jnp.einsum('ij,kj,kl->il', x, x, x, _dot_general=product), f(x), jax.jit(f)(x))": (
        "[[24. 24. 24.]\n [24. 24. 24.]] -12.0 -12.0"
    ),
}


def test_programs_print_what_they_print_on_jax() -> None:
    """Each in a namespace of its own; one process for all, since none imports a library."""
    script = (
        "import contextlib, io, json, sys, jax\n"
        "for code in json.loads(sys.argv[1]):\n"
        "    out = io.StringIO()\n"
        "    with contextlib.redirect_stdout(out):\n"
        "        exec(code, {})\n"
        "    jax.config.update('jax_enable_x64', False)\n"
        "    print(json.dumps(out.getvalue().strip()))\n"
    )
    found = [json.loads(line) for line in run("-c", script, json.dumps([*PRINTED])).splitlines()]
    assert dict(zip(PRINTED, found, strict=True)) == PRINTED


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("XLA_FLAGS", "--xla_other=1 --xla_force_host_platform_device_count=3"),
        ("JAX_NUM_CPU_DEVICES", "3"),
    ],
)
def test_the_devices_that_the_environment_asks_for(monkeypatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    script = "import jax; print(jax.device_count(), jax.make_mesh((3,), ('i',)).size)"
    assert run("-c", script) == "3 3"


# Of modules that write XLA's and MLIR's programs, which funcgrad will never have.
ABSENT = {
    "pl.pallas_call(1)": "jax.experimental.pallas.pallas_call was called",
    "pl.program_id.nonsense": "jax.experimental.pallas.program_id.nonsense was asked for",
    "if pl.Slice: pass": "jax.experimental.pallas.Slice was tested for truth",
    "with pl.run_scoped: pass": "jax.experimental.pallas.run_scoped was entered",
    "[*pl.Slice]": "jax.experimental.pallas.Slice was iterated over",
    "from jax._src import pjit; pjit.call()": "jax._src.pjit.call was called",
}


def test_on_leaving_arrays_are_funcgrads_again() -> None:
    script = (
        "import funcgrad, funcgrad.numpy as fnp; from funcgrad.as_jax import serve\n"
        "x = fnp.ones(2); before = type(x).__module__, funcgrad.Array.__module__\n"
        "with serve(): inside = type(x).__module__\n"
        "print(before, inside, before == (type(x).__module__, funcgrad.Array.__module__))"
    )
    assert run("-c", script, served=False) == (
        "('funcgrad.core.array', 'funcgrad') jaxlib._jax True"
    )


def test_absent_names_raise_where_they_are_used() -> None:
    script = (
        "import json, sys\n"
        "from jax.experimental import pallas as pl\n"
        "from funcgrad.as_jax import AbsentError\n"
        "for code in json.loads(sys.argv[1]):\n"
        "    try:\n"
        "        exec(code)\n"
        "    except AbsentError as error:\n"
        "        print(json.dumps(str(error)))\n"
        "class Derived(pl.Slice): pass\n"
        "import copy, typing\n"
        "kept = pl.Slice | None, copy.deepcopy(pl.Slice), typing.Optional[pl.Slice], Derived()\n"
    )
    texts = [json.loads(line) for line in run("-c", script, json.dumps([*ABSENT])).splitlines()]
    for text, start in zip(texts, ABSENT.values(), strict=True):
        assert text.startswith(start)
        assert text.count("\n") == 2


def test_every_public_name_is_served_or_absent() -> None:
    """Asking for any name of the table imports nothing that fails."""
    script = (
        "import importlib\n"
        "from funcgrad.as_jax.absent import Absent\n"
        "from funcgrad.as_jax.names import names\n"
        "for module, listed in names().public.items():\n"
        "    served = importlib.import_module(module)\n"
        "    absent = [n for n in listed if isinstance(getattr(served, n), Absent)]\n"
        "    print(module, len(listed), len(absent))\n"
    )
    counts = {m: (int(n), int(a)) for m, n, a in map(str.split, run("-c", script).splitlines())}
    for module, most in {"jax": 45, "jax.numpy": 20, "jax.lax": 20, "jax.tree_util": 0}.items():
        assert counts[module][1] <= most, module


@needs_jax
def test_the_table_is_that_of_jax() -> None:
    """After a change of version: `python docs/make_jax_names.py`."""
    if metadata.version("jax") != version:
        pytest.skip(f"JAX {metadata.version('jax')} is installed, and {version} is served")
    script = (
        f"import runpy, warnings; warnings.simplefilter('ignore'); "
        f"made = runpy.run_path({str(ROOT / 'docs' / 'make_jax_names.py')!r}); "
        "print(made['page']() == made['table']().read_text(encoding='utf-8'))"
    )
    assert run("-c", script, served=False) == "True"


def test_the_table_is_read_whole() -> None:
    assert {"grad", "vmap", "jit"} <= names().public["jax"]
    assert "jax._src.core" in names().internal
    assert not names().has_module("jax.nonsense")


LEAVING = """
import importlib, sys, types
import funcgrad
from funcgrad.as_jax import serve
before = set(sys.modules)
sys.path.insert(0, {folder!r})
with serve():
    with serve():
        import uses_jax, plain
    import jax
    assert uses_jax.jnp.ones(1).shape == (1,)
after = set(sys.modules)
assert not any(n.partition(".")[0] in ("jax", "jaxlib") for n in after), after
assert "uses_jax" not in after and "plain" in after
assert not [f for f in sys.meta_path if type(f).__module__.startswith("funcgrad")]
sys.modules["jax"] = types.ModuleType("jax")
try:
    serve().__enter__()
except RuntimeError as error:
    print(error)
"""


def test_leaving_restores_and_a_loaded_jax_is_refused(tmp_path: Path) -> None:
    (tmp_path / "uses_jax.py").write_text("from jax import jit\nimport jax.numpy as jnp\n")
    (tmp_path / "plain.py").write_text(
        "import math, types\n"
        "class Lazy(types.ModuleType):\n"
        "    @property\n"
        "    def __name__(self): raise LookupError('not loaded yet')\n"
        "class Proxy:\n"
        "    @property\n"
        "    def __module__(self): raise LookupError('not bound yet')\n"
        "lazy, proxy = Lazy('lazy'), Proxy()\n"
    )
    said = run("-c", LEAVING.format(folder=str(tmp_path)), served=False)
    assert said.startswith("as_jax: jax is loaded already") and "python -m funcgrad.as_jax" in said


def test_scripts_and_modules_are_run_as_python_runs_them(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        "import sys, jax\nassert __name__ == '__main__'\nprint(sys.argv[1:], sys.path[0])\n"
    )
    assert run(str(script), "a", "-b") == f"['a', '-b'] {tmp_path}"
    assert run("-m", "timeit", "-h").startswith("Tool for measuring")
    done = subprocess.run([sys.executable, "-m", "funcgrad.as_jax"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("usage:")


PRIMITIVE = """
import jax, jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
double_p = Primitive("double")
double_p.def_impl(lambda x: 2 * x)
double_p.def_abstract_eval(lambda x: jax.core.ShapedArray(x.shape, x.dtype))
ad.deflinear2(double_p, lambda ct, x: [double_p.bind(ct)])
batching.defvectorized(double_p)
mlir.register_lowering(double_p, mlir.lower_fun(lambda x: 2 * x, multiple_results=False))
x = jnp.arange(3.0)
f = lambda x: jnp.sum(double_p.bind(x) ** 2)
print(f(x), jax.jit(f)(x), jax.grad(f)(x), jax.jit(jax.vmap(jax.grad(lambda a: f(a))))(x))
print(jax.make_jaxpr(double_p.bind)(1.0))
"""


def test_primitives_of_libraries_have_the_rules_they_are_given() -> None:
    said = run("-c", PRIMITIVE)
    assert said.startswith("20.0 20.0 [ 0.  8. 16.] [ 0.  8. 16.]")
    assert "double a" in said


BY_CLASS = """
from functools import partial
import jax, jax.numpy as jnp
from jax._src import core
from jax.extend.core import Primitive
from jax.interpreters import mlir, xla

class Shifted(Primitive):
    def __init__(self):
        super().__init__("shifted")
    def abstract_eval(self, x, *, by):
        return x, set()
    def impl(self, x, *, by):
        return jnp.asarray(x) + by

shifted_p = Shifted()
tripled_p = core.Primitive("tripled")
tripled_p.def_impl(partial(xla.apply_primitive, tripled_p))
tripled_p.def_abstract_eval(lambda x: x)
mlir.register_lowering(tripled_p, mlir.lower_fun(lambda x: 3 * x, multiple_results=False))
f = lambda x: tripled_p.bind(shifted_p.bind(x, by=1.0))
print(f(jnp.arange(3.0)), jax.jit(f)(jnp.arange(3.0)))
"""


def test_primitives_may_have_their_rules_as_methods_and_be_applied_by_their_lowering() -> None:
    assert run("-c", BY_CLASS) == "[3. 6. 9.] [3. 6. 9.]"


needs_optax = pytest.mark.skipif(
    importlib.util.find_spec("optax") is None, reason="optax is not installed"
)


@pytest.fixture(scope="module")
def training() -> dict[str, list[float]]:
    """Losses by optimizer of the program with optax, unchanged, on funcgrad."""
    found = json.loads(run(str(PROGRAMS / "train_with_optax.py")))
    assert found["loaded"] == []
    return found["losses"]


@needs_optax
@pytest.mark.slow
def test_optax_trains(training: dict[str, list[float]]) -> None:
    assert len(training) == 14
    for name, losses in training.items():
        assert losses[-1] < 0.3 * losses[0], name


@needs_jax
@needs_optax
@pytest.mark.slow
def test_optax_takes_the_steps_it_takes_on_jax(training: dict[str, list[float]]) -> None:
    names = "momentum adamw lamb adafactor multi_steps lbfgs".split()
    found = json.loads(run(str(PROGRAMS / "train_with_optax.py"), *names, served=False))
    assert found["loaded"]  # this one is JAX
    for name in names:
        assert training[name] == pytest.approx(found["losses"][name], rel=2e-5), name

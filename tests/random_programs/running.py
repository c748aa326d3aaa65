"""A random program run in each way, and how far apart results may be.

The reference is NumPy's evaluation of the traced program in float64. How far another evaluation may
be from it is measured, not guessed: by how far NumPy's own evaluation in the dtypes of the program
is, with and without noise in the last places. Integers have no such room.
"""

from __future__ import annotations

import numpy

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax, nn
from funcgrad.core.array import to_ndarray
from funcgrad.core.evaluate import make_runner, run_numpy

from .drawing import INTEGERS, constant, scope_of

HEAD = """\
import numpy
import {top} as top
import {top}.numpy as np
from {top} import lax, nn
top.config.update("jax_enable_x64", True)
real, half, cplx = np.{real}, np.{half}, np.{cplx}
"""
EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "bfloat16": 2.0**-8, "float16": 2.0**-10}
CPLX = {"float64": "complex128"}

# Text behind the function; each defines `run`.
LOSS = """
def loss(*args):
    outs = [y for y in program(*args) if np.issubdtype(y.dtype, np.inexact)]
    parts = [np.real(y) if np.iscomplexobj(y) else y for y in outs]
    weights = [1 + np.arange(y.size).reshape(y.shape) % 7 * 0.1 for y in parts]
    terms = [(np.sin(y) * w).sum().astype(real) for y, w in zip(parts, weights)]
    return sum(terms, np.zeros((), real))
"""
MODES = {
    "plain": "\nrun = program\n",
    "grad": LOSS + "\nrun = top.value_and_grad(loss, {floats})\n",
    "jvp": """
def run(*args):
    given = [args[k] for k in {floats}]
    def f(*some):
        every = list(args)
        for k, x in zip({floats}, some):
            every[k] = x
        return program(*every)
    along = [x * np.asarray(0.3, x.dtype) + np.asarray(0.1, x.dtype) for x in given]
    outs, tangents = top.jvp(f, tuple(given), tuple(along))
    return outs, [t for y, t in zip(outs, tangents) if np.issubdtype(y.dtype, np.inexact)]
""",
    "vmap": """
def run(*args):
    def f(s):
        moved = [x * s.astype(x.dtype) if k in {floats} else x for k, x in enumerate(args)]
        return program(*moved)
    return top.vmap(f)(np.asarray([1.0, 0.5], real))
""",
    "hvp": LOSS
    + """
def run(*args):
    def gradient(*some):
        every = list(args)
        for k, x in zip({floats}, some):
            every[k] = x
        return top.grad(loss, {floats})(*every)
    given = tuple(args[k] for k in {floats})
    return top.jvp(gradient, given, tuple(np.cos(x) for x in given))[1]
""",
    "each": LOSS
    + """
def run(*args):
    def f(s):
        moved = [x * s.astype(x.dtype) if k in {floats} else x for k, x in enumerate(args)]
        return top.grad(loss, {floats})(*moved)
    return top.vmap(f)(np.asarray([1.0, 0.5], real))
""",
}


def floats(program):
    return tuple(k for k, v in enumerate(program.inputs) if v.is_float and v.bound is None) or (0,)


def text(program):
    """The program with the function `run` behind it."""
    return program.body + "\n" + MODES[program.mode].replace("{floats}", str(floats(program)))


def function(program, package=fg, wide=None):
    """The program as a function; with `wide`, all its floats are of that dtype."""
    if package is fg:
        names = fg, fnp, lax, nn
    else:
        import jax.numpy as jnp

        names = package, jnp, package.lax, package.nn
    scope = scope_of(*names, dtypes(program, names[1], wide))
    exec(text(program), scope)
    return scope["run"]


def dtypes(program, np, wide=None):
    real, half = (wide, wide) if wide else (program.real, program.half)
    return {
        "real": getattr(np, real),
        "half": getattr(np, half),
        "cplx": getattr(np, CPLX.get(real, "complex64")),
    }


def numbers(program):
    """What draws the numbers of each input, and how large whole ones are."""
    for k, v in enumerate(program.inputs):
        yield program.seed * 10 + k, 9 if v.bound is None and v.dtype in INTEGERS else v.bound


def arguments(program, wide=None):
    """NumPy arrays of the program's dtypes, or with the same numbers in wide ones."""
    import ml_dtypes  # noqa: F401  (NumPy finds bfloat16 by it)

    made = []
    kinds = dtypes(program, fnp, wide)
    for v, (seed, bound) in zip(program.inputs, numbers(program), strict=True):
        dtype = numpy.dtype(kinds.get(v.dtype, v.dtype))
        narrow = numpy.dtype(dtypes(program, fnp).get(v.dtype, v.dtype))
        x = numpy.asarray(constant(seed, v.shape, narrow, bound))
        made.append(x.astype(dtype))
    return made


def traced(program, wide=None):
    """The jaxpr of the program, and its inputs."""
    given = arguments(program, wide)
    return fg.make_jaxpr(function(program, wide=wide))(*given), given


class Reference:
    """What a program gives in float64, and how far from that a result may be."""

    def __init__(self, program):
        self.closed, self.given = traced(program)
        self.own = run_numpy(self.closed, self.given)
        wide, given = traced(program, "float64")
        self.wide = run_numpy(wide, given)
        self.errors = [apart(x, y) for x, y in zip(self.own, self.wide, strict=True)]
        dice = numpy.random.default_rng(program.seed)
        for _ in range(3):
            outs = run_shaken(self.closed, self.given, dice)
            self.errors = [
                max(e, apart(x, y)) for e, x, y in zip(self.errors, outs, self.wide, strict=True)
            ]
        self.eps = EPS[program.real]

    def wrong(self, found, more=1):
        """What is wrong with results, in words; nothing if they are right.

        Args:
            more: how many times as far results may be apart.
        """
        said = []
        if len(found) != len(self.own):
            return [f"{len(found)} results instead of {len(self.own)}"]
        rows = zip(found, self.own, self.wide, self.errors, strict=True)
        for k, (x, own, wide, error) in enumerate(rows):
            x = numpy.asarray(x)
            if x.shape != own.shape or x.dtype != own.dtype:
                said.append(f"result {k} is {x.dtype}{x.shape}, not {own.dtype}{own.shape}")
                continue
            least = max(self.eps, EPS.get(x.dtype.name, 0))
            # Of 16 bits there are no 64 last places to spare.
            times, places = (16, 64) if least < 1e-4 else (6, 4)
            room = more * (times * error + places * least * max(size(wide), 0.1))
            far = distances(x, own, wide)
            if x.dtype.kind in "biu":
                far, wide, room = (x != own) * 1.0, own, 0
            if (far > room).any():
                where = numpy.unravel_index(numpy.argmax(far), far.shape)
                said.append(
                    f"result {k}, {x.dtype}{list(x.shape)}, has {int((far > room).sum())} wrong "
                    f"elements, at {tuple(map(int, where))} {x[where]} instead of {wide[where]} "
                    f"(may be {room:.2g} apart)"
                )
        return said


def run_shaken(closed, given, dice):
    """NumPy's evaluation with noise: what is not whole moves by its last place behind each eqn.

    How far results move says how well they are known at all: rounding errors of another order of
    evaluation are as large (J. Vignes, A stochastic arithmetic for reliable scientific
    computation, 1993).
    """

    def shaken(x):
        x = numpy.asarray(x)
        if x.dtype.name not in EPS and x.dtype.kind != "c":
            return x
        eps = EPS[x.real.dtype.name]
        noise = 1 + eps * dice.integers(-1, 2, x.shape)
        # Programs jump at multiples of a quarter of whole numbers alone.
        return numpy.where(x * 4 == numpy.round(x * 4), x, (x * noise).astype(x.dtype))

    def rule_of(eqn):
        rule = eqn.rule()

        def run(*args, **params):
            out = rule(*args, **params)
            return [shaken(x) for x in out] if eqn.primitive.multiple_results else shaken(out)

        return run

    with numpy.errstate(all="ignore"):
        return make_runner(closed.jaxpr, rule_of)([*map(to_ndarray, closed.consts), *given])


def widened(x):
    x = numpy.asarray(x)
    return x.astype(numpy.complex128 if x.dtype.kind == "c" else numpy.float64)


def distances(x, own, wide):
    """Element by element; infinite where only x is no finite number."""
    x, own, wide = map(widened, (x, own, wide))
    with numpy.errstate(all="ignore"):
        far = abs(x - wide)
    far = numpy.where(numpy.isfinite(x), far, numpy.inf)
    # What overflows in the dtypes of the program is compared by nobody.
    return numpy.where(numpy.isfinite(own) & numpy.isfinite(wide), far, 0)


def apart(x, y):
    far = distances(x, x, y)
    return float(far.max(initial=0))


def size(x):
    x = abs(widened(x))
    return float(numpy.where(numpy.isfinite(x), x, 0).max(initial=0))


def compiled(program, given):
    """What jit gives, called twice; donated arguments are copies."""
    run = fg.jit(function(program), donate_argnums=program.donated)
    first = leaves(run(*map(fnp.array, given)))
    again = leaves(run(*map(fnp.array, given)))
    return first, again


def chained(program, given):
    """What three calls give, each with results of the one before: with donation, and without.

    A result takes the place of the first donated argument of its type.
    """
    found = []
    for donated in (program.donated, ()):
        run = fg.jit(function(program), donate_argnums=donated)
        args = [fnp.array(x) for x in given]
        for _ in range(3):
            outs = list(run(*args))
            for k in program.donated:
                types = [(x.shape, x.dtype) for x in outs]
                own = given[k].shape, given[k].dtype
                # What was donated is gone.
                args[k] = outs.pop(types.index(own)) if own in types else fnp.array(given[k])
        found.append(leaves([args, outs]))
    return found


def eager(program, given):
    """What the function gives when it is not compiled."""
    return leaves(function(program)(*map(fnp.array, given)))


def emulated(program, reference):
    """What kernels for a GPU give, run by its emulator, with and without alignment."""
    from ..kernels.cuda.running import both_ways
    from ..kernels.cuda.running import traced as traced_for_gpu

    found = both_ways(*traced_for_gpu(function(program), *reference.given))
    assert found is not None, "a GPU would refuse a step of the program"
    for outs in found[2]:
        pairs = zip(outs, reference.own, strict=True)
        yield [numpy.asarray(x).view(own.dtype).reshape(own.shape) for x, own in pairs]


def leaves(tree):
    return [numpy.asarray(x) for x in fg.tree_util.tree_leaves(tree)]


def by_jax(program, given):
    """What JAX's jit gives."""
    import jax

    with jax.enable_x64(True):
        outs = jax.jit(function(program, jax))(*given)
        return [numpy.asarray(x) for x in jax.tree_util.tree_leaves(outs)]


def same(x, y):
    """Whether results have the same bits."""
    return all(
        a.tobytes() == b.tobytes() or numpy.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
        for a, b in zip(x, y, strict=True)
    )

"""A random program as text: what is drawn, and how it grows statement by statement.

A program is Python text over the names `top` (the package: funcgrad or jax), `np`, `lax`, `nn` and
three dtypes, `real`, `half` and `cplx`, so that the same text runs under either package and in any
precision. Each step looks at the values there are and adds a statement; the types of new values are
what the package says they are.

The one idea needed to compare results: a value is either *whole*, made of numbers that every order
of evaluation and every precision in use gives to the last bit, or *rounded*. Whatever jumps, such
as floor, a comparison, a cast to an integer or the place of a maximum, takes whole values alone.
What has a kink, such as a maximum, takes rounded values too, unless it is to be differentiated.
"""

from __future__ import annotations

import math
import random
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax, nn

EXTENTS = (1, 2, 3, 5, 7, 8, 13, 16, 31, 32, 33, 63, 64, 65, 96, 127, 128, 129, 200, 256, 384)
# In the drawing itself `real` is float32 and `half` is bfloat16: three dtypes that differ.
SYMBOLS = {"float32": "real", "bfloat16": "half", "complex64": "cplx"}
DRAWN = {"real": fnp.float32, "half": fnp.bfloat16, "cplx": fnp.complex64}
# Whole numbers up to this are added and multiplied without rounding.
WHOLE = {"real": 2**20, "half": 2**8}  # of 16 bits both are as `half`
FLOATS = ("real", "half")
INTEGERS = ("int8", "uint8", "int16", "int32", "int64")


@dataclass(frozen=True)
class Value:
    """A name in the program; `bound`: whole numbers no larger than this, None for rounded ones."""

    name: str
    shape: tuple
    dtype: str
    bound: float | None = None

    @property
    def ndim(self):
        return len(self.shape)

    @property
    def size(self):
        return math.prod(self.shape)

    @property
    def is_float(self):
        return self.dtype in FLOATS

    @property
    def is_integer(self):
        return self.dtype in INTEGERS

    @property
    def is_whole(self):
        return self.bound is not None or self.is_integer or self.dtype == "bool"


@dataclass(frozen=True)
class Statement:
    """Text that makes values of others; `made` in the order in which the text names them."""

    text: str
    made: tuple


@dataclass(frozen=True)
class Limits:
    """How large a program may be."""

    elements: int = 20_000
    products: int = 3_000_000
    steps: int = 12
    extents: tuple = EXTENTS


@dataclass(frozen=True)
class Program:
    """Inputs, statements, and the names of what is returned.

    Args:
        seed: what draws the numbers of the inputs.
        real: the dtype of most floats; `half` is that of the others.
        mode: what is done to the function, a key of `running.MODES`.
        donated: the positions of the inputs that are given away.
    """

    inputs: tuple
    statements: tuple
    results: tuple
    seed: int
    real: str
    half: str
    mode: str
    donated: tuple = ()

    @property
    def body(self):
        lines = [line for s in self.statements for line in s.text.splitlines()]
        given = ", ".join(v.name for v in self.inputs)
        back = "".join(f"{name}, " for name in self.results)
        return "\n    ".join([f"def program({given}):", *lines, f"return ({back})"])


class Impossible(Exception):
    """No step of this kind is possible here; another one is drawn."""


@dataclass
class Drawing:
    """What has been drawn so far, with the choices still to come."""

    dice: random.Random
    limits: Limits
    steps: dict
    smooth: bool
    mode: str
    inputs: list = field(default_factory=list)
    statements: list = field(default_factory=list)
    values: list = field(default_factory=list)
    # How much more often a step is drawn in this program: each has favourites, and leaves some out.
    # (A. Groce et al., Swarm testing, 2012.)
    favour: dict = field(default_factory=dict)
    count: int = 0
    depth: int = 0
    narrow: bool = False
    # The names of axes that functions here are mapped over, and their extents.
    axes: dict = field(default_factory=dict)

    # Choices.

    def chance(self, probability):
        return self.dice.random() < probability

    def one_of(self, options):
        if not options:
            raise Impossible
        return self.dice.choice(list(options))

    def below(self, n):
        return self.dice.randrange(n)

    def value(self, wanted=lambda v: True):
        """One of the values, a newer one rather than an older one."""
        found = [v for v in self.values if wanted(v)]
        if not found:
            raise Impossible
        return found[max(0, len(found) - 1 - int(self.dice.expovariate(0.5)))]

    def several(self, wanted=lambda v: True):
        """One value, or two different ones."""
        return list(dict.fromkeys(self.value(wanted) for _ in range(self.one_of([1, 1, 2, 3]))))[:2]

    def rounded(self, wanted=lambda v: True):
        """A floating value; what a smooth function is applied to."""
        return self.value(lambda v: v.is_float and wanted(v))

    def bent(self, wanted=lambda v: True):
        """A value for a function with a kink."""
        return self.value(
            lambda v: v.dtype != "cplx" and (v.is_whole or not self.smooth) and wanted(v)
        )

    def whole(self, wanted=lambda v: True):
        """A value for a function with a jump."""
        return self.value(lambda v: v.is_whole and wanted(v))

    def axis(self, x, least=1):
        return self.one_of([k for k, n in enumerate(x.shape) if n >= least])

    # New values.

    def name(self, letter="x"):
        self.count += 1
        return f"{letter}{self.count}"

    def new_input(self, shape, dtype="real", bound=None):
        """An input more; within a body there are none, so a table of constants takes its place."""
        shape = tuple(shape)
        if math.prod(shape) > self.limits.elements:
            raise Impossible
        if self.depth or (self.inputs and self.chance(0.1)):
            whole = "" if bound is None else f", {bound}"
            table = f"constant({self.below(100)}, {shape}, {dtype_text(dtype)}{whole})"
            return self.add(f"np.asarray({table})", bound)
        value = Value(self.name(), shape, dtype, bound)
        self.inputs.append(value)
        self.values.append(value)
        return value

    def add(self, expression, bound=None):
        """The value of an expression."""
        return self.state(f"{{}} = {expression}", 1, [bound])[0]

    def state(self, text, count, bounds):
        """The values a statement makes, whose names stand for {} in its text."""
        names = [self.name() for _ in range(count)]
        text = text.format(*names)
        made = self.typed(text, names)
        if any(v.size > self.limits.elements for v in made):
            raise Impossible
        made = [_bounded(v, b, self.narrow) for v, b in zip(made, bounds, strict=True)]
        self.statements.append(Statement(text, tuple(made)))
        self.values.extend(made)
        return made

    def typed(self, text, names):
        """The values of these names, as the package types them."""
        known = {v.name: v for v in self.values}

        def run(given):
            scope = scope_of(fg, fnp, lax, nn, DRAWN) | given
            exec(text, scope)
            return [scope[n] for n in names]

        wanted = {n: v for n, v in known.items() if n in text}
        given = {n: fg.ShapeDtypeStruct(v.shape, _dtype(v.dtype)) for n, v in wanted.items()}
        for axis, extent in self.axes.items():
            run = fg.vmap(run, None, axis_name=axis, axis_size=extent)
        found = fg.eval_shape(run, given)
        return [
            Value(n, a.shape[len(self.axes) :], SYMBOLS.get(a.dtype.name, a.dtype.name))
            for n, a in zip(names, found, strict=True)
        ]

    @contextmanager
    def inside(self, params, smooth=None):
        """Statements of a function within the program; what they made is gone behind it."""
        before = self.values, self.statements, self.smooth
        self.values, self.statements = [*self.values, *params], []
        self.smooth = self.smooth if smooth is None else smooth
        self.depth += 1
        try:
            yield
        finally:
            self.values, self.statements, self.smooth = before
            self.depth -= 1


def dtype_text(dtype):
    """A dtype as the text of a program names it."""
    return dtype if dtype in SYMBOLS.values() else f"np.{'bool_' if dtype == 'bool' else dtype}"


def _dtype(dtype):
    return DRAWN.get(dtype) or fnp.dtype(dtype)


def _bounded(value, bound, narrow):
    """The value with its bound, if sums of so large numbers are still not rounded."""
    if not value.is_float or bound is None or bound > WHOLE["half" if narrow else value.dtype]:
        return value
    return replace(value, bound=bound)


def scope_of(top, np, lax, nn, dtypes):
    """What the text of a program refers to."""
    return {
        "top": top,
        "np": np,
        "lax": lax,
        "nn": nn,
        "numpy": numpy,
        "constant": constant,
        **dtypes,
    }


def constant(seed, shape, dtype, bound=None):
    """A table of numbers, as a captured NumPy array: whole ones up to a bound, or rounded ones."""

    draw = numpy.random.default_rng(seed)
    if numpy.dtype(dtype).kind == "b":
        return draw.random(shape) < 0.5
    if bound is not None:
        low = 0 if numpy.dtype(dtype).kind == "u" else -bound
        return draw.integers(low, bound + 1, shape).astype(dtype)
    made = draw.normal(size=shape)
    if numpy.dtype(dtype).kind == "c":
        made = made + 1j * draw.normal(size=shape)
    return made.astype(dtype)


def drawn_shape(drawing, most=4):
    """A shape of awkward extents, rarely one without elements."""
    for _ in range(100):
        rank = drawing.one_of([0, 1, 1, 2, 2, 2, 3, 3, most])
        shape = tuple(drawing.one_of(drawing.limits.extents) for _ in range(rank))
        if shape and drawing.chance(0.04):
            k = drawing.below(rank)
            shape = (*shape[:k], 0, *shape[k + 1 :])
        if math.prod(shape) <= drawing.limits.elements // 4:
            return shape
    return (drawing.one_of(drawing.limits.extents[:8]),)


def drawn_input(drawing):
    """An input of any dtype; floats are rounded or whole."""
    kind = drawing.dice.random()
    shape = drawn_shape(drawing)
    if kind < 0.6:
        return drawing.new_input(shape)
    if kind < 0.75:
        return drawing.new_input(shape, drawing.one_of(FLOATS), drawing.one_of([1, 4, 9]))
    if kind < 0.9:
        return drawing.new_input(shape, drawing.one_of(["int8", "uint8", "int32"]), 9)
    return drawing.new_input(
        shape, drawing.one_of(["bool", "half", "half" if drawing.narrow else "cplx"])
    )


PRECISIONS = [
    ("float32", "bfloat16"),
    ("float32", "float16"),
    ("float64", "float32"),
    ("float64", "bfloat16"),
    ("bfloat16", "bfloat16"),
    ("float16", "float16"),
]


def draw(seed, steps, limits, modes):
    """The program of a seed.

    Args:
        steps: names of steps to functions of a drawing, and how often each is drawn.
        modes: some keys of `running.MODES`; one named twice is drawn twice as often.
    """
    dice = random.Random(seed)
    mode = dice.choice(modes)
    real, half = dice.choice(PRECISIONS)
    drawing = Drawing(dice, limits, steps, smooth=mode not in ("plain", "vmap"), mode=mode)
    # Neither complex numbers nor factors of matrices are of 16 bits.
    drawing.narrow = real in ("bfloat16", "float16")
    drawing.new_input(drawn_shape(drawing))
    for _ in range(drawing.below(3)):
        drawn_input(drawing)
    drawing.favour = {name: dice.choice([0, 0, 1, 1, 1, 4]) for name in steps}
    grow(drawing, 2 + drawing.below(limits.steps - 1))
    inputs, statements = tuple(drawing.inputs), tuple(drawing.statements)
    donated = ()
    if mode == "plain" and dice.random() < 0.4:
        donated = tuple(k for k in range(len(inputs)) if dice.random() < 0.5)
    return Program(inputs, statements, _results(drawing), seed, real, half, mode, donated)


def grow(drawing, count):
    """So many steps more."""
    weights = {n: weight * drawing.favour[n] for n, (_, weight) in drawing.steps.items()}
    names = [n for n, weight in weights.items() for _ in range(weight)]
    for _ in range(count):
        for _ in range(20):
            before = len(drawing.inputs), len(drawing.statements), len(drawing.values)
            try:
                drawing.steps[drawing.dice.choice(names)][0](drawing)
                break
            except Impossible:
                del drawing.inputs[before[0] :]
                del drawing.statements[before[1] :]
                del drawing.values[before[2] :]


def _results(drawing):
    """The last values, and now and then one from amid the program."""
    made = [v for s in drawing.statements for v in s.made]
    last = made[-drawing.one_of([1, 2, 3]) :]
    last += [v for v in drawing.inputs if drawing.chance(0.1)]
    amid = [v for v in made[:-3] if drawing.chance(drawing.one_of([0.15, 1]))]
    names = [v.name for v in [*last, *amid]] or [drawing.inputs[0].name]
    return tuple(names if drawing.chance(0.2) else dict.fromkeys(names))

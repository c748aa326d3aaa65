"""Programs drawn by Hypothesis, for comparing the ways in which one can be run.

A program is a list of steps; each takes values made before it, whatever their shapes and dtypes,
and makes one more. `EXACT` steps have one right result to the last bit. `SMOOTH` steps round, but
keep values small and small differences small.
"""

from dataclasses import dataclass

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import funcgrad.numpy as fnp
from funcgrad import lax

SMALL = [(), (0,), (1,), (7,), (17,), (3, 5), (0, 4), (1, 9), (8, 16), (2, 3, 5), (2, 0, 3)]
# Beyond what the compiler puts together because it is small.
SHAPES = [*SMALL, (300,), (1, 300), (300, 1), (31, 20), (7, 1, 43)]
DTYPES = ["float32", "float64", "int32", "bool", "float16"]
FLOATS = ["float32", "float64", "float16"]
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 3.0, -2.5, 7.0, 1e4, np.inf, -np.inf, np.nan, 6e-8]


def is_float(x):
    return x.dtype.kind == "f"


def number(x):
    """The value, or an integer for a bool."""
    return x.astype("int32") if x.dtype == bool else x


def matching(x, y):
    """y under the shape and dtype of x."""
    flat = fnp.resize(fnp.ravel(y), (x.size,)) if y.size else fnp.ones((x.size,), y.dtype)
    return flat.reshape(x.shape).astype(x.dtype)


def rows(x):
    """The value as a matrix."""
    return x.reshape((x.shape[0] if x.ndim else 1, -1 if x.size else 0))


def outer(x, y):
    """Products of each two rows; of very many rows, whose products no memory holds, of some."""
    x = rows(x)[:2000]
    return x @ x.T / max(x.shape[1], 1)


def picked(x, by):
    """Positions made from another value, some of them out of range."""
    extent = x.shape[0]
    seed = fnp.ravel(number(by))[:5]
    return (fnp.nan_to_num(seed.astype("float32")).astype("int32") % (extent + 2)) - 1


def gathered(x, y):
    if x.ndim == 0 or x.shape[0] == 0:
        return x
    return x.at[picked(x, y)].get(mode="fill", fill_value=0)


def scattered(op):
    def step(x, y):
        # NumPy adds 16-bit floats in float32, and rounds once.
        rounds = op == "add" and x.dtype == "float16"
        if x.ndim == 0 or x.shape[0] == 0 or x.dtype == bool or rounds:
            return x
        if op == "add" and is_float(x):
            # Sums of whole numbers do not depend on what is added first.
            x = fnp.round(fnp.clip(x, -1024, 1024))
        where = picked(x, y)
        values = fnp.full((where.size, *x.shape[1:]), 3, x.dtype)
        return getattr(x.at[where], op)(values, mode="drop")

    return step


def folded(name, axis):
    def step(x, y):
        x = number(x)
        if x.ndim == 0 or 0 in x.shape:
            return x
        return getattr(fnp, name)(x, axis=axis % x.ndim)

    return step


def averaged(x, y):
    """A scan that keeps what it carries small."""
    x = rows(x)
    if not len(x):
        return x
    return lax.scan(lambda c, r: (fnp.tanh(c + r), c.sum() * 0.1), x[0], x)[0]


def normalised(x, y):
    if not (x.ndim and x.size):
        return x
    return (x - x.mean(-1, keepdims=True)) / fnp.sqrt(1 + x.var(-1, keepdims=True))


def softmax(x, y):
    if not (x.ndim and x.size):
        return x
    return fnp.exp(x) / fnp.exp(x).sum(0, keepdims=True)


def gram(x, y):
    x = rows(x)
    return x.T @ x / max(len(x), 1) if x.size < 200 else x


def counted(x, y):
    """A scan that carries along; the order of its steps is the only one."""
    x = number(rows(x))
    return (
        lax.scan(lambda c, r: (fnp.maximum(c + r, r), c), matching(x[0], y), x)[1] if len(x) else x
    )


def chosen(x, y):
    first = fnp.ravel(number(y))[:1].sum() if y.size else fnp.zeros((), y.dtype)
    return lax.cond(first > 0, lambda v: v[::-1] if v.ndim else v, lambda v: v, x)


def whiled(x, y):
    x = number(x)
    return lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] + s[1]), (0, x))[1]


EXACT = {
    "add": lambda x, y: number(x) + number(matching(x, y)),
    "sub": lambda x, y: number(x) - number(matching(x, y)),
    "mul": lambda x, y: number(x) * number(matching(x, y)),
    "maximum": lambda x, y: fnp.maximum(x, matching(x, y)),
    "minimum": lambda x, y: fnp.minimum(x, matching(x, y)),
    "less": lambda x, y: x < matching(x, y),
    "equal": lambda x, y: x == matching(x, y),
    "where": lambda x, y: fnp.where(matching(x, y) > 0, x, matching(x, y)),
    "clip": lambda x, y: fnp.clip(number(x), -3, 4),
    "negative": lambda x, y: -number(x),
    "abs": lambda x, y: abs(number(x)),
    "sign": lambda x, y: fnp.sign(number(x)),
    "floor": lambda x, y: fnp.floor(x) if is_float(x) else x,
    "isfinite": lambda x, y: fnp.isfinite(x),
    "not": lambda x, y: fnp.logical_not(x),
    "half": lambda x, y: x * fnp.asarray(0.5, x.dtype) if is_float(x) else number(x) >> 1,
    "shift": lambda x, y: (
        number(x) if is_float(x) else lax.shift_left(number(x), number(x) * 0 + 3)
    ),
    "divide": lambda x, y: x if is_float(x) else lax.div(number(x), number(matching(x, y))),
    "remainder": lambda x, y: lax.rem(number(x), number(matching(x, y))),
    "to_int": lambda x, y: x.astype("int32"),
    "to_bool": lambda x, y: x.astype("bool"),
    "to_float32": lambda x, y: x.astype("float32"),
    "to_float64": lambda x, y: x.astype("float64"),
    "to_float16": lambda x, y: x.astype("float16"),
    "to_int8": lambda x, y: x.astype("int8").astype("int32"),
    "to_uint32": lambda x, y: x.astype("uint32").astype("int32"),
    "flip": lambda x, y: fnp.flip(x),
    "transpose": lambda x, y: x.T,
    "ravel": lambda x, y: x.ravel(),
    "rows": lambda x, y: rows(x),
    "slice": lambda x, y: x[1:] if x.ndim else x,
    "stride": lambda x, y: x[..., ::2] if x.ndim else x,
    "last": lambda x, y: x[..., -1] if x.ndim and x.shape[-1] else x,
    "pad": lambda x, y: fnp.pad(x, 1) if x.ndim and x.size < 500 else x,
    "join": lambda x, y: fnp.concatenate([x.ravel(), y.ravel().astype(x.dtype)])[:300],
    "outer": lambda x, y: fnp.maximum(x.ravel()[:9, None], y.ravel()[None, :11].astype(x.dtype)),
    "tile": lambda x, y: fnp.broadcast_to(x, (3, *x.shape)) if x.size < 200 else x,
    "gather": gathered,
    "scatter_max": scattered("max"),
    "scatter_set_one": lambda x, y: number(x).at[..., :1].set(1) if x.ndim else x,
    "scatter_add": scattered("add"),
    "max": folded("max", 0),
    "min": folded("min", -1),
    "argmax": folded("argmax", -1),
    "argmin": folded("argmin", 0),
    "any": lambda x, y: fnp.any(x, axis=-1) if x.ndim else x,
    "all": lambda x, y: fnp.all(x, axis=0) if x.ndim else x,
    "count": lambda x, y: fnp.sum(x != 0, axis=0, dtype="int32") if x.ndim else x,
    "cummax": lambda x, y: lax.cummax(x, 0) if x.ndim and x.dtype != bool else x,
    "scan": counted,
    "cond": chosen,
    "while": whiled,
    "iota": lambda x, y: fnp.arange(x.size).astype("int32") % 5,
}

SMOOTH = {
    "sin": lambda x, y: fnp.sin(x),
    "cos": lambda x, y: fnp.cos(x),
    "tanh": lambda x, y: fnp.tanh(x),
    "exp": lambda x, y: fnp.exp(fnp.tanh(x)),
    "log": lambda x, y: fnp.log(2 + fnp.sin(x)),
    "logistic": lambda x, y: lax.logistic(x),
    "sqrt": lambda x, y: fnp.sqrt(1 + x * x),
    "rsqrt": lambda x, y: lax.rsqrt(1 + x * x),
    "atan2": lambda x, y: fnp.arctan2(x, 2 + fnp.sin(matching(x, y))),
    "erf": lambda x, y: lax.erf(x),
    "power": lambda x, y: (1 + x * x) ** 0.3,
    "divide": lambda x, y: x / (2 + fnp.cos(matching(x, y))),
    "add": lambda x, y: 0.5 * x + 0.5 * matching(x, y),
    "mul": lambda x, y: fnp.tanh(x) * matching(x, y),
    "mean": lambda x, y: x.mean(axis=-1) if x.ndim and x.size else x,
    "mean_of_columns": lambda x, y: x.mean(axis=0) if x.ndim and x.size else x,
    "variance": lambda x, y: x - x.mean() if x.size else x,
    "normalise": normalised,
    "softmax": softmax,
    "cumsum": lambda x, y: fnp.cumsum(x, axis=-1) / max(x.shape[-1], 1) if x.ndim else x,
    "dot": outer,
    "dot_of_columns": gram,
    "matvec": lambda x, y: rows(x) @ fnp.ones(rows(x).shape[1:], x.dtype) / max(x.size, 1),
    "scan": averaged,
    "fori": lambda x, y: lax.fori_loop(0, 3, lambda i, c: fnp.sin(c) + 0.1, x),
    "flip": lambda x, y: fnp.flip(x),
    "transpose": lambda x, y: x.T,
    "tile": lambda x, y: fnp.broadcast_to(x, (3, *x.shape)) if x.size < 200 else x,
    "slice": lambda x, y: x[1:] if x.ndim else x,
    "join": lambda x, y: fnp.concatenate([x.ravel(), y.ravel()])[:300],
}


@dataclass(frozen=True)
class Drawn:
    """Steps (name, positions of two operands), and the types of the inputs."""

    table: str
    steps: tuple
    shapes: tuple
    dtypes: tuple
    seed: int

    def __call__(self, *inputs):
        table = EXACT if self.table == "EXACT" else SMOOTH
        values = list(inputs)
        for name, i, j in self.steps:
            values.append(table[name](values[i % len(values)], values[j % len(values)]))
        return values[len(inputs) :]

    def inputs(self):
        """Arguments: of EXACT programs with NaN, infinities and signed zeros."""
        rng = np.random.default_rng(self.seed)
        return [
            self.array(rng, s, np.dtype(d)) for s, d in zip(self.shapes, self.dtypes, strict=True)
        ]

    def array(self, rng, shape, dtype):
        if self.table == "SMOOTH":
            return np.asarray(rng.normal(size=shape)).astype(dtype)
        if dtype.kind == "b":
            return rng.random(shape) < 0.5
        if dtype.kind == "u":
            return rng.choice(np.array([0, 1, 5, 100, np.iinfo(dtype).max], dtype), shape)
        if dtype.kind == "i":
            ends = np.iinfo(dtype).min, np.iinfo(dtype).max
            return rng.choice(np.array([0, 1, -1, 5, -7, 100, *ends], dtype), shape)
        with np.errstate(over="ignore"):
            return np.asarray(rng.choice(np.array(SPECIAL), shape)).astype(dtype)


def examples(count):
    """So many examples, or as many times more as the profile has: --hypothesis-profile=long."""
    count = max(1, count * settings().max_examples // 30)
    return settings(max_examples=count, suppress_health_check=[HealthCheck.too_slow])


def programs(table, max_size=8, shapes=SHAPES, dtypes=DTYPES):
    """A strategy for programs over one table of steps; `dtypes` are those of EXACT inputs."""
    names = sorted(EXACT if table == "EXACT" else SMOOTH)
    place = st.integers(0, 9)
    steps = st.lists(st.tuples(st.sampled_from(names), place, place), min_size=1, max_size=max_size)
    shape = st.sampled_from(shapes)
    if table == "EXACT":
        dtype = st.tuples(st.sampled_from(dtypes), st.sampled_from(dtypes))
    else:
        dtype = st.sampled_from(FLOATS).map(lambda d: (d, d))
    return st.builds(
        Drawn, st.just(table), steps.map(tuple), st.tuples(shape, shape), dtype, st.integers(0, 99)
    )

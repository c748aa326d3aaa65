"""Random programs: Hypothesis draws a list of operations, each on values made before it.

A program takes two matrices f64[2, 3] and returns a matrix; it is smooth, so that it can be
differentiated as often as a law asks.
"""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax

SHAPE = (2, 3)

UNARY = {
    "sin": fnp.sin,
    "tanh": fnp.tanh,
    "logistic": lax.logistic,
    "exp_of_minus_square": lambda x: fnp.exp(-x * x),
    "log_of_square": lambda x: fnp.log(1 + x * x),
    "transpose_twice": lambda x: (2 * x.T).T,
    "flip": lambda x: x[::-1, ::-1],
    "softmax": lambda x: fnp.exp(x) / fnp.exp(x).sum(axis=1, keepdims=True),
    "normalise": lambda x: (x - x.mean(axis=0)) / fnp.sqrt(1 + x.var(axis=0)),
    "cumsum": lambda x: fnp.cumsum(x, axis=1) * 0.5,
    "set_row": lambda x: x.at[0].set(x[1] * 0.5),
    "gather": lambda x: x[np.array([1, 0]), :] + x[:, np.array([2, 2, 0])],
    "jit": fg.jit(lambda x: fnp.cos(x) * 0.5),
    "checkpoint": fg.checkpoint(lambda x: fnp.sin(fnp.sin(x))),
    "scan": lambda x: lax.scan(lambda c, r: (fnp.sin(c) + r, c), x[0], x)[1],
    "fori_loop": lambda x: lax.fori_loop(0, 3, lambda i, c: fnp.sin(c) + 0.1 * i, x),
    "cond": lambda x: lax.cond(True, fnp.sin, fnp.cos, x),
    "custom_jvp": None,
    "custom_vjp": None,
    "vmap": fg.vmap(lambda r: fnp.sin(r) * r.sum() * 0.3),
}

BINARY = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: 0.5 * x * y,
    "div": lambda x, y: x / (2 + fnp.sin(y)),
    "matmul": lambda x, y: 0.3 * x @ (y.T @ y),
    "where": lambda x, y: fnp.where(np.array([[True, False, True]]), x, y),
    "concatenate": lambda x, y: fnp.concatenate([x, y], axis=1)[:, 2:5],
    "einsum": lambda x, y: 0.3 * fnp.einsum("ij,kj->ik", x, y)[:, :1] * x,
    "atan2": lambda x, y: fnp.arctan2(x, 2 + y * y),
}


@fg.custom_jvp
def ruled_sine(x):
    """sin, with a rule of its own that is true."""
    return fnp.sin(x)


ruled_sine.defjvp(lambda xs, ts: (ruled_sine(*xs), fnp.cos(*xs) * ts[0]))


@fg.custom_vjp
def reversed_cosine(x):
    """cos, with a reverse rule of its own that is true."""
    return fnp.cos(x)


reversed_cosine.defvjp(lambda x: (fnp.cos(x), x), lambda x, ct: (-fnp.sin(x) * ct,))
UNARY["custom_jvp"] = ruled_sine
UNARY["custom_vjp"] = reversed_cosine
REVERSE_ONLY = {"custom_vjp"}


@dataclass(frozen=True)
class Program:
    """Steps (name, positions of operands); called with two matrices."""

    steps: tuple

    def __call__(self, x, y):
        values = [x, y]
        for name, *where in self.steps:
            operands = [values[i % len(values)] for i in where]
            table = UNARY if len(operands) == 1 else BINARY
            values.append(table[name](*operands))
        return values[-1]


def programs(max_size=6, forward=True):
    """A strategy for programs; with `forward`, without reverse-only steps."""
    names = [n for n in UNARY if not (forward and n in REVERSE_ONLY)]
    place = st.integers(0, 7)
    one = st.tuples(st.sampled_from(names), place)
    two = st.tuples(st.sampled_from(list(BINARY)), place, place)
    steps = st.lists(st.one_of(one, two), min_size=1, max_size=max_size)
    return steps.map(lambda s: Program(tuple(s)))


def matrices(seed, count=2, batch=()):
    """Random matrices f64[*batch, 2, 3]."""
    rng = np.random.default_rng(seed)
    return [fnp.asarray(rng.normal(size=(*batch, *SHAPE))) for _ in range(count)]

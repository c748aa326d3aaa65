"""What a person reads who gave bad input: every text names what, the values, the line, the remedy.

The texts themselves are in golden/errors.txt; change one there on purpose only.
"""

import re

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax

from . import goldens

x3 = np.ones(3, np.float32)
x4 = np.ones(4, np.float32)
m23 = np.ones((2, 3), np.float32)
i3 = np.arange(3, dtype=np.int32)


def branch(x):
    return x if x > 0 else -x


def leak():
    kept = []
    fg.jit(lambda x: kept.append(x) or x)(1.0)
    return kept[0] + 1


def donated():
    x = fnp.ones(3)
    fg.jit(lambda x: x * 2, donate_argnums=0)(x)
    return x + 1


@fg.jit
def endless(x):
    return endless(x)


def write():
    x = fnp.ones(3)
    x[0] = 1.0


def reused():
    with fg.debug_key_reuse(True):
        key = fg.random.key(0)
        fg.random.normal(key)
        fg.random.normal(key)


CASES = {
    "grad of a vector": lambda: fg.grad(lambda x: x * 2)(x3),
    "grad of an integer": lambda: fg.grad(lambda x: x * 2.0)(3),
    "grad of an integer output": lambda: fg.grad(lambda x: fnp.int32(1))(3.0),
    "grad with argnums out of range": lambda: fg.grad(lambda x: x, argnums=2)(1.0),
    "grad of text": lambda: fg.grad(lambda x: x)("text"),
    "has_aux without a pair": lambda: fg.grad(lambda x: x, has_aux=True)(1.0),
    "cotangent of another structure": lambda: fg.vjp(lambda x: (x, x), x3)[1](x3),
    "cotangent of another shape": lambda: fg.vjp(lambda x: x, x3)[1](x4),
    "cotangent of another dtype": lambda: fg.vjp(lambda x: x, x3)[1](i3),
    "tangent of another structure": lambda: fg.jvp(lambda x: x, (x3,), ((x3, x3),)),
    "tangent of another shape": lambda: fg.jvp(lambda x: x, (x3,), (x4,)),
    "tangent of another dtype": lambda: fg.jvp(lambda x: x, (x3,), (i3,)),
    "primals that are no tuple": lambda: fg.jvp(lambda x: x, x3, x3),
    "scan carry of another structure": lambda: lax.scan(lambda c, a: ((c, c), a), 0.0, x3),
    "scan carry of another dtype": lambda: lax.scan(lambda c, a: (c + a, a), i3[0], x3),
    "scan carry of another shape": lambda: lax.scan(lambda c, a: (c[None], a), 0.0, x3),
    "scan without a pair": lambda: lax.scan(lambda c, a: c, 0.0, x3),
    "scan lengths that differ": lambda: lax.scan(lambda c, a: (c, a), 0.0, (x3, x4)),
    "while carry of another shape": lambda: lax.while_loop(lambda c: True, lambda c: c[None], 1.0),
    "while predicate that is no scalar": lambda: lax.while_loop(lambda c: c > 0, lambda c: c, x3),
    "reverse mode of while_loop": lambda: fg.grad(
        lambda x: lax.while_loop(lambda c: c < 9, lambda c: c * 2, x)
    )(1.0),
    "cond branches of other structure": lambda: lax.cond(True, lambda: 1.0, lambda: (1.0, 2.0)),
    "cond branches of other shape": lambda: lax.cond(True, lambda: x3, lambda: x4),
    "cond predicate that is an array": lambda: lax.cond(x3, lambda: 1, lambda: 2),
    "switch without branches": lambda: lax.switch(0, []),
    "vmap sizes that differ": lambda: fg.vmap(lambda a, b: a)(x3, x4),
    "vmap axis out of range": lambda: fg.vmap(lambda a: a, in_axes=3)(x3),
    "vmap in_axes of another length": lambda: fg.vmap(lambda a: a, in_axes=(0, 0))(x3),
    "vmap in_axes that is no prefix": lambda: fg.vmap(lambda a: a, in_axes=({"b": 0},))({"a": x3}),
    "vmap in_axes of text": lambda: fg.vmap(lambda a: a, in_axes="a")(x3),
    "vmap over nothing": lambda: fg.vmap(lambda a: a, in_axes=None)(x3),
    "vmap output not mapped": lambda: fg.vmap(lambda a: a, out_axes=None)(x3),
    "if on a traced value": lambda: fg.jit(branch)(1.0),
    "int of a traced value": lambda: fg.jit(lambda x: int(x))(1),
    "traced value as a list index": lambda: fg.jit(lambda i: [1, 2][i])(1),
    "traced value as a shape": lambda: fg.jit(lambda n: fnp.zeros(n))(3),
    "NumPy function of a traced value": lambda: fg.jit(lambda x: np.sin(x))(1.0),
    "traced boolean mask": lambda: fg.jit(lambda x: x[x > 0])(x3),
    "leaked tracer": leak,
    "unhashable static argument": lambda: fg.jit(lambda x, n: x, static_argnums=1)(1.0, [2]),
    "argument that is no array": lambda: fg.jit(lambda x: x)({"a": "text"}),
    "result that is no array": lambda: fg.jit(lambda x: "text")(1.0),
    "donated buffer": donated,
    "recursion through jit": lambda: endless(1.0),
    "add shapes": lambda: lax.add(x3, x4),
    "add dtypes": lambda: lax.add(x3, i3),
    "numpy add shapes": lambda: fnp.add(x3, x4),
    "dot shapes": lambda: fnp.dot(x3, x4),
    "matmul shapes": lambda: fnp.matmul(m23, m23),
    "dot_general dimension numbers": lambda: lax.dot_general(m23, m23, (((1,), (0,)), ((), ()))),
    "conv channels": lambda: lax.conv(np.ones((1, 2, 5, 5)), np.ones((3, 4, 3, 3)), (1, 1), "SAME"),
    "conv padding": lambda: lax.conv(np.ones((1, 2, 5, 5)), np.ones((3, 2, 3, 3)), (1, 1), "SOME"),
    "concatenate shapes": lambda: fnp.concatenate([m23, np.ones((2, 4), np.float32)], axis=0),
    "concatenate nothing": lambda: fnp.concatenate([]),
    "reshape size": lambda: fnp.reshape(x3, (2, 2)),
    "axis out of range": lambda: fnp.sum(x3, axis=2),
    "lax axis out of range": lambda: lax.reduce_sum(x3, (2,)),
    "too many indices": lambda: fnp.asarray(x3)[0, 0],
    "float index": lambda: fnp.asarray(x3)[1.5],
    "writing to an array": write,
    "unknown dtype": lambda: fnp.zeros(3, dtype="nonsense"),
    "unsupported object": lambda: fnp.asarray("text"),
    "list operand": lambda: fnp.add([1, 2], x3),
    "key that is a float": lambda: fg.random.normal(3.0),
    "batch of keys": lambda: fg.random.normal(fg.random.split(fg.random.key(0))),
    "float seed": lambda: fg.random.key(1.5),
    "key used twice": reused,
    "arithmetic on a key": lambda: fg.random.key(0) + 1,
    "unbound axis name": lambda: lax.psum(x3, "i"),
    "unknown option": lambda: fg.config.update("nonsense", 1),
    "trees of different structure": lambda: fg.tree.map(lambda a, b: a, (1, 2), (1,)),
}


def text_of(call):
    """The error's class and text, line numbers left out."""
    with pytest.raises(Exception) as caught:
        call()
    text = f"{type(caught.value).__name__}: {caught.value}"
    return re.sub(r"(\w+\.py):\d+", r"\1:N", text)


def test_texts(request):
    sections = {name: text_of(call) for name, call in CASES.items()}
    goldens.check("errors.txt", sections, request.config.getoption("--golden") == "update")


@pytest.mark.parametrize("name", CASES)
def test_texts_are_ours(name):
    """No text comes from the depths: each is a sentence with some advice or values in it."""
    text = text_of(CASES[name])
    assert len(text) > 40
    assert "/" not in text.split("\n")[0] or "http" not in text

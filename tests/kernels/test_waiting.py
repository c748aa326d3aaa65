"""Residuals that are computed early, so that what they are made of need not wait."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn
from funcgrad.kernels.checking import lifetimes
from funcgrad.kernels.program import Launch, LibraryCall

pytestmark = pytest.mark.usefixtures("nothing_stored")
RNG = np.random.default_rng(0)
ROWS, WIDTH = 96, 80


def drawn(*shape: int) -> np.ndarray:
    return (RNG.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)


@fg.custom_jvp
def bump(x: Any) -> Any:
    return x * fnp.exp(-x * x)


@bump.defjvp
def _(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    e = fnp.exp(-x * x)
    return x * e, dx * (e - 2 * x * x * e)


def gradient(act: Any) -> Any:
    def loss(w: Any, v: Any, x: Any) -> Any:
        return ((act(x @ w) @ v) ** 2).sum()

    return fg.grad(loss)


def arguments() -> list[np.ndarray]:
    return [drawn(WIDTH, WIDTH), drawn(WIDTH, WIDTH), drawn(ROWS, WIDTH)]


def waiting(f: Any, *args: Any) -> int:
    """How many arrays are there before the second product that are read behind it."""
    block = fg.jit(f).lower(*args).stages.block
    products = [k for k, s in enumerate(block.steps) if isinstance(s, LibraryCall)]
    (first, last) = block.span(products[1])
    alive = lifetimes(block)
    return sum(
        begin < first and end > last
        for b, (begin, end) in alive.items()
        if b.size == ROWS * WIDTH and b.dtype == np.float32
    )


def tanh_of_tanh(x: Any) -> Any:
    return fnp.tanh(fnp.tanh(x))


ACTIVATIONS = {
    "gelu": (nn.gelu, 1),
    "gelu without tanh": (lambda x: nn.gelu(x, approximate=False), 1),
    "a user's": (bump, 1),
    "tanh": (fnp.tanh, 1),
    # Each of the two slopes is made of one array, and the cotangent passes them one by one.
    "tanh of tanh": (tanh_of_tanh, 2),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_one_array_waits(name: str) -> None:
    act, count = ACTIVATIONS[name]
    assert waiting(gradient(act), *arguments()) == count


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_lowerings_agree(name: str, lowering: str) -> None:
    args, f = arguments(), gradient(ACTIVATIONS[name][0])
    with fg.disable_jit():
        expected = f(*map(fnp.array, args))
    np.testing.assert_allclose(fg.jit(f)(*args), expected, rtol=2e-4, atol=2e-4)


def test_masks_wait_instead_of_what_is_compared() -> None:
    """Of a rectifier behind a bias its result is read by a product, and its mask is kept."""

    def loss(w: Any, v: Any, b: Any, x: Any) -> Any:
        h = nn.relu(nn.relu(x @ w + b) @ w + b)
        return ((h @ v) ** 2).sum()

    f, args = fg.grad(loss), [*arguments()[:2], drawn(WIDTH), drawn(ROWS, WIDTH)]
    with fg.disable_jit():
        expected = f(*map(fnp.array, args))
    np.testing.assert_allclose(fg.jit(f)(*args), expected, rtol=2e-4, atol=2e-4)
    block = fg.jit(f).lower(*args).stages.block
    masks = [b for s in block.steps if isinstance(s, Launch) for b in s.writes if b.dtype == bool]
    assert [b.size for b in masks] == [ROWS * WIDTH] * 2
    alive, (made, *_) = lifetimes(block), [b for s in block.steps for b in s.writes]
    first = next(k for k, s in enumerate(block.steps) if isinstance(s, Launch))
    assert alive[made][1] <= first


def test_what_is_read_in_its_own_stage_is_computed_there() -> None:
    """A row's fold of two products is one kernel with what it folds, which gets no memory."""

    def f(x: Any, a: Any, b: Any) -> Any:
        p, q = x @ a, x @ b
        return (fnp.sin(p) * q).sum(-1) @ x

    args = drawn(ROWS, WIDTH), drawn(WIDTH, WIDTH), drawn(WIDTH, WIDTH)
    block = fg.jit(f).lower(*args).stages.block
    written = [b for s in block.steps if isinstance(s, Launch) for b in s.writes]
    assert all(b.size <= ROWS for b in written)


def test_what_is_kept_anyway_is_read_later() -> None:
    """Arguments and results wait in any case: a third array would be one more."""

    def f(x: Any, y: Any, w: Any) -> Any:
        p, q = x @ w, y @ w
        late = (p @ w) @ w
        return p, q, late * (fnp.sin(p) * q), late + x * y

    args = drawn(ROWS, WIDTH), drawn(ROWS, WIDTH), drawn(WIDTH, WIDTH)
    block = fg.jit(f).lower(*args).stages.block
    launches = [s for s in block.steps if isinstance(s, Launch)]
    (out,) = [s for s in launches if len(s.writes) == 2]
    assert len(launches) == 1
    assert len(out.reads) == 5


def test_views_wait_as_what_they_are_views_of() -> None:
    def f(x: Any, w: Any, v: Any) -> Any:
        p, q = (x @ w).reshape(-1), (x @ v).reshape(-1)
        kept = fnp.sin(p) * q
        late = (fnp.cos(p).reshape(x.shape) @ w) @ w
        return late * kept.reshape(x.shape)

    args = drawn(ROWS, WIDTH), drawn(WIDTH, WIDTH), drawn(WIDTH, WIDTH)
    with fg.disable_jit():
        expected = f(*map(fnp.array, args))
    np.testing.assert_allclose(fg.jit(f)(*args), expected, rtol=2e-4, atol=2e-4)
    launches = [s for s in fg.jit(f).lower(*args).stages.block.steps if isinstance(s, Launch)]
    assert len(launches[-1].reads) == 2

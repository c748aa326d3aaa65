"""What a scan carries from turn to turn through memory: where it lies, and who copies it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import funcgrad as fg
from funcgrad import lax

N = 12
Carry = tuple[Any, Any]
Cell = Callable[[Any, Carry, Any], tuple[Carry, Any]]


def plain(w: Any, carry: Carry, x: Any) -> tuple[Carry, Any]:
    h, c = carry
    return (h @ w + x, c + h), None


def exchanged(w: Any, carry: Carry, x: Any) -> tuple[Carry, Any]:
    h, c = carry
    return (c, h @ w - x), None


def kept(w: Any, carry: Carry, x: Any) -> tuple[Carry, Any]:
    h, c = carry
    return (h @ w + x, c @ w + h), (h, c)


def kept_twice(w: Any, carry: Carry, x: Any) -> tuple[Carry, Any]:
    h, c = carry
    new = h @ w + x
    return (new, c + new), (h, new, h, c)


def kept_and_unchanged(w: Any, carry: Carry, x: Any) -> tuple[Carry, Any]:
    h, c = carry
    return (h, c @ w + x), (h, c)


def kept_and_exchanged(w: Any, carry: Carry, x: Any) -> tuple[Carry, Any]:
    h, c = carry
    return (c @ w, h), (c + x, c, h)


def by_turns(cell: Cell, w: Any, carry: Carry, xs: Any, reverse: bool) -> Any:
    rows: list[Any] = [None] * len(xs)
    for t in reversed(range(len(xs))) if reverse else range(len(xs)):
        carry, rows[t] = cell(w, carry, xs[t])
    if not len(xs) or rows[0] is None:
        return carry, None
    return carry, tuple(np.stack(column) for column in zip(*rows, strict=True))


cells = [plain, exchanged, kept, kept_twice, kept_and_unchanged, kept_and_exchanged]


def operands(length: int) -> tuple[Any, Carry, Any]:
    rng = np.random.default_rng(length)
    w = rng.standard_normal((N, N)).astype(np.float32) / N**0.5
    h, c = rng.standard_normal((2, N, N)).astype(np.float32)
    return w, (h, c), rng.standard_normal((length, N, N)).astype(np.float32)


def run(cell: Cell, reverse: bool) -> Any:
    return fg.jit(
        lambda w, carry, xs: lax.scan(lambda s, x: cell(w, s, x), carry, xs, reverse=reverse)
    )


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [0, 1, 2, 5])
@pytest.mark.parametrize("cell", cells)
def test_carried_values(cell: Cell, length: int, reverse: bool) -> None:
    args = operands(length)
    carry, rows = run(cell, reverse)(*args)
    wanted, stacked = by_turns(cell, *args, reverse)
    for found, expected in zip(carry, wanted, strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)
    if length and rows is not None:
        for found, expected in zip(rows, stacked, strict=True):
            np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize(("cell", "copies"), [(plain, 0), (kept, 0), (kept_twice, 2)])
def test_no_turn_copies_what_it_carries(cell: Cell, copies: int) -> None:
    """Only the first values are copied, and what is to be in two places."""
    text = run(cell, False).lower(*operands(6)).stages.llvm
    program = text[text.index("@program(") :]
    before, _, turns = program.partition(" = phi i64 ")
    assert before.count("@llvm.memmove") == 2
    assert turns.count("call void @llvm.memmove") == copies


def test_a_carry_within_a_carry() -> None:
    """A loop in a loop: each has two places of its own."""

    def inner(w: Any, h: Any) -> Any:
        return lax.scan(lambda s, _: (s @ w, s), h, length=3)

    def f(w: Any, h: Any) -> Any:
        def turn(s: Any, _: Any) -> Any:
            last, rows = inner(w, s)
            return last + s, (s, rows)

        return lax.scan(turn, h, length=4)

    w, (h, _), _ = operands(1)
    last, (states, rows) = fg.jit(f)(w, h)
    s = h
    for t in range(4):
        np.testing.assert_allclose(states[t], s, rtol=1e-3, atol=1e-3)
        powers = [s, s @ w, s @ w @ w]
        np.testing.assert_allclose(rows[t], np.stack(powers), rtol=1e-3, atol=1e-3)
        s = powers[2] @ w + s
    np.testing.assert_allclose(last, s, rtol=1e-3, atol=1e-3)

"""How the transform of a length is divided: into passes, into two shorter ones, or into others.

Costs are rough nanoseconds of a core, for all lanes of a vector together.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from math import inf
from typing import NamedTuple

from .fft_passes import LARGEST, WRITTEN

# Of a pass of a radix, for one element; of other radices, for one element and its radix.
_PASS = {2: 1.3, 3: 2.0, 4: 1.9, 5: 3.0, 7: 4.5, 8: 2.6}
_ODD = 0.25
# Of reading or writing an element of rows, of one of columns, which passes read and write; of an
# element between stages for each line, where all are in a near cache and where not; of a stage.
_MOVED, _FUSED, _NEAR, _BETWEEN, _STAGE = 1.5, 0.5, 0.1, 0.6, 100.0
# Numbers between stages that are near.
_FEW = 1 << 14

# Of passes over lines that lie in lanes, whose buffers stay in the first cache, of those of others.
_SPREAD = 0.7
# Lanes of a line at most: as many elements are transformed in registers, and more do not fit there.
_LANES = 8


class Steps(NamedTuple):
    """The passes of lines in lanes: of their length, or of the `size` of a convolution."""

    size: int
    radices: tuple[int, ...]
    cost: float


@cache
def factors(n: int) -> tuple[int, ...]:
    """The prime factors, in order."""
    found: list[int] = []
    k = 2
    while k * k <= n:
        while n % k == 0:
            found.append(k)
            n //= k
        k += 1
    return (*found, n) if n > 1 else tuple(found)


@cache
def radices(n: int) -> tuple[int, ...]:
    """The radices of the passes of a length, large ones first."""
    twos, rest = factors(n).count(2), [p for p in factors(n) if p > 2]
    eights, left = divmod(twos, 3)
    if left == 1 and eights:
        pairs = [8] * (eights - 1) + [4, 4]
    else:
        pairs = [8] * eights + [[], [2], [4]][left]
    return tuple(sorted([*pairs, *rest], reverse=True))


def _cost(n: int) -> float:
    return n * sum(_PASS[r] if r in WRITTEN else _ODD * r for r in radices(n))


@cache
def convolved(n: int) -> int:
    """The best length for a convolution of so many elements."""
    least = 2 * n - 1
    found = [m for m in _smooth(2 * least) if m >= least]
    return min(found, key=_cost)


@cache
def _smooth(most: int) -> tuple[int, ...]:
    """Products of 2, 3 and 5 up to a number."""

    def all_of() -> Iterator[int]:
        five = 1
        while five <= most:
            three = five
            while three <= most:
                two = three
                while two <= most:
                    yield two
                    two *= 2
                three *= 3
            five *= 5

    return tuple(all_of())


@cache
def steps_of(n: int) -> Steps:
    """The passes over lines of a length, and their cost."""
    direct = inf if max(factors(n), default=1) > LARGEST else _cost(n)
    size = convolved(n)
    other = 2 * _cost(size) + 3 * _PASS[2] * size
    if direct <= other:
        return Steps(n, radices(n), direct)
    return Steps(size, radices(size), other)


class Way(NamedTuple):
    """How lines of a length are transformed.

    Attributes:
        cost: of all lines together.
        rows: where they are divided, the length of the first stage.
        convolved: where they become a convolution of stages, its length.
        within: where a line is spread over lanes, over how many.
    """

    cost: float
    rows: int = 0
    convolved: int = 0
    within: int = 0


@cache
def way_of(outer: int, n: int, inner: int, lanes: int, longest: int) -> Way:
    """The best way for lines n long, `inner` of them beside each other, `outer` times.

    Args:
        lanes: of a vector.
        longest: of the lines that fit in the memory of a call.
    """
    steps = steps_of(n)
    blocks = -(-outer // lanes) if inner == 1 else outer * -(-inner // lanes)
    moved = 2 * (_MOVED if inner == 1 else _FUSED)
    ways = [Way(_STAGE + blocks * (steps.cost + moved * n))] if steps.size <= longest else []
    each = lanes_of_line(n, lanes) if inner == 1 else 1
    if each > 1 and n // each <= longest:
        places, blocks = n // each, -(-outer * each // lanes)
        cost = _SPREAD * steps_of(places).cost + (_PASS[each] + 2 * _MOVED) * places
        ways = [Way(_STAGE + blocks * cost, within=each)]
    for rows in _divisors(n):
        if steps_of(rows).size > longest:
            continue
        columns = n // rows
        first = outer * (-(-columns // lanes) if inner == 1 else columns * -(-inner // lanes))
        cost = _STAGE + first * (steps_of(rows).cost + (_FUSED + _MOVED) * rows)
        cost += outer * n * inner * (_NEAR if outer * n * inner <= _FEW else _BETWEEN)
        if ways and cost >= ways[0].cost:
            continue
        cost += way_of(outer, columns, rows * inner, lanes, longest).cost
        ways.append(Way(cost, rows=rows))
    if inner == 1 and max(factors(n), default=1) > LARGEST:
        size = convolved(n)
        cost = 2 * way_of(outer, size, 1, lanes, longest).cost + 6 * _BETWEEN * outer * size
        ways.append(Way(cost, convolved=size))
    return min(ways, default=Way(inf))


@cache
def _divisors(n: int) -> tuple[int, ...]:
    """Divisors between 1 and the number."""
    found = [1]
    for p in factors(n):
        found += [d * p for d in found]
    return tuple(sorted({d for d in found if 1 < d < n}))


@cache
def lanes_of_line(n: int, lanes: int) -> int:
    """Over how many lanes a line is spread, at least as many places in each; 1: it is not."""
    each = 1
    while 2 * each <= min(lanes, _LANES) and n % (2 * each) == 0 and 4 * each * each <= n:
        each *= 2
    places = n // each
    return each if each > 1 and steps_of(places).size == places else 1

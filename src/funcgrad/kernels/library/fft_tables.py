"""Tables of Fourier transforms: roots of unity and what is made of them, rounded once.

In: what a table holds, as names and numbers. Out: the array. The one idea: a table is made from a
few numbers wherever a program is loaded, so stored programs do not hold it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import numpy as np

from ...locks import lock

NDArray = np.ndarray[Any, Any]


class Part(NamedTuple):
    """A part of a table: its kind, a function of this file, and the numbers that it is given."""

    kind: str
    numbers: tuple[int, ...]


class Table(NamedTuple):
    """Parts one behind the other, as floats of a dtype."""

    dtype: str
    parts: tuple[Part, ...]

    def values(self) -> NDArray:
        """The array, which all programs that hold it share."""
        with _lock:
            found = _made.get(self)
            if found is None:
                pieces = [np.zeros(0), *(part_values(p) for p in self.parts)]
                found = np.concatenate(pieces).astype(self.dtype)
                found.flags.writeable = False
                _made[self] = found
            return found


_lock = lock()
_made: WeakValueDictionary[Table, NDArray] = WeakValueDictionary()


def recipe_of(array: NDArray) -> list[Any] | None:
    """What a table is made from, in words and numbers; None for any other array."""
    with _lock:
        table = next((t for t, values in _made.items() if values is array), None)
    return None if table is None else [table.dtype, [[p.kind, *p.numbers] for p in table.parts]]


def from_recipe(recipe: list[Any]) -> NDArray:
    """The table that was made from this."""
    dtype, parts = recipe
    return Table(dtype, tuple(Part(kind, tuple(numbers)) for kind, *numbers in parts)).values()


def size_of(part: Part) -> int:
    """How many floats a part has."""
    n, *more = part.numbers
    match part.kind:
        case "twiddles":
            return 2 * (n - 1) * more[0]
        case "odd":
            return 2 * (n // 2) ** 2
        case "spectrum":
            return 2 * more[0]
        case "halves":
            return 2 * (n // 4 + 1)
        case "grid":
            return 2 * n * more[1]
        case "plane" | "within":
            return 2 * n * more[0]
        case _:
            return 2 * n


def place_of(part: Part, places: dict[Part, int]) -> int:
    """Where a part begins in a table; it comes to the end where it is not there yet."""
    if part not in places:
        places[part] = sum(map(size_of, places))
    return places[part]


def part_values(part: Part) -> NDArray:
    """The floats of a part, f64[size]."""
    return _kinds[part.kind](*part.numbers)


def roots(count: NDArray | int, n: int) -> NDArray:
    """exp(-2πi count / n), each part rounded as if it were computed exactly.

    The angle is brought into an eighth of a turn first, where whole numbers hold it exactly.
    """
    eighths, rest = np.divmod(8 * (np.asarray(count, np.int64) % n), n)
    mirrored = eighths % 2 == 1
    angle = np.where(mirrored, n - rest, rest) * (np.pi / (4 * n))
    c, s = np.cos(angle), np.sin(angle)
    c, s = np.where(mirrored, s, c), np.where(mirrored, c, s)
    # A quarter of a turn is a multiplication by -i.
    quarter = eighths // 2
    real = np.choose(quarter, [c, -s, -c, s])
    imag = np.choose(quarter, [-s, -c, s, c])
    return real + 1j * imag


def _pairs(values: NDArray) -> NDArray:
    return np.ascontiguousarray(values, np.complex128).reshape(-1).view(np.float64)


def _twiddles(radix: int, steps: int) -> NDArray:
    """exp(-2πi pj / (radix steps)) at [p, j], j from 1."""
    return _pairs(roots(np.outer(np.arange(steps), np.arange(1, radix)), radix * steps))


def _odd(radix: int) -> NDArray:
    """cos and sin of 2πjk / radix at [j, k], both from 1 to half of it."""
    whole = np.arange(1, radix // 2 + 1)
    return _pairs(np.conj(roots(np.outer(whole, whole), radix)))


def _chirp_of(n: int) -> NDArray:
    places = np.arange(n, dtype=np.int64)
    return roots(places * places % (2 * n), 2 * n)


def _chirp(n: int) -> NDArray:
    """exp(-πi j² / n)."""
    return _pairs(_chirp_of(n))


def _spectrum(n: int, size: int) -> NDArray:
    """The transform of the conjugate chirp, periodic with `size`, and divided by it."""
    kernel = np.zeros(size, np.complex128)
    kernel[:n] = np.conj(_chirp_of(n))
    kernel[size - n + 1 :] = kernel[1:n][::-1]
    return _pairs(np.fft.fft(kernel) / size)


def _grid(rows: int, columns: int, pitch: int) -> NDArray:
    """exp(-2πi kj / (rows columns)) at [k, j] as a plane of real parts and one of imaginary ones.

    Rows are as long as `pitch`; behind their end the last element is repeated.
    """
    places = np.minimum(np.arange(pitch), columns - 1)
    values = roots(np.outer(np.arange(rows), places), rows * columns)
    return np.concatenate([values.real.reshape(-1), values.imag.reshape(-1)])


def _plane(rows: int, columns: int) -> NDArray:
    """exp(-2πi jk / (rows columns)) at [j, k]."""
    return _pairs(roots(np.outer(np.arange(rows), np.arange(columns)), rows * columns))


def _within(parts: int, steps: int) -> NDArray:
    """exp(-2πi ka / (parts steps)) at [k, a]; of each k all real parts first."""
    values = roots(np.outer(np.arange(steps), np.arange(parts)), parts * steps)
    return np.stack([values.real, values.imag], axis=1).reshape(-1)


def _halves(n: int) -> NDArray:
    """exp(-2πi k / n) from 0 to n/4."""
    return _pairs(roots(np.arange(n // 4 + 1), n))


_kinds: dict[str, Callable[..., NDArray]] = {
    "twiddles": _twiddles,
    "odd": _odd,
    "chirp": _chirp,
    "spectrum": _spectrum,
    "grid": _grid,
    "plane": _plane,
    "halves": _halves,
    "within": _within,
}

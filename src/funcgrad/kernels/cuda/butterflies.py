"""Transforms of few numbers in registers, as lines of a kernel's text.

In: names of real and imaginary parts. Out: names of those of the spectrum. The one idea: lengths
are taken apart into their factors; 2 and 4 need sums alone, odd primes go by sums and differences
of pairs from both ends.

Source: Van Loan, Computational Frameworks for the Fast Fourier Transform, 1992, section 1.4.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .panels import Lines
from .words import CudaOps

Pair = tuple[str, str]


class Butterfly:
    """Writes transforms.

    Args:
        sign: of the exponent; `depth`: how far lines are indented.
    """

    def __init__(
        self, out: Lines, ops: CudaOps, dtype: np.dtype[Any], sign: int, depth: int
    ) -> None:
        self.out, self.ops, self.dtype = out, ops, dtype
        self.sign, self.depth = sign, depth
        self.fma = ops.helper(f"fma_{dtype.name}")

    def name(self, text: str) -> str:
        """A new name for a value."""
        # Unlike every other name of a kernel: they are numbered by the lines before them.
        name = f"t{len(self.out.lines)}"
        self.out.add(f"{name} = {text}", self.depth)
        return name

    def number(self, value: float) -> str:
        """A float."""
        return self.ops.constant(float(value), self.dtype)

    def product(self, x: Pair, y: Pair) -> Pair:
        """A product of two complex numbers."""
        (a, b), (c, d) = x, y
        real = self.name(f"{self.fma}({a}, {c}, -({b} * {d}))")
        return real, self.name(f"{self.fma}({a}, {d}, {b} * {c})")

    def root(self, x: Pair, k: int, n: int) -> Pair:
        """x times exp(± 2πi k / n)."""
        k %= n
        if k * 4 % n == 0:
            for _ in range(k * 4 // n):
                # times i, or -i
                x = (f"(-{x[1]})", x[0]) if self.sign > 0 else (x[1], f"(-{x[0]})")
            return x
        angle = 2 * np.pi * k / n
        return self.product(x, (self.number(np.cos(angle)), self.number(self.sign * np.sin(angle))))

    def transform(self, x: list[Pair]) -> list[Pair]:
        """The spectrum of few numbers."""
        n = len(x)
        if n == 1:
            return list(x)
        if n == 2:
            (a, b), (c, d) = x
            sums = self.name(f"{a} + {c}"), self.name(f"{b} + {d}")
            return [sums, (self.name(f"{a} - {c}"), self.name(f"{b} - {d}"))]
        first = next((k for k in (4, 2, 3, 5, 7) if n % k == 0 and n > k), 0)
        if first == 0 and n == 4:
            first = 2
        if not first:
            return self._prime(x)
        # x[second · j + i]: along j, then along i, to X[k + first · l].
        second = n // first
        rows = [self.transform(x[i::second]) for i in range(second)]
        rows = [[self.root(v, i * k, n) for k, v in enumerate(row)] for i, row in enumerate(rows)]
        found: list[Pair] = [("", "")] * n
        for k in range(first):
            for j, value in enumerate(self.transform([row[k] for row in rows])):
                found[k + first * j] = value
        return found

    def _prime(self, x: list[Pair]) -> list[Pair]:
        """Of an odd number: cosines go with sums of two from both ends, sines with differences."""
        n, (a, b) = len(x), x[0]
        half = range(1, n // 2 + 1)
        sums = {k: tuple(self.name(f"{x[k][c]} + {x[n - k][c]}") for c in (0, 1)) for k in half}
        less = {k: tuple(self.name(f"{x[k][c]} - {x[n - k][c]}") for c in (0, 1)) for k in half}
        found: list[Pair] = [("", "")] * n
        totals = [" + ".join([own, *(sums[k][c] for k in half)]) for c, own in enumerate((a, b))]
        found[0] = self.name(totals[0]), self.name(totals[1])
        for m in half:
            even, odd = [a, b], ["", ""]
            for k in half:
                angle = 2 * np.pi * (k * m % n) / n
                cosine, sine = self.number(np.cos(angle)), self.number(self.sign * np.sin(angle))
                for c in (0, 1):
                    even[c] = self.name(f"{self.fma}({cosine}, {sums[k][c]}, {even[c]})")
                    text = f"{sine} * {less[k][c]}"
                    if odd[c]:
                        text = f"{self.fma}({sine}, {less[k][c]}, {odd[c]})"
                    odd[c] = self.name(text)
            # i (p + i q) = -q + i p
            found[m] = self.name(f"{even[0]} - {odd[1]}"), self.name(f"{even[1]} + {odd[0]}")
            found[n - m] = self.name(f"{even[0]} + {odd[1]}"), self.name(f"{even[1]} - {odd[0]}")
        return found

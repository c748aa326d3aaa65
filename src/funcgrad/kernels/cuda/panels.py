"""LU of panels of columns: one block has all rows, each thread some of them.

In: matrices [..., m, n] of few columns. Out: a launch. The one idea: the columns go by groups.
Within a group a column is looked through for its largest, rows are exchanged, and the columns of
the group behind it are updated; those behind the group are gone over once for all of it. Panels too
large for shared memory lie in the cache, whose width is the limit then.

Source: Golub & Van Loan, Matrix Computations, 4th edition, sections 3.2 and 3.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ...ir.nests import Buffer
from .limits import PLAIN, most_shared
from .products import ProductLaunch
from .words import CudaLibrary, memory_type

# Bytes of shared memory that are kept for what is not a panel.
_ROOM = 6 << 10
# Columns of a group: others are updated by all of them at once.
_TOGETHER = 8
# Columns behind a group that a thread has on their way at once.
_ON_THEIR_WAY = 4
_MOST_THREADS = 1024


class Lines:
    """The text of a kernel, line by line."""

    def __init__(self, name: str, params: Sequence[str], what: str) -> None:
        head = [f"# {name}: {what}", "@kernel", f"def {name}({', '.join(params)}):"]
        self.lines = [*head, "    lane = cuda.threadIdx.x"]

    def add(self, text: str, depth: int = 1) -> None:
        """Lines, indented further."""
        self.lines += ["    " * depth + line for line in text.strip("\n").splitlines()]

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self.lines) + "\n"


def numbers(library: CudaLibrary, dtype: np.dtype[Any]) -> dict[str, str]:
    """The words of texts for floats of a dtype: numbers, a fused product, their memory."""
    found = {"zero": 0.0, "one": 1.0, "nan": float("nan"), "least": float("-inf")}
    words = {name: library.ops.constant(value, dtype) for name, value in found.items()}
    fma = library.ops.helper(f"fma_{dtype.name}")
    return {**words, "fma": fma, "kind": memory_type(dtype)}


class _Panel(NamedTuple):
    """Where a panel lies, and the words of its text.

    Attributes:
        m, n, steps: rows, columns, and how many of these are factored.
        at: what comes before every place in it.
    """

    m: int
    n: int
    steps: int
    threads: int
    together: int
    at: str
    words: dict[str, str]

    def place(self, column: str, row: str) -> str:
        """An entry; columns lie one behind the other: neighbours of one are fetched together."""
        return f"a[{self.at}{column} * {self.m} + {row}]"


_START = """
room = cuda.shared.array(32, {kind})
places = cuda.shared.array(32, int64)
e = lane
while e < {size}:
    a[{at}e % {n} * {m} + e // {n}] = x[base + e]
    e += {threads}
i = lane
while i < {m}:
    order[top + i] = int32(i)
    i += {threads}
cuda.syncthreads()
j, first = 0, 0
"""

# The largest of a column, whose row comes to its place.
_PIVOT = """
while j < {steps}:
    size, place = {least}, int64({far})
    i = lane
    while i < {m}:
        if i >= j:
            other = abs(a[{at}j * {m} + i])
            if {larger}(other, int64(i), size, place):
                size = other
                place = int64(i)
        i += {threads}
    size, place = {largest}(size, place, room, places)
    if lane == 0:
        pivots[cuda.blockIdx.x * {steps} + j] = int32(place)
        mine, other = order[top + j], order[top + place]
        order[top + j] = other
        order[top + place] = mine
    if place != j:
        k = lane
        while k < {n}:
            upper, lower = a[{at}k * {m} + j], a[{at}k * {m} + place]
            a[{at}k * {m} + j] = lower
            a[{at}k * {m} + place] = upper
            k += {threads}
    cuda.syncthreads()
    head = a[{at}j * {m} + j]
    head = {one} if head == {zero} else head
    i = lane
    while i < {m}:
        if i > j:
            ratio = a[{at}j * {m} + i] / head
            a[{at}j * {m} + i] = ratio
"""

_END = """
cuda.syncthreads()
e = lane
while e < {size}:
    y[base + e] = a[{at}e % {n} * {m} + e // {n}]
    e += {threads}
"""


def lu_launch(
    name: str,
    shape: tuple[int, ...],
    reads: list[Buffer],
    writes: list[Buffer],
    library: CudaLibrary,
    target: str,
) -> tuple[ProductLaunch, list[Buffer]]:
    """The launch for matrices of a shape, and the memory that it needs."""
    *lead, m, n = shape
    dtype, count = reads[0].dtype, prod(lead)
    threads = next((t for t in (32, 128, 256, 512) if m <= 2 * t), _MOST_THREADS)
    size = m * n * dtype.itemsize
    kept, asked = size <= most_shared(target) - _ROOM, size > PLAIN - _ROOM
    scratch = [] if kept else [Buffer((count, n, m), dtype, f"{name}_columns")]
    where = "shared memory" if kept else "the cache"
    params = ["x", "y", "pivots", "order", *(["a"] if scratch else [])]
    out = Lines(name, params, f"{count} matrices of {m} × {n}: a block has one, in {where}")
    at, together = "" if kept else "at + ", min(_TOGETHER, n)
    panel = _Panel(m, n, min(m, n), threads, together, at, numbers(library, dtype))
    out.add(f"base, top = cuda.blockIdx.x * {m * n}, cuda.blockIdx.x * {m}")
    if kept:
        out.add(f"a = cuda.shared.array({0 if asked else m * n}, {memory_type(dtype)})")
    else:
        out.add(f"at = cuda.blockIdx.x * {m * n}")
    _factored(out, panel, library, dtype)
    launch = ProductLaunch(name, "factor", count, threads, [*reads, *writes, *scratch], out.text)
    launch.shared = size if kept and asked else 0
    # A column reads and writes those of its group behind it, a group all behind it.
    behind = sum(2 * (n - g) + together for g in range(together, n, together))
    moved = n * (together + 2) + behind
    launch.again = 0 if kept else count * m * dtype.itemsize * moved
    return launch, scratch


def _factored(out: Lines, panel: _Panel, library: CudaLibrary, dtype: np.dtype[Any]) -> None:
    """All columns, group after group."""
    m, n, steps, threads, together, at, words = panel
    sizes = {"m": m, "n": n, "size": m * n, "steps": steps, "threads": threads, "at": at}
    larger, largest = library.ops.helper("larger"), library.placed("argmax", dtype, block=True)
    found = {"far": 2**63 - 1, "larger": larger, "largest": largest}
    if n > together:
        out.add(f"upper_rows = cuda.shared.array({together * n}, {words['kind']})")
    out.add(_START.format(**sizes, **words))
    out.add(_PIVOT.format(**sizes, **words, **found))
    _within(out, panel)
    out.add(f"        i += {threads}\n    j += 1")
    if n > together:
        whole = f"(j == first + {together} or j == {steps})"
        out.add(f"if {whole} and first + {together} < {n}:", 2)
        _upper_rows(out, panel)
        _behind(out, panel)
        out.add("first = j", 3)
    out.add(_END.format(**sizes))


def _within(out: Lines, panel: _Panel) -> None:
    """The columns of a group behind one of it: all are fetched before the first is stored."""
    zero, n, together = panel.words["zero"], panel.n, panel.together
    own = range(1, together)
    within = f" and first + {{}} < {n}" if n % together else ""
    conditions = {c: f"if first + {c} > j{within.format(c)}:" for c in own}
    for c in own:
        out.add(f"u{c}, v{c} = {zero}, {zero}", 4)
    for c in own:
        column = f"(first + {c})"
        out.add(conditions[c], 4)
        out.add(f"u{c}, v{c} = {panel.place(column, 'j')}, {panel.place(column, 'i')}", 5)
    for c in own:
        out.add(conditions[c], 4)
        made = f"{panel.words['fma']}(-ratio, u{c}, v{c})"
        out.add(f"{panel.place(f'(first + {c})', 'i')} = {made}", 5)


def _upper_rows(out: Lines, panel: _Panel) -> None:
    """The rows of a group in the columns behind it, solved: a thread has a column."""
    m, n, threads, together, words = panel.m, panel.n, panel.threads, panel.together, panel.words
    span, wide = range(together), m < n
    out.add(f"cuda.syncthreads()\nk = first + {together} + lane\nwhile k < {n}:", 3)
    for c in span:
        there = f" if first + {c} < {m} else {words['zero']}" * wide
        out.add(f"w{c} = {panel.place('k', f'first + {c}')}{there}", 4)
    for c in span:
        for p in range(c):
            ratio = panel.place(f"(first + {p})", f"first + {c}")
            out.add(f"w{c} = {words['fma']}(-{ratio}, w{p}, w{c})", 4)
    for c in span:
        if wide:
            out.add(f"if first + {c} < {m}:", 4)
        out.add(f"{panel.place('k', f'first + {c}')} = w{c}", 4 + wide)
        out.add(f"upper_rows[{c * n} + k] = w{c}", 4)
    out.add(f"k += {threads}", 4)
    out.add("cuda.syncthreads()", 3)


def _behind(out: Lines, panel: _Panel) -> None:
    """The rows below a group in the columns behind it, updated by all of the group."""
    m, n, threads, together, words = panel.m, panel.n, panel.threads, panel.together, panel.words
    span, few, last = range(together), range(_ON_THEIR_WAY), n - 1
    # A thread has the same rows as in the group, so nobody waits for others.
    out.add(f"i = lane\nwhile i < {m}:", 3)
    for c in span:
        out.add(f"l{c} = {panel.place(f'(first + {c})', 'i')}", 4)
    # Rows of zeros, which larger programs leave below, stay as they are, and so do those above.
    still = " and ".join([f"l{c} == {words['zero']}" for c in span])
    out.add(f"k = {n} if i < first + {together} or ({still}) else first + {together}", 4)
    out.add(f"while k < {n}:", 4)
    for c in few:
        out.add(f"v{c} = {panel.place(f'min(k + {c}, {last})', 'i')}", 5)
    for p in span:
        for c in few:
            upper = f"upper_rows[{p * n} + min(k + {c}, {last})]"
            out.add(f"v{c} = {words['fma']}(-l{p}, {upper}, v{c})", 5)
    for c in few:
        if c:
            out.add(f"if k + {c} < {n}:", 5)
        out.add(f"{panel.place(f'(k + {c})', 'i')} = v{c}", 5 + bool(c))
    out.add(f"k += {len(few)}", 5)
    out.add(f"i += {threads}", 4)

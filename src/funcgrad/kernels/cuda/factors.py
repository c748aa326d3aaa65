"""Factors of small matrices, and systems with small triangles: what a block does by itself.

    Cholesky:           a block has a matrix in shared memory; one barrier a column
    LU:                 a block has all rows of a panel of columns (`panels.py`)
    triangular systems: a block has the triangle, each thread a right side

In: eqns of real matrices that a block can do. Out: launches. The one idea: what is sequential stays
within a block, whose barriers cost a hundredth of a launch; larger matrices are programs of these
and of products (`compositions/`).

Source: Golub & Van Loan, Matrix Computations, 4th edition, sections 3.1 and 4.2.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

from ...ir.jaxpr import Eqn
from ...ir.nests import Buffer
from .panels import Lines, lu_launch, numbers
from .products import ProductLaunch
from .words import CudaLibrary

# Rows of a triangle and of a Cholesky factor, columns of a panel, that a block does at most.
SIDE = 64
# Rows of a triangle that a thread solves together: so often is what is found already fetched.
_TOGETHER = 8
_FLOATS = ("float32", "float64")
# The launches of an eqn, and the memory they need: of its name, the eqn, what is read and written.
Made = tuple[list[ProductLaunch], list[Buffer]]
_Maker = Callable[[str, Eqn, list[Buffer], list[Buffer], CudaLibrary, str], Made]


def is_small(name: str, eqn: Eqn) -> bool:
    """Whether a block does the matrices of an eqn that asks for a kernel of this name."""
    avals = [atom.aval for atom in eqn.invars]
    if name.partition("_")[0] not in _makers or avals[0].dtype.name not in _FLOATS:
        return False
    return avals[0].shape[-1] <= SIDE and all(a.size for a in avals)


def factor_launches(
    name: str,
    eqn: Eqn,
    reads: list[Buffer],
    writes: list[Buffer],
    library: CudaLibrary,
    target: str,
) -> Made:
    """The launch of an eqn of which `is_small` holds, and the memory that it needs.

    Args:
        name: of the kernel; what is before its number says what it does.
        target: the GPU, for what a block can share.
    """
    return _makers[name.rstrip("0123456789")](name, eqn, reads, writes, library, target)


_CHOLESKY = """
base = cuda.blockIdx.x * {size}
row, first = lane % {rows}, lane // {rows}
a = cuda.shared.array({n} * {s}, {kind})
definite = True
e = lane
while e < {size}:
    a[e // {n} * {s} + e % {n}] = x[base + e]
    e += {threads}
j = 0
while j < {n}:
    cuda.syncthreads()
    pivot = a[j * {s} + j]
    definite = definite and pivot > {zero}
    if row > j and row < {n}:
        ratio = -(a[row * {s} + j] / pivot)
        k = j + 1 + first
        while k <= row:
            a[row * {s} + k] = {fma}(ratio, a[k * {s} + j], a[row * {s} + k])
            k += {each}
    j += 1
cuda.syncthreads()
e = lane
while e < {size}:
    i, k = e // {n}, e % {n}
    value = {zero}
    if k <= i:
        root = math.sqrt(a[k * {s} + k])
        value = root if k == i else a[i * {s} + k] / root
        if not definite:
            value = {nan}
    y[base + e] = value
    e += {threads}
"""


def _cholesky(
    name: str,
    eqn: Eqn,
    reads: list[Buffer],
    writes: list[Buffer],
    library: CudaLibrary,
    target: str,
) -> Made:
    *lead, n, _ = eqn.invars[0].aval.shape
    # Threads side by side have rows one below the other, and several a row.
    rows = max(1 << (n - 1).bit_length(), 4)
    each = max(4, 32 // rows) if rows <= 16 else 8
    threads = rows * each
    out = Lines(name, ["x", "y"], f"{prod(lead)} matrices of {n} × {n}: a block has one")
    # Rows are a word longer than they need, so that those of a column are in different banks.
    sizes = {"n": n, "size": n * n, "s": n + 1, "rows": rows, "each": each, "threads": threads}
    out.add(_CHOLESKY.format(**sizes, **numbers(library, reads[0].dtype)))
    launch = ProductLaunch(name, "factor", prod(lead), threads, [*reads, *writes], out.text)
    return [launch], []


def _lu(
    name: str,
    eqn: Eqn,
    reads: list[Buffer],
    writes: list[Buffer],
    library: CudaLibrary,
    target: str,
) -> Made:
    launch, scratch = lu_launch(name, eqn.invars[0].aval.shape, reads, writes, library, target)
    return [launch], scratch


class _System(NamedTuple):
    """Triangular systems, brought to lower triangles on the left.

    Attributes:
        triangles, n, sides: how many there are, their rows, and the right sides of each.
        left: whether right sides are columns.
        turned, backwards: whether the triangle is to be transposed, and its rows reversed.
        unit: whether its diagonal is taken for ones.
        threads: of a block, each with a right side; `wide`: rows filled up to whole groups.
    """

    triangles: int
    n: int
    sides: int
    left: bool
    turned: bool
    backwards: bool
    unit: bool
    threads: int
    group: int
    wide: int

    @classmethod
    def of(cls, eqn: Eqn) -> _System:
        """What an eqn asks for."""
        how: Any = eqn.params
        left, aval = how["left_side"], eqn.invars[1].aval
        *lead, p, q = aval.shape
        n, sides = (p, q) if left else (q, p)
        turned = how["transpose_a"] == left
        threads = 32 if aval.dtype.itemsize == 8 or sides <= 32 else 64
        group = min(_TOGETHER, 1 << (n - 1).bit_length())
        backwards, unit = how["lower"] == turned, how["unit_diagonal"]
        wide = -(-n // group) * group
        return cls(prod(lead), n, sides, left, turned, backwards, unit, threads, group, wide)

    def from_end(self, place: str) -> str:
        """A row, or the one that is as far from the end."""
        return f"{self.n - 1} - {place}" if self.backwards else place


_TRIANGLE = """
base = cuda.blockIdx.x // {parts} * {size}
start = cuda.blockIdx.x // {parts} * {n} * {sides}
side = cuda.blockIdx.x % {parts} * {threads}
a = cuda.shared.array({packed}, {kind})
x = cuda.shared.array({wide} * {s}, {kind})
e = lane
while e < {size}:
    p, q = e // {n}, e % {n}
    i, k = {place}
    if k <= i:
        a[i * (i + 1) // 2 + k] = t[base + e]
    e += {threads}
# What fills the last rows up is not looked at.
e = {n} * {s_n} // 2 + lane
while e < {packed}:
    a[e] = {one}
    e += {threads}
for i in range({n}, {wide}):
    x[i * {s} + lane] = {zero}
"""


def _triangular_solve(
    name: str,
    eqn: Eqn,
    reads: list[Buffer],
    writes: list[Buffer],
    library: CudaLibrary,
    target: str,
) -> Made:
    given = _System.of(eqn)
    n, sides, threads = given.n, given.sides, given.threads
    parts, s, words = -(-sides // threads), threads + 1, numbers(library, reads[0].dtype)
    what = f"{given.triangles} triangles of {n}, {sides} right sides: a thread has one"
    out = Lines(name, ["t", "b", "y"], what)
    place = ", ".join(given.from_end(v) for v in ("qp" if given.turned else "pq"))
    sizes = {"parts": parts, "n": n, "size": n * n, "sides": sides, "threads": threads, "s": s}
    sizes |= {"wide": given.wide, "packed": given.wide * (given.wide + 1) // 2, "s_n": n + 1}
    out.add(_TRIANGLE.format(**sizes, **words, place=place))
    # Neighbours in memory are threads side by side, of right sides or of their entries.
    own = f"x[({given.from_end('i')}) * {s} + c]"
    if given.left:
        split, at = f"e // {threads}, e % {threads}", f"i * {sides} + side + c"
    else:
        split, at = f"e % {n}, e // {n}", f"(side + c) * {n} + i"
    each = f"e = lane\nwhile e < {n * threads}:\n    i, c = {split}"
    out.add(each)
    out.add(f"{own} = b[start + {at}] if side + c < {sides} else {words['zero']}", 2)
    out.add(f"e += {threads}", 2)
    out.add("cuda.syncthreads()")
    _solved(out, given, words["fma"])
    out.add("cuda.syncthreads()")
    out.add(each)
    out.add(f"if side + c < {sides}:\n    y[start + {at}] = {own}\ne += {threads}", 2)
    params = [*reads, *writes]
    return [ProductLaunch(name, "factor", given.triangles * parts, threads, params, out.text)], []


def _solved(out: Lines, given: _System, fma: str) -> None:
    """Rows by groups: what is found is subtracted from all of a group, then it solves itself."""
    s, span = given.threads + 1, range(given.group)
    out.add(f"i = 0\nwhile i < {given.wide}:")
    for r in span:
        out.add(f"o{r} = (i + {r}) * (i + {r + 1}) // 2\nf{r} = x[(i + {r}) * {s} + lane]", 2)
    out.add(f"k = 0\nwhile k < i:\n    known = -x[k * {s} + lane]", 2)
    for r in span:
        out.add(f"f{r} = {fma}(a[o{r} + k], known, f{r})", 3)
    out.add("k += 1", 3)
    for r in span:
        for k in range(r):
            out.add(f"f{r} = {fma}(-a[o{r} + i + {k}], f{k}, f{r})", 2)
        if not given.unit:
            out.add(f"f{r} = f{r} / a[o{r} + i + {r}]", 2)
        out.add(f"x[(i + {r}) * {s} + lane] = f{r}", 2)
    out.add(f"i += {given.group}", 2)


# By the first word of what they do.
_makers: dict[str, _Maker] = {
    "cholesky": _cholesky,
    "lu": _lu,
    "triangular": _triangular_solve,
}

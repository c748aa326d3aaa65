"""Convolutions as products of matrices that are nowhere in memory.

    rows of the left matrix     images × places of the output
    steps of the contraction    features × taps
    columns of the right one    output features

In: what a convolution is, as strides (`library/conv_spec.py`). Out: the launches of products, one
for each phase of the outputs. The one idea: only the loads and the stores of a product change: a
row is taken apart into image and place, a step into feature and tap, and what lies in the padding
is 0. Gradients are convolutions too, so this is all: that of the input has phases, in which no
inserted zero is met; that of the kernel has long contractions, which are done in parts.
"""

from __future__ import annotations

from math import prod

from ...ir.jaxpr import Eqn
from ...ir.nests import Buffer
from ..emit.llvm_ops import is_small_float
from ..items import Backwards
from ..library.conv_spec import Phase, Problem, problem_of, spec_of
from ..library.gemm import Gemm
from .products import ProductLaunch, ProductText
from .words import CudaLibrary

# Tiles of fewer rows, columns or steps are mostly empty: a thread for each element does better.
LEAST = 8
_AXES = "zyx"


def problem_for(eqn: Eqn, backwards: Backwards) -> Problem | None:
    """The convolution of an eqn; None where a thread for each of its elements is as good."""
    lhs, rhs = (atom.aval for atom in eqn.invars)
    out, numbers = eqn.outvars[0].aval, eqn.params["dimension_numbers"]
    spatial = numbers.rhs_spec[2:]
    wide = out.dtype.name in ("float32", "float64")
    small = is_small_float(lhs.dtype) and (out.dtype == lhs.dtype or out.dtype.name == "float32")
    if lhs.dtype != rhs.dtype or not (small or (wide and lhs.dtype == out.dtype)):
        return None
    if any(0 in a.shape for a in (lhs, rhs, out)) or len(spatial) > len(_AXES):
        return None
    if backwards[0] or not set(backwards[1]) <= set(spatial):
        return None
    flipped = [axis in backwards[1] for axis in spatial]
    problem = problem_of(spec_of(lhs.shape, rhs.shape, out.dtype, eqn.params, flipped))
    steps = problem.features * prod(s.rhs_taps for s in problem.spaces)
    rows = problem.batch * prod(sum(p.places for p in s.phases) for s in problem.spaces)
    return problem if min(rows, problem.outs, steps) >= LEAST else None


def convolution_launches(
    problem: Problem,
    name: str,
    buffers: tuple[Buffer, Buffer, Buffer],
    library: CudaLibrary,
    rounded: bool,
) -> tuple[list[ProductLaunch], list[Buffer]]:
    """The launches of (image, kernel, result), and the memory they need between.

    Args:
        rounded: float32 may be rounded to TF32 before it is multiplied.
    """
    found: list[ProductLaunch] = []
    scratch: list[Buffer] = []
    several = len(problem.phases) > 1
    for k, phases in enumerate(problem.phases):
        if prod(p.places for p in phases):
            own = f"{name}_{k}" if several else name
            text = _Convolution(problem, phases, own, buffers, library, rounded)
            launches, room = text.launches()
            found += launches
            scratch += room
    return found, scratch


class _Convolution(ProductText):
    """Writes the product of one phase."""

    def __init__(
        self,
        problem: Problem,
        phases: tuple[Phase, ...],
        name: str,
        buffers: tuple[Buffer, Buffer, Buffer],
        library: CudaLibrary,
        rounded: bool,
    ) -> None:
        self.problem = problem
        self.phases = phases
        rows = problem.batch * prod(p.places for p in phases)
        steps = problem.features * prod(p.taps for p in phases)
        # Neighbours are features, or else places and taps.
        self.by_feature = problem.lhs[2] == 1
        outside = self.by_feature, problem.rhs[1] != 1
        batch = ((problem.groups, 0, 0, 0),) if problem.groups > 1 else ()
        g = Gemm(
            problem.dtype,
            batch,
            rows,
            problem.outs,
            steps,
            (outside[0], 0),
            (outside[1], 0),
            problem.outs,
        )
        super().__init__(g, name, buffers, library, rounded)

    def heading(self, name: str) -> str:
        p = self.problem
        groups = f", {p.groups} groups" if p.groups > 1 else ""
        places = " × ".join(str(q.places) for q in self.phases if q.places > 1) or "1"
        taps = " × ".join(str(q.taps) for q in self.phases if q.taps > 1) or "1"
        return (
            f"# {name}: {p.batch} × {places} places, {p.features} features and {taps} taps "
            f"to {p.outs} features{groups}"
        )

    def place(self) -> None:
        super().place()
        self.line("group = at" if self.problem.groups > 1 else "group = 0")

    def matrix(self, number: str) -> None:
        self.line(f"group = {number}", 2)

    def _apart(self, whole: str, parts: list[tuple[str, int]], depth: int) -> None:
        """Lines that take a number apart, the last of the parts running fastest."""
        rest = [(name, extent) for name, extent in parts if extent > 1]
        for name, extent in parts:
            if extent <= 1:
                self.line(f"{name} = 0", depth)
        for k, (name, extent) in enumerate(rest):
            below = prod(n for _, n in rest[k + 1 :])
            code = whole if below == 1 else f"{whole} // {below}"
            self.line(f"{name} = {code}{f' % {extent}' if k else ''}", depth)

    def _row(self, depth: int) -> None:
        places = [(f"place_{axis}", p.places) for axis, p in zip(_AXES, self.phases, strict=True)]
        self._apart("r", [("image", self.problem.batch), *places], depth)

    def _step(self, depth: int) -> None:
        taps = [(f"tap_{axis}", p.taps) for axis, p in zip(_AXES, self.phases, strict=True)]
        feature = ("feature", self.problem.features)
        self._apart("s", [*taps, feature] if self.by_feature else [feature, *taps], depth)

    def load(self, side: str, place: str, outside: bool) -> None:
        self.line("s = start + step", 4)
        self._step(4)
        if side == "left":
            self.line(f"r = {place}", 4)
            self._row(4)
            self._load_left()
            return
        p = self.problem
        terms = [(p.rhs[0] if p.groups > 1 else 0, "group"), (p.rhs[1], place)]
        terms.append((p.rhs[2] if p.features > 1 else 0, "feature"))
        base = p.rhs_base
        for axis, space, phase in zip(_AXES, p.spaces, self.phases, strict=True):
            base += phase.tap * space.rhs
            if phase.taps > 1:
                terms.append((space.tap_step * space.rhs, f"tap_{axis}"))
        code = f"right[{_sum(base, terms)}]"
        self.line(f"value = {self.item(code, self.buffers[1].dtype)}", 4)

    def _load_left(self) -> None:
        """The element under a tap, where that is not in the padding."""
        p = self.problem
        terms = [(p.lhs[0] if p.groups > 1 else 0, "group"), (p.lhs[1], "image")]
        terms.append((p.lhs[2] if p.features > 1 else 0, "feature"))
        tests: list[str] = []
        for axis, space, phase in zip(_AXES, p.spaces, self.phases, strict=True):
            if not space.lhs:
                continue
            at = f"at_{axis}"
            moves = (space.stride, f"place_{axis}"), (space.dilation, f"tap_{axis}")
            self.line(f"{at} = {_sum(phase.origin, list(moves))}", 4)
            last = phase.origin + (phase.places - 1) * space.stride
            last += max(phase.taps - 1, 0) * space.dilation
            tests += [f"{at} >= 0"] if phase.origin < 0 else []
            tests += [f"{at} < {space.size}"] if last >= space.size else []
            terms.append((space.lhs, at))
        depth = 4
        if tests:
            self.line(f"if {' and '.join(tests)}:", 4)
            depth = 5
        code = self.item(f"left[{_sum(0, terms)}]", self.buffers[0].dtype)
        self.line(f"value = {code}", depth)

    def row_at(self, row: str, depth: int) -> str:
        p = self.problem
        self.line(f"r = {row}", depth)
        self._row(depth)
        terms = [(p.out[0] if p.groups > 1 else 0, "group"), (p.out[1], "image")]
        base = 0
        for axis, space, phase in zip(_AXES, p.spaces, self.phases, strict=True):
            base += phase.first * space.out
            if phase.places > 1:
                terms.append((space.out_step * space.out, f"place_{axis}"))
        self.line(f"row_at = {_sum(base, terms)}", depth)
        return "row_at"

    def column_at(self, column: str) -> str:
        return _sum(0, [(self.problem.out[2], column)])


def _sum(base: int, terms: list[tuple[int, str]]) -> str:
    """A number and multiples of others."""
    parts = [str(base)] if base else []
    for factor, name in terms:
        whole = name if name.isidentifier() else f"({name})"
        if factor:
            parts.append(whole if factor == 1 else f"{factor} * {whole}")
    return " + ".join(parts) or "0"

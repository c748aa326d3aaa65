"""Loop nests: what one fused group of eqns does, as loops, folds and stores over buffers.

In: expressions of `loops`. Out: `Kernel`, which emitters walk and which `nest_text` prints. The
one idea: a kernel is a short tree (`For`, `Store`, `Accumulate`); everything else is expressions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .loops import Affine, Apply, Axis, Const, DType, Expr, Index, IndexTuple, Load, flat_index


class Buffer:
    """Contiguous memory of one dtype and shape; equal only to itself."""

    __slots__ = ("dtype", "name", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: DType, name: str) -> None:
        self.shape = shape
        self.dtype = dtype
        self.name = name

    @property
    def size(self) -> int:
        """Number of elements."""
        total = 1
        for extent in self.shape:
            total *= extent
        return total

    @property
    def bytes(self) -> int:
        """Bytes of memory."""
        return self.size * self.dtype.itemsize

    def __repr__(self) -> str:
        return self.name


class Acc(Expr):
    """A fold in progress; as an expression, after its loops, the folded value.

    For argmin and argmax the expression is the position, in `dtype`; `value_dtype` is what is
    compared. With the op `set` it is what a loop carries: it starts as `initial`, and `Advance`
    replaces it. A fold may have an `initial` value too.
    """

    __slots__ = ("initial", "name", "op", "value_dtype")

    def __init__(
        self,
        op: str,
        value_dtype: DType,
        name: str,
        dtype: DType | None = None,
        initial: Expr | None = None,
    ) -> None:
        self.op = op
        self.initial = initial
        self.value_dtype = value_dtype
        self.dtype = value_dtype if dtype is None else dtype
        self.name = name

    @property
    def positional(self) -> bool:
        """Whether the result is a position."""
        return self.op in ("argmin", "argmax")

    def __repr__(self) -> str:
        return self.name


@dataclass(eq=False)
class Store:
    """`target[index] = value`, or `target[index] op= value` with `combine`, where `guard` holds.

    `apart`: it is promised that no two turns of the loops around meet one element.
    """

    target: Buffer
    index: IndexTuple
    value: Expr
    combine: str = ""
    guard: Expr | None = None
    apart: bool = False


@dataclass(eq=False)
class Accumulate:
    """Fold `value` into `acc`; `position` is its place in C order of the folded axes."""

    acc: Acc
    value: Expr
    position: Affine | None = None


@dataclass(eq=False)
class Advance:
    """Replace what a loop carries, all values at once."""

    pairs: list[tuple[Acc, Expr]]


@dataclass(eq=False)
class Leave:
    """End the loop of which this is the first statement where a condition no longer holds.

    Along a vector axis each lane ends by itself: what it carries stays, while others go on.
    """

    unless: Expr


@dataclass(eq=False)
class For:
    """Run `body` for each value of `axis`; `accs` are the folds that go through this loop.

    A fold starts at the outermost loop that lists it. `vector`: neighbouring values of the axis
    may be done at once, `times` as many as fill a register. `chunked`: the loop runs over the part
    of the axis the caller gives.
    """

    axis: Axis
    body: list[Node]
    accs: list[Acc] = field(default_factory=lambda: [])
    vector: bool = False
    chunked: bool = False
    times: int = 1


Statement = Store | Accumulate | Advance | Leave
Node = Statement | For
# The extent of a loop that only a condition ends.
UNBOUNDED = 1 << 62


@dataclass(eq=False)
class Kernel:
    """One fused group: its buffers in the order of its arguments, and its loops.

    Attributes:
        params: buffers it reads or writes.
        written: those of them it writes.
        scratch: buffers that live on the stack of one call.
        extent: iterations of the chunked leading loop, 1 without one.
        grain: iterations of one chunk; the kernel is called once for each chunk.
        chunk: the number of the chunk as an axis, where partial results are kept by chunk.
        cost: rough nanoseconds on one core.
        notes: what it does, where that is no eqn of the program.
        copies: what it copies as it is, where it does nothing else.
    """

    name: str
    params: list[Buffer]
    written: list[Buffer]
    scratch: list[Buffer]
    body: list[Node]
    extent: int
    grain: int
    chunk: Axis | None
    cost: float
    notes: list[str]
    copies: Buffer | None = None


def expressions(node: Statement) -> list[Expr]:
    """The expressions of a statement, those within indices included."""
    if isinstance(node, Leave):
        return [node.unless]
    if isinstance(node, Advance):
        return [x for acc, e in node.pairs for x in (acc.initial, e) if x is not None]
    found = [node.value]
    if isinstance(node, Accumulate) and node.acc.initial is not None:
        found.append(node.acc.initial)
    if isinstance(node, Store):
        found += [e for i in node.index for e, _ in i.dynamic]
        if node.guard is not None:
            found.append(node.guard)
    return found


def statements(body: Sequence[Node]) -> Iterator[Statement]:
    """Every statement that is no loop, in order."""
    for node in body:
        if isinstance(node, For):
            yield from statements(node.body)
        else:
            yield node


def neighbours(body: list[Node], start: int) -> list[Store]:
    """The stores from a place on whose values are all made before the first of them is written.

    One that loads what an earlier one of them writes is not among them.
    """
    found: list[Store] = []
    written: set[Any] = set()
    for node in body[start:]:
        if not isinstance(node, Store):
            break
        if any(load.source in written for load in loads_of(*expressions(node))):
            break
        found.append(node)
        written.add(node.target)
    return found


# Walking and measuring.

_COST = {
    **dict.fromkeys("exp exp2 expm1 log log1p tanh logistic sin cos cbrt".split(), 8.0),
    **dict.fromkeys("tan asin acos atan atan2 sinh cosh asinh acosh atanh erf erfc".split(), 12.0),
    **dict.fromkeys("erf_inv erfcx ndtri dawsn pow bessel_i0e bessel_i1e".split(), 16.0),
    **dict.fromkeys("lgamma digamma log_ndtr".split(), 40.0),
    **dict.fromkeys("div rem sqrt rsqrt".split(), 3.0),
    "call": 100.0,
}


def own_cost(x: Expr) -> float:
    """Rough cost of one operation in vector instructions, without what it works on."""
    if isinstance(x, Load):
        return 1.0 + 3.0 * sum(len(i.dynamic) for i in x.index)
    if isinstance(x, Index):
        return 0.5
    if isinstance(x, Apply):
        factor = 3.0 if x.op in ("div", "rem", "mul") and x.dtype.kind in "iu" else 1.0
        return _COST.get(x.op, 1.0) * factor
    return 0.0


def expr_cost(x: Expr, seen: set[int] | None = None) -> float:
    """Rough cost of one element in vector instructions; equal subexpressions count once.

    Of the arms of a branch only the first counts, which is the costliest.
    """
    seen = set() if seen is None else seen
    if id(x) in seen:
        return 0.0
    seen.add(id(x))
    if isinstance(x, Apply) and x.name == "branch":
        return expr_cost(x.args[1], seen)
    return own_cost(x) + sum(expr_cost(y, seen) for y in children(x))


def body_cost(loop: For) -> float:
    """Rough cost of one element in the statements of a loop, those of inner loops aside."""
    seen: set[int] = set()
    flat = [n for n in loop.body if not isinstance(n, For)]
    return sum(expr_cost(x, seen) for n in flat for x in expressions(n))


def expr_depth(x: Expr, memo: dict[int, int]) -> int:
    """The longest chain of operations in an expression."""
    found = memo.get(id(x))
    if found is None:
        found = memo[id(x)] = 1 + max((expr_depth(y, memo) for y in children(x)), default=0)
    return found


def children(x: Expr) -> list[Expr]:
    """The expressions an expression is made of."""
    if isinstance(x, Apply):
        return list(x.args)
    if isinstance(x, Load):
        inner = [e for i in x.index for e, _ in i.dynamic]
        return inner if x.guard is None else [*inner, x.guard]
    if isinstance(x, Index):
        return [e for e, _ in x.affine.dynamic]
    return []


def parts_of(*roots: Expr | None) -> Iterator[Expr]:
    """Every expression within some, each once."""
    seen: set[int] = set()
    stack = [r for r in roots if r is not None]
    while stack:
        x = stack.pop()
        if id(x) not in seen:
            seen.add(id(x))
            yield x
            stack.extend(children(x))


def loads_of(*roots: Expr | None) -> list[Load]:
    """Every load in the expressions, each once."""
    return [x for x in parts_of(*roots) if isinstance(x, Load)]


def conditions_of(*roots: Expr | None) -> list[Expr]:
    """What the branches in the expressions depend on, without negations, each once."""
    found: dict[Expr, None] = {}
    for x in parts_of(*roots):
        if isinstance(x, Apply) and x.name == "branch":
            condition = x.args[0]
            while isinstance(condition, Apply) and condition.op == "not":
                (condition,) = condition.args
            found[condition] = None
    return list(found)


def rewrite(x: Expr, leaf: Any, memo: dict[int, Expr]) -> Expr:
    """The expression with `leaf(node, again)` in place of nodes where it gives one.

    `again` rewrites a part; equal nodes stay shared through `memo`.
    """
    found = memo.get(id(x))
    if found is not None:
        return found

    def again(y: Expr) -> Expr:
        return rewrite(y, leaf, memo)

    new: Expr | None = leaf(x, again)
    if new is None:
        new = _rebuilt(x, again)
    memo[id(x)] = new
    # The original must outlive the memo, for ids are reused.
    memo[-id(x) - 1] = x
    return new


def _rebuilt(x: Expr, again: Any) -> Expr:
    if isinstance(x, Apply):
        args = tuple(again(a) for a in x.args)
        if all(a is b for a, b in zip(args, x.args, strict=True)):
            return x
        return Apply(x.op, args, x.dtype, x.name)
    if isinstance(x, Load):
        index = tuple(rewrite_index(i, again) for i in x.index)
        guard = None if x.guard is None else again(x.guard)
        return Load(x.source, index, x.dtype, guard)
    if isinstance(x, Index):
        return Index(rewrite_index(x.affine, again))
    return x


def rewrite_index(index: Affine, again: Any, axes: dict[Axis, Affine] | None = None) -> Affine:
    """An index with its expressions rewritten and its axes replaced."""
    new = Affine(index.const)
    for axis, c in index.axes.items():
        target = None if axes is None else axes.get(axis)
        new = new + (Affine(0, {axis: c}) if target is None else target * c)
    for e, c in index.dynamic:
        new = new + Affine(0, None, ((again(e), c),))
    return new


def substitute(x: Expr, axes: dict[Axis, Affine], memo: dict[int, Expr]) -> Expr:
    """The expression with loop axes replaced by indices."""

    def leaf(node: Expr, again: Any) -> Expr | None:
        if isinstance(node, Load):
            index = tuple(rewrite_index(i, again, axes) for i in node.index)
            guard = None if node.guard is None else again(node.guard)
            return Load(node.source, index, node.dtype, guard)
        if isinstance(node, Index):
            return Index(rewrite_index(node.affine, again, axes))
        return None

    return rewrite(x, leaf, memo)


def offset_of(buffer: Buffer, index: IndexTuple) -> Affine:
    """Position of an element in its buffer, in elements; a single index may be the position."""
    if len(index) == 1 and len(buffer.shape) != 1:
        return index[0]
    return flat_index(index, buffer.shape)


def identity_of(op: str, dtype: DType) -> Any:
    """The value that a fold starts from."""
    if op in ("add", "or", "xor"):
        return 0
    if op == "mul":
        return 1
    if op == "and":
        return True if dtype.kind == "b" else -1 if dtype.kind == "i" else np.iinfo(dtype).max
    low = op in ("max", "argmax")
    if dtype.kind == "b":
        return not low
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return int(info.min if low else info.max)
    return -np.inf if low else np.inf


def constant(value: Any, dtype: DType) -> Const:
    """A constant of a dtype."""
    return Const(value, dtype)

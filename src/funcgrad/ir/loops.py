"""The words of lowering: scalar expressions over loop axes, and what a primitive becomes.

A primitive's `lower` rule says its outputs element by element: `Map` gives the element at an
index, `Fold` what is folded into it, `Scatter` where elements go. The expressions are typed trees
of `Load`, `Const`, `Index` and `Apply`; their operations are the closed list `SCALAR_OPS`. The one
idea: an index is affine in the loop axes wherever it can be, so that a broadcast, a transposition
or a slice is only another index into the same buffer, never a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

DType = np.dtype[Any]
boolean = np.dtype(np.bool_)
int64 = np.dtype(np.int64)

# Operations of one dtype whose result has that dtype.
ARITHMETIC = frozenset(
    "neg add sub mul div rem min max abs sign pow fma sqrt rsqrt cbrt exp exp2 expm1 log log1p "
    "sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh logistic erf erfc erf_inv "
    "erfcx log_ndtr ndtri dawsn wofz lgamma digamma bessel_i0e bessel_i1e "
    "floor ceil round round_away trunc copysign nextafter and or xor not shift_left "
    "shift_right_logical shift_right_arithmetic population_count clz mulhi conj".split()
)
COMPARISONS = frozenset("eq ne lt le gt ge is_finite".split())
# `select(c, a, b)` is a where c holds; `cast` converts as JAX does (float to int saturates, NaN
# gives 0); `bitcast` keeps the bits; `call` is a scalar C function named in `name`.
OTHERS = frozenset("select cast bitcast call complex real imag".split())
SCALAR_OPS = ARITHMETIC | COMPARISONS | OTHERS
# What the operations leave open, and what not. Of integers, add, sub, mul, neg, abs wrap; div and
# rem go toward zero, and their divisor is never 0, nor -1 where that overflows; shift counts lie in
# [0, width). max and min give NaN if either operand is NaN, and compare complex numbers by real
# part first. sign keeps NaN and zeros as they are; round goes to even, round_away away from zero.
# rem of floats is C's fmod. and, or, xor, not work on bools and on integers.


class Axis:
    """A loop variable that runs from 0 to `extent` - 1; equal only to itself."""

    __slots__ = ("extent", "name")

    def __init__(self, extent: int, name: str = "i") -> None:
        self.extent = extent
        self.name = name

    def __repr__(self) -> str:
        return f"{self.name}<{self.extent}"


class Expr:
    """A typed scalar expression; equal only to itself (emitters share equal ones)."""

    __slots__ = ("dtype",)
    dtype: DType


class Affine:
    """An index: `const + Σ coefficient · axis + Σ coefficient · expression`.

    The expressions are int64 scalars that are not affine: loaded indices, quotients, remainders.
    """

    __slots__ = ("axes", "const", "dynamic")

    def __init__(
        self,
        const: int = 0,
        axes: dict[Axis, int] | None = None,
        dynamic: tuple[tuple[Expr, int], ...] = (),
    ) -> None:
        self.const = const
        self.axes = axes or {}
        self.dynamic = dynamic

    def __add__(self, other: Affine | int) -> Affine:
        if isinstance(other, int):
            return Affine(self.const + other, self.axes, self.dynamic) if other else self
        axes = dict(self.axes)
        for axis, c in other.axes.items():
            total = axes.get(axis, 0) + c
            if total:
                axes[axis] = total
            else:
                axes.pop(axis, None)
        return Affine(self.const + other.const, axes, self.dynamic + other.dynamic)

    __radd__ = __add__

    def __mul__(self, factor: int) -> Affine:
        if factor == 1:
            return self
        if factor == 0:
            return Affine()
        axes = {axis: c * factor for axis, c in self.axes.items()}
        dynamic = tuple((e, c * factor) for e, c in self.dynamic)
        return Affine(self.const * factor, axes, dynamic)

    __rmul__ = __mul__

    def __neg__(self) -> Affine:
        return self * -1

    def __sub__(self, other: Affine | int) -> Affine:
        return self + (-other)

    def __rsub__(self, other: int) -> Affine:
        return -self + other

    def bounds(self) -> tuple[int, int] | None:
        """Least and greatest value over the axes' ranges; None when it is dynamic."""
        if self.dynamic:
            return None
        low = high = self.const
        for axis, c in self.axes.items():
            span = c * (axis.extent - 1)
            low, high = (low, high + span) if c > 0 else (low + span, high)
        return low, high

    def is_axis(self, axis: Axis) -> bool:
        """Whether the index is exactly this axis."""
        return not self.const and not self.dynamic and self.axes == {axis: 1}

    def same(self, other: Affine) -> bool:
        """Whether both are the same affine function (of the same expressions)."""
        return (
            self.const == other.const and self.axes == other.axes and self.dynamic == other.dynamic
        )

    def __repr__(self) -> str:
        parts = [a.name if c == 1 else f"{c}*{a.name}" for a, c in self.axes.items()]
        parts += [f"{c}*({e!r})" for e, c in self.dynamic]
        if self.const or not parts:
            parts.append(str(self.const))
        return " + ".join(parts)


IndexTuple = tuple[Affine, ...]
zero_index = Affine()


def axis_index(axis: Axis) -> Affine:
    """The index that is this axis; 0 where the axis has one value only."""
    return Affine(0, {axis: 1}) if axis.extent != 1 else zero_index


class Const(Expr):
    """A scalar constant."""

    __slots__ = ("value",)

    def __init__(self, value: Any, dtype: DType) -> None:
        self.value = value
        self.dtype = dtype

    def __repr__(self) -> str:
        return f"{self.value}"


class Index(Expr):
    """The int64 value of an index."""

    __slots__ = ("affine",)

    def __init__(self, affine: Affine) -> None:
        self.affine = affine
        self.dtype = int64

    def __repr__(self) -> str:
        return f"index({self.affine!r})"


class Load(Expr):
    """An element of a buffer (`source` is a jaxpr variable, contiguous in C order).

    With a `guard` the memory is read only where the guard holds; elsewhere the value is 0.
    """

    __slots__ = ("guard", "index", "source")

    def __init__(self, source: Any, index: IndexTuple, dtype: DType, guard: Expr | None) -> None:
        self.source = source
        self.index = index
        self.dtype = dtype
        self.guard = guard

    def __repr__(self) -> str:
        return f"{self.source!r}[{', '.join(map(repr, self.index))}]"


class Apply(Expr):
    """A scalar operation; `name` is the C function of a `call`."""

    __slots__ = ("args", "name", "op")

    def __init__(self, op: str, args: tuple[Expr, ...], dtype: DType, name: str = "") -> None:
        self.op = op
        self.args = args
        self.dtype = dtype
        self.name = name

    def __repr__(self) -> str:
        return _text(self, _LEVELS_PRINTED)


# Parts of expressions are shared: the whole text of one may double at every level.
_LEVELS_PRINTED = 8


def _text(x: Expr, levels: int) -> str:
    if not isinstance(x, Apply):
        return repr(x)
    args = [_text(y, levels - 1) for y in x.args] if levels else ["…"]
    return f"{x.name or x.op}({', '.join(args)})"


# Building expressions.


def apply(op: str, *args: Expr) -> Expr:
    """The operation on expressions of one dtype; bool for comparisons. 1 · x is x."""
    assert op in SCALAR_OPS, op
    if op == "mul":
        x, y = args
        # Derivatives multiply by 1, of which a value less may have to be kept.
        if isinstance(x, Const) and x.value == 1:
            return y
        if isinstance(y, Const) and y.value == 1:
            return x
    return Apply(op, args, boolean if op in COMPARISONS else args[0].dtype)


def const(value: Any, dtype: Any) -> Const:
    """A scalar constant of a dtype."""
    return Const(value, np.dtype(dtype))


def cast(x: Expr, dtype: Any) -> Expr:
    """x converted to a dtype."""
    dtype = np.dtype(dtype)
    return x if x.dtype == dtype else Apply("cast", (x,), dtype)


def bitcast(x: Expr, dtype: Any) -> Expr:
    """The bits of x read as another dtype of the same width."""
    return Apply("bitcast", (x,), np.dtype(dtype))


def select(condition: Expr, x: Expr, y: Expr) -> Expr:
    """x where the condition holds, y elsewhere."""
    return Apply("select", (condition, x, y), x.dtype)


def both(x: Expr | None, y: Expr | None) -> Expr | None:
    """The conjunction of two guards, either of which may be absent."""
    if x is None or y is None:
        return y if x is None else x
    return apply("and", x, y)


def value_of(index: Affine) -> Expr:
    """An index as an int64 scalar."""
    if not index.axes and not index.dynamic:
        return Const(index.const, int64)
    if not index.axes and not index.const and len(index.dynamic) == 1 and index.dynamic[0][1] == 1:
        return index.dynamic[0][0]
    return Index(index)


def index_of(x: Expr) -> Affine:
    """An integer scalar as an index."""
    if isinstance(x, Index):
        return x.affine
    if isinstance(x, Const):
        return Affine(int(x.value))
    return Affine(0, None, ((cast(x, int64), 1),))


def equals(index: Affine, value: int) -> Expr | None:
    """The condition index = value; None where it always holds."""
    if index.bounds() == (value, value):
        return None
    return apply("eq", value_of(index), const(value, int64))


def below(index: Affine, extent: int) -> Expr | None:
    """The condition index < extent; None where it always holds."""
    bounds = index.bounds()
    if bounds is not None and bounds[1] < extent:
        return None
    return apply("lt", value_of(index), const(extent, int64))


def in_range(index: Affine, extent: int) -> Expr | None:
    """The condition 0 ≤ index < extent; None where it always holds."""
    bounds = index.bounds()
    condition = None
    if bounds is None or bounds[0] < 0:
        condition = apply("ge", value_of(index), const(0, int64))
    return both(condition, below(index, extent))


def clamped(index: Affine, high: int) -> Affine:
    """The index brought into [0, high]."""
    bounds = index.bounds()
    if bounds is not None and bounds[0] >= 0 and bounds[1] <= high:
        return index
    value = apply("max", value_of(index), const(0, int64))
    return index_of(apply("min", value, const(high, int64)))


def divmod_index(index: Affine, n: int) -> tuple[Affine, Affine]:
    """Quotient and remainder of a nonnegative index by n."""
    if n == 1:
        return index, zero_index
    bounds = index.bounds()
    if bounds is not None and bounds[0] >= 0 and bounds[1] < n:
        return zero_index, index
    # The terms that n divides leave the division; the rest must stay within one multiple of n.
    whole = Affine(0, {a: c // n for a, c in index.axes.items() if c % n == 0})
    rest = Affine(index.const, {a: c for a, c in index.axes.items() if c % n}, index.dynamic)
    rest_bounds = rest.bounds()
    if rest_bounds is not None and rest_bounds[0] >= 0 and rest_bounds[1] < n:
        return whole, rest
    value, divisor = value_of(rest), const(n, int64)
    quotient = index_of(apply("div", value, divisor))
    return whole + quotient, index_of(apply("rem", value, divisor))


def split_index(flat: Affine, shape: Sequence[int]) -> IndexTuple:
    """The index into an array of this shape whose C-order position is `flat`."""
    index: list[Affine] = []
    for extent in reversed(shape[1:]):
        flat, rest = divmod_index(flat, extent)
        index.append(rest)
    return (flat, *reversed(index)) if shape else ()


def flat_index(index: IndexTuple, shape: Sequence[int]) -> Affine:
    """The position in C order of an index into an array of this shape."""
    flat, stride = Affine(), 1
    for i, extent in zip(reversed(index), reversed(shape), strict=True):
        flat = flat + i * stride
        stride *= extent
    return flat


# What `lower` gives for an output.


class Operand(NamedTuple):
    """An operand as a lowering rule sees it: what is known of it, and its element at an index."""

    shape: tuple[int, ...]
    dtype: DType
    read: Callable[[IndexTuple, Expr | None], Expr]

    def at(self, index: Sequence[Affine], guard: Expr | None = None) -> Expr:
        """The element at an index, read only where the guard holds (0 elsewhere)."""
        return self.read(tuple(index), guard)


class Map(NamedTuple):
    """Each element by itself: `at(index)` is the expression of the element at an index.

    `instead` is the same for an operand that few elements of are changed, and that nobody reads
    after it.
    """

    at: Callable[[IndexTuple], Expr]
    instead: Scatter | None = None


class Fold(NamedTuple):
    """Each element folds the values `at(index, folded)` over `extents` with an associative op.

    `op` is one of add, mul, min, max, and, or, xor, or argmin, argmax: then the result is the
    first C-order position (in the output's dtype) of the extreme value; NaN counts as extreme.
    The values are of `dtype`, which the accumulator has too; the result is converted to the
    output's (sums of float16 and bfloat16 are kept in float32). `extents` may be empty or hold 0.
    """

    op: str
    extents: tuple[int, ...]
    at: Callable[[IndexTuple, IndexTuple], Expr]
    dtype: DType


class Running(NamedTuple):
    """The fold of the elements at and before each position of an axis (after it if `reverse`).

    `op` is a fold's, or `logaddexp` of floats: the logarithm of the sum of exponentials. The
    values and the accumulator are of `dtype`; the results are converted to the output's.
    """

    op: str
    axis: int
    reverse: bool
    at: Callable[[IndexTuple], Expr]
    dtype: DType


class Scatter(NamedTuple):
    """Starts as `base`; then for each index of `extents`, in C order, one element is combined.

    `target(index)` is where, `update(index)` what, `guard(index)` whether (None: always). `op` is
    a fold's, or `set`. `apart`: it is promised that no two of them meet one element.
    """

    op: str
    base: Callable[[IndexTuple], Expr]
    extents: tuple[int, ...]
    target: Callable[[IndexTuple], IndexTuple]
    update: Callable[[IndexTuple], Expr]
    guard: Callable[[IndexTuple], Expr | None]
    apart: bool = False


class View(NamedTuple):
    """The memory of operand number `operand` under another shape."""

    operand: int


class Contract(NamedTuple):
    """A sum of products: batch axes, contracted axes of each side; free axes follow in order.

    The output's axes are batch, free axes of the left, free axes of the right. Products are formed
    and added in `dtype`; the result is converted to the output's.
    """

    left_batch: tuple[int, ...]
    right_batch: tuple[int, ...]
    left_contract: tuple[int, ...]
    right_contract: tuple[int, ...]
    dtype: DType


class Library(NamedTuple):
    """A kernel written by hand, by name in `kernels.library`, or `otherwise` where it has none.

    `spec` says to the kernel's builder what it is to do: the params of the eqn.

    Attributes:
        of_complex: whether the kernel takes complex numbers, side by side.
    """

    name: str
    spec: Any
    otherwise: Map | Fold | Scatter | None = None
    of_complex: bool = False


class Native(NamedTuple):
    """A function in machine code that someone else compiled.

    `function.address(signature)` is that of `int32 (void **arrays, int64 *extents)`, called with
    the memory of the operands, then of the outputs. It gives 0, or fails: then
    `function.call(signature, extents, arrays, line)` raises the error in Python.
    """

    function: Any
    signature: Any
    extents: tuple[int, ...]


class Exchange(NamedTuple):
    """A collective of ranks on memory that lies flat, the parts of ranks one behind the other.

    Attributes:
        kind: "reduce", all get what is folded; "gather", all get all parts; "scatter", each gets
            its part of what is folded; "permute", along pairs; "all to all", part k goes to rank
            k; "index", the place along an axis.
        axes: over which the ranks meet.
        op: "sum", "max" or "min".
        pairs: who sends to whom.
        groups: places along the axes, of those that meet, in their order; None: all meet.
    """

    kind: str
    axes: tuple[Any, ...]
    op: str = "sum"
    pairs: tuple[tuple[int, int], ...] = ()
    groups: tuple[tuple[int, ...], ...] | None = None


class Region(NamedTuple):
    """Control flow over programs: `kind` is loop, while or branch; params say the rest."""

    kind: str
    parts: Any


Lowered = Map | Fold | Running | Scatter | View | Contract | Library | Native | Region

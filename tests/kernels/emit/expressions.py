"""Expressions over basic operations, evaluated on NumPy arrays in the dtype's own arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

from funcgrad.ir.loops import Apply, Const, DType, Expr, Load
from funcgrad.kernels.emit.maths import FUNCTIONS, expand

UNARY = {
    "neg": np.negative,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.rint,
    "trunc": np.trunc,
    "not": np.invert,
    "is_finite": np.isfinite,
}
BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "min": np.minimum,
    "max": np.maximum,
    "copysign": np.copysign,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}


def variable(dtype: Any, name: str = "x") -> Load:
    """An operand whose value `evaluate` is told by name."""
    return Load(name, (), np.dtype(dtype), None)


def fused(x: Any, y: Any, z: Any) -> Any:
    """x · y + z with one rounding: the parts of the product are exact in a wider format."""
    if x.dtype == np.float32:
        wide = np.float64
        return (x.astype(wide) * y.astype(wide) + z.astype(wide)).astype(np.float32)
    wide = np.longdouble
    (a, b), (c, d) = halves(x), halves(y)
    total, rest = two_sum((a * c).astype(wide), z.astype(wide))
    total, more = two_sum(total, a * d + b * c)
    total, last = two_sum(total, rest)
    out = total + (more + last + b * d)
    # Infinities and NaN make NaN of the differences above.
    plain = x.astype(wide) * y.astype(wide) + z.astype(wide)
    return np.where(np.isfinite(plain), out, plain).astype(np.float64)


def halves(x: Any) -> tuple[Any, Any]:
    """x as a sum of two numbers of at most 27 bits, in long double."""
    high = (x.view(np.int64) & np.int64(-(1 << 27))).view(np.float64).astype(np.longdouble)
    return high, x.astype(np.longdouble) - high


def two_sum(x: Any, y: Any) -> tuple[Any, Any]:
    """The rounded sum and what the rounding lost."""
    s = x + y
    t = s - x
    return s, (x - (s - t)) + (y - t)


def shifted(op: str, x: Any, n: Any) -> Any:
    """x shifted by n bits, which must be fewer than it has."""
    width = 8 * x.dtype.itemsize
    n = np.clip(n, 0, width - 1)
    if op == "shift_left":
        return x << n
    if op == "shift_right_arithmetic":
        return x >> n
    unsigned = np.dtype(f"u{x.dtype.itemsize}")
    return (x.view(unsigned) >> n.view(unsigned)).view(x.dtype)


def converted(x: Any, dtype: DType) -> Any:
    """x in another dtype; floats to integers saturate."""
    if dtype.kind == "i" and x.dtype.kind == "f":
        info = np.iinfo(dtype)
        inside = np.clip(np.nan_to_num(x), float(info.min), float(info.max) * (1 - 2**-30))
        return inside.astype(dtype)
    return x.astype(dtype)


def evaluate(e: Expr, values: dict[str, Any]) -> Any:
    """The value of an expression for arrays given by the names of its variables."""
    known: dict[int, Any] = {}
    # No recursion: the expressions are hundreds of operations deep.
    pending = [e]
    while pending:
        node = pending[-1]
        if id(node) in known:
            pending.pop()
            continue
        args = node.args if isinstance(node, Apply) else ()
        missing = [a for a in args if id(a) not in known]
        if missing:
            pending += missing
            continue
        operands = [known[id(a)] for a in args]
        with np.errstate(all="ignore"):
            known[id(node)] = value(node, operands, values)
    return known[id(e)]


def value(node: Expr, args: list[Any], values: dict[str, Any]) -> Any:
    """The value of a node whose operands' values are known."""
    if isinstance(node, Load):
        return values[node.source]
    if isinstance(node, Const):
        return np.array([node.value], node.dtype)
    assert isinstance(node, Apply)
    out = operation(node, args)
    assert out.dtype == node.dtype, node.op
    return out


def operation(node: Apply, args: list[Any]) -> Any:
    """An operation of arrays; one that is not basic by its expansion."""
    op = node.op
    kinds = {a.dtype for a in args}
    if op in FUNCTIONS:
        names = "xyz"[: len(args)]
        whole = expand(op, tuple(variable(a.dtype, n) for a, n in zip(args, names, strict=True)))
        assert whole is not None
        return evaluate(whole, dict(zip(names, np.broadcast_arrays(*args), strict=True)))
    assert len(kinds) == 1 or op == "select", (op, kinds)
    if op in UNARY:
        return UNARY[op](*args)
    if op in BINARY:
        return BINARY[op](*args)
    if op.startswith("shift"):
        return shifted(op, *args)
    if op == "fma":
        return fused(*np.broadcast_arrays(*args))
    if op == "div":
        assert args[0].dtype.kind == "f"
        return np.divide(*args)
    if op == "select":
        assert args[1].dtype == args[2].dtype and args[0].dtype == np.bool_
        return np.where(*args)
    if op == "cast":
        return converted(args[0], node.dtype)
    assert op == "bitcast", f"{op} is no basic operation"
    return args[0].view(node.dtype)


def count(e: Expr) -> tuple[int, int]:
    """How many operations an expression has, without and with those only rare values need."""
    return len(nodes(e, rare=False)), len(nodes(e, rare=True))


def nodes(e: Expr, *, rare: bool) -> dict[int, Apply]:
    """The operations of an expression, each once; bit casts cost nothing."""
    found: dict[int, Apply] = {}
    seen: set[int] = set()
    pending = [e]
    while pending:
        node = pending.pop()
        if id(node) in seen or not isinstance(node, Apply):
            continue
        seen.add(id(node))
        if node.op != "bitcast":
            found[id(node)] = node
        skipped = node.name == "rare" and not rare
        pending += [node.args[0], node.args[2]] if skipped else node.args
    return found

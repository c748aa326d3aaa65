"""Operations on numbers as lines of LLVM's language, with Numba's types of their results.

In: values. Out: values, and lines. Integers are widened to 64 bits before anything is done with
them, a text says where fewer are wanted; division rounds down, and by zero gives zero.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from ....errors import CompileError
from .values import BOOL, FLOAT32, FLOAT64, INT64, UINT64, Kind, Value, constant

_EXACT: dict[type, Callable[[int, int], int]] = {
    ast.Add: lambda x, y: x + y,
    ast.Sub: lambda x, y: x - y,
    ast.Mult: lambda x, y: x * y,
    ast.BitAnd: lambda x, y: x & y,
    ast.BitOr: lambda x, y: x | y,
    ast.BitXor: lambda x, y: x ^ y,
}
_WHOLE: dict[type, str] = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul"}
_BITS: dict[type, str] = {ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "xor"}
_REAL: dict[type, str] = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}
_ORDER: dict[type, str] = {ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge"}
# What keeps places and sizes from becoming negative.
_NATURAL = (ast.Add, ast.Mult, ast.BitAnd, ast.BitOr, ast.BitXor)


class Lines:
    """The lines of a function, while they are written."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._count = 0

    def fresh(self, stem: str) -> str:
        """A name that nothing has."""
        self._count += 1
        return f"{stem}{self._count}"

    def put(self, text: str) -> None:
        """Write a line."""
        self.lines.append(f"  {text}")

    def made(self, text: str) -> str:
        """Write what gives a value; its name."""
        name = self.fresh("%v")
        self.put(f"{name} = {text}")
        return name

    def result(self, kind: Kind, text: str, natural: bool = False) -> Value:
        """Write what gives a number."""
        return Value(kind, self.made(text), None, natural)


class Arithmetic(Lines):
    """Writes operations."""

    def cast(self, x: Value, kind: Kind) -> Value:
        """A number as another kind of number; whole numbers wrap."""
        if x.kind == kind:
            return x
        if x.constant is not None and (kind.letter == "f" or x.kind.letter != "f"):
            return constant(x.constant, kind)
        if kind.letter == "b":
            return self.compare(ast.NotEq(), x, constant(0, x.kind))
        natural = x.natural and kind.bits == 64
        code = self._cast(x.kind, kind)
        if code is None:
            return Value(kind, x.code, None, natural)
        return self.result(kind, f"{code} {x.typed} to {kind.llvm}", natural)

    def _cast(self, old: Kind, new: Kind) -> str | None:
        """The instruction; None where both are the same to LLVM."""
        if new.letter == "f":
            if old.letter == "f":
                return "fpext" if new.bits > old.bits else "fptrunc"
            return "sitofp" if old.letter == "i" else "uitofp"
        if old.letter == "f":
            return "fptosi" if new.letter == "i" else "fptoui"
        if old.bits == new.bits:
            return None
        if old.bits > new.bits:
            return "trunc"
        return "sext" if old.letter == "i" else "zext"

    def together(self, *values: Value) -> Kind:
        """The kind in which numbers meet."""
        kinds = {v.kind for v in values}
        if len(kinds) == 1 and not values[0].kind.is_integer:
            return values[0].kind
        if any(k.letter == "f" for k in kinds):
            if all(k.letter == "f" for k in kinds):
                return FLOAT64
        elif all(k.letter in "ub" for k in kinds):
            return UINT64
        elif UINT64 not in kinds:
            return INT64
        raise CompileError(f"{' and '.join(sorted(k.name for k in kinds))} have no common type")

    def binary(self, op: ast.operator, x: Value, y: Value) -> Value:
        """x op y."""
        how = type(op)
        if isinstance(op, ast.LShift | ast.RShift):
            return self._shift(isinstance(op, ast.LShift), x, y)
        kind = self.together(x, y)
        if kind.letter == "f":
            x, y = self.cast(x, kind), self.cast(y, kind)
            return self.result(kind, f"{_REAL[how]} {x.typed}, {y.code}")
        if kind.letter == "b" and how in _BITS:
            return self.result(kind, f"{_BITS[how]} {x.typed}, {y.code}")
        kind = INT64 if kind.letter == "b" else kind
        x, y = self.cast(x, kind), self.cast(y, kind)
        if isinstance(op, ast.FloorDiv | ast.Mod):
            return self._divided(isinstance(op, ast.FloorDiv), x, y)
        if x.constant is not None and y.constant is not None:
            return constant(_EXACT[how](x.constant, y.constant), kind)
        if how in _BITS:
            natural = x.natural and y.natural
            return self.result(kind, f"{_BITS[how]} {x.typed}, {y.code}", natural)
        return self._summed(how, x, y)

    def _summed(self, how: type, x: Value, y: Value) -> Value:
        if how is ast.Mult and 1 in (x.constant, y.constant):
            return y if x.constant == 1 else x
        if how is not ast.Mult and y.constant == 0:
            return x
        natural = x.natural and y.natural and how in _NATURAL
        # Places do not overflow: what divides or compares them gains from knowing.
        flags = " nuw nsw" if natural else ""
        return self.result(x.kind, f"{_WHOLE[how]}{flags} {x.typed}, {y.code}", natural)

    def _shift(self, left: bool, x: Value, by: Value) -> Value:
        kind = UINT64 if x.kind.letter == "u" else INT64
        x, by = self.cast(x, kind), self.cast(by, kind)
        if x.constant is not None and by.constant is not None and 0 <= by.constant < 64:
            return constant(x.constant << by.constant if left else x.constant >> by.constant, kind)
        op = "shl" if left else "ashr" if kind == INT64 else "lshr"
        return self.result(kind, f"{op} {x.typed}, {by.code}", x.natural and not left)

    def _divided(self, quotient: bool, x: Value, y: Value) -> Value:
        """Quotient or rest of integers; the quotient is rounded down."""
        if y.constant is not None and y.constant > 0 and x.constant is not None:
            return constant(
                x.constant // y.constant if quotient else x.constant % y.constant, x.kind
            )
        if y.constant == 1:
            return x if quotient else constant(0, x.kind)
        guarded = y if y.constant else self._one_for_zero(y)
        if x.kind.letter == "u" or (x.natural and y.natural):
            op = "udiv" if quotient else "urem"
            found = self.result(x.kind, f"{op} {x.typed}, {guarded.code}", x.natural)
        else:
            found = self._rounded_down(quotient, x, guarded)
        if y.constant:
            return found
        zero = self.made(f"icmp eq {y.typed}, 0")
        code = f"select i1 {zero}, {x.kind.llvm} 0, {found.typed}"
        return self.result(x.kind, code, found.natural)

    def _one_for_zero(self, y: Value) -> Value:
        zero = self.made(f"icmp eq {y.typed}, 0")
        return self.result(y.kind, f"select i1 {zero}, {y.kind.llvm} 1, {y.typed}")

    def _rounded_down(self, quotient: bool, x: Value, y: Value) -> Value:
        whole, rest = (self.made(f"{op} {x.typed}, {y.code}") for op in ("sdiv", "srem"))
        left = self.made(f"icmp ne i64 {rest}, 0")
        mixed = self.made(f"xor i64 {rest}, {y.code}")
        apart = self.made(f"icmp slt i64 {mixed}, 0")
        down = self.made(f"and i1 {left}, {apart}")
        if quotient:
            less = self.made(f"sext i1 {down} to i64")
            return self.result(INT64, f"add i64 {whole}, {less}")
        more = self.made(f"select i1 {down}, {y.typed}, i64 0")
        natural = y.constant is not None and y.constant > 0
        return self.result(INT64, f"add i64 {rest}, {more}", natural)

    def compare(self, op: ast.cmpop, x: Value, y: Value) -> Value:
        """Whether x op y; nothing but `!=` holds of NaN."""
        for one, other in ((x, y), (y, x)):
            # A literal is of whatever type it is compared with.
            if one.constant is not None and one.constant >= 0 and other.kind == UINT64:
                x, y = (self.cast(v, UINT64) for v in (x, y))
        kind = self.together(x, y)
        x, y = self.cast(x, kind), self.cast(y, kind)
        order = _ORDER.get(type(op))
        if kind.letter == "f":
            code = (
                f"fcmp o{order}" if order else "fcmp oeq" if isinstance(op, ast.Eq) else "fcmp une"
            )
        elif order:
            code = f"icmp {'s' if kind == INT64 else 'u'}{order}"
        else:
            code = "icmp eq" if isinstance(op, ast.Eq) else "icmp ne"
        return self.result(BOOL, f"{code} {x.typed}, {y.code}")

    def unary(self, op: ast.unaryop, x: Value) -> Value:
        """-x, ~x or not x."""
        if isinstance(op, ast.Not):
            return self.result(BOOL, f"xor {self.cast(x, BOOL).typed}, true")
        if isinstance(op, ast.Invert):
            return self.binary(ast.BitXor(), x, constant(-1, x.kind))
        if x.constant is not None:
            return constant(-x.constant, INT64 if x.kind.is_integer else x.kind)
        if x.kind.letter == "f":
            return self.result(
                x.kind, f"fsub {x.kind.llvm} {constant(-0.0, x.kind).code}, {x.code}"
            )
        return self.binary(ast.Sub(), constant(0, x.kind), x)

    def chosen(self, condition: Value, x: Value, y: Value) -> Value:
        """x where a condition holds, else y."""
        kind = self.together(x, y) if x.kind != y.kind else x.kind
        x, y = self.cast(x, kind), self.cast(y, kind)
        code = f"select {condition.typed}, {x.typed}, {y.typed}"
        return self.result(kind, code, x.natural and y.natural)

    def extreme(self, largest: bool, *values: Value) -> Value:
        """The largest or the smallest of some integers."""
        op = ast.Gt() if largest else ast.Lt()
        best = values[0]
        for x in values[1:]:
            best = self.chosen(self.compare(op, x, best), x, best)
        return best

    def magnitude(self, x: Value) -> Value:
        """|x| of an integer."""
        x = self.cast(x, INT64)
        negative = self.compare(ast.Lt(), x, constant(0, INT64))
        return self.chosen(negative, self.unary(ast.USub(), x), x)

    def bits(self, x: Value, kind: Kind) -> Value:
        """The bits of a number as another kind of the same width."""
        if x.kind.bits != kind.bits:
            x = self.cast(x, FLOAT32 if kind.bits == 32 else FLOAT64)
        return self.result(kind, f"bitcast {x.typed} to {kind.llvm}")

"""Scalar operations as Python text: what NumPy's scalars and Numba read alike.

In: an operation, the texts of its operands and their dtype. Out: text. The one idea: every value
has the type of its dtype (`float32(...)`, `int8(...)`), so that NumPy and Numba, which promote
differently, are never asked to promote. 16-bit floats are bits in memory and float32 numbers that
have been rounded everywhere else.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...ir import narrow
from ...ir.loops import COMPARISONS, DType
from .llvm_ops import is_float, is_small_float
from .source_helpers import HELPERS

_INFIX = {"add": "+", "sub": "-", "mul": "*", "and": "&", "or": "|", "xor": "^"}
_COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_OF_BOOL = {"add": "or", "mul": "and", "max": "or", "min": "and"}
_NUMPY = {
    "sqrt": "np.sqrt",
    "floor": "np.floor",
    "ceil": "np.ceil",
    "round": "np.rint",
    "trunc": "np.trunc",
    "copysign": "np.copysign",
    "rem": "np.fmod",
}


class Text(NamedTuple):
    """A piece of an expression; `whole` if nothing around it can tear it apart."""

    code: str
    whole: bool = True

    @property
    def inner(self) -> str:
        """The text as an operand."""
        return self.code if self.whole else f"({self.code})"


def is_typed(code: str, name: str) -> bool:
    """Whether a text is one call of `name`."""
    if not code.startswith(f"{name}(") or not code.endswith(")"):
        return False
    depth = 0
    for k, c in enumerate(code):
        depth += (c == "(") - (c == ")")
        if c == ")" and not depth:
            return k == len(code) - 1
    return False


def typed(x: Text, name: str) -> Text:
    """A value as one of the type."""
    return x if is_typed(x.code, name) else Text(f"{name}({x.code})")


def register_name(dtype: DType) -> str:
    """The type of a value that is at work."""
    if dtype.kind == "b":
        return "bool_"
    return "float32" if is_small_float(dtype) else dtype.name


def memory_name(dtype: DType) -> str:
    """The type of an element in memory."""
    if narrow.is_narrow(dtype):
        return "uint8"
    return "uint16" if is_small_float(dtype) else register_name(dtype)


class SourceOps:
    """Writes operations; `needed` holds the names of the functions they call."""

    def __init__(self) -> None:
        self.needed: dict[str, Any] = {}

    def helper(self, name: str) -> str:
        """The name of a function of `HELPERS`, which the module will hold."""
        assert name in HELPERS, name
        self.needed[name] = None
        return name

    def constant(self, value: Any, dtype: DType) -> str:
        """A scalar constant."""
        if dtype.kind == "b":
            return "True" if value else "False"
        if dtype.kind in "iu":
            bits = 8 * dtype.itemsize
            number = int(value) & ((1 << bits) - 1)
            negative = dtype.kind == "i" and number >> (bits - 1)
            return f"{dtype.name}({number - (1 << bits) if negative else number})"
        with np.errstate(all="ignore"):
            kind = np.float64 if dtype.itemsize == 8 else np.float32
            exact: Any = kind(np.asarray(value).astype(dtype))
        if not np.isfinite(exact):
            name = "np.nan" if exact != exact else "np.inf" if exact > 0 else "-np.inf"
            return f"{register_name(dtype)}({name})"
        short = str(exact)
        text = short if kind(float(short)) == exact else repr(float(exact))
        return f"{register_name(dtype)}({text})"

    def apply(self, op: str, args: list[Text], dtype: DType) -> Text:
        """The operation on operands of one dtype."""
        if is_small_float(dtype):
            result = self._float(op, args, np.dtype(np.float32))
            return result if op in COMPARISONS else self.rounded(result, dtype)
        if dtype.kind == "f":
            return self._float(op, args, dtype)
        if dtype.kind == "b":
            return self._bool(_OF_BOOL.get(op, op), args)
        return self._integer(op, args, dtype)

    def rounded(self, x: Text, dtype: DType) -> Text:
        """A float32 rounded to a 16-bit float."""
        return Text(f"{self.helper(f'round_{dtype.name}')}({x.code})")

    def _float(self, op: str, args: list[Text], dtype: DType) -> Text:
        x = args[0]
        codes = ", ".join(a.code for a in args)
        if op in _INFIX or op == "div":
            return Text(f"{x.inner} {_INFIX.get(op, '/')} {args[1].inner}", False)
        if op in _COMPARE:
            return Text(f"{x.inner} {_COMPARE[op]} {args[1].inner}", False)
        if op == "neg":
            return Text(f"-{x.inner}", False)
        if op == "abs":
            return Text(f"abs({codes})")
        if op in ("min", "max"):
            return Text(f"{self.helper(f'{op}imum')}({codes})")
        if op == "fma":
            return Text(f"{self.helper(f'fma_{dtype.name}')}({codes})")
        if op == "is_finite":
            return Text(f"np.isfinite({codes})")
        if op == "conj":
            return x
        return Text(f"{_NUMPY[op]}({codes})")

    def _bool(self, op: str, args: list[Text]) -> Text:
        if op in _INFIX:
            return Text(f"{args[0].inner} {_INFIX[op]} {args[1].inner}", False)
        if op in _COMPARE:
            return Text(f"{args[0].inner} {_COMPARE[op]} {args[1].inner}", False)
        if op == "is_finite":
            return Text("True")
        assert op == "not", op
        return Text(f"bool_(not {args[0].inner})")

    def _integer(self, op: str, args: list[Text], dtype: DType) -> Text:
        x = args[0]
        if op in _COMPARE:
            return Text(f"{x.inner} {_COMPARE[op]} {args[1].inner}", False)
        if op == "is_finite":
            return Text("True")
        if op == "conj":
            return x
        wrapped = self._wrapping(op, args, dtype)
        # Numba widens integers below 64 bits, NumPy does not: the type is said, which also wraps.
        plain = dtype == np.int64 or dtype == np.uint64
        return wrapped if plain and not wrapped.whole else typed(wrapped, dtype.name)

    def _wrapping(self, op: str, args: list[Text], dtype: DType) -> Text:
        """An integer operation whose result may have more bits than the dtype."""
        x, signed, bits = args[0], dtype.kind == "i", 8 * dtype.itemsize
        codes = ", ".join(a.code for a in args)
        other = args[1].inner if len(args) > 1 else ""
        if op in _INFIX:
            return Text(f"{x.inner} {_INFIX[op]} {other}", False)
        if op in ("div", "rem"):
            if not signed:
                return Text(f"{x.inner} {'//' if op == 'div' else '%'} {other}", False)
            name = self.helper("quotient")
            return Text(f"{name if op == 'div' else self.helper('remainder')}({codes})")
        if op in ("min", "max"):
            return Text(f"{op}({codes})")
        if op == "neg":
            return Text(f"-{x.inner}" if signed else f"{dtype.name}(0) - {x.inner}", False)
        if op == "not":
            return Text(f"~{x.inner}", False)
        if op == "abs":
            return Text(f"abs({codes})") if signed else x
        if op == "sign":
            high = f"min({x.code}, {dtype.name}(1))"
            return Text(f"max({high}, {dtype.name}(-1))" if signed else high)
        if op.startswith("shift"):
            return self._shift(op, args, dtype)
        wide = f"uint64(uint{bits}({x.code}))"
        if op == "population_count":
            return Text(f"{self.helper('population_count')}({wide})")
        if op == "clz":
            return Text(f"{self.helper('leading_zeros')}({wide}, {bits})")
        assert op == "mulhi", op
        if bits == 64:
            self.helper("high_product")
            name = self.helper("high_signed_product") if signed else "high_product"
            return Text(f"{name}({codes})")
        kind = "int64" if signed else "uint64"
        return Text(f"({kind}({x.code}) * {kind}({args[1].code})) >> {kind}({bits})", False)

    def _shift(self, op: str, args: list[Text], dtype: DType) -> Text:
        x, by = args
        if op == "shift_left":
            return Text(f"{x.inner} << {by.inner}", False)
        kind = "int" if op == "shift_right_arithmetic" else "uint"
        if dtype.kind == kind[0]:
            return Text(f"{x.inner} >> {by.inner}", False)
        other = f"{kind}{8 * dtype.itemsize}"
        return Text(f"{dtype.name}({other}({x.code}) >> {other}({by.code}))")

    def cast(self, x: Text, source: DType, target: DType) -> Text:
        """x converted: floats saturate into integers and NaN becomes 0, as in JAX."""
        if source == target:
            return x
        if target.kind == "b":
            return Text(f"{x.inner} != {self.constant(0, source)}", False)
        if is_small_float(target):
            wide = x if register_name(source) == "float32" else typed(x, "float32")
            return self.rounded(wide, target)
        if is_float(target):
            same = register_name(source) == target.name
            return x if same else typed(x, target.name)
        if is_float(source):
            name = f"to_{target.name}"
            self.needed[name] = target
            return Text(f"{name}({x.code})")
        return typed(x, target.name)

    def bitcast(self, x: Text, source: DType, target: DType) -> Text:
        """The bits of x as another dtype of the same width."""
        if source.kind == "b" or target.kind == "b":
            return self.cast(x, source, target)
        if is_small_float(source):
            x = Text(f"{self.helper(f'to_{source.name}')}({x.code})")
            source = np.dtype(np.uint16)
        if is_small_float(target):
            bits = x.code if source == np.uint16 else f"uint16({x.code})"
            return Text(f"{self.helper(f'from_{target.name}')}({bits})")
        if source == target:
            return x
        if source.kind in "iu" and target.kind in "iu":
            return typed(x, target.name)
        # Numba must see the type to allow the view.
        return Text(f"{typed(x, source.name).code}.view({target.name})")

    def loaded(self, code: str, dtype: DType) -> Text:
        """An element of memory as a value."""
        if is_small_float(dtype):
            return Text(f"{self.helper(f'from_{dtype.name}')}({code})")
        return Text(code)

    def stored(self, x: Text, dtype: DType) -> str:
        """A value as it is stored."""
        if is_small_float(dtype):
            return f"{self.helper(f'to_{dtype.name}')}({x.code})"
        return x.code

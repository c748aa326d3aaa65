"""Sizes that nobody has said yet, in the shapes that `eval_shape` is asked about.

In: the text of a shape, `"(batch, 2 * batch + 1)"`. Out: its extents. The one idea: an extent that
depends on unknown sizes is known by what it is for two choices of these sizes. Arithmetic is done
on both values, and a function of shapes is traced twice. The choices of one size differ by a prime,
so that neither quotients nor remainders by small numbers agree by chance.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from ..errors import InconclusiveDimensionOperation

Pair = tuple[int, int]
# Of the values of the first size: enough rows for a dozen halvings by strides, and few elements.
_first, _apart = 211, 1300


def _primes(above: int) -> Iterator[int]:
    number = above
    while True:
        number += 1
        if all(number % divisor for divisor in range(2, int(number**0.5) + 1)):
            yield number


class SymbolicScope:
    """Sizes that are told apart by their names, and what is said of them.

    Args:
        constraints: comparisons such as "batch >= 2".
    Raises:
        ValueError: a constraint is no comparison, or holds for none of the sizes tried.
    """

    def __init__(self, constraints: Sequence[str] = ()) -> None:
        # The least size that fits is what comparisons are also asked about.
        for self._least in range(1, _first):
            self._sizes: dict[str, Dimension] = {}
            starts, gaps = _primes(_first - 1), _primes(_apart)
            self._choices = ((n, n + gap) for n, gap in zip(starts, gaps, strict=False))
            if all(self._holds(text) for text in constraints):
                return
        raise ValueError(
            f"The constraints {list(constraints)} do not hold for the sizes that shapes are tried "
            f"with, {[d.values for d in self._sizes.values()]}. Give the sizes meant as integers."
        )

    def _holds(self, text: str) -> bool:
        try:
            answer: Any = _evaluate(_parsed(text), text, self)
        except InconclusiveDimensionOperation:
            return False
        if not isinstance(answer, bool):
            raise ValueError(f"{text!r} is no comparison: give e1 >= e2, e1 <= e2 or e1 == e2.")
        return answer

    def size(self, name: str) -> Dimension:
        """The unknown size of a name."""
        if name not in self._sizes:
            self._sizes[name] = Dimension(name, next(self._choices), self._least, self)
        return self._sizes[name]

    def extent(self, values: Pair) -> int | Dimension:
        """The extent of these values; its text says how it depends on a size, if that is simple."""
        if values[0] == values[1]:
            return values[0]
        for size in self._sizes.values():
            low, high = size.values
            slope, rest = divmod(values[1] - values[0], high - low)
            if not rest:
                return slope * size + (values[0] - slope * low)
        return Dimension(f"({' or '.join(map(str, values))})", values, None, self)


class Dimension:
    """An extent that depends on sizes unknown. Integer arithmetic gives such extents, or integers.

    Comparisons answer where the answer is the same for the two choices and the least sizes.

    Attributes:
        text: how it depends on them, where that is known.
        values: what it is for the two choices.
        least: what it is where all sizes are the least possible, if that is known.
    """

    __slots__ = ("least", "scope", "text", "values")

    def __init__(self, text: str, values: Pair, least: int | None, scope: SymbolicScope) -> None:
        self.text, self.values, self.least, self.scope = text, values, least, scope

    def __repr__(self) -> str:
        return self.text

    def __hash__(self) -> int:
        return hash((self.values, id(self.scope)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dimension) or other.scope is not self.scope:
            return False
        known = self.least is not None and other.least is not None
        return self.values == other.values and (not known or self.least == other.least)

    def __index__(self) -> int:
        raise InconclusiveDimensionOperation(
            f"The extent {self} depends on sizes unknown, and an integer is needed here. "
            "Only eval_shape takes shapes with such extents."
        )

    __int__ = __index__

    def _triple(self, other: int | Dimension) -> tuple[int, int, int | None]:
        if isinstance(other, Dimension):
            if other.scope is not self.scope:
                raise ValueError(
                    f"{self} and {other} are of different scopes: make them with one `scope=`."
                )
            return (*other.values, other.least)
        return (other, other, other)

    def joined(self, text: str, of: Callable[[int, int], int], x: Any, y: Any) -> Any:
        """What a function gives of two extents, one of which is this; one of them if it is that."""
        first, second, least = self._triples(x, y)
        values = of(*first), of(*second)
        lowest = None if None in least else of(*least)
        if values[0] == values[1] == lowest:
            return lowest
        for side in (x, y):
            if isinstance(side, Dimension) and (side.values, side.least) == (values, lowest):
                return side
        return Dimension(text, values, lowest, self.scope)

    def _triples(self, x: Any, y: Any) -> Any:
        return zip(self._triple(x), self._triple(y), strict=True)

    def _with(self, sign: str, other: Any, swapped: bool = False) -> Any:
        if not isinstance(other, int | Dimension):
            return NotImplemented
        x, y = (other, self) if swapped else (self, other)
        text = f"{_bracketed(x)} {sign} {_bracketed(y)}"
        return self.joined(text, _arithmetic[sign], x, y)

    def __add__(self, other: Any) -> Any:
        return self._with("+", other)

    def __radd__(self, other: Any) -> Any:
        return self._with("+", other, swapped=True)

    def __sub__(self, other: Any) -> Any:
        return self._with("-", other)

    def __rsub__(self, other: Any) -> Any:
        return self._with("-", other, swapped=True)

    def __mul__(self, other: Any) -> Any:
        return self._with("*", other)

    def __rmul__(self, other: Any) -> Any:
        return self._with("*", other, swapped=True)

    def __floordiv__(self, other: Any) -> Any:
        return self._with("//", other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._with("//", other, swapped=True)

    def __mod__(self, other: Any) -> Any:
        return self._with("%", other)

    def __rmod__(self, other: Any) -> Any:
        return self._with("%", other, swapped=True)

    def __pow__(self, other: Any) -> Any:
        return self._with("**", other)

    def __neg__(self) -> Any:
        return self._with("*", -1)

    def _asks(self, of: Callable[[int, int], bool], other: Any) -> Any:
        if not isinstance(other, int | Dimension):
            return NotImplemented
        first, second, least = self._triples(self, other)
        answers = {of(*first), of(*second), None if None in least else of(*least)}
        if len(answers) > 1 and self != other:
            raise InconclusiveDimensionOperation(
                f"Whether {self} {of.__name__} {other} depends on sizes unknown."
            )
        return of(*first)

    def __lt__(self, other: Any) -> Any:
        return self._asks(operator.lt, other)

    def __le__(self, other: Any) -> Any:
        return self._asks(operator.le, other)

    def __gt__(self, other: Any) -> Any:
        return self._asks(operator.gt, other)

    def __ge__(self, other: Any) -> Any:
        return self._asks(operator.ge, other)


_arithmetic: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "//": lambda x, y: x // y,
    "%": lambda x, y: x % y,
    "**": lambda x, y: x**y,
}


def _bracketed(extent: Any) -> str:
    return f"({extent})" if " " in str(extent) else str(extent)


def has_unknown(shape: Any) -> bool:
    """Whether an extent of the shape depends on sizes unknown."""
    if not isinstance(shape, tuple | list):
        return False
    extents = cast("Sequence[Any]", shape)
    return any(isinstance(d, Dimension) for d in extents)


# The text of shapes.

_of_nodes: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: _arithmetic["+"],
    ast.Sub: _arithmetic["-"],
    ast.Mult: _arithmetic["*"],
    ast.FloorDiv: _arithmetic["//"],
    ast.Mod: _arithmetic["%"],
    ast.Pow: _arithmetic["**"],
    ast.GtE: operator.ge,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
}


def _extreme(x: Any, y: Any, of: Callable[[int, int], int]) -> Any:
    if not isinstance(x, Dimension) and not isinstance(y, Dimension):
        return of(x, y)
    size = x if isinstance(x, Dimension) else y
    return size.joined(f"{of.__name__}({x}, {y})", of, x, y)


_of_names: dict[str, Callable[[Any, Any], Any]] = {
    "floordiv": _arithmetic["//"],
    "mod": _arithmetic["%"],
    "max": lambda x, y: _extreme(x, y, max),
    "min": lambda x, y: _extreme(x, y, min),
}


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"{text!r} is no shape and no constraint: {error.msg}.") from error


def _evaluate(node: ast.expr, text: str, scope: SymbolicScope) -> Any:
    def of(inner: ast.expr) -> Any:
        return _evaluate(inner, text, scope)

    match node:
        case ast.Constant(value=int()):
            return node.value
        case ast.Name(id=name):
            return scope.size(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -of(operand)
        case ast.BinOp(left=left, right=right) if type(node.op) in _of_nodes:
            return _of_nodes[type(node.op)](of(left), of(right))
        case ast.Compare(left=left, ops=[sign], comparators=[right]) if type(sign) in _of_nodes:
            return _of_nodes[type(sign)](of(left), of(right))
        case ast.Call(func=ast.Name(id=name), args=[left, right]) if name in _of_names:
            return _of_names[name](of(left), of(right))
        case _:
            raise ValueError(
                f"{ast.unparse(node)!r} in {text!r} is no extent: give integers, names, "
                "+, -, *, floordiv, mod, max and min of them."
            )


def symbolic_shape(
    shape_spec: str | None,
    *,
    constraints: Sequence[str] = (),
    scope: SymbolicScope | None = None,
    like: Sequence[int | None] | None = None,
) -> tuple[Any, ...]:
    """The extents that a text says: integers, and `Dimension`s of names.

    Args:
        shape_spec: "(batch, 2 * batch, 3)", with or without brackets; "_" is the extent of `like`
            there, "..." are those of `like` from there on. None stands for "...".
        constraints: what is said of the names, as "batch >= 2".
        scope: whose names they are, where shapes share them.
    Raises:
        ValueError: the text is none, `like` is missing, or both scope and constraints are given.
    """
    if scope is not None and constraints:
        raise ValueError("Give constraints where the scope is made, or no scope.")
    scope = SymbolicScope(constraints) if scope is None else scope
    text = "..." if shape_spec is None else shape_spec
    top = _parsed(text) if text.strip() else ast.Tuple([])
    extents: list[Any] = []
    for part in top.elts if isinstance(top, ast.Tuple) else [top]:
        if isinstance(part, ast.Constant) and part.value is ...:
            extents.extend(_like(like, text)[len(extents) :])
        elif isinstance(part, ast.Name) and part.id == "_":
            extents.append(_like(like, text)[len(extents)])
        else:
            extents.append(_evaluate(part, text, scope))
    return tuple(extents)


def _like(like: Sequence[int | None] | None, text: str) -> Sequence[int | None]:
    if like is None:
        raise ValueError(f"{text!r} has places to fill in: give `like`, the shape they are from.")
    return like

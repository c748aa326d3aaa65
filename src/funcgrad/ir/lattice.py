"""The promotion lattice: in come names of nodes, out goes the least that lies above them all.

The nodes are the short names of the dtypes and three weak nodes for Python's ``int``, ``float`` and
``complex`` (``i*``, ``f*``, ``c*``), which lie below every dtype of their kind. So a Python scalar
never widens an operand of its kind. The bound of a pair is computed when it is asked for first.
"""

from __future__ import annotations

import functools

from . import narrow

Node = str


class TypePromotionError(ValueError):
    """Raised when operands have no common dtype under the promotion rules in force."""


# Narrow dtypes lie above Python's numbers only: nothing is ever narrowed or widened unasked.
_NARROW_INTEGERS = " ".join([*narrow.SIGNED, *narrow.UNSIGNED])
_NARROW_FLOATS = " ".join(narrow.FLOATS)
_EDGES = f"""
bool: i*
i*: u8 i8 {_NARROW_INTEGERS}
u8: i16 u16
u16: i32 u32
u32: i64 u64
u64: f*
i8: i16
i16: i32
i32: i64
i64: f*
f*: bf16 f16 c* {_NARROW_FLOATS}
bf16: f32
f16: f32
f32: f64 c64
f64: c128
c*: c64
c64: c128
c128:
"""
_STRICT_EDGES = f"""
bool:
i*: f* u8 u16 u32 u64 i8 i16 i32 i64 {_NARROW_INTEGERS}
f*: c* bf16 f16 f32 f64 {_NARROW_FLOATS}
c*: c64 c128
"""


def _parse_edges(text: str) -> dict[Node, list[Node]]:
    rows = (line.partition(":") for line in text.strip().splitlines())
    above = {node: uppers.split() for node, _, uppers in rows}
    reached = {upper for uppers in above.values() for upper in uppers}
    return {**{upper: [] for upper in sorted(reached)}, **above}


def _upper_bounds(above: dict[Node, list[Node]]) -> dict[Node, frozenset[Node]]:
    """For each node, itself and all nodes above it."""

    @functools.cache
    def reach(node: Node) -> frozenset[Node]:
        return frozenset({node}).union(*(reach(upper) for upper in above[node]))

    return {node: reach(node) for node in above}


@functools.cache
def _bounds(strict: bool, x64: bool) -> dict[Node, frozenset[Node]]:
    """For each node, itself and all nodes above it, under the rules in force."""
    if strict:
        return _upper_bounds(_parse_edges(_STRICT_EDGES))
    wide = _parse_edges(_EDGES)
    # u32 with a signed dtype needs i64, which must not appear out of 32-bit operands with x64 off.
    return _upper_bounds(wide if x64 else {**wide, "u32": ["i32", "u64"]})


@functools.cache
def _join(a: Node, b: Node, strict: bool, x64: bool) -> Node | None:
    """The least upper bound of a pair of nodes; None if it has none."""
    bounds = _bounds(strict, x64)
    common = bounds.get(a, frozenset()) & bounds.get(b, frozenset())
    return next((node for node in common if common <= bounds[node]), None)


def _describe(node: Node) -> str:
    weak = {"i*": "a Python int", "f*": "a Python float", "c*": "a Python complex"}
    return weak.get(node, node)


def least_upper_bound(nodes: list[Node], strict: bool, x64: bool) -> Node:
    """The lowest node that lies at or above all of `nodes`.

    Raises:
        TypePromotionError: there is none.
    """
    bound = nodes[0]
    for node in nodes[1:]:
        joined = _join(bound, node, strict, x64)
        if joined is None:
            names = ", ".join(_describe(node) for node in dict.fromkeys(nodes))
            remedy = (
                "Cast the operands to one dtype with .astype, or set numpy_dtype_promotion to "
                "'standard'; it is 'strict' now."
                if strict
                else "Cast the operands to one dtype with .astype."
            )
            raise TypePromotionError(f"dtypes {names} do not promote to a common dtype. {remedy}")
        bound = joined
    return bound

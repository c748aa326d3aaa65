"""Which kernel written by hand serves a `Library` node on this machine."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from ..ir.jaxpr import Eqn
from ..ir.loops import Library
from .library import LibraryKernel, conv, pool
from .runtime.toolchain import machine


def library_kernel(what: Library, eqn: Eqn) -> LibraryKernel | None:
    """The kernel for a node, or None where there is none for its spec."""
    return _builders[what.name](what, eqn)


def _convolution(what: Library, eqn: Eqn) -> LibraryKernel | None:
    lhs, rhs = (atom.aval for atom in eqn.invars)
    out = eqn.outvars[0].aval
    if lhs.dtype != out.dtype or rhs.dtype != out.dtype:
        return None
    return conv.build(conv.spec_of(lhs.shape, rhs.shape, out.dtype, what.spec), machine())


def _pool(what: Library, eqn: Eqn) -> LibraryKernel | None:
    op, params = what.spec
    operand = eqn.invars[-1].aval
    if prod(params["window_dimensions"]) == 1:
        return None
    return pool.build(pool.spec_of(op, operand.shape, operand.dtype, params), machine())


_builders: dict[str, Callable[[Library, Eqn], LibraryKernel | None]] = {
    "convolution": _convolution,
    "pool": _pool,
}

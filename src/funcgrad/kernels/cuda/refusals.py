"""What no kernel of a GPU does, and why.

In: steps of a program. Out: `Refusal`s. The one idea: a step without a kernel is said by name, with
the user's line, and never done elsewhere in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...ir.jaxpr import Eqn
from ...ir.loops import Apply, Exchange, Expr
from ...ir.nests import children, expressions
from ...ir.printing import names_of
from ...ir.sources import describe
from ..notes import eqn_line
from ..program import Block, BlockStep, Branch, HostCall, Launch, Scan, While
from .apart import statements
from .nccl import DTYPES
from .words import GIVEN


class Refusal(NamedTuple):
    """A step that no kernel does.

    Attributes:
        name: the primitive.
        why: what is missing.
        eqn: the eqn as text; `where`: the user's line.
    """

    name: str
    why: str
    eqn: str
    where: str

    def __str__(self) -> str:
        place = f"\n    {self.where}" if self.where else ""
        return f"{self.eqn}\n    not on the GPU yet: {self.why}{place}"


def without_code(block: Block, step: Launch) -> list[Refusal]:
    """Refusals of what calls C functions that only the CPU has."""
    roots = [x for node in statements(step.kernel.body) for x in expressions(node)]
    absent = sorted(name.removeprefix("fg_special_") for name in _calls(roots))
    if not absent:
        return []
    why = f"C functions of the CPU do it: {', '.join(absent)}"
    if step.group is None:
        return [Refusal("scan", why, "\n".join(step.kernel.notes), "")]
    nests = [m.nest for m in step.group.members]
    eqn = next((n.eqn for n in nests if _calls([n.value])), nests[-1].eqn)
    line = eqn_line(eqn, names_of(block.jaxpr))
    return [Refusal(eqn.primitive.name, why, line, describe(eqn.source))]


def _calls(roots: Sequence[Expr]) -> set[str]:
    """The C functions that expressions call and a GPU has not."""
    found: set[str] = set()
    seen: set[int] = set()
    stack = list(roots)
    while stack:
        x = stack.pop()
        if id(x) not in seen:
            seen.add(id(x))
            stack += children(x)
            if isinstance(x, Apply) and x.op == "call" and x.name not in GIVEN:
                found.add(x.name)
    return found


def exchange_of(step: BlockStep) -> Exchange | None:
    """What ranks do together in a step, if it is a collective."""
    return step.eqn.primitive.exchange(step.eqn.params) if isinstance(step, HostCall) else None


def numbers_of(step: HostCall) -> tuple[int, str] | None:
    """How many numbers of which dtype the operand of a collective has; None if NCCL has not it."""
    if not step.reads:
        return None
    aval, exchange = step.eqn.invars[0].aval, exchange_of(step)
    if aval.dtype.kind == "c":
        # Sums of complex numbers are sums of their parts.
        known = exchange is not None and exchange.op == "sum"
        return (2 * aval.size, f"float{aval.dtype.itemsize * 4}") if known else None
    return (aval.size, aval.dtype.name) if aval.dtype.name in DTYPES else None


def refusal_of(block: Block, step: BlockStep) -> list[Refusal]:
    """The refusal of a step that is no launch, if it is not done by other means."""
    assert not isinstance(step, Launch)
    if isinstance(step, Scan | While | Branch):
        return []
    if isinstance(step, HostCall) and step.eqn.primitive.of_host:
        return []
    exchange = exchange_of(step)
    moves = exchange is not None and exchange.kind not in ("reduce", "scatter")
    if moves or (exchange is not None and isinstance(step, HostCall) and numbers_of(step)):
        return []
    why = "it is no loop over elements, and has no kernel of its own"
    if isinstance(step, HostCall) and step.native is not None:
        why = "the kernel runs on the CPU; give custom_kernel one for GPUs (cuda=)"
    if exchange is not None:
        why = "NCCL has no arithmetic of this dtype: convert it, and the result back"
    eqn: Eqn = step.eqn
    line = eqn_line(eqn, names_of(block.jaxpr))
    return [Refusal(eqn.primitive.name, why, line, describe(eqn.source))]

"""Stages printed while they are made: FUNCGRAD_DEBUG=1..4.

1   what the program became: kernels, costs, what is copied (`explain`)
2   also the simplified jaxpr and the groups
3   also loops, schedule and memory plan
4   also the program as Python and in LLVM's language
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .explain import explanation
from .printing import Groups, Loops, Memory, Schedule

if TYPE_CHECKING:
    from .pipeline import Stages


def stages_text(stages: Stages, level: int) -> str:
    """The stages of a program, as many as the level asks for."""
    block, plan = stages.block, stages.memory
    parts: list[tuple[str, object]] = []
    if level >= 2:
        parts += [("simplified", stages.simplified), ("groups", Groups(block))]
    if level >= 3:
        parts += [("loops", Loops(block)), ("schedule", Schedule(block))]
        parts.append(("memory", Memory(block, plan)))
    if level >= 4:
        parts += [("source", stages.python(numba=False)[0]), ("llvm", stages.llvm)]
    name = block.jaxpr.debug_name or "program"
    parts.append(("explanation", explanation(block, plan, name)))
    return "".join(f"== {title}\n{text}\n" for title, text in parts)


def show(stages: Stages, level: int) -> None:
    """Write the stages to stderr."""
    sys.stderr.write(stages_text(stages, level))

"""What the compiler made of a program, told in a page.

In: a block. Out: text. Each kernel with its eqns, what it costs, whether threads share it and why,
and why its first value is in no earlier kernel; then what leaves the program, and what is copied.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..ir.nests import Buffer, Kernel
from ..ir.printing import Names, names_of
from .chunks import SHARED_NANOSECONDS
from .costs import Cost, block_cost, step_cost
from .emit.arms import branched, ways_through
from .emit.source import short
from .in_place import first_carried
from .memory import Plan, carried, direct_outputs, updates_in_place
from .notes import eqn_line, eqn_notes
from .printing import named_blocks, time_text
from .program import Block, BlockStep, HostCall, Launch, LibraryCall, Scan, While, inner_blocks


def explanation(block: Block, plan: Plan, title: str) -> str:
    """A page on a program."""
    steps = list(every_step(block))
    launches = sum(isinstance(s, Launch) for s in steps)
    calls = sum(isinstance(s, LibraryCall) for s in steps)
    hosts = [s for s in steps if isinstance(s, HostCall) and s.native is None]
    lines = [
        f"{title}: {count(launches, 'kernel')}, {count(calls, 'library call')}, "
        f"{count(len(hosts), 'call-out')}; {cost_text(block_cost(block))}; "
        f"arena of {size_text(plan.size)}",
        "",
        *block_lines(block),
        "called out: " + (", ".join(sorted({s.eqn.primitive.name for s in hosts})) or "nothing"),
    ]
    copied = list(copies(block))
    lines.append("copied: " + ("; ".join(copied) or "nothing"))
    return "\n".join(lines)


def every_step(block: Block) -> Iterator[BlockStep]:
    """The steps of a block and of those within."""
    for step in block.steps:
        yield step
        for inner in inner_blocks(step):
            yield from every_step(inner)


def block_lines(block: Block) -> Iterator[str]:
    """The steps of a block, in order."""
    names = names_of(block.jaxpr)
    told: set[int] = set()
    for at, step in enumerate(block.steps):
        yield from _step_lines(block, at, names, told)
        for what, inner in named_blocks(step):
            yield f"  {what}:"
            yield from ("    " + line if line else "" for line in block_lines(inner))


def _step_lines(block: Block, at: int, names: Names, told: set[int]) -> Iterator[str]:
    step = block.steps[at]
    spent = cost_text(step_cost(step))
    if isinstance(step, Launch):
        kernel = step.kernel
        reads = [b for b in kernel.params if b not in kernel.written]
        yield f"{kernel.name}: {_typed(reads)} -> {_typed(kernel.written)}"
        if at - 1 in block.chains:
            turns = count(block.chains[at - 1], "turn")
            yield f"  {spent}; behind the product above, {turns} as soon as a block of it is there"
        else:
            yield f"  {spent}; {threads_text(kernel)}"
        yield from ("  " + line for line in eqn_notes(block, step, names))
        ways = ways_through(branched(kernel.body, kernel.written))
        if ways > 1:
            yield f"  {ways} ways through it: a branch before its loops chooses one"
        if step.group is not None and step.group.why and id(step.group) not in told:
            yield f"  a kernel of its own: {'; '.join(step.group.why)}"
        told.add(id(step.group))
        yield ""
        return
    yield eqn_line(step.eqn, names)
    if isinstance(step, LibraryCall):
        way = step.kernel.way and f", {step.kernel.way}"
        yield f"  {spent}; a kernel written by hand{way}, {stages_text(step)}{_followed(block, at)}"
        if step.sum is not None:
            yield f"  {eqn_line(step.sum, names)}"
            yield f"  added to {step.reads[-1]}, in its memory"
    elif isinstance(step, HostCall) and step.native is not None:
        yield f"  a kernel of the user's own, called in place; {size_text(step_cost(step).bytes)}"
    elif isinstance(step, HostCall):
        yield f"  called out: NumPy does it, in Python; {size_text(step_cost(step).bytes)}"
    elif isinstance(step, Scan):
        yield f"  {count(step.length, 'turn')} of a loop inside the program; {spent}"
    elif isinstance(step, While):
        yield f"  inside the program; {spent} a turn"
    else:
        yield f"  inside the program; {spent}"
        yield f"  a branch between kernels, not within one: {step.why}"
    yield ""


def _followed(block: Block, at: int) -> str:
    """Which kernel comes behind each block of a product."""
    follower = block.steps[at + 1] if at in block.chains else None
    return f"; {follower.kernel.name} behind each block" if isinstance(follower, Launch) else ""


def threads_text(kernel: Kernel) -> str:
    """Whether threads share a kernel, and why not."""
    parts = -(-kernel.extent // kernel.grain)
    if kernel.cost <= SHARED_NANOSECONDS:
        return f"serial: less than {time_text(SHARED_NANOSECONDS)} of work"
    if kernel.extent <= 1:
        return "serial: its loops are not to be divided"
    return f"threads: {parts} chunks of {kernel.grain}" if parts > 1 else "serial: one chunk"


def stages_text(step: LibraryCall) -> str:
    """How a kernel written by hand is divided."""
    stages = [s for s in step.kernel.stages if s.extent > s.grain]
    shared = any(s.cost > SHARED_NANOSECONDS for s in stages)
    chunks = sum(-(-s.extent // s.grain) for s in step.kernel.stages)
    return f"{'threads' if shared else 'serial'}, {count(chunks, 'chunk')}"


def copies(block: Block) -> Iterator[str]:
    """What is copied though no eqn asks for it."""
    direct = direct_outputs(block)
    for k, b in enumerate(block.outputs):
        if direct.get(block.root(b)) != k and b.bytes:
            yield f"{b} into output {k}, {size_text(b.bytes)}"
    for step in block.steps:
        if isinstance(step, (Scan, While)):
            yield from _loop_copies(block, step)
        for inner in inner_blocks(step):
            yield from (f"{line} (within)" for line in _inner_copies(inner))


def _loop_copies(block: Block, step: Scan | While) -> Iterator[str]:
    first = first_carried(step)
    for k, (source, output) in enumerate(carried(step)):
        b = step.reads[first + k]
        if block.root(b) is not block.root(step.writes[k]):
            yield f"{b} into what a loop carries, {size_text(b.bytes)}"
        # The turns of a scan write by turns in two places, of a while always in the same.
        if isinstance(step, While) and not updates_in_place(step.block, source, output):
            yield f"{output} after each turn, {size_text(output.bytes)}"


def _inner_copies(block: Block) -> Iterator[str]:
    for step in block.steps:
        if isinstance(step, (Scan, While)):
            yield from _loop_copies(block, step)
        for inner in inner_blocks(step):
            yield from _inner_copies(inner)


def _typed(buffers: list[Buffer]) -> str:
    return " ".join(f"{b.name}:{short(b)}" for b in buffers)


def count(number: int, what: str) -> str:
    """A number of things."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def size_text(size: float) -> str:
    """A number of bytes with a unit."""
    for limit, unit in ((1e3, "B"), (1e6, "kB"), (1e9, "MB")):
        if size < limit:
            return f"{size * 1e3 / limit:.4g} {unit}"
    return f"{size / 1e9:.4g} GB"


def cost_text(cost: Cost) -> str:
    """A cost in words."""
    done = f"{cost.flops:.4g} flops"
    if cost.transcendentals:
        done += f" and {cost.transcendentals:.4g} elementary functions"
    return f"{done}, {size_text(cost.bytes)}, about {time_text(cost.nanoseconds)} on one core"

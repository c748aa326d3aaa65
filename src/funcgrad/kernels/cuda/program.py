"""A program for a GPU: its kernels as one module of text, and what has no kernel yet.

In: a simplified jaxpr. Out: `CudaProgram`. The one idea: lowering, fusion and schedule are those of
the CPU, divided more finely; a step that no kernel does is refused by name, never done elsewhere
in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from ...ir.jaxpr import ClosedJaxpr, Eqn
from ...ir.loops import Library
from ...ir.nests import Buffer
from ...ir.printing import names_of
from ..chunks import GPU
from ..explain import count
from ..in_place import update_in_place
from ..items import Backwards
from ..library import LibraryKernel, Stage
from ..library.gemm import Gemm
from ..memory import Plan, plan
from ..notes import eqn_line, eqn_notes
from ..program import Block, BlockStep, Branch, Builder, HostCall, Launch, LibraryCall, Scan, While
from .attention import attention_launches, parts_of
from .bias_gradients import summing
from .convolution_calls import (
    Rooms,
    aligned,
    convolution_launch,
    convolution_of,
    copy_kernel,
    no_room,
)
from .convolutions import convolution_launches, problem_for
from .cublaslt import note
from .cudnn import note as note_of_cudnn
from .custom import CustomLaunch, custom_launch
from .factors import factor_launches, is_small
from .fourier import fourier_launches, is_smooth
from .limits import USUAL
from .long_rows import divide_long_rows
from .masks import mask_launch
from .matmul_gradients import paired
from .matmuls import Epilogue, Takes, epilogues, is_lower, matmul_launch, nothing
from .packed import place_results
from .plan import CudaLaunch, launches
from .products import ProductLaunch, product_launches
from .refusals import Refusal, refusal_of, without_code
from .row_makes import with_what_is_made
from .row_plan import with_rows
from .rows import RowSource
from .scan_plan import divided
from .scans import ScanSource
from .segments import (
    AtomicSource,
    SegmentSource,
    atomic_launch,
    is_atomic,
    segment_launches,
    updates_of,
)
from .sorts import rows_of, sort_launches
from .source import CudaSource
from .tiles import TileSource
from .words import CudaLibrary

HEAD = """import math

import numpy as np
from numba import cuda
from numba.cuda import libdevice
"""


@dataclass(eq=False)
class CudaKernel:
    """A launch and its text."""

    launch: CudaLaunch | ProductLaunch | CustomLaunch
    text: str

    @classmethod
    def of(cls, launch: CudaLaunch | ProductLaunch, library: CudaLibrary, notes: list[str]) -> Self:
        """The kernel of a launch; of a loop nest it is written here."""
        if isinstance(launch, CudaLaunch):
            return cls(launch, source_of(launch, library, notes).function(launch.name))
        return cls(launch, "".join(f"# {note}\n" for note in notes) + launch.text)

    @property
    def name(self) -> str:
        """The name of the function."""
        return self.launch.name

    @property
    def params(self) -> list[Buffer]:
        """The buffers it is given, in order."""
        return self.launch.params


@dataclass(eq=False)
class CudaProgram:
    """The kernels of a program in order.

    Attributes:
        kernels: those of each step of each block.
        refused: steps without one.
        functions: the text of what kernels call.
    """

    block: Block
    memory: Plan
    kernels: list[CudaKernel]
    steps: dict[int, list[CudaKernel]]
    refused: list[Refusal]
    functions: list[str]

    @cached_property
    def text(self) -> str:
        """The module."""
        return "\n\n".join([HEAD, *self.functions, *(k.text for k in self.kernels)])

    def __str__(self) -> str:
        return self.text

    def module_of(self, kernel: CudaKernel) -> str:
        """What is compiled for one kernel: it and the functions it may call."""
        return "\n\n".join([*self.functions, kernel.text])

    def explain(self, title: str) -> str:
        """A page: each kernel, how the GPU does it, and what is refused."""
        lines = [
            f"{title} on a GPU: {count(len(self.kernels), 'kernel')}, {len(self.refused)} refused",
            "",
        ]
        for kernel in self.kernels:
            heading = kernel.text.partition("@kernel")[0].splitlines()
            lines += [line.removeprefix("# ") for line in heading]
            lines += [f"  {kernel.launch.note}"] if kernel.launch.note else []
            lines.append("")
        lines += [str(r) for r in self.refused]
        return "\n".join(lines)


def cuda_program(
    closed: ClosedJaxpr,
    simplify: Callable[[ClosedJaxpr], ClosedJaxpr],
    takes: Takes = nothing,
    rooms: Rooms = no_room,
    target: str = USUAL,
) -> CudaProgram:
    """The kernels of a simplified program.

    Args:
        takes: whether a product is cuBLASLt's.
        rooms: the bytes that a convolution by cuDNN works in, if it is cuDNN's.
        target: for which GPU: what a block can share is planned for.
    """
    block = Builder(simplify, _outline, GPU).block(closed)
    divide_long_rows(block)
    update_in_place(block)
    library = CudaLibrary()
    ends = _with_ends(block, takes)
    kernels: list[CudaKernel] = []
    steps: dict[int, list[CudaKernel]] = {}
    refused: list[Refusal] = []
    for around, step in _every(block):
        if isinstance(step, LibraryCall) and step.gemm is not None:
            made, step.scratch = _product(around, step, step.gemm, library, takes, ends)
            steps[id(step)] = made
            kernels += made
            continue
        if isinstance(step, LibraryCall):
            made = _by_hand(around, step, len(kernels), library, rooms, target, around is block)
            steps[id(step)] = made
            # Launches of one text are one kernel.
            kernels += {k.name: k for k in made}.values()
            continue
        if isinstance(step, HostCall) and (custom := _custom(around, step, len(kernels))):
            steps[id(step)] = [custom]
            kernels.append(custom)
            continue
        if not isinstance(step, Launch):
            refused += refusal_of(around, step)
            continue
        if step.kernel.copies is not None:
            # The device copies by itself, and need not where the argument was given away.
            steps[id(step)] = []
            continue
        absent = without_code(around, step)
        if absent:
            refused += absent
            continue
        notes = eqn_notes(around, step, names_of(around.jaxpr))
        made = [
            k
            for whole in launches(step.kernel)
            for part in divided(with_what_is_made(with_rows(whole, target)))
            for k in _launched(around, step, part, library, notes)
        ]
        steps[id(step)] = made
        kernels += {k.name: k for k in made}.values()
    return CudaProgram(block, plan(block), kernels, steps, refused, library.definitions())


def _with_ends(block: Block, takes: Takes) -> dict[int, Epilogue]:
    """What products of cuBLASLt do besides; results and sums are where that puts them."""
    # Pairs of products first: of them a map alone would leave nothing for the gradient.
    ends = {k: e for b in _blocks(block) for k, e in paired(b, takes).items()}
    ends |= {k: e for b in _blocks(block) for k, e in epilogues(b, takes, ends).items()}
    for b in _blocks(block):
        for step in [s for s in b.steps if isinstance(s, LibraryCall) and s.kernel.placed]:
            place_results(b, step)
    return ends | {k: e for b in _blocks(block) for k, e in summing(b, takes, ends).items()}


def source_of(launch: CudaLaunch, library: CudaLibrary, notes: list[str]) -> CudaSource:
    """The printer of a launch."""
    kinds: dict[str, type[CudaSource]] = {
        "tiles": TileSource,
        "scan": ScanSource,
        "pieces": SegmentSource,
        "segments": SegmentSource,
        "atomics": AtomicSource,
    }
    usual = CudaSource if launch.row is None else RowSource
    return kinds.get(launch.kind, usual)(launch, library, notes)


def _launched(
    block: Block, step: Launch, launch: CudaLaunch, library: CudaLibrary, notes: list[str]
) -> list[CudaKernel]:
    """The kernels of a launch; several where it does updates that data place."""
    updates = updates_of(launch)
    if updates is None:
        return [CudaKernel.of(launch, library, notes)]
    if is_atomic(updates):
        return [CudaKernel.of(atomic_launch(launch, updates), library, notes)]
    found = segment_launches(launch, updates, library)
    step.scratch += found.scratch
    block.constants.update(found.constants)
    return [CudaKernel.of(part, library, notes) for part in found.launches]


def _blocks(block: Block) -> Iterator[Block]:
    """A block and those of its loops and branches."""
    yield block
    for step in block.steps:
        for inner in inner_of(step):
            yield from _blocks(inner)


def _product(
    block: Block,
    step: LibraryCall,
    gemm: Gemm,
    library: CudaLibrary,
    takes: Takes,
    ends: dict[int, Epilogue],
) -> tuple[list[CudaKernel], list[Buffer]]:
    """The kernels of a matrix product, and the memory they need between."""
    left, right, out = *step.reads[:2], step.writes[0]
    name, notes = step.kernel.stages[0].function, [eqn_line(step.eqn, names_of(block.jaxpr))]
    end, precision = ends.get(id(step)), step.eqn.params.get("precision")
    before: list[ProductLaunch] = []
    if end is not None and end.masked:
        assert end.aux is not None
        before = [mask_launch(gemm, f"{name}_mask", end.aux, library)]
        end = end._replace(aux=before[0].params[-1])
    asked = matmul_launch(gemm, name, [left, right, out], end, precision, takes)
    if asked is not None:
        scratch = [launch.params[-1] for launch in before]
        return [CudaKernel.of(found, library, notes) for found in (*before, asked)], scratch
    made, scratch = product_launches(gemm, name, (left, right, out), library, is_lower(precision))
    made[0].note = note(asked=takes is not nothing)
    return [CudaKernel.of(found, library, notes) for found in made], scratch


def _custom(block: Block, step: HostCall, number: int) -> CudaKernel | None:
    """The kernel of a call of a user's function, if it has one for GPUs."""
    native = step.native
    if native is None or native.function.cuda is None:
        return None
    note = f"# {eqn_line(step.eqn, names_of(block.jaxpr))}\n"
    name = f"custom{number}_{native.function.cuda.function.__name__}"
    params = [*step.reads, *step.writes]
    launch = custom_launch(native, native.function.cuda, name, params, note)
    return CudaKernel(launch, launch.text)


def _sort(block: Block, step: LibraryCall, name: str, library: CudaLibrary) -> list[CudaKernel]:
    """The kernels of a sort, with the memory and the constants that they need."""
    rows = rows_of(step.eqn)
    assert rows is not None
    found = sort_launches(rows, name, step.reads, step.writes, library)
    step.scratch = found.scratch
    block.constants.update(found.constants)
    notes = [eqn_line(step.eqn, names_of(block.jaxpr))]
    return [CudaKernel.of(launch, library, notes) for launch in found.launches]


def _attention(
    block: Block, step: LibraryCall, name: str, library: CudaLibrary, target: str
) -> list[CudaKernel]:
    """The kernels of an attention or of its gradient, with the memory that they need."""
    computation = step.eqn.params["computation"]
    found, step.scratch = attention_launches(computation, name, step, library, target)
    notes = [eqn_line(step.eqn, names_of(block.jaxpr))]
    return [CudaKernel.of(launch, library, notes) for launch in found]


def _convolution(
    block: Block, step: LibraryCall, name: str, library: CudaLibrary, rooms: Rooms, outermost: bool
) -> list[CudaKernel]:
    """The kernels of a convolution, with the memory that they need.

    Args:
        outermost: whether the block is the whole program.
    """
    (left, right), (out,) = step.reads, step.writes
    rounded = is_lower(step.eqn.params["precision"])
    buffers, notes = (left, right, out), [eqn_line(step.eqn, names_of(block.jaxpr))]
    asked = convolution_of(step.eqn, step.backwards, rounded)
    if not isinstance(asked, str) and not aligned(buffers, outermost):
        asked = "its operands are slices that begin anywhere"
    made = None if isinstance(asked, str) else convolution_launch(asked, name, buffers, rooms)
    if isinstance(asked, str) or made is None:
        problem = problem_for(step.eqn, step.backwards)
        assert problem is not None
        found, step.scratch = convolution_launches(problem, name, buffers, library, rounded)
        why = asked if isinstance(asked, str) else ""
        found[0].note = note_of_cudnn(rooms is not no_room, why)
        return [CudaKernel.of(launch, library, notes) for launch in found]
    call, laid = made
    kernels = [CudaKernel.of(call, library, notes)]
    if laid is not None and asked.copy is not None:
        step.scratch = [laid]
        back = asked.convolution.way == "kernel"
        kernel = copy_kernel(asked.copy, f"{name}_copy", out if back else right, laid, back)
        copies = [CudaKernel.of(part, library, kernel.notes) for part in launches(kernel)]
        kernels = [*kernels, *copies] if back else [*copies, *kernels]
    return kernels


def _by_hand(
    block: Block,
    step: LibraryCall,
    at: int,
    library: CudaLibrary,
    rooms: Rooms,
    target: str,
    outermost: bool,
) -> list[CudaKernel]:
    """The kernels of a step that is written by hand, named by what it is and a number."""
    what = step.kernel.stages[0].function.partition("_")[0]
    name = f"{what}{at}"
    if what == "convolution":
        return _convolution(block, step, name, library, rooms, outermost)
    if what == "attention":
        return _attention(block, step, name, library, target)
    if what not in ("sort", "top"):
        return _of_lines(block, step, name, library, target)
    return _sort(block, step, name, library)


def _of_lines(
    block: Block, step: LibraryCall, name: str, library: CudaLibrary, target: str
) -> list[CudaKernel]:
    """The kernels of a factor of small matrices, or of a Fourier transform."""
    if name.startswith("fft"):
        (read,), (written,) = step.reads, step.writes
        found, step.scratch, constants = fourier_launches(
            name, step.eqn, read, written, library, target
        )
        block.constants.update(constants)
    else:
        found, step.scratch = factor_launches(
            name, step.eqn, step.reads, step.writes, library, target
        )
    notes = [eqn_line(step.eqn, names_of(block.jaxpr))]
    return [CudaKernel.of(launch, library, notes) for launch in found]


def _outline(what: Library, eqn: Eqn, backwards: Backwards) -> LibraryKernel | None:
    """What is done by kernels written here: sorts, factors, transforms, attention, convolutions."""
    if what.name == "convolution":
        known = problem_for(eqn, backwards) is not None
    elif what.name in ("sort", "top_k"):
        known = rows_of(eqn) is not None and not any(backwards)
    elif is_small(what.name, eqn) or (what.name == "fft" and is_smooth(eqn)):
        known = not any(backwards)
    else:
        known = what.name in ("attention", "attention_gradient") and not any(backwards)
    if not known:
        return None
    attends = what.name.startswith("attention")
    parts = parts_of(eqn.params["computation"]) if attends else ()
    stage = Stage(what.name, (), 0, 1, 0.0)
    placed = what.name == "attention_gradient"
    return LibraryKernel({}, (), (stage,), (), 0.0, parts=parts, placed=placed)


def _every(block: Block) -> Iterator[tuple[Block, BlockStep]]:
    """Each step, and the block it is in."""
    for step in block.steps:
        yield block, step
        for inner in inner_of(step):
            yield from _every(inner)


def inner_of(step: BlockStep) -> list[Block]:
    """The blocks of a step of control flow."""
    if isinstance(step, Scan):
        return [step.block]
    if isinstance(step, While):
        return [step.condition, step.block]
    return step.blocks if isinstance(step, Branch) else []

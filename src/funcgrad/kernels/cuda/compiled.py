"""A program compiled for a GPU that need not be there.

In: a `CudaProgram` and a target. Out: `CudaCompiled`: every kernel with its source, its PTX, its
machine code, and what it takes of a multiprocessor. It can be read, not called.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import adapter
from .adapter import Cubin
from .custom import CustomLaunch
from .plan import CudaLaunch
from .products import ProductLaunch
from .program import CudaKernel, CudaProgram
from .refusals import Refusal
from .words import memory_type

# Of the registers of a multiprocessor, a map leaves room for so many threads.
_RESIDENT = 1024
# A running fold by vectors, whose blocks hold what they read while they wait for others, for more
# from this capability on; code for older ones would spill, as would that of rows with as many.
_WAITING, _FROM = 1280, (9, 0)
# No multiprocessor has more blocks.
_MOST_BLOCKS = 32


class CompiledKernel:
    """One kernel for a target.

    Attributes:
        source: its numba.cuda source, with the functions it calls.
        cubin: machine code and what is known of it.
        grid: blocks, and threads of each.
    """

    def __init__(self, source: str, kernel: CudaKernel, cubin: Cubin) -> None:
        self.name = kernel.name
        self.kind = kernel.launch.kind
        self.source = source
        self.cubin = cubin
        self.grid = kernel.launch.blocks, kernel.launch.threads
        self._asked_for = kernel.launch.shared

    @property
    def ptx(self) -> str:
        """The kernel in NVIDIA's portable assembly language."""
        return self.cubin.ptx

    @property
    def registers(self) -> int:
        """Registers of each thread."""
        return self.cubin.registers

    @property
    def spills(self) -> int:
        """Bytes that do not fit in registers."""
        return self.cubin.spills

    @property
    def shared(self) -> int:
        """Bytes of shared memory of each block: of its arrays, and what its launch asks for."""
        return self.cubin.shared + self._asked_for

    def __repr__(self) -> str:
        blocks, threads = self.grid
        return (
            f"{self.name}: {self.kind}, {blocks} × {threads} threads, {self.registers} registers, "
            f"{self.spills} bytes spilled, {self.shared} bytes shared, "
            f"{len(self.cubin.code)} bytes of code"
        )


def compile_kernels(
    program: CudaProgram, kernels: Sequence[CudaKernel], target: str
) -> list[Cubin]:
    """Kernels of a program as machine code."""
    own = [k for k in kernels if not isinstance(k.launch, CustomLaunch)]
    found = iter(adapter.cubins([_source(program, k, target) for k in own], target))
    return [
        _custom(k.launch, target) if isinstance(k.launch, CustomLaunch) else next(found)
        for k in kernels
    ]


def _source(program: CudaProgram, kernel: CudaKernel, target: str) -> adapter.Source:
    launch = kernel.launch
    kinds = tuple(memory_type(b.dtype) for b in kernel.params)
    bounds = launch.threads, _blocks_of(launch, target)
    return adapter.Source(program.module_of(kernel), kernel.name, kinds, bounds)


def _blocks_of(launch: CudaLaunch | ProductLaunch | CustomLaunch, target: str) -> int:
    """For how many blocks a multiprocessor shall have registers."""
    row = launch.row if isinstance(launch, CudaLaunch) else None
    if launch.kind == "map" or (row is not None and row.parts):
        return max(_RESIDENT // launch.threads, 1)
    if row is not None and row.values:
        older = adapter.capability(target) < _FROM
        return max(_RESIDENT // launch.threads >> older + row.roomy, 1)
    scans = isinstance(launch, CudaLaunch) and launch.kind == "scan" and launch.wide > 1
    if scans and adapter.capability(target) >= _FROM:
        return min(_WAITING // launch.threads, _MOST_BLOCKS)
    return 1


def _custom(launch: CustomLaunch, target: str) -> Cubin:
    arrays = [(d, len(s), k < launch.reads) for k, (s, d) in enumerate(launch.arrays)]
    given = launch.function.function, launch.text, launch.name
    return adapter.custom_cubin(*given, arrays, launch.threads, target)


class CudaCompiled:
    """A program's kernels for a target; there is no device here to call it on.

    Attributes:
        target: such as "sm_90".
        kernels: in the order in which they would be launched.
        refusals: steps that have no kernel yet.
    """

    def __init__(self, program: CudaProgram, target: str, fun_name: str) -> None:
        adapter.capability(target)
        self.target = target
        self.fun_name = fun_name
        self._program = program
        made = compile_kernels(program, program.kernels, target)
        self.kernels = [
            CompiledKernel(program.module_of(kernel), kernel, cubin)
            for kernel, cubin in zip(program.kernels, made, strict=True)
        ]

    @property
    def refusals(self) -> list[Refusal]:
        """Steps that have no kernel yet."""
        return self._program.refused

    @property
    def source(self) -> str:
        """The program's kernels as numba.cuda source."""
        return self._program.text

    def as_text(self) -> str:
        """The kernels in NVIDIA's portable assembly language."""
        return "\n".join(k.ptx for k in self.kernels)

    def explain(self) -> str:
        """A page: what each kernel does and takes, and what is refused, by name."""
        page = self._program.explain(f"{self.fun_name} for {self.target}")
        return "\n".join([page, "", *map(repr, self.kernels)])

    def __repr__(self) -> str:
        return "\n".join(
            [f"CudaCompiled({self.fun_name}, {self.target})", *map(repr, self.kernels)]
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            f"{self.fun_name} was compiled for the GPU {self.target}, and is called where no "
            "device runs it. Read it (source, as_text(), kernels, explain()), or call the program "
            "of .compile(), which runs on this processor."
        )

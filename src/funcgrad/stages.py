"""The stages of a jitted function as values: traced, lowered, compiled.

`jit(f).trace(x)` gives `Traced`, its `.lower()` gives `Lowered`, its `.compile()` gives
`Compiled`, which can be called. Each is printable. A `Lowered` shows all that the compiler makes on
the way: `simplified`, `groups`, `loops`, `schedule`, `memory`, `source`, `llvm`, `asm`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from . import tree
from .config import config
from .core import remote
from .core.array import Array, to_ndarray
from .core.calls import ArgInfo as ArgInfo
from .core.calls import Call, no_compiler_options
from .core.evaluate import run_numpy
from .core.formats import Format, row_major
from .core.primitive import wrap
from .core.shapes import ShapeDtypeStruct
from .core.sources import user_line
from .ir.avals import aval_of, size_of
from .ir.jaxpr import ClosedJaxpr
from .ir.printing import jaxpr_text

if TYPE_CHECKING:
    from .kernels import pipeline
    from .kernels.costs import Cost
    from .kernels.cuda.compiled import CudaCompiled
    from .kernels.cuda.program import CudaProgram
    from .kernels.printing import Groups, Loops, Memory, Schedule

Simplify = Callable[..., ClosedJaxpr]
# Looks at the results of a program on arguments, and raises if the options forbid a value there.
Check = Callable[[ClosedJaxpr, Sequence[Any], Sequence[Any]], None]


class Stage:
    """What every stage knows.

    Attributes:
        fun_name: name of the function.
    """

    _closed: ClosedJaxpr
    _call: Call
    fun_name: str

    def __init__(self, **fields: Any) -> None:
        vars(self).update(fields)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            f"{type(self).__name__} of {self.fun_name} cannot be changed: {name} was to be set. "
            "Make another one by jit(f).trace(...) and lower()."
        )

    @property
    def in_tree(self) -> Any:
        """Tree of `(args, kwargs)`, without static arguments."""
        return self._call.in_tree

    @property
    def out_tree(self) -> Any:
        """Tree of the result."""
        return self._call.out_tree

    @property
    def out_info(self) -> Any:
        """Shapes and dtypes of the result, as its tree."""
        infos = [
            ShapeDtypeStruct(a.shape, a.dtype, weak_type=a.weak_type)
            for a in self._closed.out_avals
        ]
        return tree.unflatten(self.out_tree, infos)

    @property
    def in_avals(self) -> Any:
        """Avals of the arguments, as the tree of `(args, kwargs)`."""
        return tree.unflatten(self.in_tree, self._closed.in_avals)

    @property
    def args_info(self) -> Any:
        """An `ArgInfo` for each argument, as the tree of `(args, kwargs)`."""
        avals, donated = self._closed.in_avals, self._call.donated
        return tree.unflatten(self.in_tree, [ArgInfo(a, i in donated) for i, a in enumerate(avals)])

    @property
    def donate_argnums(self) -> tuple[int, ...]:
        """The numbers of the donated arguments, counted as leaves of `(args, kwargs)`."""
        return self._call.donated

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.fun_name})\n{self._closed}"


class Traced(Stage):
    """The jaxpr as the function wrote it.

    Attributes:
        home: the device that runs it, if that is not the CPU; `places`: where the arguments are.
    """

    _simplify: Simplify
    _check: Check
    home: Any
    places: Sequence[str]

    def __init__(
        self,
        closed: ClosedJaxpr,
        fun_name: str,
        call: Call,
        simplify: Simplify,
        check: Check,
        home: Any = None,
        places: Sequence[str] = (),
    ) -> None:
        super().__init__(
            _closed=closed,
            fun_name=fun_name,
            _call=call,
            _simplify=simplify,
            _check=check,
            home=home,
            places=places,
        )

    @property
    def jaxpr(self) -> ClosedJaxpr:
        """The program as traced."""
        return self._closed

    @property
    def out_avals(self) -> Any:
        """Avals of the results, as their tree."""
        return tree.unflatten(self.out_tree, self._closed.out_avals)

    def lower(self, *, lowering_platforms: Sequence[str] | None = None) -> Lowered:
        """The simplified program, and what the compiler makes of it.

        Args:
            lowering_platforms: "cpu", "gpu" or "cuda": the program is the same for each.
        Raises:
            ValueError: another platform.
        """
        unknown = [p for p in lowering_platforms or () if p not in ("cpu", "gpu", "cuda")]
        if unknown:
            raise ValueError(
                f"lower: programs run on cpu and cuda, lowering_platforms= has {unknown[0]!r}.\n"
                f"  {user_line()}\n  Leave it out."
            )
        return Lowered(self, self._simplify, self._check)


class Lowered(Stage):
    """The simplified jaxpr, and the compiler's stages, each made when it is asked for.

    Attributes:
        jaxpr: the program as traced.
    """

    jaxpr: ClosedJaxpr
    _simplify: Simplify
    _check: Check
    home: Any
    places: Sequence[str]

    def __init__(self, traced: Traced, simplify: Simplify, check: Check) -> None:
        super().__init__(
            _closed=simplify(traced.jaxpr),
            fun_name=traced.fun_name,
            _call=vars(traced)["_call"],
            _simplify=simplify,
            _check=check,
            jaxpr=traced.jaxpr,
            home=traced.home,
            places=traced.places,
        )

    @cached_property
    def stages(self) -> pipeline.Stages:
        """The stages as the compiler hands them on."""
        from .kernels import pipeline

        return pipeline.lower(self._closed, self._simplify)

    @property
    def simplified(self) -> ClosedJaxpr:
        """The program after simplification."""
        return self._closed

    @property
    def groups(self) -> Groups:
        """Which eqns are computed by one kernel."""
        from .kernels.printing import Groups

        return Groups(self.stages.block)

    @property
    def loops(self) -> Loops:
        """The loops of each kernel."""
        from .kernels.printing import Loops

        return Loops(self.stages.block)

    @property
    def schedule(self) -> Schedule:
        """What runs in which order, and in how many chunks."""
        from .kernels.printing import Schedule

        return Schedule(self.stages.block)

    @property
    def memory(self) -> Memory:
        """Where every buffer lives, and for how long."""
        from .kernels.printing import Memory

        return Memory(self.stages.block, self.stages.memory)

    @cached_property
    def source(self) -> str:
        """The program as Python, which runs as it stands; its kernels by Numba."""
        return self.stages.python(numba=True)[0]

    @property
    def llvm(self) -> str:
        """The program in LLVM's language."""
        return self.stages.llvm

    @cached_property
    def asm(self) -> str:
        """The program in this machine's assembly language."""
        from .kernels.runtime import toolchain

        return toolchain.assembly(self.llvm)

    @cached_property
    def cuda(self) -> CudaProgram:
        """The program's kernels for a GPU as numba.cuda source; none needs to be here."""
        from .kernels.cuda.limits import USUAL

        return self._cuda(USUAL)

    def _cuda(self, target: str) -> CudaProgram:
        from .kernels.cuda.program import cuda_program

        simplify = partial(self._simplify, whole=True)
        return cuda_program(simplify(self.jaxpr), simplify, target=target)

    def as_text(self, dialect: str | None = None, *, debug_info: bool = False) -> str:
        """The simplified program as text.

        Args:
            dialect: "jaxpr", which is what there is.
            debug_info: with the line of each eqn in the user's files.
        Raises:
            ValueError: another dialect.
        """
        if dialect not in (None, "jaxpr"):
            raise ValueError(
                f"as_text: programs are not written as {dialect!r} here.\n  {user_line()}\n"
                "  Leave dialect out for the jaxpr, or read .source, .llvm or .asm."
            )
        return jaxpr_text(self._closed.jaxpr, source_info=debug_info)

    def check(self) -> None:
        """Check what each stage takes for granted of the one before.

        Raises:
            AssertionError: a stage is wrong; its text names the kernel.
        """
        from .kernels.checking import check

        check(self.stages.block, self.stages.memory)

    def explain(self, *, target: str | None = None) -> str:
        """A page on what the compiler made: kernels and their costs, threads, calls, copies.

        Where a GPU runs the program, the page says also what goes between it and the host.

        Args:
            target: a GPU such as "sm_90": then, how it shares out each kernel, and what it has no
                kernel for, by name. Nothing is compiled for it.
        """
        if target is not None:
            return self._cuda(target).explain(f"{self.fun_name} for {target}")
        if self.home is not None:
            avals = self._closed.in_avals
            places = self.places or [""] * len(avals)
            given = list(zip(self._call.names, avals, places, strict=True))
            return self.home.explain(self.jaxpr, given, self.fun_name)
        from .kernels.explain import explanation

        return explanation(self.stages.block, self.stages.memory, self.fun_name)

    def cost(self) -> Cost:
        """Operations, bytes read and written, and a guess of the time, counted from the loops."""
        from .kernels.costs import block_cost

        return block_cost(self.stages.block)

    def cost_analysis(self) -> dict[str, Any]:
        """`cost` under JAX's names, and how many eqns of each primitive there are."""
        found = self.cost()
        return {
            "flops": found.flops,
            "transcendentals": found.transcendentals,
            "bytes accessed": found.bytes,
            "eqns": dict(Counter(eqn.primitive.name for eqn in self._closed.eqns)),
        }

    @overload
    def compile(self, compiler_options: Mapping[str, Any] | None = None) -> Compiled: ...
    @overload
    def compile(
        self, compiler_options: Mapping[str, Any] | None = None, *, target: str
    ) -> CudaCompiled: ...
    def compile(
        self, compiler_options: Mapping[str, Any] | None = None, *, target: str | None = None
    ) -> Compiled | CudaCompiled:
        """Something that runs the program, in the way `config.lowering` says.

        Args:
            compiler_options: None, or no options: XLA's have no meaning here.
            target: a GPU such as "sm_90": then, kernels for it, which need not be here; they can
                be read, not called.
        Raises:
            ModuleNotFoundError: for a target, without the packages of `funcgrad[cuda13]`.
            ValueError: options for the compiler.
        """
        no_compiler_options(compiler_options, "compile")
        if target is None:
            return Compiled(self)
        from .kernels.cuda.compiled import CudaCompiled

        return CudaCompiled(self._cuda(target), target, self.fun_name)


class MemoryStats(NamedTuple):
    """Bytes that a compiled program takes, under JAX's names."""

    argument_size_in_bytes: int
    output_size_in_bytes: int
    temp_size_in_bytes: int
    alias_size_in_bytes: int
    generated_code_size_in_bytes: int


class Compiled(Stage):
    """A program that can be called with arguments of the traced signature."""

    _lowered: Lowered
    _run: Callable[[list[Any]], list[Any]]
    _check: Check
    _code_size: int

    def __init__(self, lowered: Lowered) -> None:
        # Where another device runs it, nothing is compiled for this one.
        run, size = _runner(lowered, config.lowering if lowered.home is None else "numpy")
        super().__init__(
            _closed=lowered.simplified,
            fun_name=lowered.fun_name,
            _call=vars(lowered)["_call"],
            _lowered=lowered,
            _run=run,
            _check=vars(lowered)["_check"],
            _code_size=size,
        )

    @property
    def input_shardings(self) -> Any:
        """Where each argument lies, as the tree of `(args, kwargs)`."""
        ins, _ = self._call.layouts.whole(self._closed, self._lowered.home)
        return tree.unflatten(self.in_tree, ins)

    @property
    def output_shardings(self) -> Any:
        """Where each result lies, as their tree."""
        _, outs = self._call.layouts.whole(self._closed, self._lowered.home)
        return tree.unflatten(self.out_tree, outs)

    @property
    def input_formats(self) -> Any:
        """Layout and sharding of each argument, as the tree of `(args, kwargs)`."""
        ins, _ = self._call.layouts.whole(self._closed, self._lowered.home)
        return tree.unflatten(self.in_tree, _formats(self._closed.in_avals, ins))

    @property
    def output_formats(self) -> Any:
        """Layout and sharding of each result, as their tree."""
        _, outs = self._call.layouts.whole(self._closed, self._lowered.home)
        return tree.unflatten(self.out_tree, _formats(self._closed.out_avals, outs))

    def as_text(self) -> str:
        """The program in assembly language."""
        return self._lowered.asm

    def cost_analysis(self) -> dict[str, Any]:
        """What the program costs, as `Lowered.cost_analysis`."""
        return self._lowered.cost_analysis()

    def memory_analysis(self) -> MemoryStats:
        """How much memory a call takes."""
        ins, outs = (
            sum(size_of(a.shape) * a.dtype.itemsize for a in avals)
            for avals in (self._closed.in_avals, self._closed.out_avals)
        )
        home = self._lowered.home
        if home is not None:
            return MemoryStats(ins, outs, home.arena(self._lowered.jaxpr), 0, 0)
        arena = self._lowered.stages.memory.size
        return MemoryStats(ins, outs, arena, 0, self._code_size)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, in_tree = tree.flatten((args, kwargs))
        if in_tree != self.in_tree:
            raise TypeError(
                f"{self.fun_name} was compiled for arguments of structure {self.in_tree}, and "
                f"called with {in_tree}. Lower it again for these."
            )
        for i, (leaf, aval) in enumerate(zip(leaves, self._closed.in_avals, strict=True)):
            got = aval_of(leaf)
            if (got.shape, got.dtype) != (aval.shape, aval.dtype):
                raise TypeError(
                    f"{self.fun_name} was compiled for {aval.long()} at argument leaf {i}, and "
                    f"called with {got.long()}. Lower it again for these types."
                )
        layouts = self._call.layouts
        leaves = layouts.placed(leaves, self.fun_name)
        outs = tree.unflatten(self.out_tree, layouts.laid(self._results(leaves)))
        for i in self._call.donated:
            if isinstance(leaves[i], Array):
                leaves[i].delete()
        return outs

    def _results(self, leaves: Sequence[Any]) -> Sequence[Any]:
        """The results on arguments that are where they shall be."""
        home = self._lowered.home
        if home is None and remote.known:
            home = remote.home_of(leaves)
        if home is not None:
            return home.run(self._lowered.jaxpr, leaves, self._call.donated)
        arrays = [
            x.numpy() if type(x) is Array else np.asarray(to_ndarray(x), aval.dtype)
            for x, aval in zip(leaves, self._closed.in_avals, strict=True)
        ]
        results = self._run(arrays)
        if config.debug_nans or config.debug_infs:
            self._check(self._lowered.jaxpr, arrays, results)
        return [wrap(r, a) for r, a in zip(results, self._closed.out_avals, strict=True)]


def _formats(avals: Sequence[Any], shardings: Sequence[Any]) -> list[Format]:
    return [row_major(len(a.shape), s) for a, s in zip(avals, shardings, strict=True)]


def _runner(lowered: Lowered, lowering: str) -> tuple[Callable[[list[Any]], list[Any]], int]:
    """What runs a program on NumPy arrays, and the bytes of its machine code."""
    if lowering == "numpy":
        return lambda arrays: run_numpy(lowered.simplified, arrays), 0
    from .kernels import pipeline

    stages = lowered.stages
    if lowering != "fast":
        return pipeline.script(stages, lowering), 0
    code = pipeline.machine_code(stages)
    return pipeline.executable(stages, code), len(code)

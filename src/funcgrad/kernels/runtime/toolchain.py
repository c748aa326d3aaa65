"""LLVM: text of its language comes in, object code and callable addresses go out.

This is the only file that knows llvmlite. Every compilation has a context of its own and every
loaded object a linker of its own, so that nothing is kept of what was compiled or unloaded.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

from ...errors import CompileError
from ...locks import lock
from . import elf
from .machine import available_cores

# Level 1: what explicit vectors in straight loops still gain from; one tenth of the time of the
# code generator. Level 2 is LLVM's own pipeline of that level, about as long as the generator.
# Loops of few constant steps are unrolled, so that arrays indexed in them become registers.
# NewGVN is left out: on large functions it stops the process by an assertion of its own.
SCALAR_PASSES = "sroa simplify_cfg instruction_combine loop_unroll sroa dead_code_elimination"

_lock = lock()  # a child does not start with LLVM in the middle of what another thread was doing


class Machine(NamedTuple):
    """The processor that code is made for.

    Attributes:
        cpu: LLVM's name of it.
        features: its features, as LLVM writes them: "+avx2,-avx512f,...".
        triple: architecture, vendor and system.
        vector_bits: the width of its widest vectors: 512, 256 or 128.
        cores: how many processors this process may use.
    """

    cpu: str
    features: str
    triple: str
    vector_bits: int
    cores: int


@cache
def llvm() -> Any:
    """The module llvmlite.binding, with this machine's code generator set up."""
    binding: Any = import_module("llvmlite.binding")
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


@cache
def machine() -> Machine:
    """The machine this process runs on."""
    binding = llvm()
    present = binding.get_host_cpu_features()
    features = present.flatten()
    triple = binding.get_process_triple()
    if present.get("avx512f"):
        bits = 512
        # Some models say that they like vectors of 256 bits better; those would then be split.
        features += ",-prefer-256-bit"
    else:
        bits = 256 if present.get("avx2") and present.get("fma") else 128
    return Machine(binding.get_host_cpu_name(), features, triple, bits, available_cores())


def compile_text(text: str, level: int = 1, target: Machine | None = None) -> bytes:
    """Relocatable object code of a module.

    Args:
        text: the module in LLVM's language, without triple and data layout.
        level: 0 generates code quickly and badly, for what runs once; 1 is for kernels whose loops
            are written out with vectors; 2 adds LLVM's whole scalar pipeline.
        target: the machine to make code for; of this machine's architecture, by default this one.
    Raises:
        CompileError: the text is not a module, or not a valid one.
    """
    with _transformed(text, level, target) as module:
        return bytes(_generator(level, target).emit_object(module))


def assembly(text: str, level: int = 1, target: Machine | None = None) -> str:
    """The assembly of a module, for readers; see `compile_text`."""
    with _transformed(text, level, target) as module:
        return _generator(level, target).emit_assembly(module)


@cache
def _generator(level: int, target: Machine | None) -> Any:
    goal = target or machine()
    return (
        llvm()
        .Target.from_triple(goal.triple)
        .create_target_machine(
            cpu=goal.cpu,
            features=goal.features,
            opt=2 if level else 0,
            reloc="pic",
            codemodel="default",
        )
    )


@contextmanager
def _transformed(text: str, level: int, target: Machine | None) -> Generator[Any]:
    """The module of a text after the passes, for as long as the block runs."""
    # Closed here, one after the other: left to the garbage collector, the context might go first,
    # and the module would be freed a second time.
    with _lock, llvm().create_context() as context, _parsed(text, context) as module:
        _transform(module, level, target)
        yield module


def _transform(module: Any, level: int, target: Machine | None) -> None:
    binding, generator = llvm(), _generator(level, target)
    module.triple = generator.triple
    module.data_layout = str(generator.target_data)
    options = binding.create_pipeline_tuning_options(min(level, 2))
    # Vectors are written out in the text: what is scalar there is so on purpose.
    options.loop_vectorization = options.slp_vectorization = options.loop_interleaving = False
    builder = binding.create_pass_builder(generator, options)
    if level >= 2:
        builder.getModulePassManager().run(module, builder)
        return
    inlining = binding.create_new_module_pass_manager()
    inlining.add_always_inliner_pass()
    inlining.run(module, builder)
    if level == 1:
        passes = binding.create_new_function_pass_manager()
        for name in SCALAR_PASSES.split():
            getattr(passes, f"add_{name}_pass")()
        for function in module.functions:
            if not function.is_declaration:
                passes.run(function, builder)


def _parsed(text: str, context: Any) -> Any:
    module: Any = None
    try:
        module = llvm().parse_assembly(text, context=context)
        module.verify()
    except RuntimeError as error:
        if module is not None:
            module.close()
        message = str(error).strip()
        raise CompileError(
            f"The generated module is not valid.\n{message}\n", _around(text, message)
        ) from None
    return module


def _around(text: str, message: str, reach: int = 2) -> str:
    """The lines of a text that a message of LLVM is about, each with its number.

    The parser tells a line's number; the verifier quotes instructions.
    """
    lines = text.splitlines()
    told = {int(number) - 1 for number in re.findall(r"<string>:(\d+):\d+:", message)}
    quoted = {line.strip() for line in message.splitlines()} - {""}
    told |= {i for i, line in enumerate(lines) if line.strip() in quoted}
    near = {i + d for i in told for d in range(-reach, reach + 1)} & set(range(len(lines)))
    return "\n".join(f"{'>' if i in told else ' '} {i + 1:5d} | {lines[i]}" for i in sorted(near))


class LoadedCode:
    """Machine code in memory; unloaded when this object is collected.

    Whoever holds an address of it holds this object too.
    """

    __slots__ = ("_addresses", "_held")

    def __init__(self, addresses: Any, held: Any) -> None:
        self._addresses = addresses
        self._held = held

    def address(self, name: str) -> int:
        """The address of a function.

        Raises:
            KeyError: the function was not among the exported ones.
        """
        return int(self._addresses[name])


def load(
    object_bytes: bytes, symbols: Mapping[str, int], exports: Sequence[str] = ("program",)
) -> LoadedCode:
    """Object code brought into memory and linked: by our own loader, or by LLVM's.

    Args:
        object_bytes: what `compile_text` gave.
        symbols: addresses of what the code calls, by name.
        exports: the functions whose addresses will be asked for.
    Raises:
        CompileError: the code is damaged, names what is not in `symbols`, or lacks an export.
    """
    try:
        image = elf.Image(elf.read(object_bytes), symbols)
        return LoadedCode({name: image.addresses[name] for name in exports}, image)
    except (elf.ForeignError, KeyError):
        return _linked_by_llvm(object_bytes, symbols, exports)


def _linked_by_llvm(
    object_bytes: bytes, symbols: Mapping[str, int], exports: Sequence[str]
) -> LoadedCode:
    binding = llvm()
    library = binding.JITLibraryBuilder().add_object_img(object_bytes)
    for name, address in symbols.items():
        library.import_symbol(name, address)
    for name in exports:
        library.export_symbol(name)
    with _lock:
        linker = binding.create_lljit_compiler(
            _generator(1, None), use_jit_link=True, suppress_errors=True
        )
        try:
            return LoadedCode(library.link(linker, "library"), linker)
        except RuntimeError as error:
            missing = ", ".join(sorted(set(_undefined(object_bytes)) - symbols.keys())) or "none"
            raise CompileError(
                f"The compiled code cannot be loaded: {error}\n"
                f"  It calls for these and was not given them: {missing}. To be exported: "
                f"{', '.join(exports)}.\n"
            ) from None


def _undefined(object_bytes: bytes) -> list[str]:
    """The names that object code leaves open, as far as they can be read."""
    try:
        return elf.undefined(elf.read(object_bytes))
    except elf.ForeignError:
        return []

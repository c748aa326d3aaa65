"""Fake GPUs behind NVIDIA's own names: the runtime, cuda-bindings and all, on a libcuda of ours.

In: the library that `build` makes of the C files here. Out: `Machine`, by which a test of a process
of its own says what the machine is like, and reads what was done to it. The one idea: glibc knows a
library by its name, so what is loaded first as libcuda.so.1 is what cuda-bindings finds. The
emulator does what kernels do, in the memory of the library.
"""

import ctypes
import gc
import shutil
import subprocess
import traceback
from importlib import util
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SOURCES = ("state.c", "streams.c", "graphs.c", "modules.c")
NUMBERS = ctypes.POINTER(ctypes.c_uint64)
GRID = ctypes.POINTER(ctypes.c_uint)
HOOK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, GRID, NUMBERS, ctypes.c_uint)


def header():
    """The folder of cuda.h of the installed CUDA; None without one."""
    spec = util.find_spec("nvidia")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    found = [p.parent for f in folders for p in Path(f).glob("*/include/cuda.h")]
    return found[0] if found else None


def compiler():
    """The C compiler of this machine; None without one."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def build(folder):
    """The library, in a folder."""
    target = Path(folder) / "libcuda.so.1"
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread"]
    name = ["-Wl,-soname,libcuda.so.1", f"-I{header()}"]
    files = [str(HERE / s) for s in SOURCES]
    subprocess.run([compiler(), *flags, *name, *files, "-o", str(target)], check=True)
    return target


class Machine:
    """The GPUs of this process, made before anything of CUDA is imported.

    Attributes:
        broken: what went wrong in kernels.
        runs: whether kernels do anything.
    """

    def __init__(self, library, count=1, memory=1 << 30):
        self.lib = ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        for name in ("fake_faults", "fake_asked", "fake_name"):
            getattr(self.lib, name).restype = ctypes.c_char_p
        self.lib.fake_name.argtypes = [ctypes.c_void_p]
        self.lib.fake_image.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t)]
        self.lib.fake_image.restype = self.lib.fake_memory.restype = ctypes.c_void_p
        self.lib.fake_memory.argtypes = [ctypes.c_uint64, ctypes.c_size_t]
        self.lib.fake_choose.argtypes = [ctypes.c_uint64, ctypes.c_uint]
        self.lib.fake_machine.argtypes = [ctypes.c_int, ctypes.c_size_t]
        self.lib.fake_used.restype = ctypes.c_size_t
        self.lib.fake_fail.argtypes = [ctypes.c_char_p, *[ctypes.c_int] * 3]
        self.lib.fake_machine(count, memory)
        self.broken = []
        self.runs = True
        self._hook = HOOK(self._kernel)
        self.lib.fake_hook(self._hook)
        self._texts = {}
        self._known = {}
        self._watch()

    def _watch(self):
        """Remember of which text machine code is."""
        from funcgrad.kernels.cuda import compiled

        from ..fake import memory_type

        inner = compiled.compile_kernels

        def watched(program, kernels, target):
            made = inner(program, kernels, target)
            for kernel, cubin in zip(kernels, made, strict=True):
                params = [
                    (program.block.root(b).size, np.dtype(getattr(np, memory_type(b.dtype))))
                    for b in kernel.params
                ]
                entry = kernel.name, program.module_of(kernel), params
                self._texts.setdefault(bytes(cubin.code), entry)
            return made

        compiled.compile_kernels = watched

    def faults(self):
        """What was asked that the driver forbids, one a line."""
        return self.lib.fake_faults().decode().splitlines() + self.broken

    def forgive(self):
        """Forget faults."""
        self.lib.fake_forgive()

    def asked(self):
        """The names of the functions that were called, since this was last asked."""
        found = self.lib.fake_asked().decode().split()
        self.lib.fake_forget_asked()
        return found

    def used(self, device=0):
        """Bytes that the driver has given."""
        return self.lib.fake_used(device)

    def fail(self, name, code, after=0, times=1):
        """Let calls of a function fail."""
        self.lib.fake_fail(name.encode(), code, after, times)

    def at(self, address, size):
        """The bytes of a device from an address on."""
        start = self.lib.fake_memory(address, size)
        assert start, self.faults()
        return np.frombuffer((ctypes.c_uint8 * size).from_address(start), np.uint8)

    def _kernel(self, function, grid, numbers, count):
        # Objects of the runtime that go here would ask for locks that others may hold.
        gc.disable()
        try:
            if self.runs:
                self._run(function, grid[:3], numbers[:count])
        except Exception:
            self.broken.append(traceback.format_exc())
        finally:
            gc.enable()

    def _run(self, function, grid, numbers):
        name = self.lib.fake_name(function).decode()
        if name.startswith("fg_decide"):
            self._decide(name, *numbers)
            return
        if function not in self._known:
            size = ctypes.c_size_t()
            image = self.lib.fake_image(function, ctypes.byref(size))
            code = ctypes.string_at(image, size.value)
            assert code in self._texts, "machine code that nobody has compiled"
            self._known[function] = self._texts[code]
        name, text, params = self._known[function]
        from funcgrad.kernels.cuda.emulator import Emulator

        assert len(numbers) == len(params)
        sizes = {}
        for p, (n, kind) in zip(numbers, params, strict=True):
            sizes[p, kind] = max(n, sizes.get((p, kind), 0))
        known = {
            (p, kind): self.at(p, n * kind.itemsize).view(kind) if n else np.zeros(0, kind)
            for (p, kind), n in sizes.items()
        }
        arrays = [known[p, kind] for p, (_, kind) in zip(numbers, params, strict=True)]
        aligned = not any(p % 16 for p in numbers)
        blocks, threads, shared = grid
        Emulator(text, aligned).launch(name, blocks, threads, arrays, shared)

    def _decide(self, name, choice, address, case=None, last=None):
        size = 1 if case is None else int(name.rpartition("_")[2])
        found = int(self.at(address, size).view(f"i{size}")[0])
        if case is not None:
            found = min(max(found, 0), last) == case
        self.lib.fake_choose(choice, int(bool(found)))

"""Our loader of object code: what it loads, what it refuses, and that both linkers agree."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from funcgrad.kernels.runtime import elf, toolchain

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64" or sys.platform != "linux",
    reason="object code is ELF for x86-64 there only",
)

FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
OUTER = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda x: x + 1000)
HELD = (ctypes.c_int64 * 2)(41, 0)
OUTSIDE = {
    "outer": ctypes.cast(OUTER, ctypes.c_void_p).value or 0,
    "cell": ctypes.addressof(HELD),
}

# A constant table, memory that is written, a local and an outer function, an outer variable, and
# the address of a function in data.
TEXT = """
@table = internal constant [4 x i64] [i64 10, i64 20, i64 30, i64 40]
@count = internal global i64 7
@zeros = internal global [3 x i64] zeroinitializer
@local = internal constant ptr @twice
@cell = external global i64

declare i64 @outer(i64)

define i64 @twice(i64 %x) noinline {
  %y = mul i64 %x, 2
  ret i64 %y
}

define i64 @program(i64 %i) {
  %at = getelementptr i64, ptr @table, i64 %i
  %a = load i64, ptr %at
  %n = load i64, ptr @count
  %n1 = add i64 %n, 1
  store i64 %n1, ptr @count
  %z = getelementptr i64, ptr @zeros, i64 2
  %old = load i64, ptr %z
  store i64 %n1, ptr %z
  %f = load volatile ptr, ptr @local
  %b = call i64 %f(i64 %a)
  %c = call i64 @outer(i64 %b)
  %v = load i64, ptr @cell
  %s = add i64 %c, %n1
  %t = add i64 %s, %old
  %u = add i64 %t, %v
  ret i64 %u
}
"""


def code() -> bytes:
    return toolchain.compile_text(TEXT, 0)


def test_all_kinds_of_places_are_filled() -> None:
    image = elf.Image(elf.read(code()), OUTSIDE)
    program = FUNCTION(image.addresses["program"])
    assert program(3) == 80 + 1000 + 8 + 0 + 41
    assert program(0) == 20 + 1000 + 9 + 8 + 41
    assert {"program", "twice"} <= image.addresses.keys()


def test_both_linkers_agree() -> None:
    content = code()
    ours = toolchain.load(content, OUTSIDE)
    theirs = toolchain._linked_by_llvm(content, OUTSIDE, ("program",))
    results = [
        [FUNCTION(loaded.address("program"))(i) for i in range(4)] for loaded in (ours, theirs)
    ]
    assert results[0] == results[1]


def test_open_names_are_told() -> None:
    held = elf.read(code())
    assert sorted(elf.undefined(held)) == ["cell", "outer"]
    with pytest.raises(KeyError, match="cell"):
        elf.Image(held, {"outer": OUTSIDE["outer"]})


@pytest.mark.parametrize(
    "content",
    [b"", b"\x7fELF", b"neither" * 20, b"\x7fELF\x01\x01" + bytes(80)],
)
def test_what_is_not_ours_is_refused(content: bytes) -> None:
    with pytest.raises(elf.ForeignError):
        elf.read(content)


def test_another_architecture_is_refused() -> None:
    content = bytearray(code())
    struct.pack_into("<H", content, 18, 183)  # aarch64
    with pytest.raises(elf.ForeignError, match="x86-64"):
        elf.read(bytes(content))


def test_damage_is_refused_or_harmless() -> None:
    # Any damage is told or makes other code; none of it writes outside the image.
    content, source = code(), random.Random(0)
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(source.randrange(1, 8)):
            damaged[source.randrange(len(damaged))] = source.randrange(256)
        with contextlib.suppress(elf.ForeignError, KeyError):
            elf.Image(elf.read(bytes(damaged)), dict.fromkeys(OUTSIDE, 4096))


def test_a_process_with_a_warm_cache_loads_no_compiler(tmp_path: Path) -> None:
    program = (
        "import sys, numpy as np, funcgrad as fg, funcgrad.numpy as fnp\n"
        "f = fg.jit(fg.value_and_grad(lambda x: fnp.sum(fnp.tanh(x @ x.T))))\n"
        "y, g = f(fnp.asarray(np.arange(64 * 64, dtype=np.float32).reshape(64, 64) / 4096))\n"
        "print(float(y), 'llvmlite' in sys.modules, 'numba' in sys.modules)\n"
    )
    variables = {"FUNCGRAD_CACHE_DIR": str(tmp_path), "FUNCGRAD_CACHE": "1"}
    told = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for _ in range(2)
    ]
    assert told[0][0] == told[1][0]
    assert told[1][1:] == ["False", "False"]

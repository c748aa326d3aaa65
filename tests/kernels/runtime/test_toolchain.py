"""Text becomes code that runs; what is wrong in it is shown; what is dropped is unloaded."""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from funcgrad.errors import CompileError
from funcgrad.kernels.runtime import toolchain
from funcgrad.kernels.runtime.toolchain import Machine

FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)

# A table in the object's own data and a call to the outside: both have to be linked.
LOOKUP = """
@table = internal constant [4 x i64] [i64 3, i64 5, i64 7, i64 11]
declare i64 @outside(i64)
define internal i64 @entry(i64 %i) alwaysinline {
  %p = getelementptr i64, ptr @table, i64 %i
  %v = load i64, ptr %p, align 8
  ret i64 %v
}
define i64 @program(i64 %i) {
  %v = call i64 @entry(i64 %i)
  %r = call i64 @outside(i64 %v)
  ret i64 %r
}
"""

VECTORS = """
declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)
define void @program(ptr %x, ptr %y) {
  %a = load <16 x float>, ptr %x, align 4
  %b = load <16 x float>, ptr %y, align 4
  %c = call <16 x float> @llvm.fma.v16f32(<16 x float> %a, <16 x float> %b,
                                         <16 x float> splat (float 0x3FF0000000000000))
  store <16 x float> %c, ptr %y, align 4
  ret void
}
"""


@FUNCTION
def negative(x: int) -> int:
    return -x


def outside() -> dict[str, int]:
    address = ctypes.cast(negative, ctypes.c_void_p).value
    assert address is not None
    return {"outside": address}


def mapped(address: int) -> bool:
    spans = [
        line.split()[0].split("-") for line in Path("/proc/self/maps").read_text().splitlines()
    ]
    return any(int(low, 16) <= address < int(high, 16) for low, high in spans)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_code_runs_at_every_level(level: int) -> None:
    code = toolchain.load(toolchain.compile_text(LOOKUP, level), outside())
    function = FUNCTION(code.address("program"))
    assert [function(i) for i in range(4)] == [-3, -5, -7, -11]


def test_inlined_functions_do_not_remain() -> None:
    assert "@entry" in LOOKUP
    text = toolchain.assembly(LOOKUP)
    assert "program:" in text and "entry" not in text


def test_equal_texts_give_equal_bytes() -> None:
    assert toolchain.compile_text(VECTORS) == toolchain.compile_text(VECTORS)


def test_vectors_are_as_wide_as_the_machine() -> None:
    here = toolchain.machine()
    assert here.vector_bits in (128, 256, 512)
    assert here.cores >= 1
    if not here.triple.startswith("x86_64"):
        pytest.skip("names of x86 registers")
    wide = Machine("skylake-avx512", "-prefer-256-bit", here.triple, 512, 1)
    narrow = Machine("haswell", "", here.triple, 256, 1)
    assert "%zmm" in toolchain.assembly(VECTORS, target=wide)
    assert "%ymm" in toolchain.assembly(VECTORS, target=narrow)
    assert "%zmm" not in toolchain.assembly(VECTORS, target=narrow)


def test_a_line_that_does_not_parse_is_shown() -> None:
    text = "define i64 @program(i64 %i) {\n  %v = add i64 %i, %missing\n  ret i64 %v\n}"
    with pytest.raises(CompileError, match="undefined value '%missing'") as caught:
        toolchain.compile_text(text)
    assert ">     2 |   %v = add i64 %i, %missing\n" in str(caught.value)
    assert "      3 |   ret i64 %v" in str(caught.value)
    assert "disable_jit" in str(caught.value)


def test_lines_that_do_not_verify_are_shown() -> None:
    text = (
        "define i64 @program(i64 %i) {\n  br label %b\nb:\n  %v = add i64 %w, 1\n"
        "  %w = add i64 %i, 1\n  ret i64 %v\n}"
    )
    with pytest.raises(CompileError, match="does not dominate all uses") as caught:
        toolchain.compile_text(text)
    assert ">     4 |   %v = add i64 %w, 1\n" in str(caught.value)


def test_what_failed_to_compile_is_freed_once() -> None:
    text = (
        "define void @f(i64 %i) {\n  br label %b\nb:\n  %v = add i64 %w, 1\n  %w = add i64 %i, 1\n"
    )
    for _ in range(50):
        cycle: list[object] = []
        with pytest.raises(CompileError) as caught:
            toolchain.compile_text(text + "  ret void\n}")
        cycle += [cycle, caught.value]
        del cycle, caught
    gc.collect()


@pytest.mark.parametrize(
    ("symbols", "exports", "told"),
    [
        (False, ("program",), "was not given them: outside. To be exported: program"),
        (True, ("programme",), "was not given them: none. To be exported: programme"),
    ],
)
def test_what_is_missing_is_told(symbols: bool, exports: tuple[str], told: str) -> None:
    code = toolchain.compile_text(LOOKUP)
    with pytest.raises(CompileError, match=told):
        toolchain.load(code, outside() if symbols else {}, exports)


def test_damaged_code_is_told() -> None:
    code = toolchain.compile_text(LOOKUP)
    for damaged in (b"", b"neither ELF nor Mach-O", code[: len(code) // 2]):
        with pytest.raises(CompileError, match="cannot be loaded"):
            toolchain.load(damaged, outside())


def test_an_address_that_was_not_exported() -> None:
    code = toolchain.load(toolchain.compile_text(LOOKUP), outside())
    with pytest.raises(KeyError):
        code.address("entry")


# Whether code has left memory only the system can tell; Linux does, in this file.
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads Linux's list of mappings")
def test_dropped_code_is_unloaded() -> None:
    code = toolchain.load(toolchain.compile_text(LOOKUP), outside())
    address = code.address("program")
    assert mapped(address)
    del code
    gc.collect()
    assert not mapped(address)


def test_threads_may_compile_at_once() -> None:
    results: list[int] = []

    def work(number: int) -> None:
        text = LOOKUP.replace("i64 3,", f"i64 {number},")
        code = toolchain.load(toolchain.compile_text(text), outside())
        results.append(FUNCTION(code.address("program"))(0))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted(-i for i in range(8))


def test_code_that_lives_until_the_end_of_the_process() -> None:
    code = (
        "from funcgrad.kernels.runtime import toolchain as t\n"
        "kept = t.load(t.compile_text('define void @program() {\\n  ret void\\n}'), {})\n"
        "cycle = [kept]\n"
        "cycle.append(cycle)\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0
    assert run.stderr == ""

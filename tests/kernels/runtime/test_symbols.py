"""Names become addresses of C functions that generated code can call."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from scipy import special

from funcgrad.kernels.runtime import symbols, toolchain

GEMM = """
declare void @fg_{letter}gemm(i32, i32, i32, i32, i32, i32, {alpha}, ptr, i32, ptr, i32, {alpha},
                              ptr, i32)
define void @program(ptr %a, ptr %b, ptr %c, i32 %m, i32 %n, i32 %k, ptr %one, ptr %zero) {{
  {load}
  ; 101: rows first; 111: as it is; 112: transposed.
  call void @fg_{letter}gemm(i32 101, i32 111, i32 112, i32 %m, i32 %n, i32 %k, {alpha} {one},
                     ptr %a, i32 %k, ptr %b, i32 %k, {alpha} {zero}, ptr %c, i32 %n)
  ret void
}}
"""


def gemm_text(letter: str) -> str:
    if letter in "cz":
        return GEMM.format(letter=letter, alpha="ptr", load="", one="%one", zero="%zero")
    kind = "float" if letter == "s" else "double"
    load = f"%v = load {kind}, ptr %one\n  %w = load {kind}, ptr %zero"
    return GEMM.format(letter=letter, alpha=kind, load=load, one="%v", zero="%w")


@pytest.mark.parametrize(
    ("letter", "dtype"),
    [("s", np.float32), ("d", np.float64), ("c", np.complex64), ("z", np.complex128)],
)
def test_matrix_products_from_text(letter: str, dtype: Any) -> None:
    found = symbols.resolve([f"fg_{letter}gemm"])
    code = toolchain.load(toolchain.compile_text(gemm_text(letter)), found)
    pointer, number = ctypes.c_void_p, ctypes.c_int32
    kinds = [pointer] * 3 + [number] * 3 + [pointer] * 2
    program = ctypes.CFUNCTYPE(None, *kinds)(code.address("program"))
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5, 7)).astype(dtype)
    b = b[:4] * (1 + (1j if letter in "cz" else 0))
    c, one, zero = np.empty((5, 4), dtype), np.ones(1, dtype), np.zeros(1, dtype)
    b = np.ascontiguousarray(b, dtype)
    data = [x.ctypes.data for x in (a, b, c)]
    program(*data, 5, 4, 7, one.ctypes.data, zero.ctypes.data)
    np.testing.assert_allclose(c, a @ b.T, rtol=1e-5 if letter in "sc" else 1e-13)


def scalar(name: str, count: int) -> Any:
    kinds = [ctypes.c_double] * (count + 1)
    return ctypes.CFUNCTYPE(*kinds)(symbols.address(name))


def test_the_blas_has_one_thread() -> None:
    assert symbols.blas().scipy_openblas_get_num_threads() == 1


@pytest.mark.parametrize("name", ["fg_sgemv", "fg_dgemv", "fg_cgemv", "fg_zgemv", "fg_strsm"])
def test_other_routines(name: str) -> None:
    assert symbols.address(name)


def test_functions_of_the_c_library() -> None:
    assert scalar("pow", 2)(2.0, 10.0) == 1024.0
    assert scalar("fmod", 2)(7.0, 4.0) == 3.0
    assert {"memcpy", "memset", "memmove"} <= symbols.resolve().keys()


ONE = "gammaln psi i0e i1e ndtri erfinv erfcinv".split()
TWO = "gammainc gammaincc".split()


@pytest.mark.parametrize("name", [*ONE, *TWO, "betainc"])
def test_special_functions(name: str) -> None:
    count = 1 if name in ONE else 2 if name in TWO else 3
    function, reference = scalar(f"fg_special_{name}", count), getattr(special, name)
    for x in (0.05, 0.3, 0.7, 0.95, 1.0, 1.5, 3.25, 20.0, -0.5, np.nan):
        args = (x, 0.6, 0.4)[-count:] if count == 3 else (x, 1.75)[:count]
        np.testing.assert_allclose(function(*args), reference(*args), rtol=1e-13)


@pytest.mark.parametrize(
    "name", ["fg_special_nothing", "fg_special_hankel1", "fg_nothing", "no_such_function"]
)
def test_unknown_names(name: str) -> None:
    with pytest.raises(KeyError, match=name.removeprefix("fg_special_").removeprefix("fg_x")):
        symbols.address(name)


def test_a_missing_blas_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbols, "BLAS_PACKAGE", "no_such_package")
    symbols.blas.cache_clear()
    symbols._address.cache_clear()
    with pytest.raises(ImportError, match="no_such_package is not installed"):
        symbols.address("fg_sgemm")
    assert symbols.address("pow")
    symbols._address.cache_clear()


def test_libraries_are_loaded_when_they_are_named() -> None:
    code = (
        "import sys\n"
        "from funcgrad.kernels.runtime import symbols\n"
        "symbols.resolve(['pow'])\n"
        "assert 'scipy' not in sys.modules\n"
        "symbols.resolve(['fg_sgemm'])\n"
        "assert not {'scipy', 'scipy_openblas32'} & set(sys.modules)\n"
        "symbols.resolve(['fg_special_psi'])\n"
        "assert 'scipy' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)

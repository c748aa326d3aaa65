"""The special cases of elementwise functions, run eagerly and compiled."""

from __future__ import annotations

import importlib.util
import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp

_spec = importlib.util.spec_from_file_location("cases", Path(__file__).parent / "special_cases.py")
assert _spec is not None and _spec.loader is not None
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)

Case = tuple[tuple[float, ...], Any]

REAL: dict[str, list[Case]] = defaultdict(list)
for _name, _many, _words in cases.rows(cases.REAL):
    REAL[_name] += [(args, _words[0]) for args in _many]


def complex_cases() -> dict[str, list[Case]]:
    """Arguments (real, imaginary) and the words of both parts."""
    found: dict[str, list[Case]] = defaultdict(list)
    for name, many, words in cases.rows(cases.COMPLEX):
        found[name] += [(args, words) for args in many]
    return found


COMPLEX = complex_cases()


@pytest.fixture(autouse=True)
def wide() -> Iterator[None]:
    with fg.enable_x64(True):
        yield


def same(got: Any, want: Any) -> bool:
    """Equal to rounding, with equal signs of zeros."""
    if math.isnan(want) or math.isnan(got):
        return math.isnan(want) and math.isnan(got)
    if want == 0 or math.isinf(want):
        return got == want and math.copysign(1, got) == math.copysign(1, want)
    return math.isclose(got, want, rel_tol=1e-6)


def agrees(got: float, word: str, args: tuple[float, ...]) -> bool:
    """Whether a part is what its word allows."""
    if word == "~":
        return True
    if word.startswith("~"):
        return same(abs(got), cases.value(word[1:], args))
    return same(got, cases.value(word, args))


def results(function: Any, compiled: bool, columns: list[Any]) -> Any:
    """The values at all cases: three times over, so that the ends of vector loops see them too."""
    run = fg.jit(function) if compiled else function
    out = np.asarray(run(*(np.tile(c, 3) for c in columns)))
    first, second, third = np.split(out, 3)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, third)
    return first


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", list(REAL))
def test_real(name: str, dtype: str, compiled: bool) -> None:
    many = REAL[name]
    columns = [np.array(c, dtype) for c in zip(*(args for args, _ in many), strict=True)]
    got = results(getattr(fnp, name), compiled, columns)
    found = zip(many, got.tolist(), strict=True)
    assert not [(args, g, word) for (args, word), g in found if not agrees(g, word, args)]


def faults(many: list[Case], got: Any) -> list[Any]:
    wrong = []
    for (args, words), g in zip(many, got, strict=True):
        parts = (float(g.real), float(g.imag))
        if words[0] == "cis":
            size = cases.value(words[1], args)
            words = [str(size * t) for t in (math.cos(args[1]), math.sin(args[1]))]
        if not all(agrees(p, w, args) for p, w in zip(parts, words, strict=True)):
            wrong.append((args, parts, words))
    return wrong


def paired(many: list[Case], dtype: str, sign: float = 1.0) -> Any:
    """The arguments as complex numbers, with imaginary parts of a sign."""
    out = np.empty(len(many), dtype)
    out.real = [args[0] for args, _ in many]
    out.imag = [math.copysign(args[1], sign) if sign < 0 else args[1] for args, _ in many]
    return out


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", list(COMPLEX))
def test_complex(name: str, dtype: str, compiled: bool) -> None:
    many = COMPLEX[name]
    got = results(getattr(fnp, name), compiled, [paired(many, dtype)])
    assert not faults(many, got)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", [n for n in COMPLEX if n not in ("abs", "sign") and n[:2] != "is"])
def test_complex_of_the_lower_half_plane(name: str, dtype: str, compiled: bool) -> None:
    many = COMPLEX[name]
    got = results(getattr(fnp, name), compiled, [paired(many, dtype, -1.0)])
    assert not faults(many, np.conj(got))


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", list(cases.ROTATED))
def test_complex_by_turning(name: str, dtype: str, compiled: bool) -> None:
    many = COMPLEX[cases.ROTATED[name]]
    z = paired(many, dtype)
    turned = np.empty_like(z)  # -i z, so that i times it is z
    turned.real, turned.imag = z.imag, -z.real
    got = results(getattr(fnp, name), compiled, [turned])
    if name != "cos":
        back = np.empty_like(got)  # i times the result
        back.real, back.imag = -got.imag, got.real
        got = back
    assert not faults(many, got)

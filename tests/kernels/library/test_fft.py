"""Fourier transforms in compiled programs: what defines them, how exact, who gets no kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.config import config, enable_x64
from funcgrad.kernels import warm
from funcgrad.kernels.library import fft, fft_sizes, fft_tables
from funcgrad.kernels.library.fft_tables import Part, Table
from funcgrad.kernels.runtime import toolchain
from funcgrad.primitives.fourier import FftType, fft_p

from .harness import Program

PARTS = {"float32": ("complex64", np.float32), "float64": ("complex128", np.float64)}
# Of every radix, of odd loops, primes that are convolutions, a power of each, and two-stage ones.
LENGTHS = [
    *range(1, 18),
    20,
    25,
    27,
    31,
    49,
    60,
    61,
    64,
    67,
    81,
    100,
    127,
    128,
    210,
    256,
    509,
    1000,
]
LONG = [1021, 2047, 2048, 3000, 4096, 4099, 10_000, 10_007]


def signal(shape: Any, dtype: str, seed: int = 0) -> np.ndarray:
    """Complex numbers of a dtype of parts."""
    x = np.random.default_rng(seed).normal(size=(2, *shape))
    return (x[0] + 1j * x[1]).astype(PARTS[dtype][0])


def reference(kind: str, x: np.ndarray, lengths: Any) -> np.ndarray:
    """In float64, by NumPy, whose transforms are exact to some 1e-16."""
    axes = range(-len(lengths), 0)
    with np.errstate(all="raise"):
        wide = x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)
        return getattr(np.fft, f"{kind.lower()}n")(wide, lengths, axes)


def operand(kind: str, batch: Any, lengths: Any, dtype: str) -> np.ndarray:
    stored = (*lengths[:-1], lengths[-1] // 2 + 1)
    x = signal((*batch, *(stored if kind == "IRFFT" else lengths)), dtype, sum(lengths))
    return x.real.copy() if kind == "RFFT" else x


def error(got: np.ndarray, want: np.ndarray) -> float:
    """In the norm, in units of the last place."""
    eps = np.finfo(got.dtype).eps
    size = max(float(np.linalg.norm(want)), np.finfo(np.float32).tiny)
    return float(np.linalg.norm(got.astype(want.dtype) - want)) / size / float(eps)


def transformed(kind: str, x: np.ndarray, lengths: Any, target: Any = None) -> np.ndarray:
    """By the kernel alone, between canaries."""
    dtype = x.real.dtype.name
    machine = target or toolchain.machine()
    kernel = fft.build(fft.FftSpec(dtype, kind, x.shape, tuple(lengths)), machine)
    assert kernel is not None
    want = reference(kind, x, lengths)
    made = PARTS[dtype][1] if kind == "IRFFT" else x.real.dtype
    floats = (*want.shape, 2) if np.iscomplexobj(want) else want.shape
    flat = x.view(x.real.dtype) if np.iscomplexobj(x) else x
    out = Program(kernel, target)([flat], floats, made)
    return out.view(PARTS[dtype][0])[..., 0] if np.iscomplexobj(want) else out


KINDS = ("FFT", "IFFT", "RFFT", "IRFFT")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", PARTS)
def test_every_length_is_as_exact_as_its_dtype(kind: str, dtype: str) -> None:
    for n in LENGTHS:
        x = operand(kind, (n % 11 + 1,), (n,), dtype)
        found = error(transformed(kind, x, (n,)), reference(kind, x, (n,)))
        assert found < 1 + np.log2(n + 1), (n, found)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [1, 3, 17])
def test_long_lines(kind: str, rows: int) -> None:
    for k, n in enumerate(LONG):
        x = operand(kind, (rows,), (n,), ("float32", "float64")[k % 2])
        found = error(transformed(kind, x, (n,)), reference(kind, x, (n,)))
        assert found < 1 + np.log2(n + 1), (n, found)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.sampled_from(list(PARTS)),
    st.lists(st.integers(1, 3), max_size=2),
    st.lists(st.integers(1, 23), min_size=2, max_size=3),
)
def test_several_axes(kind: str, dtype: str, batch: Any, lengths: Any) -> None:
    x = operand(kind, batch, lengths, dtype)
    found = error(transformed(kind, x, lengths), reference(kind, x, lengths))
    assert found < 3 + np.log2(np.prod(lengths))


@pytest.mark.parametrize("bits", [128, 256, 512])
def test_vectors_of_other_widths(bits: int) -> None:
    # LLVM makes several vectors of one that is too wide.
    machine = toolchain.machine()._replace(vector_bits=bits)
    for k, (n, rows) in enumerate(
        ((30, 5), (64, 1), (67, 2), (96, 11), (176, 3), (512, 5), (1000, 3))
    ):
        for kind in KINDS:
            x = operand(kind, (rows,), (n,), ("float32", "float64")[k % 2])
            found = error(transformed(kind, x, (n,), machine), reference(kind, x, (n,)))
            assert found < 8
    for lengths in ((64, 17), (40, 16), (15, 33), (11, 6)):
        x = operand("IFFT", (2,), lengths, "float32")
        assert error(transformed("IFFT", x, lengths, machine), reference("IFFT", x, lengths)) < 8


@pytest.mark.parametrize("kind", KINDS)
def test_lines_within_lanes(kind: str) -> None:
    """Of each power of two, times what has passes of its own or none; rows that fill no vector."""
    found = set[int]()
    for dtype, lanes in (("float32", 16), ("float64", 8)):
        for n in (8, 24, 30, 44, 48, 104, 120, 190, 192, 448, 1016, 1536, 2200):
            found.add(fft_sizes.lanes_of_line(n, lanes))
            x = operand(kind, (n % 11 + 1,), (n,), dtype)
            found_error = error(transformed(kind, x, (n,)), reference(kind, x, (n,)))
            assert found_error < 1 + np.log2(n), n
    assert found == {2, 4, 8}


def test_who_does_not_lie_within_lanes() -> None:
    for n in (1, 2, 3, 15, 127, 2 * 1009):
        assert fft_sizes.lanes_of_line(n, 16) == 1
    # At least as many places as lanes, for these are squares.
    assert fft_sizes.lanes_of_line(16, 16) == 4


def test_columns_that_do_not_fit_in_the_memory_of_a_call() -> None:
    x = signal((2, 6000, 3), "float32")
    found = error(transformed("FFT", x, (6000, 3)), reference("FFT", x, (6000, 3)))
    assert found < 14


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", PARTS)
def test_columns_with_a_long_prime_factor(kind: str, dtype: str) -> None:
    for lengths in ((4099, 3), (2 * 2053, 2), (3, 4099, 5)):
        x = operand(kind, (2,), lengths, dtype)
        found = error(transformed(kind, x, lengths), reference(kind, x, lengths))
        assert found < 3 + np.log2(np.prod(lengths)), lengths


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [(8,), (9,), (1,), (4096, 3), (6007,), (2 * 6007,), (5, 6)])
def test_a_factor_is_part_of_the_last_pass(kind: str, lengths: Any) -> None:
    x = operand(kind, (2,), lengths, "float32")
    want = 0.3 * reference(kind, x, lengths)
    params = {"fft_type": FftType[kind], "fft_lengths": lengths}
    lowered = fg.jit(lambda x: fft_p.bind(x, scale=0.3, **params))
    assert error(np.asarray(lowered(x)), want) < 3 + np.log2(np.prod(lengths))
    text = str(lowered.lower(x).explain())
    assert "0 kernels, 1 library call, 0 call-outs" in text


@pytest.mark.parametrize("norm", ["ortho", "forward"])
def test_normalisations_need_no_kernel(norm: str) -> None:
    x = signal((4, 10), "float32")
    text = programs_text(lambda x: fnp.fft.fft2(x, norm=norm), x)
    assert "0 kernels, 1 library call, 0 call-outs" in text
    gradient = fg.grad(lambda x: fnp.fft.rfft(x, norm=norm).real.sum())(x.real)
    weight = np.ones((4, 6)) / np.array([1, 2, 2, 2, 2, 1])
    want = np.fft.irfft(weight) * (10 / np.sqrt(10) if norm == "ortho" else 1)
    np.testing.assert_allclose(gradient, want, atol=1e-5)


def test_who_gets_no_kernel() -> None:
    machine = toolchain.machine()
    for dtype, kind, shape, lengths in (
        ("float32", "FFT", (0, 4), (4,)),
        ("float32", "IRFFT", (5,), (4,)),  # `lax.fft` cuts or fills what it is given
        ("float16", "FFT", (4,), (4,)),
    ):
        assert fft.build(fft.FftSpec(dtype, kind, shape, lengths), machine) is None
    for count in (2, 5):
        x = signal((count,), "float32")
        jitted = fg.jit(lambda x: lax.fft(x, "irfft", (4,)))
        np.testing.assert_allclose(jitted(x), np.fft.irfft(x, 4), atol=1e-6)
        assert "called out: nothing" in str(jitted.lower(x).explain())


def test_roots_of_unity_are_rounded_once() -> None:
    for n in (1, 2, 3, 7, 8, 12, 100, 1021, 4096):
        count = np.arange(3 * n)
        angle = -2 * np.pi * (count % n).astype(np.longdouble) / n
        got = fft_tables.roots(count, n)
        if np.finfo(np.longdouble).eps < np.finfo(np.float64).eps:
            pi = np.longdouble("3.14159265358979323846264338327950288")
            angle = -2 * pi * (count % n) / n
            np.testing.assert_allclose(got.real, np.cos(angle), rtol=0, atol=1.2e-16)
            np.testing.assert_allclose(got.imag, np.sin(angle), rtol=0, atol=1.2e-16)
    np.testing.assert_array_equal(fft_tables.roots(np.arange(4), 4), [1, -1j, -1, 1j])


def test_a_table_is_one_array_and_made_from_its_recipe() -> None:
    table = Table("float32", (Part("chirp", (7,)), Part("grid", (3, 4, 8))))
    values = table.values()
    assert Table(*table).values() is values
    recipe = fft_tables.recipe_of(values)
    assert recipe is not None
    assert fft_tables.from_recipe(recipe) is values
    assert fft_tables.recipe_of(values.copy()) is None
    for part in (
        *table.parts,
        Part("twiddles", (5, 6)),
        Part("odd", (11,)),
        Part("spectrum", (5, 12)),
        Part("plane", (3, 5)),
        Part("halves", (14,)),
        Part("within", (4, 7)),
    ):
        assert fft_tables.size_of(part) == fft_tables.part_values(part).size


def test_passes_make_up_the_length() -> None:
    for n in range(1, 700):
        steps = fft_sizes.steps_of(n)
        assert np.prod([1, *steps.radices]) == steps.size
        assert steps.size == n or steps.size >= 2 * n - 1


# In programs.


def programs_text(function: Any, *args: Any) -> str:
    return str(fg.jit(function).lower(*args).explain())


@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
def test_programs_call_nobody_out(norm: Any) -> None:
    x = signal((4, 6, 10), "float32")

    def function(x: Any) -> Any:
        there = fnp.fft.fftn(x, norm=norm)
        return fnp.fft.ifft(fnp.fft.rfft(there.real, axis=1), axis=0, norm=norm)

    want = np.fft.ifft(np.fft.rfft(np.fft.fftn(x, norm=norm).real, axis=1), axis=0, norm=norm)
    assert error(np.asarray(fg.jit(function)(x)), want) < 10
    assert "called out: nothing" in programs_text(function, x)


def test_the_result_is_the_same_for_any_number_of_threads() -> None:
    before = config.num_threads
    x, found = signal((64, 1000), "float32"), []
    long = x.reshape(-1)
    function = fg.jit(
        lambda x, y: (fnp.fft.fft2(x), fnp.fft.rfft(y.real), fnp.fft.fft(y), fnp.fft.rfft(x.real))
    )
    try:
        for threads in (1, 2, 3, 4):
            config.update("num_threads", threads)
            found.append([np.asarray(y) for y in function(x, long)])
    finally:
        config.update("num_threads", before)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_transforms_of_transforms() -> None:
    with enable_x64():
        x = np.random.default_rng(0).normal(size=(3, 4, 12))

        def power(x: Any) -> Any:
            return (fnp.abs(fnp.fft.rfft2(x)) ** 2).sum()

        # Parseval: the full spectrum has 48 times the energy, the half of it a weight of its own.
        eager = np.asarray(fg.grad(power)(x))
        np.testing.assert_allclose(fg.jit(fg.grad(power))(x), eager, rtol=1e-12)
        each = fg.jit(fg.vmap(lambda m: fnp.fft.ifft(m, axis=0), in_axes=1, out_axes=1))(x)
        np.testing.assert_allclose(each, np.fft.ifft(x, axis=0), rtol=1e-12)

        def turn(c: Any, row: Any) -> Any:
            return fnp.fft.ifft(fnp.fft.fft(c) * fnp.fft.fft(row)), fnp.fft.rfft(row)

        start = signal((4, 12), "float64")
        last, rows = fg.jit(lambda s, x: lax.scan(turn, s, x))(start, x)
        want = start
        for row in x:
            want = np.fft.ifft(np.fft.fft(want) * np.fft.fft(row))
        np.testing.assert_allclose(last, want, rtol=1e-10)
        np.testing.assert_allclose(rows, np.fft.rfft(x), rtol=1e-10, atol=1e-12)


def test_special_values_reach_their_own_line_alone() -> None:
    for n in (20, 21, 48, 64):
        x = signal((11, n), "float32")
        x[3, 5], x[9, 0] = np.nan, np.inf
        got = np.asarray(fg.jit(fnp.fft.fft)(x))
        with np.errstate(all="ignore"):
            want = np.fft.fft(x)
        whole = [k for k in range(11) if k not in (3, 9)]
        np.testing.assert_allclose(got[whole], want[whole], atol=3e-5)
        assert not np.isfinite(got[[3, 9]]).any()


def test_stored_programs_make_their_tables_anew(tmp_path: Any) -> None:
    table = Table("float32", (Part("chirp", (9,)),))
    described = warm._described([table.values()], [])
    assert described is not None
    assert warm._restored(described[0], []) is table.values()

"""Sorting kernels against the NumPy rule, bit by bit, over dtypes, shapes, axes and keys."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.ir import dtypes
from funcgrad.kernels.library import sort, sort_buckets, sort_parts, sort_registers
from funcgrad.kernels.library.sort_plan import SortSpec
from funcgrad.kernels.runtime import toolchain
from funcgrad.primitives.sorting import sort_p

from .harness import Program

DTYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 float64"
KINDS = [np.dtype(getattr(dtypes, name, name)) for name in DTYPES.split()]


def values(rng: np.random.Generator, shape: Any, dtype: Any) -> np.ndarray:
    """All kinds of numbers, or few different ones; floats with NaN, inf and both zeros."""
    few = rng.random() < 0.5
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        low, high = (max(info.min, -2), 3) if few else (info.min, info.max)
        return rng.integers(low, high, shape, dtype, endpoint=True)
    x = (rng.normal(size=shape) * 10.0 ** rng.integers(-3, 4)).astype(dtype)
    special = [0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf]
    which = rng.integers(0, len(special) if few else 60, shape)
    for k, value in enumerate(special):
        x[which == k] = value
    return x


def bits(x: np.ndarray, nans_alike: bool) -> np.ndarray:
    """The bits of an array, of NaNs the same ones if asked for."""
    x = np.array(x)
    if nans_alike and x.dtype.kind not in "biu":
        x[np.isnan(x)] = np.nan
    return x.view(f"u{x.itemsize}")


def same(found: Any, wanted: Any) -> None:
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype
        # NumPy's sort of one operand gives NaNs of its own.
        alike = len(wanted) == 1
        np.testing.assert_array_equal(bits(a, alike), bits(b, alike))


def check(operands: list[np.ndarray], axis: int, keys: int) -> None:
    kinds, shape = tuple(x.dtype for x in operands), operands[0].shape
    kernel = sort.build(SortSpec(kinds, shape, axis, keys), toolchain.machine())
    assert kernel is not None
    found = Program(kernel).several(operands, [(shape, d) for d in kinds])
    same(found, sort_p.impl(*operands, dimension=axis, is_stable=True, num_keys=keys))


@st.composite
def sorts(draw: st.DrawFn) -> tuple[list[np.ndarray], int, int]:
    rank = draw(st.integers(1, 3))
    longest = (400, 40, 9)[rank - 1]
    shape = tuple(draw(st.integers(1, longest)) for _ in range(rank))
    count = draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 20)))
    operands = [values(rng, shape, draw(st.sampled_from(KINDS))) for _ in range(count)]
    return operands, draw(st.integers(0, rank - 1)), draw(st.integers(1, count))


@settings(max_examples=60, deadline=None)
@given(sorts())
def test_random_sorts(case: Any) -> None:
    check(*case)


@pytest.mark.parametrize("long", [False, True])
@settings(max_examples=20, deadline=None)
@given(case=sorts())
def test_random_sorts_by_digits(long: bool, case: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sort, "is_short", lambda rows: False)
        patch.setattr(sort, "is_long", lambda rows: long)
        patch.setattr(sort, "by_splits", lambda *_: False)
        patch.setattr(sort_parts, "PART", 7)
        check(*case)


wide = pytest.mark.skipif(
    toolchain.machine().vector_bits != 512,
    reason="splits need AVX-512, where lanes that are chosen are moved together",
)
# One operand; three, of which places are sorted; two, of which the second may be places.
SPLIT_KINDS = [("int32",), ("float32",), ("uint64",), ("float64",), ("float32", "int64", "int8")]
SPLIT_KINDS += [("float32", "int32"), ("int32", "uint8"), ("uint32", "float16")]
PATTERNS = {
    "random": lambda rng, n: rng.integers(0, 1 << 30, n),
    "few values": lambda rng, n: rng.integers(0, 5, n),
    "one value": lambda rng, n: np.full(n, 7),
    "mostly one value": lambda rng, n: np.where(rng.random(n) < 0.9, 3, rng.integers(0, 9, n)),
    "ascending": lambda rng, n: np.arange(n),
    "descending": lambda rng, n: np.arange(n)[::-1],
    "up and down": lambda rng, n: np.minimum(np.arange(n), np.arange(n)[::-1]),
    "steps": lambda rng, n: np.arange(n) * 7 % 64,
    "powers": lambda rng, n: 1 << (np.arange(n) % 31),
}


@wide
@pytest.mark.parametrize("looks", [0, 1, 60])
@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("kinds", SPLIT_KINDS, ids=str)
def test_sorts_by_splits(
    kinds: Any, long: bool, looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With elements looked at never (parts are halved by value), once, and as often as needed."""
    monkeypatch.setattr(sort, "is_short", lambda rows: False)
    monkeypatch.setattr(sort, "is_long", lambda rows: long)
    monkeypatch.setattr(sort_buckets, "BLOCK", 1 << 11)
    monkeypatch.setattr(sort_buckets, "looks_of", lambda length: looks)
    dtypes_ = tuple(np.dtype(k) for k in kinds)
    for n in (5_003, 1024, 97):
        spec = SortSpec(dtypes_, (2, n), 1, 1)
        assert "sort_splits" in split_functions(spec) or long
        kernel = sort.build(spec, toolchain.machine())
        assert kernel is not None
        program = Program(kernel)
        rng = np.random.default_rng(n)
        for pattern in PATTERNS.values():
            keys = np.stack([pattern(rng, n), pattern(rng, n)]).astype(dtypes_[0])
            others = [values(rng, keys.shape, d) for d in dtypes_[1:]]
            places = np.broadcast_to(np.arange(n), keys.shape).astype(dtypes_[-1])
            for x, last in ((keys, others[-1:]), (values(rng, keys.shape, dtypes_[0]), [places])):
                operands = [x, *others[:-1], *last][: len(kinds)]
                found = program.several(operands, [((2, n), d) for d in dtypes_])
                same(found, sort_p.impl(*operands, dimension=1, is_stable=True, num_keys=1))


def split_functions(spec: SortSpec) -> list[str]:
    kernel = sort.build(spec, toolchain.machine())
    assert kernel is not None
    return [*kernel.functions]


@wide
@pytest.mark.parametrize("bits_", [32, 64])
def test_registers_sort_every_number_of_elements(bits_: int) -> None:
    name, width = sort_registers.leaf_name(bits_, 512), 512 // bits_
    text, declared = sort_registers.leaf_text(bits_, 512)
    code = toolchain.load(toolchain.compile_text("\n".join([*declared, text])), {}, [name])
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    function = kind(code.address(name))
    rng = np.random.default_rng(0)
    for count in range(sort_registers.leaf_size(bits_, 512) + 1):
        x = rng.integers(0, rng.choice([3, 1 << bits_ - 1]), count + width, f"u{bits_ // 8}")
        x[rng.random(len(x)) < 0.1] = -1 & ((1 << bits_) - 1)
        out = x.copy()
        function(x.ctypes.data, out.ctypes.data, count)
        np.testing.assert_array_equal(out, [*np.sort(x[:count]), *x[count:]])
        function(x.ctypes.data, x.ctypes.data, count)
        np.testing.assert_array_equal(out, x)


@pytest.mark.parametrize("dtype", KINDS, ids=str)
@pytest.mark.parametrize("shape", [(3, 97), (97, 3), (61, 33), (1, 1), (130, 64)], ids=str)
def test_short_rows_of_one_operand(dtype: Any, shape: Any) -> None:
    rng = np.random.default_rng(6)
    for axis in (0, 1):
        check([values(rng, shape, dtype)], axis, 1)


@pytest.mark.parametrize("dtype", KINDS, ids=str)
@pytest.mark.parametrize("others", [(), ("int32",), ("float64",)], ids=str)
def test_long_rows(dtype: Any, others: Any) -> None:
    rng = np.random.default_rng(5)
    x = values(rng, (2, 33_001), dtype)
    check([x, *(values(rng, x.shape, np.dtype(d)) for d in others)], 1, 1)


@pytest.mark.parametrize("length", [*range(1, 20), 31, 32, 33, 63, 64, 65, 129, 255, 1000, 2049])
def test_every_length(length: int) -> None:
    rng = np.random.default_rng(length)
    places = np.broadcast_to(np.arange(length, dtype=np.int32), (3, length)).copy()
    check([values(rng, (3, length), np.dtype(np.float32))], 1, 1)
    check([values(rng, (length, 3), np.dtype(np.int64))], 0, 1)
    check([values(rng, (3, length), np.dtype(np.float32)), places], 1, 1)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("count", [50, 5_000, 70_000])
def test_sorted_and_constant_rows(count: int, order: int) -> None:
    x = np.arange(count, dtype=np.float32)[::order].copy()
    check([x], 0, 1)
    check([x * 0], 0, 1)
    check([np.where(x % 2 == 0, x * 0, -x * 0), np.arange(count)], 0, 1)


def test_what_is_left_to_numpy() -> None:
    machine = toolchain.machine()
    for kinds, shape in (
        (("complex64",), (4,)),
        (("float32", "complex64"), (4,)),
        (("float32",), (0,)),
        (("float32",), (3, 0)),
    ):
        spec = SortSpec(tuple(map(np.dtype, kinds)), shape, 0, 1)
        assert sort.build(spec, machine) is None


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_programs_give_the_same_bits_on_any_number_of_threads(threads: int) -> None:
    rng = np.random.default_rng(7)
    long = values(rng, (150_000,), np.dtype(np.float32))
    many = values(rng, (300, 200), np.dtype(np.float32))

    @fg.jit
    def program(x: Any, y: Any) -> Any:
        return fnp.sort(x), fnp.argsort(x), fnp.sort(y, 0), fnp.argsort(y, 1, descending=True)

    before = fg.config.num_threads
    fg.config.update("num_threads", threads)
    try:
        found = [np.asarray(a) for a in program(long, many)]
    finally:
        fg.config.update("num_threads", before)
    assert program.lower(long, many).stages.llvm.count("call i32 %") == 0
    wanted = [
        np.sort(long),
        np.argsort(long, kind="stable").astype(np.int32),
        np.sort(many, 0),
        199 - np.argsort(many[:, ::-1], 1, kind="stable")[:, ::-1].astype(np.int32),
    ]
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_derivatives_of_compiled_sorts() -> None:
    x = np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32)
    weights = np.arange(40, dtype=np.float32)
    gradient = fg.jit(fg.grad(lambda x: (fnp.sort(x, 1) * weights).sum()))(x)
    np.testing.assert_array_equal(np.asarray(gradient), np.argsort(np.argsort(x, 1), 1))


def test_scalars_are_refused() -> None:
    with pytest.raises(ValueError, match="axis"):
        fg.jit(lambda x: lax.sort(x))(np.float32(1))

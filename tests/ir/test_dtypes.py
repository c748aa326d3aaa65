"""Dtypes: canonical forms, hierarchy, and promotion, the latter against JAX where it is there."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from funcgrad.ir import dtypes
from funcgrad.ir.narrow import is_narrow

BY_NAME = {dt.name: dt for dt in sorted(dtypes.supported_dtypes, key=lambda dt: dt.name)}
# Of these JAX takes quotients as of integers, of wider ones as of floats.
SHORTEST = ("int1", "int2", "uint1", "uint2")
NARROW = [dt for dt in BY_NAME.values() if dt not in map(np.dtype, ("i8", "u8", "f8", "c16"))]
# JAX has the names, but makes no arrays of them.
UNKNOWN_TO_XLA = ("int1", "uint1", "float6_e2m3fn", "float6_e3m2fn")
SCALARS = [True, 1, 2.0, 3j]


def configure(monkeypatch: pytest.MonkeyPatch, x64: bool = False, mode: str = "standard") -> None:
    settings = SimpleNamespace(enable_x64=x64, numpy_dtype_promotion=mode)
    monkeypatch.setattr(dtypes, "config", settings)


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch)


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch, narrow: None) -> None:
    configure(monkeypatch, x64=True)


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch, narrow: None) -> None:
    configure(monkeypatch, mode="strict")


def outcome(function: Any, *args: Any, **kwargs: Any) -> Any:
    """What a call returns, or the name of the class of what it raises."""
    try:
        return function(*args, **kwargs)
    except ValueError as error:
        return type(error).__name__


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("mode", ["standard", "strict"])
def test_result_type_agrees_with_jax(monkeypatch: pytest.MonkeyPatch, x64: bool, mode: str) -> None:
    jax = pytest.importorskip("jax")
    configure(monkeypatch, x64, mode)
    operands = [*(BY_NAME.values() if x64 else NARROW), *SCALARS, int, float, complex, None]
    with jax.enable_x64(x64), jax.numpy_dtype_promotion(mode):
        for args in (
            *((a,) for a in operands),
            *itertools.product(operands, repeat=2),
            *itertools.combinations(operands[::2], 3),
        ):
            ours = outcome(dtypes.result_type, *args, return_weak_type_flag=True)
            theirs = outcome(jax.dtypes.result_type, *args, return_weak_type_flag=True)
            assert ours == theirs, args


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("mode", ["standard", "strict"])
def test_weak_values_promote_as_in_jax(
    monkeypatch: pytest.MonkeyPatch, x64: bool, mode: str
) -> None:
    jax = pytest.importorskip("jax")
    configure(monkeypatch, x64, mode)
    pool = [
        SimpleNamespace(dtype=dt, weak_type=weak, shape=())
        for dt in (BY_NAME.values() if x64 else NARROW)
        for weak in (False, True)
        # JAX has no weak values of narrow dtypes.
        if not (weak and (dt == np.bool_ or is_narrow(dt))) and dt.name not in UNKNOWN_TO_XLA
    ]
    with jax.enable_x64(x64), jax.numpy_dtype_promotion(mode):
        convert = jax._src.lax.lax._convert_element_type
        arrays = [convert(np.zeros((), x.dtype), x.dtype, x.weak_type) for x in pool]
        for (x, ax), (y, ay) in itertools.product(zip(pool, arrays, strict=True), repeat=2):
            ours = outcome(dtypes.result_type, x, y, return_weak_type_flag=True)
            theirs = outcome(jax.dtypes.result_type, ax, ay, return_weak_type_flag=True)
            assert ours == theirs, (x, y)


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("mode", ["standard", "strict"])
def test_promote_types_agrees_with_jax(
    monkeypatch: pytest.MonkeyPatch, x64: bool, mode: str
) -> None:
    jax = pytest.importorskip("jax")
    configure(monkeypatch, x64, mode)
    with jax.enable_x64(x64), jax.numpy_dtype_promotion(mode):
        for a, b in itertools.product([*BY_NAME.values(), int, float, complex], repeat=2):
            ours = outcome(dtypes.promote_types, a, b)
            assert ours == outcome(jax.numpy.promote_types, a, b), (a, b)


def test_issubdtype_and_neighbours_agree_with_jax() -> None:
    jax = pytest.importorskip("jax")
    theirs = jax._src.dtypes
    abstract = [
        np.generic, np.number, np.integer, np.signedinteger, np.unsignedinteger,
        np.inexact, np.floating, np.complexfloating, np.bool_,
    ]  # fmt: skip
    for a in (*BY_NAME.values(), int, float, "float32", None):
        for b in (*abstract, *BY_NAME.values(), float, "int32"):
            assert dtypes.issubdtype(a, b) == theirs.issubdtype(a, b), (a, b)
    for name in (
        "to_numeric_dtype", "to_inexact_dtype", "to_floating_dtype", "to_complex_dtype",
        "canonicalize_dtype", "scalar_type_of", "itemsize_bits",
    ):  # fmt: skip
        for dt in NARROW:
            if name in ("to_inexact_dtype", "to_floating_dtype") and dt.name in SHORTEST:
                continue  # JAX divides these, other than int4, as integers.
            assert getattr(dtypes, name)(dt) == getattr(theirs, name)(dt), (name, dt)


def test_promotion_is_a_commutative_associative_join() -> None:
    total = [dt for dt in NARROW if not is_narrow(dt)]
    for a, b, c in itertools.product(total, repeat=3):
        join = dtypes.promote_types
        assert join(a, b) == join(b, a)
        assert join(join(a, b), c) == join(a, join(b, c))


@pytest.mark.parametrize(
    ("asked", "short", "long"),
    [
        (bool, "bool", "bool"),
        (int, "int32", "int64"),
        (float, "float32", "float64"),
        (complex, "complex64", "complex128"),
        ("uint64", "uint32", "uint64"),
        (dtypes.bfloat16, "bfloat16", "bfloat16"),
        (np.float16, "float16", "float16"),
    ],
)
def test_canonical_dtype_depends_on_x64(
    monkeypatch: pytest.MonkeyPatch, asked: Any, short: str, long: str
) -> None:
    assert dtypes.canonicalize_dtype(asked) == np.dtype(short)
    configure(monkeypatch, x64=True)
    assert dtypes.canonicalize_dtype(asked) == np.dtype(long)


@pytest.mark.parametrize("asked", ["O", "S3", "U2", "M8[s]", "longdouble", [("a", "i4")]])
def test_unsupported_dtype_is_refused_with_a_remedy(asked: Any) -> None:
    with pytest.raises(TypeError, match=r"not supported\. Convert the value with \.astype"):
        dtypes.canonicalize_dtype(np.dtype(asked))


def test_byte_order_is_turned_in_values_and_refused_in_requests() -> None:
    assert dtypes.canonicalize_dtype(np.dtype(">f8")) == np.float32
    with pytest.raises(TypeError, match="dtype >f4 is not supported"):
        dtypes.check_user_dtype_supported(">f4", "zeros")


def test_supported_dtypes_are_these() -> None:
    assert list(BY_NAME) == [
        "bfloat16", "bool", "complex128", "complex64", "float16", "float32",
        "float4_e2m1fn", "float64", "float6_e2m3fn", "float6_e3m2fn",
        "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz",
        "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu",
        "int1", "int16", "int2", "int32", "int4", "int64", "int8",
        "uint1", "uint16", "uint2", "uint32", "uint4", "uint64", "uint8",
    ]  # fmt: skip


def test_what_is_no_dtype_is_refused() -> None:
    with pytest.raises(TypeError, match="'flaot32' is not a dtype"):
        dtypes.canonicalize_dtype("flaot32")


def test_asking_for_64_bits_with_x64_off_warns() -> None:
    with pytest.warns(UserWarning, match="dtype float64 asked for in zeros .* float32 is used"):
        assert dtypes.check_user_dtype_supported("float64", "zeros") == np.float32
    with pytest.warns(UserWarning, match="enable_x64"):
        assert dtypes.dtype(np.int64) == np.int32
    assert dtypes.check_user_dtype_supported(float, "zeros") == np.float32


def test_asking_for_64_bits_with_x64_on_is_silent(wide: None) -> None:
    assert dtypes.check_user_dtype_supported("float64", "zeros") == np.float64
    assert dtypes.dtype(np.int64) == np.int64


@pytest.mark.parametrize("asked", [None, np.zeros(3)])
def test_a_value_is_no_dtype(asked: Any) -> None:
    with pytest.raises(ValueError, match="A dtype is needed in zeros"):
        dtypes.check_user_dtype_supported(asked, "zeros")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, "bool"), (1, "int32"), (1.5, "float32"), (1j, "complex64"), (np.zeros(2), "float32"),
     (np.float64(1), "float32"), (np.int8(1), "int8"), ("uint8", "uint8")],
)  # fmt: skip
def test_dtype_of_a_value(value: Any, expected: str) -> None:
    assert dtypes.dtype(value) == np.dtype(expected)


def test_a_traced_value_keeps_its_dtype() -> None:
    value = SimpleNamespace(dtype=np.dtype("f8"), weak_type=False)
    assert dtypes.dtype(value) == np.float64


@pytest.mark.parametrize("value", [[1, 2], object(), {"a": 1}])
def test_dtype_of_other_values_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=r"has no dtype: .* numpy\.asarray"):
        dtypes.dtype(value)


def test_dtype_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="None has no dtype"):
        dtypes.dtype(None)


def test_weakness_of_values() -> None:
    assert [dtypes.is_weakly_typed(x) for x in SCALARS] == [False, True, True, True]
    assert not dtypes.is_weakly_typed(np.float32(1)) and not dtypes.is_weakly_typed(np.zeros(2))
    assert dtypes.is_weakly_typed(SimpleNamespace(weak_type=True))


def test_key_dtype_lies_below_its_abstract_types() -> None:
    key = dtypes.key_dtype
    assert dtypes.issubdtype(key, dtypes.prng_key) and dtypes.issubdtype(key, dtypes.extended)
    assert not dtypes.issubdtype(np.float32, dtypes.prng_key)
    assert not dtypes.issubdtype(key, np.number)
    assert dtypes.is_key_dtype(np.stack([np.zeros(3, key)] * 2).dtype)
    assert dtypes.canonicalize_dtype(key, allow_extended_dtype=True) is key
    with pytest.raises(ValueError, match="key_data"):
        dtypes.canonicalize_dtype(key)


def test_a_plain_struct_of_two_words_is_no_key() -> None:
    plain = np.dtype([("hi", np.uint32), ("lo", np.uint32)])
    assert dtypes.canonicalize_dtype(dtypes.key_dtype, True) is dtypes.key_dtype
    assert not dtypes.issubdtype(plain, dtypes.prng_key)
    with pytest.raises(TypeError, match="not supported"):
        dtypes.canonicalize_dtype(plain, True)


def test_keys_promote_only_with_keys() -> None:
    key = dtypes.key_dtype
    assert dtypes.is_key_dtype(dtypes.result_type(key, key))
    with pytest.raises(dtypes.TypePromotionError, match="key<fry> does not promote"):
        dtypes.result_type(key, np.float32)


def test_strict_mode_names_the_operands_and_the_remedy(strict: None) -> None:
    assert dtypes.result_type(np.float16, 1.0) == np.float16
    with pytest.raises(dtypes.TypePromotionError, match=r"dtypes i32, f32 .*'standard'"):
        dtypes.result_type(np.int32, np.float32)
    with pytest.raises(dtypes.TypePromotionError, match="i32, a Python float"):
        dtypes.result_type(np.int32, 1.0)


def test_result_type_needs_an_argument() -> None:
    with pytest.raises(ValueError, match="at least one"):
        dtypes.result_type()


@pytest.mark.parametrize(
    ("dtype", "tangent", "name"),
    [(np.float32, np.float32, "f32"), (dtypes.bfloat16, dtypes.bfloat16, "bf16"),
     (np.complex64, np.complex64, "c64"), (np.int32, dtypes.float0, "i32"),
     (np.uint8, dtypes.float0, "u8"), (np.bool_, dtypes.float0, "bool"),
     (dtypes.key_dtype, dtypes.float0, "key<fry>"), (dtypes.float0, dtypes.float0, "float0")],
)  # fmt: skip
def test_tangent_dtype_and_short_name(dtype: Any, tangent: Any, name: str) -> None:
    assert dtypes.tangent_dtype(dtype) == np.dtype(tangent)
    assert dtypes.short_name(dtype) == name


def test_limits_of_bfloat16() -> None:
    assert dtypes.finfo(dtypes.bfloat16).eps == ml_dtypes.finfo(ml_dtypes.bfloat16).eps
    assert dtypes.iinfo(np.int8).max == 127


def test_scalar_type_of_a_key_is_refused() -> None:
    with pytest.raises(TypeError, match="key<fry> has no Python scalar type"):
        dtypes.scalar_type_of(dtypes.key_dtype)

"""Input at the border of meaning: singular matrices, no elements, odd memory, huge shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp

ZERO, RANK1 = np.zeros((2, 2), np.float32), np.array([[1, 2], [2, 4]], np.float32)
NANS = np.full((2, 2), np.nan, np.float32)
INDEFINITE = np.array([[1, 2], [2, 1]], np.float32)
NAMES = """
inv det slogdet cholesky eigh eigvalsh eig eigvals svd svdvals qr pinv matrix_rank
""".split()


def leaves(x: Any) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(v) for v in fg.tree.leaves(x)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "matrix",
    [ZERO, RANK1, NANS, INDEFINITE, np.zeros((0, 2, 2), np.float32), np.zeros((0, 0), np.float32)],
    ids=["zero", "rank1", "nan", "indefinite", "no matrices", "0x0"],
)
def test_matrices_never_raise(name: str, matrix: Any) -> None:
    function = getattr(fnp.linalg, name)
    eager, compiled = leaves(function(matrix)), leaves(fg.jit(function)(matrix))
    for got, want in zip(compiled, eager, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_singular_matrices_give_nan_or_infinities() -> None:
    linalg = fnp.linalg
    for matrix in (ZERO, RANK1):
        assert not np.isfinite(linalg.inv(matrix)).any()
        assert not np.isfinite(linalg.matrix_power(matrix, -1)).any()
        assert linalg.det(matrix) == 0
        assert linalg.slogdet(matrix).logabsdet == -np.inf
        for right in (np.ones(2, np.float32), np.ones((2, 3), np.float32)):
            assert not np.isfinite(linalg.solve(matrix, right)).all()
            assert np.isfinite(linalg.lstsq(matrix, right)[0]).all()
    # Below the diagonal there are zeros even so.
    for matrix in (ZERO, RANK1, INDEFINITE):
        assert np.isnan(linalg.cholesky(matrix)).any()
    assert linalg.matrix_rank(RANK1) == 1 and linalg.matrix_rank(ZERO) == 0
    for name in ("inv", "det", "eigvals", "svdvals", "eigvalsh", "cholesky", "pinv"):
        assert np.isnan(getattr(linalg, name)(NANS)).any(), name
    many = np.stack([ZERO, np.eye(2, dtype=np.float32)])
    np.testing.assert_array_equal(linalg.inv(many)[1], np.eye(2))
    for wrong in (np.ones((2, 3)), np.ones(2)):
        with pytest.raises(ValueError, match="shape"):
            linalg.inv(wrong)


def test_arrays_without_elements() -> None:
    empty = np.zeros((0, 3), np.float32)
    for name, want in (("sum", 0.0), ("prod", 1.0), ("any", False), ("all", True)):
        function = getattr(fnp, name)
        for run in (function, fg.jit(function)):
            assert run(empty) == want
        assert function(empty, axis=1).shape == (0,)
        assert np.asarray(function(empty, axis=0)).tolist() == [want] * 3
    for name in ("max", "min", "argmax", "argmin"):
        assert getattr(fnp, name)(empty, axis=1).shape == (0,)
        with pytest.raises(ValueError, match=r"identity|empty"):
            getattr(fnp, name)(empty, axis=0)
    assert np.isnan(fnp.mean(empty)) and np.isnan(fnp.std(empty))
    with pytest.raises(TypeError, match="quantile needs an element"):
        fnp.median(empty)
    for name in "sort argsort cumsum cumprod flip sin unique nonzero ravel diff".split():
        want = getattr(np, name)(empty)
        got = getattr(fnp, name)(empty)
        for g, w in zip(leaves(got), want if isinstance(want, tuple) else [want], strict=True):
            assert g.shape == w.shape, name
    assert (fnp.ones((3, 0)) @ fnp.ones((0, 2))).tolist() == [[0.0, 0.0]] * 3
    assert fnp.concatenate([empty, np.ones((2, 3))]).shape == (2, 3)
    assert fnp.einsum("ij,kj->ik", empty, empty).shape == (0, 0)
    assert fg.grad(lambda x: fnp.sum(fnp.sin(x)))(empty).shape == (0, 3)
    assert fg.vmap(fnp.sum, in_axes=1)(empty).tolist() == [0.0] * 3
    assert fnp.linalg.norm(np.zeros(0, np.float32)) == 0


def odd_memory() -> list[Any]:
    return [
        np.arange(6, dtype=">f4").reshape(2, 3),
        np.arange(6, dtype=">i2").reshape(2, 3).T,
        np.arange(24, dtype=np.float32).reshape(2, 3, 4)[:, ::-1, ::2],
        np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        np.broadcast_to(np.ones(1, np.float32), (3, 2)),
        np.array(3, ">i4"),
        np.frombuffer(b"\0" + np.arange(3, dtype=np.float32).tobytes(), "f4", offset=1),
        np.zeros(3, [("a", "i1"), ("b", "f4")])["b"],
    ]


@pytest.mark.parametrize("number", range(8))
def test_memory_of_any_layout(number: int) -> None:
    raw = odd_memory()[number]
    x = fnp.asarray(raw)
    assert x.dtype.isnative
    np.testing.assert_array_equal(x, raw)
    for run in (lambda v: v * 2 + 1, fg.jit(lambda v: v * 2 + 1)):
        np.testing.assert_array_equal(run(raw), raw * 2 + 1)
    np.testing.assert_array_equal(
        fg.vmap(fnp.sum)(raw) if raw.ndim else x,
        raw if not raw.ndim else raw.reshape(len(raw), -1).sum(1),
    )
    np.testing.assert_array_equal(fnp.sort(raw, axis=None), np.sort(raw, axis=None))


@pytest.mark.parametrize(
    "value",
    [
        np.array([1, "a"], object),
        np.array([None]),
        np.array(["a"]),
        np.array([b"a"]),
        np.array(["2020"], "M8[D]"),
        np.array([1], "m8[s]"),
        np.zeros(1, [("a", "f4")]),
        object(),
        {1, 2},
        "abc",
    ],
)
def test_what_is_no_number_is_refused(value: Any) -> None:
    for call in (
        fnp.asarray,
        lambda v: fnp.add(v, 1),
        lambda v: fnp.ones(1) + v,
        fg.jit(lambda v: v),
        fg.vmap(lambda v: v),
        fg.grad(fnp.sum),
    ):
        with pytest.raises(TypeError):
            call(value)


@pytest.mark.parametrize(
    "call",
    [
        "zeros(({h}, {h}))",
        "ones([{h}, {h}])",
        "empty(({h}, {h}))",
        "full((2**70,), 1.0)",
        "broadcast_to(n.ones(1), (2**62, 4))",
        "zeros_like(n.ones(1), shape=({h}, {h}))",
    ],
)
def test_shapes_whose_size_overflows(call: str) -> None:
    code = "n." + call.format(h=2**40)
    for run in (eval, lambda c, s: fg.jit(lambda: eval(c, s))()):
        with pytest.raises(ValueError, match=r"elements: an array has less than 2\*\*63"):
            run(code, {"n": fnp})
    with pytest.raises(ValueError, match=r"2\*\*63"):
        fg.random.normal(fg.random.key(0), (2**40, 2**40))
    assert fg.eval_shape(lambda: fnp.zeros((2**40, 4))).shape == (2**40, 4)


FAR = [-(10**30), -(2**63) - 1, -(2**40), -(2**31), -3, 0, 4, 2**31, 2**40, 10**30]


@pytest.mark.parametrize("offset", FAR)
def test_diagonals_far_outside_a_matrix(offset: int) -> None:
    near = max(-9, min(offset, 9))
    for n, m in ((3, 4), (0, 2), (2, 0)):
        x = np.arange(n * m).reshape(n, m) + 1
        for name in ("eye", "tri"):
            np.testing.assert_array_equal(
                getattr(fnp, name)(n, m, offset), getattr(np, name)(n, m, near)
            )
        for name in ("tril", "triu", "trace", "diagonal"):
            np.testing.assert_array_equal(getattr(fnp, name)(x, offset), getattr(np, name)(x, near))
        for name in ("tril_indices", "triu_indices"):
            got = np.stack(getattr(fnp, name)(n, offset, m))
            np.testing.assert_array_equal(got, getattr(np, name)(n, near, m))


E3, NONE = np.zeros((0, 3), np.float32), np.zeros(0, np.float32)


@pytest.mark.parametrize(
    ("call", "want"),
    [
        ("bincount(n.asarray([], dtype='uint8'))", np.zeros(0, np.int32)),
        ("bincount(n.asarray([-5]))", np.array([1], np.int32)),
        ("bincount(n.asarray([], dtype=bool), minlength=2)", np.zeros(2, np.int32)),
        ("bitwise_count(n.asarray([True, False]))", np.array([1, 0], np.uint8)),
        ("cov(E3)", np.zeros((0, 0), np.float32)),
        ("corrcoef(E3)", np.zeros((0, 0), np.float32)),
        ("cov(NONE)", np.float32(np.nan)),
        ("cov(E3.T)", np.full((3, 3), np.nan, np.float32)),
        ("arange(np.array(1, 'i1'), np.array(3, 'f2'))", np.array([1, 2], np.float16)),
        ("cov(E3, n.ones((3, 3)))", np.zeros((0, 0), np.float32)),
        ("histogram(n.arange(3), n.arange(3))[1]", np.arange(3, dtype=np.float32)),
        ("ix_(NONE, n.asarray([1]))[0]", np.zeros((0, 1), np.int32)),
        ("isscalar(np.array(3))", np.True_),
        ("isscalar(np.ones(1))", np.False_),
        ("square(n.asarray([True, False]))", np.array([1, 0], np.int32)),
        ("nanmax(n.asarray([1 + 2j, n.nan, 3]))", np.complex64(3)),
        ("nanmin(n.asarray([1 + 2j, n.nan, 3]))", np.complex64(1 + 2j)),
    ],
)
def test_edges(call: str, want: Any) -> None:
    got = np.asarray(eval(f"n.{call}", {"n": fnp, "np": np, "E3": E3, "NONE": NONE}))
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", "nansum nanprod nancumsum nancumprod".split())
def test_sums_of_truth_values_are_not_weakly_typed(name: str) -> None:
    assert not getattr(fnp, name)(np.array([True, False])).weak_type
    assert not fnp.lexsort(np.array([2, 1])).weak_type


@pytest.mark.parametrize(
    "call",
    [
        "fliplr(n.ones(3))",
        "flipud(1.0)",
        "histogramdd(1.0)",
        "histogramdd(n.ones(3))",
        "polyder(1.0)",
        "polyint(n.ones((2, 2)))",
        "spacing(1j)",
        "hypot(1j, 2.0)",
        "unwrap(n.ones(3) * 1j)",
        "matvec(n.ones(3), n.ones(3))",
        "vecmat(n.ones(3), n.ones(3))",
        "polymul(1.0, n.ones(2))",
        "polydiv(n.ones(2), 1.0)",
    ],
)
def test_wrong_ranks_and_dtypes(call: str) -> None:
    with pytest.raises(ValueError, match=r"shape|out of bounds|complex"):
        eval(f"n.{call}", {"n": fnp})


@pytest.mark.parametrize("name", "round around modf isposinf isneginf".split())
def test_out_is_refused(name: str) -> None:
    with pytest.raises(NotImplementedError, match="immutable"):
        getattr(fnp, name)(fnp.ones(3), out=np.ones(3))


def test_methods_of_arrays_about_their_place() -> None:
    x = fnp.asarray([3.0, 1.0, 2.0])
    assert x.argpartition(1)[1] == 2
    assert x.is_ready() and x.is_fully_addressable and x.is_fully_replicated
    assert x.on_device_size_in_bytes() == 12


@pytest.mark.filterwarnings("ignore:scatter inputs")  # the loss is what is asked for
def test_numbers_are_added_to_booleans_as_numbers() -> None:
    x = np.array([True, False, False])
    for name, value, want in (
        ("add", 0.5, [True, True, False]),
        ("subtract", 2, [True, True, False]),
        ("multiply", 0, [True, False, False]),
    ):
        for f in (lambda v, n=name, by=value: getattr(fnp.asarray(v).at[1], n)(by),):
            for found in (f(x), fg.jit(f)(x)):
                assert found.dtype == bool
                np.testing.assert_array_equal(found, want)


def test_errors_of_values_dtypes_axes_and_shapes_say_where() -> None:
    x = fnp.ones((2, 3))
    for act, error, text in (
        (lambda: fg.lax.sin("a"), TypeError, "is not a valid array type"),
        (lambda: fnp.zeros(2, object), TypeError, "dtype object is not supported"),
        (lambda: fnp.zeros(2, {"a": 1}), TypeError, "is not a dtype"),
        (lambda: x.astype(x), ValueError, "A dtype is needed"),
        (lambda: fg.random.normal(fg.random.key(0), (2,), x), ValueError, "A dtype is needed"),
        (lambda: fnp.sum(x, axis=5), ValueError, "axis 5 is out of bounds"),
        (lambda: fg.lax.sort(x, dimension=1.5), TypeError, "takes an integer, got 1.5"),
        (lambda: fnp.zeros((2, -1)), TypeError, "negative extent"),
        (lambda: fnp.zeros((2, "a")), TypeError, "concrete integers"),
    ):
        with pytest.raises(error, match=rf"(?s){text}.*test_bad_input"):
            act()

"""Every `lower` rule says what `impl` computes, on every example, element by element."""

import numpy as np
import pytest

import funcgrad as fg
from funcgrad.config import enable_x64
from funcgrad.core.primitive import registry
from funcgrad.ir import dtypes
from funcgrad.ir.avals import ShapedArray, aval_of
from funcgrad.ir.loops import Axis, Library, Load, Map, Region, axis_index
from funcgrad.ir.narrow import is_narrow
from funcgrad.primitives.broadcasting import broadcast_in_dim_p
from funcgrad.primitives.comparison import eq_p
from funcgrad.primitives.creation import copy_p
from funcgrad.primitives.cumulative import Cumulative
from funcgrad.primitives.gathering import GatherDimensionNumbers, GatherScatterMode, gather_p
from funcgrad.primitives.indexing import dynamic_slice_p, dynamic_update_slice_p
from funcgrad.primitives.joining import concatenate_p, split_p, tile_p
from funcgrad.primitives.kinds import Elementwise, Reduction
from funcgrad.primitives.movement import reshape_p, rev_p, squeeze_p, transpose_p
from funcgrad.primitives.random_bits import example_keys
from funcgrad.primitives.rounding import RoundingMethod
from funcgrad.primitives.scatter_places import scatter_numbers
from funcgrad.primitives.scattering import scatter_p
from funcgrad.primitives.selection import select_n_p
from funcgrad.primitives.slicing import pad_p, slice_p

from .. import goldens
from ..kernels.interpret import interpret, key_words, operands_of
from .rules import IDS, PAIRS, arrays

LIMIT = 250

every_case = pytest.mark.parametrize(("primitive", "example"), PAIRS, ids=IDS)


@pytest.fixture(autouse=True)
def _x64():
    with enable_x64():
        yield


def words_aval(aval):
    """The aval a rule sees: keys are words along a last axis."""
    if dtypes.is_key_dtype(aval.dtype):
        return ShapedArray((*aval.shape, 2), np.dtype(np.uint32))
    return aval


def rule_of(primitive, args, params, literal=False):
    """What the rule gives, the operands, their buffers and the outputs' avals."""
    avals, _ = primitive.infer(tuple(aval_of(x) for x in args), params)
    outs = [words_aval(a) for a in avals]
    values = [key_words(x) for x in args]
    operands, buffers = operands_of(values, literal)
    return primitive.lower(operands, outs, **params), values, buffers, outs


def lowering_of(primitive, args, params, literal=False):
    """What the rule gives for each output, the operands, their buffers and the outputs' avals."""
    lowered, values, buffers, outs = rule_of(primitive, args, params, literal)
    if isinstance(lowered, Library):
        # The kernel has tests of its own; here it is what stands in where there is none.
        lowered = lowered.otherwise
    if lowered is None or isinstance(lowered, Region):
        return None, values, buffers, outs
    if primitive.multiple_results:
        assert isinstance(lowered, list)
        assert len(lowered) == len(outs)
    return lowered if primitive.multiple_results else [lowered], values, buffers, outs


def check(primitive, args, params, literal=False):
    args = arrays(args)
    lowered, values, buffers, outs = lowering_of(primitive, args, params, literal)
    if lowered is None:
        pytest.skip("no rule")
    if sum(a.size for a in outs) > LIMIT:
        pytest.skip("too large for a slow interpreter")
    with np.errstate(all="ignore"):
        want = primitive.impl(*args, **params)
    want = want if primitive.multiple_results else [want]
    for one, out, w in zip(lowered, outs, want, strict=True):
        got = interpret(one, values, buffers, out)
        w = key_words(w)
        assert got.dtype == w.dtype
        assert got.shape == w.shape
        compare(got, w)


def compare(got, want):
    if not dtypes.issubdtype(want.dtype, np.inexact):
        np.testing.assert_array_equal(got, want)
        return
    eps = float(dtypes.finfo(dtypes.to_floating_dtype(want.dtype)).eps)
    if want.dtype.name in ("bfloat16", "float16"):
        got, want = got.astype(np.float32), want.astype(np.float32)
    tolerance = max(8 * eps, 1e-6 if eps > 1e-10 else 1e-12)
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def narrowed(x):
    """The value with its doubles as single floats."""
    x = np.asarray(x)
    narrow = {"float64": np.float32, "complex128": np.complex64}.get(x.dtype.name)
    return x.astype(narrow) if narrow else x


@every_case
def test_lowering_is_the_value(primitive, example):
    check(primitive, example.args, example.params)


@every_case
def test_lowering_is_the_value_in_single_precision(primitive, example):
    args = [narrowed(x) for x in arrays(example.args)]
    if all(x.dtype == np.asarray(y).dtype for x, y in zip(args, arrays(example.args), strict=True)):
        pytest.skip("nothing to narrow")
    params = dict(example.params)
    if "input_dtype" in params:
        params["input_dtype"] = args[0].dtype
    try:
        primitive.infer(tuple(aval_of(x) for x in args), params)
    except (TypeError, ValueError):
        pytest.skip("the params fit doubles only")
    check(primitive, args, params)


@every_case
def test_scalars_may_be_literals(primitive, example):
    if not any(np.ndim(x) == 0 for x in arrays(example.args)):
        pytest.skip("no scalar among the operands")
    check(primitive, example.args, example.params, literal=True)


# Values at the edges of what operations define.

FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 3e38, 1e-40, np.inf, -np.inf, np.nan]
# Narrow ones have no lowering; tests/numpy/test_narrow_dtypes.py is about them.
EVERY_DTYPE = sorted((d for d in dtypes.supported_dtypes if not is_narrow(d)), key=str)
PARAMS = {
    "convert_element_type": [{"new_dtype": d, "weak_type": False} for d in EVERY_DTYPE],
    "integer_pow": [{"y": y} for y in (0, 1, 3)],
    "reduce_precision": [{"exponent_bits": e, "mantissa_bits": m} for e, m in ((5, 10), (4, 3))],
    "round": [{"rounding_method": RoundingMethod(m)} for m in (0, 1)],
}
ELEMENTWISE = [
    p
    for _, p in sorted(registry.items())
    if isinstance(p, Elementwise) and type(p).__module__.startswith("funcgrad.primitives")
]


def edges(dtype):
    """Values of a dtype at which operations differ between machines."""
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        near = [0, 1, 2, 7, 8, 31, 32, 63, 64, int(info.max), int(info.min), int(info.min) + 1]
        near += [-1, -8] if info.min < 0 else []
        return np.array([x for x in near if info.min <= x <= info.max], object).astype(dtype)
    if dtype.kind == "c":
        return np.array([0, 1, 1j, -1 + 2j, 0.5 - 3j, 2 + 0j], dtype)
    with np.errstate(over="ignore"):
        return np.array(FLOATS).astype(dtype)


@pytest.mark.parametrize("dtype", EVERY_DTYPE, ids=str)
@pytest.mark.parametrize("primitive", ELEMENTWISE, ids=lambda p: p.name)
def test_lowering_is_the_value_at_edges(primitive, dtype):
    x = edges(dtype)
    count = len(next(iter(primitive.examples())).args)
    args = [x] if count == 1 else [x[:, None], x[None, :], *[x[:1, None]] * (count - 2)]
    args = [a.copy() for a in np.broadcast_arrays(*args)]
    if primitive.name == "clamp":
        args = [x[1], x, x[2 % len(x)]]
    done = False
    for params in PARAMS.get(primitive.name, [{}]):
        if primitive.name == "conj":
            params = {"input_dtype": dtype}
        try:
            primitive.infer(tuple(aval_of(a) for a in args), params)
        except TypeError:
            continue
        check(primitive, args, params)
        done = True
    if not done:
        pytest.skip("another dtype")


FOLDS = [p for _, p in sorted(registry.items()) if isinstance(p, (Reduction, Cumulative))]


@pytest.mark.parametrize("dtype", EVERY_DTYPE, ids=str)
@pytest.mark.parametrize("primitive", FOLDS, ids=lambda p: p.name)
def test_folds_are_the_value_at_edges(primitive, dtype):
    x = np.stack([np.roll(edges(dtype), i) for i in range(3)])
    params = {"axes": (1,), "index_dtype": np.dtype(np.int64)}
    if isinstance(primitive, Cumulative):
        params = {"axis": 1, "reverse": True}
    elif not primitive.name.startswith("arg"):
        del params["index_dtype"]
    # Extrema of complex numbers with NaN parts, and sums of infinities, are NumPy's own affair.
    x = np.where(np.isfinite(x), x, x.dtype.type(0)) if "prod" in primitive.name else x
    try:
        primitive.infer((aval_of(x),), params)
    except TypeError:
        pytest.skip("another dtype")
    check(primitive, [x], params)


KEYS = example_keys((2, 3))
MOVEMENTS = [
    (broadcast_in_dim_p, (KEYS,), {"shape": (2, 4, 3), "broadcast_dimensions": (0, 2)}),
    (reshape_p, (KEYS,), {"new_sizes": (3, 2), "dimensions": None}),
    (reshape_p, (KEYS,), {"new_sizes": (6,), "dimensions": (1, 0)}),
    (reshape_p, (KEYS,), {"new_sizes": (2, 1, 3), "dimensions": None}),
    (transpose_p, (KEYS,), {"permutation": (1, 0)}),
    (squeeze_p, (KEYS[:1],), {"dimensions": (0,)}),
    (rev_p, (KEYS,), {"dimensions": (1,)}),
    (concatenate_p, (KEYS, KEYS[:, :1]), {"dimension": 1}),
    (split_p, (KEYS,), {"sizes": (1, 2), "axis": 1}),
    (pad_p, (KEYS, KEYS[0, 0]), {"padding_config": ((1, 0, 0), (-1, 2, 1))}),
    (slice_p, (KEYS,), {"start_indices": (0, 1), "limit_indices": (2, 3), "strides": None}),
    (tile_p, (KEYS,), {"reps": (1, 2)}),
    (select_n_p, (np.array(True), KEYS, KEYS[::-1]), {}),
    (select_n_p, (np.eye(2, 3, dtype=bool), KEYS, KEYS[::-1]), {}),
    (dynamic_slice_p, (KEYS, np.int32(1), np.int32(-2)), {"slice_sizes": (1, 2)}),
    (dynamic_update_slice_p, (KEYS, KEYS[:1], np.int32(1), np.int32(0)), {}),
    (eq_p, (KEYS, KEYS[0, 0]), {}),
    (copy_p, (KEYS,), {}),
]


@pytest.mark.parametrize(("primitive", "args", "params"), MOVEMENTS, ids=lambda x: str(x)[:20])
def test_keys_move_as_words(primitive, args, params):
    check(primitive, args, params)


def test_keys_are_gathered_and_scattered_as_words():
    rows = GatherDimensionNumbers((1,), (0,), (0,))
    index = np.array([[1], [5], [0]])
    params = {"dimension_numbers": rows, "slice_sizes": (1, 3), "indices_are_sorted": False}
    params |= {"unique_indices": False, "mode": GatherScatterMode.FILL_OR_DROP, "fill_value": 7}
    check(gather_p, (KEYS, index), params)
    params = {"dimension_numbers": scatter_numbers(rows), "indices_are_sorted": False}
    params |= {"unique_indices": False, "mode": GatherScatterMode.FILL_OR_DROP}
    params |= {"update_jaxpr": None, "update_consts": ()}
    check(scatter_p, (KEYS, index[:2], KEYS[::-1]), params)


@pytest.mark.parametrize("dtype", [np.uint64, np.int8, np.uint8])
def test_indices_of_any_dtype_stay_in_bounds(dtype):
    x = np.arange(6.0)
    for start in (0, 3, np.iinfo(dtype).max, np.iinfo(dtype).min):
        check(dynamic_slice_p, (x, np.array(start, dtype)), {"slice_sizes": (2,)})
        check(dynamic_update_slice_p, (x, x[:2] + 9, np.array(start, dtype)), {})
        check(dynamic_slice_p, (x, np.array(start, dtype)), {"slice_sizes": (2,)}, literal=True)


def loads_of(root):
    """The loads in an expression, whose parts may be shared."""
    found, waiting, seen = [], [root], set()
    while waiting:
        x = waiting.pop()
        if x in seen:
            continue
        seen.add(x)
        waiting += getattr(x, "args", ())
        if isinstance(x, Load):
            found.append(x)
            waiting += [x.guard] if x.guard is not None else []
    return found


@every_case
def test_indices_are_affine_where_they_can_be(primitive, example):
    """Quotients, remainders and loaded indices are left to the few that need them."""
    dynamic = {"gather", "dynamic_slice", "dynamic_update_slice", "tile", "conv_general_dilated"}
    dynamic |= {"pad", "reshape", "select_and_scatter_add", "select_and_gather_add"}
    lowered, _, _, outs = lowering_of(primitive, arrays(example.args), example.params)
    if lowered is None or primitive.name in dynamic or primitive.name.startswith("reduce_window"):
        pytest.skip("reads at computed places")
    for one, out in zip(lowered, outs, strict=True):
        if isinstance(one, Map) and 0 not in out.shape:
            element = one.at(tuple(axis_index(Axis(n)) for n in out.shape))
            assert not any(i.dynamic for load in loads_of(element) for i in load.index)


def has_rule(primitive):
    """Whether any example of the primitive is lowered."""
    return any(
        rule_of(primitive, arrays(e.args), e.params)[0] is not None for e in primitive.examples()
    )


@pytest.mark.parametrize(
    "primitive", [p for p in registry.values() if p.composed], ids=lambda p: p.name
)
def test_what_is_composed_is_compiled_and_no_call_out(primitive):
    """A program stands for it in compiled programs, and gives what its rule gives."""
    for example in list(primitive.examples())[:3]:

        def apply(*args, params=example.params):
            return primitive.bind(*args, **params)

        jitted = fg.jit(apply)
        assert "called out: nothing" in str(jitted.lower(*example.args).explain())
        got, want = jitted(*example.args), primitive.impl(*arrays(example.args), **example.params)
        np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-12)


def test_what_is_not_lowered_is_listed(request):
    """Primitives without a rule run on the host, one call each: the list is read, not found out."""
    missing = {}
    for name, primitive in sorted(registry.items()):
        family = type(primitive).__module__
        compiled = primitive.composed or has_rule(primitive)
        if family.startswith("funcgrad.primitives.") and not compiled:
            missing.setdefault(family.removeprefix("funcgrad."), []).append(name)
    sections = {family: "\n".join(names) for family, names in missing.items()}
    goldens.check("not_lowered.txt", sections, request.config.getoption("--golden") == "update")

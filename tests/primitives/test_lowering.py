"""Every `lower` rule says what `impl` computes, on every example, element by element."""

import numpy as np
import pytest

from funcgrad.config import enable_x64
from funcgrad.core.primitive import registry
from funcgrad.ir import dtypes
from funcgrad.ir.avals import ShapedArray, aval_of
from funcgrad.ir.loops import Library, Region

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


def lowering_of(primitive, args, params):
    """What the rule gives for each output, the operands, their buffers and the outputs' avals."""
    avals, _ = primitive.infer(tuple(aval_of(x) for x in args), params)
    outs = [words_aval(a) for a in avals]
    values = [key_words(x) for x in args]
    operands, buffers = operands_of(values)
    lowered = primitive.lower(operands, outs, **params)
    if lowered is None or isinstance(lowered, (Library, Region)):
        return None, values, buffers, outs
    if primitive.multiple_results:
        assert isinstance(lowered, list)
        assert len(lowered) == len(outs)
    return lowered if primitive.multiple_results else [lowered], values, buffers, outs


def check(primitive, args, params):
    args = arrays(args)
    lowered, values, buffers, outs = lowering_of(primitive, args, params)
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


def has_rule(primitive):
    """Whether any example of the primitive is lowered."""
    return any(
        lowering_of(primitive, arrays(e.args), e.params)[0] is not None
        for e in primitive.examples()
    )


def test_what_is_not_lowered_is_listed(request):
    """Primitives without a rule run on the host, one call each: the list is read, not found out."""
    missing = {}
    for name, primitive in sorted(registry.items()):
        family = type(primitive).__module__
        if family.startswith("funcgrad.primitives.") and not has_rule(primitive):
            missing.setdefault(family.removeprefix("funcgrad."), []).append(name)
    sections = {family: "\n".join(names) for family, names in missing.items()}
    goldens.check("not_lowered.txt", sections, request.config.getoption("--golden") == "update")

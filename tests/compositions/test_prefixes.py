"""Running log-sum-exps of long rows, folded by neighbours."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax

from ..kernels.cuda.running import both_ways, program_of, traced
from .running import both

DRAW = np.random.default_rng(5)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", [(256,), (1001,), (3, 300)])
@pytest.mark.parametrize("dtype", [fnp.bfloat16, np.float16, np.float32, np.float64])
def test_prefixes(dtype, shape, reverse):
    x = (DRAW.normal(size=shape) * 20).astype(dtype)
    params = {"axis": len(shape) - 1, "reverse": reverse}
    (found,), _ = both("cumlogsumexp", x, **params)
    wide = x.astype(np.float64)
    turned = wide[..., ::-1] if reverse else wide
    want = np.logaddexp.accumulate(turned, -1)
    want = want[..., ::-1] if reverse else want
    spacing = float(np.spacing(np.array(np.abs(want).max(), np.float64).astype(dtype)))
    np.testing.assert_allclose(found.astype(np.float64), want, rtol=0, atol=12 * spacing)


def test_what_is_not_finite():
    x = DRAW.normal(size=(3, 300)).astype(np.float32)
    x[0, :7], x[1, 40], x[2, 99] = -np.inf, np.inf, np.nan
    (found,), (want,) = both("cumlogsumexp", x, axis=1, reverse=False)
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-5)


def test_launches_for_a_long_row_are_few():
    x = DRAW.normal(size=2000).astype(np.float32)
    program, (want,), found = both_ways(*traced(lax.cumlogsumexp, x))
    # A block does what is short alone, and says so where it is not.
    assert len(program.kernels) <= 24 and not any(k.launch.note for k in program.kernels)
    for (out,) in found:
        np.testing.assert_allclose(out, want, rtol=1e-5, atol=1e-5)


def test_many_rows_have_a_thread_each():
    program = program_of(lambda x: lax.cumlogsumexp(x, 1), np.zeros((20_000, 300), np.float32))
    assert [k.launch.kind for k in program.kernels] == ["column"]


def test_gradients():
    x = DRAW.normal(size=600).astype(np.float32)
    f = fg.grad(lambda x: (lax.cumlogsumexp(x) ** 2).sum())
    program, (want,), found = both_ways(*traced(f, x))
    assert not any(k.launch.note for k in program.kernels)
    for (out,) in found:
        np.testing.assert_allclose(out, want, rtol=1e-3, atol=1e-3)

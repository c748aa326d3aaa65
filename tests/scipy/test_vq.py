"""Vector quantisation: values of SciPy, types of JAX, transforms, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.cluster.vq as reference

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.scipy.cluster import vq

from .agreement import assert_same, check_transforms

rng = np.random.default_rng(0)


@pytest.mark.parametrize(
    "shapes", [((9, 3), (4, 3)), ((9,), (4,)), ((1, 2), (1, 2)), ((0, 2), (3, 2))]
)
def test_values_as_in_scipy(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    obs, codes = (rng.normal(size=s) for s in shapes)
    with fg.enable_x64(True):
        index, distance = vq.vq(obs, codes)
    want = reference.vq(obs, codes)
    np.testing.assert_array_equal(index, want[0])
    np.testing.assert_allclose(distance, want[1])


@pytest.mark.parametrize("dtype", ["int32", "float16", "float32", "bfloat16"])
def test_types_as_in_jax(dtype: str) -> None:
    jnp = pytest.importorskip("jax.numpy")
    theirs = pytest.importorskip("jax.scipy.cluster.vq")
    obs, codes = rng.integers(0, 9, (6, 2)), rng.integers(0, 9, (3, 2))
    want = theirs.vq(jnp.asarray(obs, dtype), jnp.asarray(codes, dtype))
    got = vq.vq(fnp.asarray(obs, dtype), fnp.asarray(codes, dtype), check_finite=False)
    assert [str(v.dtype) for v in got] == [str(v.dtype) for v in want]
    assert_same(
        fg.tree.map(lambda v: v.astype("float32"), got),
        tuple(np.asarray(v, np.float32) for v in want),
        1e-2,
    )


def test_transforms() -> None:
    obs, codes = rng.normal(size=(6, 3)), rng.normal(size=(4, 3))
    with fg.enable_x64(True):
        check_transforms(lambda x, y: vq.vq(x, y)[1], obs, codes)
        assert_same(fg.jit(vq.vq)(obs, codes), vq.vq(obs, codes))


@pytest.mark.parametrize(
    ("shapes", "text"),
    [
        (((3,), (2, 3)), "same rank"),
        (((2, 3), (2, 4)), "takes"),
        (((2, 3, 1), (2, 3, 1)), "takes"),
        (((), ()), "takes"),
    ],
)
def test_what_is_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        vq.vq(*map(fnp.ones, shapes))

"""Arrays between their elements: values of SciPy and JAX, transforms, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage as reference

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.scipy import ndimage

from .agreement import assert_same, check_transforms

rng = np.random.default_rng(0)
# Ours and JAX's names, and SciPy's for the same.
MODES = {
    "constant": "grid-constant",
    "nearest": "nearest",
    "wrap": "grid-wrap",
    "mirror": "mirror",
    "reflect": "reflect",
}
SHAPES = [(5,), (4, 3), (2, 3, 4), (1, 3)]


@pytest.fixture
def wide() -> Any:
    with fg.enable_x64(True):
        yield


def places(shape: tuple[int, ...], count: int = 20) -> list[Any]:
    return [rng.uniform(-2 * n, 3 * n, count) for n in shape]


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_as_in_scipy(shape: tuple[int, ...], mode: str, order: int, wide: None) -> None:
    for x in (rng.normal(size=shape), rng.normal(size=shape) + 1j * rng.normal(size=shape)):
        at = places(shape)
        want = reference.map_coordinates(x, at, order=order, mode=MODES[mode], cval=0.5)
        assert_same(ndimage.map_coordinates(x, at, order, mode, 0.5), want)


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8", "bfloat16", "complex64"])
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("mode", MODES)
def test_values_and_types_as_in_jax(mode: str, order: int, dtype: str) -> None:
    jnp = pytest.importorskip("jax.numpy")
    theirs = pytest.importorskip("jax.scipy.ndimage")
    x = rng.integers(0, 100, (4, 3))
    at = [(rng.integers(-20, 40, (2, 6)) / 4).astype(np.float32) for _ in range(2)]
    for coordinates in (at, [c.astype(np.int32) for c in at]):
        want = theirs.map_coordinates(
            jnp.asarray(x, dtype), list(map(jnp.asarray, coordinates)), order, mode, 3
        )
        got = ndimage.map_coordinates(fnp.asarray(x, dtype), coordinates, order, mode, 3)
        assert (got.shape, str(got.dtype)) == (want.shape, str(want.dtype))
        np.testing.assert_allclose(got.astype("complex64"), np.asarray(want, "complex64"))


@pytest.mark.parametrize("mode", MODES)
def test_transforms(mode: str, wide: None) -> None:
    # Places away from the elements, where the slope jumps.
    at = [np.floor(p) + rng.uniform(0.3, 0.7, 8) for p in places((4, 3), 8)]

    def function(x: Any, u: Any, v: Any) -> Any:
        return ndimage.map_coordinates(x, [u, v], 1, mode)

    x = rng.normal(size=(4, 3))
    check_transforms(lambda x: function(x, *at), x)
    fg.test_util.check_grads(function, (x, *at), 2, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        ("x, [x[0]], 1", ValueError, "input.ndim"),
        ("x, [x[0], x[0]], 2", ValueError, "order<=1"),
        ("x, [x[0], x[0]], 1, 'grid-wrap'", ValueError, "Give one of"),
    ],
)
def test_what_is_refused(call: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        eval(f"f({call})", {"f": ndimage.map_coordinates, "x": fnp.ones((2, 3))})

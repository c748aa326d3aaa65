"""Interpolation on grids: values of SciPy and JAX, transforms, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.interpolate as reference

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.scipy import interpolate

from .agreement import assert_same, check_transforms

rng = np.random.default_rng(0)
GRID = tuple(np.cumsum(rng.uniform(0.5, 1.5, n)) for n in (4, 3, 2))
OPTIONS: list[dict[str, Any]] = [
    {},
    {"fill_value": None},
    {"fill_value": 2.0},
    {"method": "nearest"},
    {"method": "nearest", "fill_value": None},
]


@pytest.fixture
def wide() -> Any:
    with fg.enable_x64(True):
        yield


def points(rank: int, count: int = 12) -> Any:
    ends = [(line[0] - 1, line[-1] + 1) for line in GRID[:rank]]
    return np.stack([rng.uniform(*e, count) for e in ends], -1)


@pytest.mark.parametrize("channels", [(), (2,), (2, 3)])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_values_as_in_scipy(
    rank: int, options: dict[str, Any], channels: tuple[int, ...], wide: None
) -> None:
    values = rng.normal(size=(*(len(g) for g in GRID[:rank]), *channels))
    given = {"bounds_error": False, **options}
    theirs = reference.RegularGridInterpolator(GRID[:rank], values, **given)
    ours = interpolate.RegularGridInterpolator(GRID[:rank], values, **given)
    at = points(rank)
    stacked = at.reshape(3, 4, rank)
    apart = tuple(np.moveaxis(stacked, -1, 0))
    several = [apart, (apart[0], *(v[:1, :1] for v in apart[1:]))] if rank > 1 else [(at[:, 0],)]
    for xi in (at, stacked, *several):
        assert_same(ours(xi), theirs(xi))
    assert_same(ours(at, "nearest"), theirs(at, "nearest"))
    # The points of the grid themselves.
    corners = np.stack(np.meshgrid(*GRID[:rank], indexing="ij"), -1)
    assert_same(ours(corners), values)


def test_descending_grids_as_in_scipy(wide: None) -> None:
    values = rng.normal(size=(4, 3))
    grid = GRID[0][::-1], GRID[1]
    at = points(2)
    want = reference.RegularGridInterpolator(grid, values, bounds_error=False)(at)
    assert_same(interpolate.RegularGridInterpolator(grid, values)(at), want)


@pytest.mark.parametrize("dtype", ["int32", "float32", "complex64"])
@pytest.mark.parametrize("method", ["linear", "nearest"])
def test_values_and_types_as_in_jax(method: str, dtype: str) -> None:
    jnp = pytest.importorskip("jax.numpy")
    theirs = pytest.importorskip("jax.scipy.interpolate").RegularGridInterpolator
    grid = [g.astype(np.float32) for g in GRID[:2]]
    values, at = rng.integers(0, 99, (4, 3)), points(2).astype(np.float32)
    want = theirs(list(map(jnp.asarray, grid)), jnp.asarray(values, dtype), method)(jnp.asarray(at))
    ours = interpolate.RegularGridInterpolator(grid, fnp.asarray(values, dtype), method)
    assert_same(ours(fnp.asarray(at)), want, 1e-4)


def test_transforms(wide: None) -> None:
    inner = np.stack([rng.uniform(g[0], g[-1], 9) for g in GRID[:2]], -1)

    def function(x: Any, y: Any, values: Any, at: Any) -> Any:
        return interpolate.RegularGridInterpolator((x, y), values, fill_value=None)(at)

    check_transforms(function, *GRID[:2], rng.normal(size=(4, 3, 2)), inner)


def test_interpolators_are_arguments(wide: None) -> None:
    """A pytree: it can be passed to jit, and differentiated with respect to its values."""
    made = interpolate.RegularGridInterpolator(GRID[:1], GRID[0] ** 2, "nearest", fill_value=0.0)
    at = points(1)
    assert_same(fg.jit(lambda f, x: f(x))(made, at), made(at))
    slopes = fg.grad(lambda f: f(at).sum())(made)
    assert type(slopes) is interpolate.RegularGridInterpolator
    assert float(slopes.values.sum()) == np.sum((at >= GRID[0][0]) & (at <= GRID[0][-1]))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        ("R((x,), v, 'cubic')", ValueError, "'cubic' is not defined"),
        ("R((x,), v)(x, 'cubic')", ValueError, "'cubic' is not defined"),
        ("R((x,), v, bounds_error=True)", ValueError, "no bounds_error"),
        ("R((x, x), v)", ValueError, "2 point arrays"),
        ("R((x[:2],), v)", ValueError, "vector of at least 2 points"),
        ("R((x[:1],), v[:1])", ValueError, "vector of at least 2 points"),
        ("R((x * 0,), v)", ValueError, "strictly ascending or descending"),
        ("R((x,), v, fill_value=1j)", ValueError, "fill_value must be"),
        ("R((x,), [1.0])", TypeError, "requires ndarray"),
        ("R(([0.0, 1.0, 2.0],), v)", TypeError, "requires ndarray"),
        ("R((x,), v)([1.0])", TypeError, "requires ndarray"),
        ("R((x,), v)(fnp.ones((2, 2)))", ValueError, "dimension 1"),
        ("R((x,), v)(2.0)", ValueError, "dimension 1"),
    ],
)
def test_what_is_refused(call: str, error: type[Exception], text: str) -> None:
    line = fnp.arange(3.0)
    names = {"R": interpolate.RegularGridInterpolator, "x": line, "v": line, "fnp": fnp}
    with pytest.raises(error, match=text):
        eval(call, names)

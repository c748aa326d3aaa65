"""Where in a sequence a vector stands: sinusoids, learned tables, rotations.

Layers for incremental decoding have `cache=True`: they keep in their state how far the sequence
has come, and go on from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import numpy as fnp
from ..core.sources import user_line
from . import initializers
from .layer import Layer, entries, param_dtype, short

if TYPE_CHECKING:
    from jaxtyping import Float, Integer


def sinusoidal_positions(
    positions: Integer[Any, "..."], features: int, *, base: float = 10000.0
) -> Float[Any, "..."]:
    """sin(p · base^(−2i / features)) at feature 2i, the cosine of it at 2i + 1.

    Args:
        positions: i32[...], p.
        features: an even number.
    Returns:
        f32[..., features].
    Raises:
        ValueError: an odd number of features.
    Source: Vaswani et al., arXiv:1706.03762, section 3.5.
    """
    angles = _angles("sinusoidal_positions", positions, features, base)
    pairs = fnp.stack([fnp.sin(angles), fnp.cos(angles)], axis=-1)
    return pairs.reshape(*angles.shape[:-1], features)


def _angles(name: str, positions: Any, features: int, base: float) -> Any:
    """p · base^(−2i / features), one for each pair of features."""
    if features % 2:
        raise ValueError(
            f"{name} got {features} features.\n  {user_line()}\n"
            "  Give an even number: each frequency has a sine and a cosine."
        )
    dtype = fnp.result_type(float)
    rates = base ** (-fnp.arange(0, features, 2, dtype=dtype) / features)
    return fnp.asarray(positions)[..., None].astype(dtype) * rates


def rotary(
    x: Float[Any, "..."],
    positions: Integer[Any, "..."],
    *,
    base: float = 10000.0,
    interleaved: bool = False,
) -> Float[Any, "..."]:
    """Each pair of features of a head turned by an angle that grows with the position.

    Scores of queries and keys turned so depend on the distance of their positions alone.

    Args:
        x: f32[..., time, heads, features].
        positions: i32[..., time].
        interleaved: pairs are features 2i and 2i + 1, as in the source; by default i and
            i + features / 2, as most published weights have it.
    Returns:
        of the shape and dtype of x.
    Raises:
        ValueError: an odd number of features; positions that do not fit.
    Source: Su et al., arXiv:2104.09864, equation 34.
    """
    positions = fnp.asarray(positions)
    if positions.ndim > x.ndim - 2 or positions.shape[-1:] != x.shape[-3:-2]:
        raise ValueError(
            f"rotary got x of shape {x.shape} and positions of shape {positions.shape}.\n"
            f"  {user_line()}\n  Give x as [..., time, heads, features], positions as [..., time]."
        )
    angles = _angles("rotary", positions, x.shape[-1], base)[..., None, :]
    sin, cos = fnp.sin(angles), fnp.cos(angles)
    half = x.shape[-1] // 2
    a, b = (x[..., ::2], x[..., 1::2]) if interleaved else (x[..., :half], x[..., half:])
    turned = a * cos - b * sin, b * cos + a * sin
    whole = fnp.stack(turned, axis=-1) if interleaved else fnp.concatenate(turned, axis=-1)
    return whole.reshape(x.shape).astype(x.dtype)


def add_sinusoidal_positions(*, base: float = 10000.0, cache: bool = False) -> Layer:
    """x + `sinusoidal_positions`, for x f32[batch, time, features]. No params.

    state: `()`; with `cache` `{"position": i32[]}`, how many vectors there were before.
    """

    def init(key: Any, x: Any) -> tuple[Any, Any]:
        return (), _start(cache)

    def apply(params: Any, state: Any, x: Any, *, train: bool = False) -> tuple[Any, Any]:
        _check_sequence("add_sinusoidal_positions", x)
        positions, new = _advance("add_sinusoidal_positions", state, x, cache)
        return x + sinusoidal_positions(positions, x.shape[2], base=base).astype(x.dtype), new

    return Layer(init, apply, "add_sinusoidal_positions")


def learned_positions(
    length: int, *, cache: bool = False, weight_init: initializers.Initializer | None = None
) -> Layer:
    """x + table[position], for x f32[batch, time, features].

    params: `{"table": f32[length, features]}`, by default normal with deviation about 0.02.
    state: `()`; with `cache` `{"position": i32[]}`, how many vectors there were before. Positions
    from `length` on give NaN.

    Raises:
        ValueError: a sequence longer than the table.
    """
    make = weight_init or initializers.variance_scaling(4e-4 * length, "fan_in", "normal")
    name = "learned_positions"

    def init(key: Any, x: Any) -> tuple[Any, Any]:
        _check_sequence(name, x)
        return {"table": make(key, (length, x.shape[2]), param_dtype(x))}, _start(cache)

    def apply(params: Any, state: Any, x: Any, *, train: bool = False) -> tuple[Any, Any]:
        _check_sequence(name, x)
        (table,) = entries(params, ("table",), name, "params")
        if x.shape[1] > table.shape[0] or x.shape[2] != table.shape[1]:
            raise ValueError(
                f"{name} with a table {short(table)} got {short(x)}.\n  {user_line()}\n"
                f"  Give sequences [batch, time, {table.shape[1]}] of up to {table.shape[0]} "
                "vectors, or make the table longer."
            )
        positions, new = _advance(name, state, x, cache)
        return x + fnp.take(table, positions, axis=0, mode="fill", fill_value=fnp.nan), new

    return Layer(init, apply, name)


def _check_sequence(name: str, x: Any) -> None:
    if len(x.shape) != 3:
        raise ValueError(
            f"{name} takes sequences [batch, time, features], got {short(x)}.\n  {user_line()}\n"
            "  Add the axes that are missing: x[None] for one sequence."
        )


def _start(cache: bool) -> Any:
    return {"position": fnp.zeros((), fnp.int32)} if cache else ()


def _advance(name: str, state: Any, x: Any, cache: bool) -> tuple[Any, Any]:
    """Positions of the vectors of x, and the new state."""
    positions = fnp.arange(x.shape[1], dtype=fnp.int32)
    if not cache:
        return positions, state
    (before,) = entries(state, ("position",), name, "state")
    return before + positions, {"position": before + x.shape[1]}

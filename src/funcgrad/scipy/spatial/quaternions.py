"""Unit quaternions x, y, z, w and the other forms of a rotation: the mathematics of `transform`.

In and out: arrays whose last axis (last two, of matrices) holds one rotation. The one idea: lengths
enter by their squares near zero, so that derivatives are finite at the identity.
"""

from __future__ import annotations

from typing import Any

from ... import numpy as fnp

# Below this squared length, series of three terms are exact to float64.
_small = 1e-6


def _dot(p: Any, q: Any) -> Any:
    return (p * q).sum(-1, keepdims=True)


def _length(squared: Any) -> Any:
    """The root, and 0 with a slope of 0 at 0."""
    zero = squared == 0
    return fnp.where(zero, 0.0, fnp.sqrt(fnp.where(zero, 1.0, squared)))


def normalized(q: Any) -> Any:
    """q over its length."""
    return q / fnp.sqrt(_dot(q, q))


def composed(p: Any, q: Any) -> Any:
    """The Hamilton product: first the rotation q, then p."""
    p, q = fnp.broadcast_arrays(p, q)
    u, v, a, b = p[..., :3], q[..., :3], p[..., 3:], q[..., 3:]
    return fnp.concatenate([a * v + b * u + fnp.cross(u, v), a * b - _dot(u, v)], -1)


def inverse(q: Any) -> Any:
    """The conjugate, which undoes the rotation."""
    return fnp.concatenate([-q[..., :3], q[..., 3:]], -1)


def magnitude(q: Any) -> Any:
    """The angle of the rotation, between 0 and π."""
    v, w = q[..., :3], q[..., 3]
    return 2 * fnp.arctan2(_length(_dot(v, v))[..., 0], abs(w))


def canonical(q: Any) -> Any:
    """q or -q: the one whose last component that is not 0, in the order z, y, x, w, is positive."""
    x, y, z, w = (q[..., i] for i in range(4))
    order = (w, x, y, z)
    negative, tied = fnp.asarray(False), fnp.asarray(True)
    for component in order:
        negative = negative | (tied & (component < 0))
        tied = tied & (component == 0)
    return fnp.where(negative[..., None], -q, q)


def matrix_of(q: Any) -> Any:
    """The orthogonal matrix [..., 3, 3]."""
    x, y, z, w = (q[..., i] for i in range(4))
    rows = [
        [x * x - y * y - z * z + w * w, 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), y * y - x * x - z * z + w * w, 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), z * z - x * x - y * y + w * w],
    ]
    return fnp.stack([fnp.stack(row, -1) for row in rows], -2)


def from_matrix(m: Any) -> Any:
    """The quaternion of an orthogonal matrix.

    Of four expressions for it, each its component times 4, the one with the largest is taken.
    Source: Shepperd, J. Guidance and Control 1 (1978).
    """
    trace = m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]
    choices: list[Any] = []
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        parts: list[Any] = [None] * 4
        parts[i] = 1 - trace + 2 * m[..., i, i]
        parts[j] = m[..., j, i] + m[..., i, j]
        parts[k] = m[..., k, i] + m[..., i, k]
        parts[3] = m[..., k, j] - m[..., j, k]
        choices.append(fnp.stack(parts, -1))
    turns = [m[..., (i + 2) % 3, (i + 1) % 3] - m[..., (i + 1) % 3, (i + 2) % 3] for i in range(3)]
    choices.append(fnp.stack([*turns, 1 + trace], -1))
    best = fnp.argmax(fnp.stack([*(m[..., i, i] for i in range(3)), trace], -1), -1)
    table = fnp.stack(choices, -2)
    chosen = fnp.take_along_axis(table, best[..., None, None], axis=-2)[..., 0, :]
    return normalized(chosen)


def rotation_vector(q: Any) -> Any:
    """The axis times the angle."""
    q = fnp.where(q[..., 3:] < 0, -q, q)
    v, w = q[..., :3], q[..., 3:]
    squared = _dot(v, v)
    small = squared < _small
    # 2 atan(r / w) / r, of which the first is a series in (r / w)².
    ratio = fnp.where(small, squared, 0.0) / fnp.where(small, w * w, 1.0)
    series = 2 / fnp.where(small, w, 1.0) * (1 - ratio / 3 + ratio * ratio / 5)
    length = fnp.sqrt(fnp.where(small, 1.0, squared))
    return v * fnp.where(small, series, 2 * fnp.arctan2(length, w) / length)


def from_rotation_vector(vector: Any) -> Any:
    """sin(θ/2) axis, cos(θ/2) of θ axis."""
    squared = _dot(vector, vector)
    small = squared < _small
    angle = fnp.sqrt(fnp.where(small, 1.0, squared))
    near = fnp.where(small, squared, 0.0)
    scale = fnp.where(small, 0.5 - near / 48 + near**2 / 3840, fnp.sin(angle / 2) / angle)
    last = fnp.where(small, 1 - near / 8 + near**2 / 384, fnp.cos(angle / 2))
    return fnp.concatenate([scale * vector, last], -1)


def rodrigues(q: Any) -> Any:
    """The modified Rodrigues parameters tan(θ/4) axis."""
    sign = fnp.where(q[..., 3:] < 0, -1.0, 1.0)
    return sign * q[..., :3] / (1 + sign * q[..., 3:])


def from_rodrigues(p: Any) -> Any:
    """The quaternion of modified Rodrigues parameters."""
    squared = _dot(p, p)
    return fnp.concatenate([2 * p, 1 - squared], -1) / (1 + squared)


def turn(axis: int, angle: Any) -> Any:
    """The rotation by angles about one of the axes."""
    sine, cosine = fnp.sin(angle / 2), fnp.cos(angle / 2)
    parts = [sine if i == axis else fnp.zeros_like(sine) for i in range(3)]
    return fnp.stack([*parts, cosine], -1)


def euler_angles(q: Any, axes: tuple[int, int, int], extrinsic: bool) -> Any:
    """The three angles about axes whose turns make up the rotation.

    Where the outer axes come to lie on each other, the angle written last is 0.
    Source: Bernardes & Viollet, Quaternion to Euler angles conversion, PLoS ONE 17 (2022).
    """
    i, j, k = axes if extrinsic else axes[::-1]
    symmetric = i == k
    k = 3 - i - j if symmetric else k
    sign = (i - j) * (j - k) * (k - i) // 2
    part = [q[..., n] for n in range(4)]
    if symmetric:
        a, b, c, d = part[3], part[i], part[j], part[k] * sign
    else:
        a, b = part[3] - part[j], part[i] + part[k] * sign
        c, d = part[j] + part[3], part[k] * sign - part[i]
    middle = 2 * fnp.arctan2(fnp.hypot(c, d), fnp.hypot(a, b))
    total, gap = fnp.arctan2(b, a), fnp.arctan2(d, c)
    low, high = abs(middle) <= 1e-7, abs(middle - fnp.pi) <= 1e-7
    degenerate = low | high
    alone = fnp.where(low, 2 * total, 2 * gap * (-1 if extrinsic else 1))
    outer = [total - gap, total + gap]
    first, third = outer if extrinsic else outer[::-1]
    first, third = fnp.where(degenerate, alone, first), fnp.where(degenerate, 0.0, third)
    if not symmetric:
        middle = middle - fnp.pi / 2
        first, third = (first, third * sign) if extrinsic else (first * sign, third)
    angles = fnp.stack([first, middle, third], -1)
    return angles - 2 * fnp.pi * (angles > fnp.pi) + 2 * fnp.pi * (angles < -fnp.pi)

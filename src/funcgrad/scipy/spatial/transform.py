"""Rotations of space under the names of `jax.scipy.spatial.transform`.

In: quaternions, matrices, vectors or angles, one or a stack of them. Out: the same. The one idea: a
`Rotation` is a pytree of one array of unit quaternions x, y, z, w.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ... import numpy as fnp
from ... import random as draws
from ...core.sources import user_line
from ...core.trace import Tracer, value_of
from ...numpy.promotion import check_arraylike, promote_dtypes_inexact, to_array
from ...numpy.search import ascends
from ...tree_util import register_dataclass
from ...typing import Array, ArrayLike, DTypeLike
from . import quaternions

if TYPE_CHECKING:
    from jaxtyping import Shaped


def _floats(name: str, x: Any, *ends: tuple[int, ...]) -> Any:
    """An array of floats, whose shape ends as one of these."""
    check_arraylike(name, x)
    (value,) = map(to_array, promote_dtypes_inexact(x))
    if not any(value.shape[-len(end) :] == end for end in ends):
        wanted = " or ".join(f"[..., {', '.join(map(str, end))}]" for end in ends)
        raise ValueError(f"{name} takes {wanted}, got shape {value.shape}.\n  {user_line()}")
    return value


def _axes(seq: str, counts: tuple[int, ...]) -> tuple[tuple[int, ...], bool]:
    """The axes of a sequence of turns, and whether they stay where they are."""
    if len(seq) not in counts or not re.fullmatch("[xyz]*|[XYZ]*", seq):
        raise ValueError(
            f"Expected axes from `seq` to be {' or '.join(map(str, counts))} of 'x', 'y', 'z', or "
            f"of 'X', 'Y', 'Z', got {seq!r}.\n  {user_line()}"
        )
    if any(one == other for one, other in itertools.pairwise(seq)):
        raise ValueError(
            f"Expected consecutive axes to be different, got {seq!r}.\n  {user_line()}"
        )
    return tuple("xyz".index(letter) for letter in seq.lower()), seq.islower()


@dataclass(frozen=True, eq=False)
class Rotation:
    """Rotations in three dimensions: one, or a stack of them.

    Attributes:
        quat: unit quaternions x, y, z, w: [4], or [..., 4].

    >>> import funcgrad.numpy as fnp
    >>> from funcgrad.scipy.spatial.transform import Rotation
    >>> turn = Rotation.from_euler("z", 90.0, degrees=True)
    >>> turn.apply(fnp.array([1.0, 0.0, 0.0])).round(3) + 0
    Array([0., 1., 0.], dtype=float32)
    """

    quat: Any

    @classmethod
    def concatenate(cls, rotations: Sequence[Rotation]) -> Rotation:
        """The stack of all rotations of several stacks."""
        return cls(fnp.concatenate([rotation.quat for rotation in rotations]))

    @classmethod
    def from_euler(
        cls, seq: str, angles: Shaped[ArrayLike, "..."], degrees: bool = False
    ) -> Rotation:
        """Turns about one to three axes, one after the other.

        Args:
            seq: the axes: of "xyz", which stay, or of "XYZ", which turn along.
            angles: [..., len(seq)], or one number for one axis.
            degrees: whether these are degrees; radians otherwise.
        Raises:
            ValueError: other axes, equal neighbours, or another number of angles.
        """
        axes, extrinsic = _axes(seq, (1, 2, 3))
        given = _floats("Rotation.from_euler", fnp.atleast_1d(angles), (len(axes),))
        given = fnp.deg2rad(given) if degrees else given
        out: Any = None
        for i, axis in enumerate(axes):
            turn = quaternions.turn(axis, given[..., i])
            if out is None:
                out = turn
            else:
                pair = (turn, out) if extrinsic else (out, turn)
                out = quaternions.composed(*pair)
        return cls(out)

    @classmethod
    def from_matrix(cls, matrix: Shaped[ArrayLike, "*batch 3 3"]) -> Rotation:
        """The rotations of matrices [..., 3, 3]: orthogonal, of determinant 1, unchecked."""
        return cls(quaternions.from_matrix(_floats("Rotation.from_matrix", matrix, (3, 3))))

    @classmethod
    def from_mrp(cls, mrp: Shaped[ArrayLike, "*batch 3"]) -> Rotation:
        """The rotations by θ of modified Rodrigues parameters tan(θ/4) axis: [..., 3]."""
        return cls(quaternions.from_rodrigues(_floats("Rotation.from_mrp", mrp, (3,))))

    @classmethod
    def from_quat(cls, quat: Shaped[ArrayLike, "*batch 4"]) -> Rotation:
        """The rotations of quaternions x, y, z, w [..., 4] of any length but 0."""
        return cls(quaternions.normalized(_floats("Rotation.from_quat", quat, (4,))))

    @classmethod
    def from_rotvec(cls, rotvec: Shaped[ArrayLike, "*batch 3"], degrees: bool = False) -> Rotation:
        """The rotations by θ of vectors θ axis: [..., 3]."""
        vector = _floats("Rotation.from_rotvec", rotvec, (3,))
        return cls(quaternions.from_rotation_vector(fnp.deg2rad(vector) if degrees else vector))

    @classmethod
    def identity(cls, num: int | None = None, dtype: DTypeLike = float) -> Rotation:
        """The rotation that changes nothing, or num of them."""
        one = fnp.asarray([0.0, 0.0, 0.0, 1.0], dtype)
        return cls(one if num is None else fnp.tile(one, (num, 1)))

    @classmethod
    def random(cls, random_key: Any, num: int | None = None) -> Rotation:
        """A rotation, or num of them, drawn uniformly.

        Source: Muller, Comm. ACM 2 (1959): directions of normal vectors are uniform.
        """
        shape = (4,) if num is None else (num, 4)
        return cls(quaternions.normalized(draws.normal(random_key, shape)))

    def __getitem__(self, indexer: Any) -> Rotation:
        """The rotations at an index of the stack.

        Raises:
            TypeError: this is a single rotation.
        """
        if self.single:
            raise TypeError("Single rotation is not subscriptable.")
        return Rotation(self.quat[indexer])

    def __len__(self) -> int:
        if self.single:
            raise TypeError("Single rotation has no len().")
        return self.quat.shape[0]

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Rotation]:
        return (self[i] for i in range(len(self)))

    def __mul__(self, other: Rotation) -> Rotation:
        """The rotation by other first, then by this."""
        return Rotation.from_quat(quaternions.composed(self.quat, other.quat))

    def apply(self, vectors: Shaped[ArrayLike, "*batch 3"], inverse: Any = False) -> Array:
        """The vectors [..., 3] turned, or turned back; leading axes broadcast.

        Args:
            inverse: a bool, or an array of them for the rotations.
        """
        given = _floats("Rotation.apply", vectors, (3,))
        matrix = self.as_matrix()
        back: Any = fnp.asarray(inverse)[..., None, None]
        matrix = fnp.where(back, fnp.swapaxes(matrix, -1, -2), matrix)
        return fnp.matmul(matrix, given[..., None])[..., 0]

    def as_euler(self, seq: str, degrees: bool = False) -> Array:
        """The angles [..., 3] about three axes, in (-π, π]; axes as in `from_euler`.

        Where the outer axes lie on each other, one of the outer angles is 0.

        Raises:
            ValueError: not three axes, or equal neighbours.
        """
        axes, extrinsic = _axes(seq, (3,))
        angles = quaternions.euler_angles(self.quat, (axes[0], axes[1], axes[2]), extrinsic)
        return fnp.rad2deg(angles) if degrees else angles

    def as_matrix(self) -> Array:
        """The matrices [..., 3, 3]."""
        return quaternions.matrix_of(self.quat)

    def as_mrp(self) -> Array:
        """Modified Rodrigues parameters [..., 3]."""
        return quaternions.rodrigues(self.quat)

    def as_rotvec(self, degrees: bool = False) -> Array:
        """Vectors θ axis [..., 3] with θ ≤ π."""
        vector = quaternions.rotation_vector(self.quat)
        return fnp.rad2deg(vector) if degrees else vector

    def as_quat(self, canonical: bool = False, scalar_first: bool = False) -> Array:
        """Quaternions [..., 4].

        Args:
            canonical: of q and -q, the one whose first component that is not 0, in the order w, x,
                y, z, is positive.
            scalar_first: w, x, y, z in place of x, y, z, w.
        """
        quat = quaternions.canonical(self.quat) if canonical else self.quat
        return fnp.roll(quat, 1, -1) if scalar_first else quat

    def inv(self) -> Rotation:
        """The rotations back."""
        return Rotation(quaternions.inverse(self.quat))

    def magnitude(self) -> Array:
        """The angles [...], between 0 and π."""
        return quaternions.magnitude(self.quat)

    def mean(self, weights: Shaped[ArrayLike, "n"] | None = None) -> Rotation:
        """The rotation whose quaternion has the largest weighted squares of products with these.

        Raises:
            ValueError: weights that are no vector of as many numbers as there are rotations.
        Source: Markley et al., J. Guidance, Control, and Dynamics 30 (2007).
        """
        count = len(self)
        given: Any = fnp.ones(count) if weights is None else fnp.asarray(weights)
        if given.shape != (count,):
            raise ValueError(
                "Expected `weights` to be 1 dimensional, with one number for each of the "
                f"{count} rotations, got shape {given.shape}.\n  {user_line()}"
            )
        moment = (given.astype(self.quat.dtype) * self.quat.T) @ self.quat
        return Rotation(fnp.linalg.eigh(moment)[1][:, -1])

    @property
    def single(self) -> bool:
        """Whether this is one rotation and no stack."""
        return self.quat.ndim == 1


@dataclass(frozen=True, eq=False)
class Slerp:
    """Rotations between given ones, each turning at a constant rate into the next.

    Attributes:
        times: when the rotations are reached, ascending [n].
        timedelta: their differences [n - 1].
        rotations: all but the last.
        rotvecs: the turns from each to the next [n - 1, 3].

    >>> from funcgrad.scipy.spatial.transform import Rotation, Slerp
    >>> import funcgrad.numpy as fnp
    >>> ends = Rotation.from_euler("z", fnp.array([[0.0], [90.0]]), degrees=True)
    >>> Slerp.init([0.0, 3.0], ends)(1.0).as_euler("xyz", degrees=True).round(3) + 0
    Array([ 0.,  0., 30.], dtype=float32)
    """

    times: Any
    timedelta: Any
    rotations: Rotation
    rotvecs: Any

    @classmethod
    def init(cls, times: Any, rotations: Rotation) -> Slerp:
        """Take rotations and their times.

        Raises:
            TypeError: rotations is no Rotation.
            ValueError: fewer than two rotations, another number of times, or known times that do
                not ascend.
        """
        given: Any = rotations
        if not isinstance(given, Rotation):
            raise TypeError(f"`rotations` must be a `Rotation` instance, got {type(given)}.")
        if rotations.single or len(rotations) == 1:
            raise ValueError("`rotations` must be a sequence of at least 2 rotations.")
        moments: Any = fnp.asarray(times, rotations.quat.dtype)
        if moments.shape != (len(rotations),):
            raise ValueError(
                "Expected number of rotations to be equal to number of timestamps given, got "
                f"{len(rotations)} rotations and times of shape {moments.shape}.\n  {user_line()}"
            )
        known: Any = value_of(moments)
        if not isinstance(known, Tracer) and not ascends(known):
            raise ValueError(f"Times must be in strictly increasing order.\n  {user_line()}")
        start, stop = Rotation(rotations.quat[:-1]), Rotation(rotations.quat[1:])
        turns = (start.inv() * stop).as_rotvec()
        return cls(moments, fnp.diff(moments), start, turns)

    def __call__(self, times: Any) -> Rotation:
        """The rotations at times, one or a vector; before and after, the turns at the ends go on.

        Raises:
            ValueError: times has more than one axis.
        """
        moments: Any = fnp.asarray(times, self.times.dtype)
        if moments.ndim > 1:
            raise ValueError(
                f"`times` must be at most 1-dimensional, got shape {moments.shape}.\n"
                f"  {user_line()}"
            )
        last = self.timedelta.shape[0] - 1
        index = fnp.clip(fnp.searchsorted(self.times, moments) - 1, 0, last)
        part = (moments - self.times[index]) / self.timedelta[index]
        return self.rotations[index] * Rotation.from_rotvec(self.rotvecs[index] * part[..., None])


for _node in (Rotation, Slerp):
    register_dataclass(_node)

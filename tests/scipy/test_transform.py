"""Rotations: values of SciPy, types and values of JAX, transforms, and what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.spatial.transform as reference

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.scipy.spatial.transform import Rotation, Slerp

from .agreement import assert_same, check_transforms

rng = np.random.default_rng(0)
Q = rng.normal(size=(6, 4))
V = rng.normal(size=(6, 3))
SEQUENCES = [
    "".join(letters)
    for letters in itertools.product("xyz", repeat=3)
    if letters[0] != letters[1] != letters[2]
]
FORMS = ("matrix", "rotvec", "mrp")


@pytest.fixture
def wide() -> Any:
    with fg.enable_x64(True):
        yield


def near(got: Rotation, want: Any) -> None:
    """The same rotations, whatever the signs of their quaternions."""
    assert_same(got.as_quat(canonical=True), want.as_quat(canonical=True))


@pytest.mark.parametrize("form", FORMS)
def test_forms_as_in_scipy(form: str, wide: None) -> None:
    ours, theirs = Rotation.from_quat(Q), reference.Rotation.from_quat(Q)
    want = getattr(theirs, f"as_{form}")()
    assert_same(getattr(ours, f"as_{form}")(), want)
    near(getattr(Rotation, f"from_{form}")(want), theirs)
    assert_same(getattr(ours[2], f"as_{form}")(), want[2])
    assert getattr(Rotation, f"from_{form}")(want[2]).single


def test_matrices_of_half_turns(wide: None) -> None:
    for axis in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (0.6, 0.8, 0)):
        theirs = reference.Rotation.from_rotvec(np.pi * np.array(axis))
        got = Rotation.from_matrix(theirs.as_matrix())
        np.testing.assert_allclose(got.as_matrix(), theirs.as_matrix(), atol=1e-12)


@pytest.mark.parametrize("seq", [*SEQUENCES, *map(str.upper, SEQUENCES)])
def test_euler_angles_as_in_scipy(seq: str, wide: None) -> None:
    ours, theirs = Rotation.from_quat(Q), reference.Rotation.from_quat(Q)
    assert_same(ours.as_euler(seq), theirs.as_euler(seq))
    assert_same(ours.as_euler(seq, degrees=True), theirs.as_euler(seq, degrees=True))
    angles = V.copy()
    near(Rotation.from_euler(seq, angles), reference.Rotation.from_euler(seq, angles))
    # The outer axes lie on each other.
    angles[:, 1] = 0 if seq[0] == seq[2] else np.pi / 2
    locked = Rotation.from_euler(seq, angles)
    back = Rotation.from_euler(seq, locked.as_euler(seq))
    np.testing.assert_allclose(back.as_matrix(), locked.as_matrix(), atol=1e-7)


@pytest.mark.parametrize("seq", ["x", "Z", "yz", "ZX"])
def test_fewer_turns_as_in_scipy(seq: str, wide: None) -> None:
    angles = 90 * V[:, : len(seq)]
    want = reference.Rotation.from_euler(seq, angles, degrees=True)
    near(Rotation.from_euler(seq, angles, degrees=True), want)


def test_turns_by_one_angle() -> None:
    assert Rotation.from_euler("z", 0.3).single
    assert Rotation.from_euler("z", fnp.array([[0.3], [0.4]])).quat.shape == (2, 4)


def test_operations_as_in_scipy(wide: None) -> None:
    ours, theirs = Rotation.from_quat(Q), reference.Rotation.from_quat(Q)
    near(ours * ours[::-1], theirs * theirs[::-1])
    near(ours * ours[1], theirs * theirs[1])
    near(ours.inv(), theirs.inv())
    near(ours.mean(), theirs.mean())
    near(ours.mean(np.arange(1, 7)), theirs.mean(np.arange(1, 7)))
    near(Rotation.concatenate([ours, ours[2:]]), theirs.concatenate([theirs, theirs[2:]]))
    assert_same(ours.magnitude(), theirs.magnitude())
    assert_same(ours.as_quat(), theirs.as_quat())
    assert_same(ours.as_quat(scalar_first=True), theirs.as_quat(scalar_first=True))
    assert_same(ours.as_rotvec(degrees=True), theirs.as_rotvec(degrees=True))
    near(Rotation.from_rotvec(90 * V, degrees=True), theirs.from_rotvec(90 * V, degrees=True))
    assert_same(ours.apply(V), theirs.apply(V))
    assert_same(ours.apply(V, inverse=True), theirs.apply(V, inverse=True))
    assert_same(ours[1].apply(V), theirs[1].apply(V))
    assert_same(ours.apply(V[0]), theirs.apply(V[0]))
    mixed = np.arange(6) % 2 == 0
    want = np.where(mixed[:, None], theirs.apply(V, inverse=True), theirs.apply(V))
    assert_same(ours.apply(V, mixed), want)
    assert len(ours) == 6 and len(list(ours)) == 6 and not ours.single and ours[1].single
    assert ours[0]


def test_canonical_quaternions(wide: None) -> None:
    signs = np.array([q for q in itertools.product([-1.0, 0.0, 1.0], repeat=4) if any(q)])
    ours, theirs = Rotation.from_quat(signs), reference.Rotation.from_quat(signs)
    assert_same(ours.as_quat(canonical=True), theirs.as_quat(canonical=True))


def test_identities_and_random_rotations(wide: None) -> None:
    assert_same(Rotation.identity().as_matrix(), np.eye(3))
    assert Rotation.identity(2, "float32").quat.dtype == np.float32
    drawn = Rotation.random(fg.random.key(0), 4000)
    assert Rotation.random(fg.random.key(0)).single
    # The mean of uniform rotation matrices is 0, each entry having a variance of 1/3.
    np.testing.assert_allclose(drawn.as_matrix().mean(0), np.zeros((3, 3)), atol=5 / np.sqrt(12000))
    np.testing.assert_allclose((drawn.as_matrix() ** 2).mean(0), np.full((3, 3), 1 / 3), atol=0.03)


def test_slerp_as_in_scipy(wide: None) -> None:
    times, at = [0.0, 1.0, 2.5, 3.0, 3.5, 5.0], np.array([0.0, 0.3, 1.0, 2.0, 4.9, 5.0])
    ours = Slerp.init(times, Rotation.from_quat(Q))
    theirs = reference.Slerp(times, reference.Rotation.from_quat(Q))
    near(ours(at), theirs(at))
    near(ours(2.25), theirs(2.25))
    # The last turn goes on.
    ends = Slerp.init([0.0, 1.0], Rotation.from_euler("z", fnp.array([[0.0], [0.2]])))
    np.testing.assert_allclose(ends(3.0).as_rotvec(), [0, 0, 0.6], atol=1e-12)


def test_values_and_types_as_in_jax() -> None:
    jnp = pytest.importorskip("jax.numpy")
    theirs = pytest.importorskip("jax.scipy.spatial.transform")
    q = Q.astype(np.float32)
    ours, other = Rotation.from_quat(q), theirs.Rotation.from_quat(jnp.asarray(q))
    for call in (
        "as_matrix()",
        "as_rotvec()",
        "as_euler('zyx')",
        "identity().quat",
        "from_rotvec(v).quat",
        "apply(v)",
    ):
        v = V.astype(np.float32)
        got = eval(f"r.{call}", {"r": ours, "v": fnp.asarray(v)})
        assert_same(got, eval(f"r.{call}", {"r": other, "v": jnp.asarray(v)}), 1e-5, 3e-6)


CALLS = [
    "from_quat(v).as_matrix()",
    "from_quat(v).as_rotvec()",
    "from_quat(v).as_mrp()",
    "from_quat(v).magnitude()",
    "from_quat(v).as_euler('zxy')",
    "from_quat(v).as_euler('XYX')",
    "from_quat(v).apply(v[..., :3])",
    "from_rotvec(v[..., :3]).quat",
    "from_mrp(v[..., :3]).quat",
    "from_euler('xyz', v[..., :3]).quat",
    "(R.from_quat(v) * R.from_quat(v * v)).quat",
]


@pytest.mark.parametrize("call", CALLS)
def test_transforms(call: str, wide: None) -> None:
    text = call if call[0] == "(" else f"R.{call}"
    check_transforms(lambda v: eval(text, {"R": Rotation, "v": v}), Q[:3])


def test_transforms_of_matrices_and_slerp(wide: None) -> None:
    matrices = reference.Rotation.from_quat(Q[:4]).as_matrix()
    fg.test_util.check_grads(lambda m: Rotation.from_matrix(m).quat, (matrices,), 2)

    def between(q: Any, times: Any, at: Any) -> Any:
        return Slerp.init(times, Rotation.from_quat(q))(at).as_matrix()

    args = (Q, np.cumsum(rng.uniform(0.5, 1, 6)), rng.uniform(0.6, 3, 4))
    fg.test_util.check_grads(between, args, 1, rtol=1e-4, atol=1e-4)
    assert_same(fg.jit(between)(*args), between(*args))


def test_rotations_are_pytrees(wide: None) -> None:
    turned = fg.jit(lambda r, v: (r.inv(), r.apply(v)))(Rotation.from_quat(Q), V)
    assert isinstance(turned[0], Rotation)
    mapped = fg.vmap(lambda r, v: r.apply(v))(Rotation.from_quat(Q), V)
    assert_same(mapped, turned[1])


def test_derivatives_at_the_identity(wide: None) -> None:
    zero = fnp.zeros(3)
    there = fg.jacobian(lambda v: Rotation.from_rotvec(v).as_rotvec())(zero)
    np.testing.assert_allclose(there, np.eye(3), atol=1e-12)
    bend = fg.hessian(lambda v: Rotation.from_rotvec(v).as_matrix().sum())(zero)
    assert np.isfinite(bend).all()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        ("R.from_euler('xyzx', v)", ValueError, "'xyzx'"),
        ("R.from_euler('xYz', v)", ValueError, "'xYz'"),
        ("R.from_euler('', v)", ValueError, "''"),
        ("R.from_euler('xxz', v)", ValueError, "consecutive axes"),
        ("R.from_euler('xy', v)", ValueError, "takes"),
        ("R.from_quat(v)", ValueError, "takes"),
        ("R.from_matrix(v)", ValueError, "takes"),
        ("R.from_rotvec([1.0, 0.0, 0.0])", TypeError, "requires ndarray"),
        ("r.as_euler('xy')", ValueError, "'xy'"),
        ("r[0]", TypeError, "not subscriptable"),
        ("len(r)", TypeError, "no len"),
        ("rs.mean(v)", ValueError, "one number for each"),
        ("S.init(v, 3)", TypeError, "Rotation"),
        ("S.init(v, r)", ValueError, "at least 2"),
        ("S.init(v, rs)", ValueError, "timestamps"),
        ("S.init([0.0, 0.0], rs)", ValueError, "strictly increasing"),
        ("S.init([0.0, 1.0], rs)(rs.quat)", ValueError, "1-dimensional"),
    ],
)
def test_what_is_refused(call: str, error: type[Exception], text: str) -> None:
    stack = Rotation.identity(2)
    names = {"R": Rotation, "S": Slerp, "v": fnp.ones(3), "r": Rotation.identity(), "rs": stack}
    with pytest.raises(error, match=text):
        eval(call, names)

"""Shardings of arguments, results and arrays, on a CPU that counts as several devices."""

import re

import numpy as np
import pytest

import funcgrad as fg
from funcgrad import P
from funcgrad.sharding import NamedSharding, SingleDeviceSharding

from ..layout_programs import PROGRAMS, X


@pytest.fixture
def mesh(cpus):
    """Four devices in a line."""
    cpus(4)
    return fg.make_mesh((4,), ("data",))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_programs(mesh, program):
    program(mesh)


def test_an_array_of_one_device_is_one_shard():
    x = fg.numpy.asarray(X)
    assert x.sharding == SingleDeviceSharding(fg.devices()[0]) and x.is_fully_replicated
    (shard,) = x.addressable_shards
    assert shard.data is x and shard.index == (slice(None),) * 2 and shard.replica_id == 0
    assert x.addressable_data(0) is x


def test_the_mesh_in_force(mesh):
    none = fg.sharding.get_mesh()
    assert none.empty and none.size == 1 and fg.sharding.get_abstract_mesh().empty
    other = fg.sharding.AbstractMesh((8,), ("model",))
    assert (other.auto_axes, other.explicit_axes, other.manual_axes) == (("model",), (), ())
    with fg.set_mesh(mesh):
        assert fg.sharding.get_mesh() is mesh
        assert fg.sharding.get_abstract_mesh() == mesh.abstract_mesh
        with fg.sharding.use_abstract_mesh(other) as given:
            assert given is fg.sharding.get_abstract_mesh() is other
            assert fg.sharding.get_mesh() is mesh
        assert fg.sharding.get_abstract_mesh() == mesh.abstract_mesh
        assert fg.sharding.reshard(X, P("data")).sharding == NamedSharding(mesh, P("data"))
    with pytest.raises(TypeError, match=r"(?s)takes an AbstractMesh.*test_layouts"):
        fg.sharding.use_abstract_mesh(mesh)


def test_arrays_change_their_shardings(mesh):
    divided, same = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
    x = fg.sharding.reshard({"a": X, "b": X}, {"a": divided, "b": same})
    assert (x["a"].sharding, x["b"].sharding) == (divided, same)
    assert fg.jit(lambda x: fg.sharding.reshard(x, divided))(x["b"]).sharding == same
    place = fg.sharding.make_single_device_sharding(fg.devices()[0])
    assert place == SingleDeviceSharding(fg.devices()[0])
    with pytest.raises(ValueError, match=r"(?s)a sharding for each leaf.*test_layouts"):
        fg.sharding.reshard((X, X), (divided, None))


def test_what_cannot_be(mesh):
    divided, same = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
    x = fg.device_put(X, divided)
    cases = [
        (lambda: fg.jit(lambda a: a, in_shardings=same)(x), ValueError, "does not match the shard"),
        (lambda: fg.jit(lambda a: a, in_shardings=(same,) * 2)(X), ValueError, "a tree prefix"),
        (lambda: fg.jit(lambda a: a, in_shardings=same)(a=X), ValueError, "a by name"),
        (lambda: fg.jit(lambda a: a[:3], out_shardings=divided)(X), ValueError, "does not divide"),
        (lambda: fg.jit(lambda a: a, in_shardings=divided)(X[:3]), ValueError, "does not divide"),
        (lambda: fg.jit(lambda a: a, out_shardings=P("data"))(X), RuntimeError, "no mesh is set"),
        (lambda: fg.jit(lambda a: a, out_shardings="cpu")(X), TypeError, "takes shardings"),
        (lambda: fg.lax.with_sharding_constraint(X, P()), RuntimeError, "no mesh is set"),
        (lambda: fg.device_put(X, P("data")), ValueError, "no mesh is set"),
        (lambda: fg.device_put(X[:3], divided), ValueError, "axis 0 of extent 3 does not divide"),
        (
            lambda: fg.make_array_from_callback((8, 4), divided, lambda at: X),
            ValueError,
            "the part at .* has the shape",
        ),
        (
            lambda: fg.make_array_from_single_device_arrays((8, 4), divided, [X[:2]] * 3),
            ValueError,
            "over 4 devices, and there are 3",
        ),
        (
            lambda: fg.make_array_from_single_device_arrays((8, 4), divided, [X] * 4),
            ValueError,
            "a part is float32",
        ),
        (
            lambda: fg.make_array_from_process_local_data(divided, X, (16, 4)),
            ValueError,
            r"global_shape is \(16, 4\)",
        ),
    ]
    for act, error, text in cases:
        with pytest.raises(error, match=text) as told:
            act()
        assert re.search(r"test_layouts|cannot lie by", str(told.value))


def test_results_do_not_share_what_is_written_over(mesh):
    x = fg.device_put(X, NamedSharding(mesh, P("data")))
    kept = x.addressable_shards[1].data
    y = fg.jit(lambda x: x * 2, donate_argnums=0)(x)
    assert x.is_deleted()
    np.testing.assert_array_equal(kept, X[2:4])
    np.testing.assert_array_equal(y, 2 * X)


def test_arrays_of_two_meshes_do_not_meet(mesh):
    some = fg.sharding.Mesh(fg.devices()[1:3], "data")
    x, y = (fg.device_put(X, NamedSharding(m, P("data"))) for m in (mesh, some))
    told = r"(?s)is on CPU:0, CPU:1, CPU:2, CPU:3 and one of .* on CPU:1, CPU:2\..*test_layouts"
    for f in (lambda x, y: x + y, fg.jit(lambda x, y: x + y)):
        with pytest.raises(ValueError, match=told):
            f(x, y)

"""Names that programs for several processes and networks use, in the one process there is."""

import numpy as np
import pytest

import funcgrad as fg
from funcgrad import P
from funcgrad.experimental import mesh_utils, multihost_utils
from funcgrad.sharding import Mesh, NamedSharding


def test_devices_in_the_shape_of_a_mesh(cpus):
    cpus(4)
    places = mesh_utils.create_device_mesh((2, 2))
    assert Mesh(places, ("x", "y")) == fg.make_mesh((2, 2), ("x", "y"))
    assert mesh_utils.create_device_mesh((2,), fg.devices()[2:]).tolist() == fg.devices()[2:]
    assert mesh_utils.create_hybrid_device_mesh((4, 1), (1, 1)).shape == (4, 1)
    with pytest.raises(ValueError, match=r"(?s)4 devices.*6 places.*test_processes"):
        mesh_utils.create_device_mesh((3, 2))
    with pytest.raises(ValueError, match=r"(?s)one network.*test_processes"):
        mesh_utils.create_hybrid_device_mesh((2, 1), (2, 1))


def test_what_processes_do_together(cpus):
    cpus(2)
    mesh = fg.make_mesh((2,), ("x",))
    tree = {"a": np.arange(4.0, dtype=np.float32), "b": np.ones(3, np.float32)}
    assert multihost_utils.process_allgather(tree)["a"].shape == (1, 4)
    assert multihost_utils.process_allgather(tree, tiled=True)["a"].shape == (4,)
    assert isinstance(multihost_utils.broadcast_one_to_all(tree)["b"], np.ndarray)
    multihost_utils.sync_global_devices("here")
    multihost_utils.assert_equal(tree)
    specs = {"a": P("x"), "b": None}
    whole = multihost_utils.host_local_array_to_global_array(tree, mesh, specs)
    assert whole["a"].sharding == NamedSharding(mesh, P("x"))
    assert whole["b"].sharding == NamedSharding(mesh, P())
    back = multihost_utils.global_array_to_host_local_array(whole, mesh, specs)
    np.testing.assert_array_equal(back["a"], tree["a"])
    with pytest.raises(ValueError, match="does not divide"):
        multihost_utils.host_local_array_to_global_array(tree, mesh, P("x"))


def test_processes():
    assert fg.process_indices() == [fg.process_index("cpu")] == [0] and fg.process_count("cpu") == 1
    assert fg.local_devices(0) == fg.local_devices(backend="cpu") == fg.devices()
    with pytest.raises(ValueError, match="there is one process"):
        fg.local_devices(1)

"""orbax: trees of arrays saved and restored, alone and by a manager of checkpoints."""

import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

jax.config.update("jax_num_cpu_devices", 2)
tree = {"w": jnp.arange(6.0).reshape(2, 3), "step": jnp.int32(3), "n": [jnp.ones(2, jnp.bfloat16)]}
abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, tree)


def check(found):
    """The tree that was saved."""
    for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(tree), strict=True):
        assert isinstance(x, jax.Array) and (x.shape, x.dtype) == (y.shape, y.dtype)
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


with tempfile.TemporaryDirectory() as name:
    place = Path(name)
    checkpointer = ocp.StandardCheckpointer()
    checkpointer.save(place / "one", tree)
    checkpointer.wait_until_finished()
    check(checkpointer.restore(place / "one", abstract))
    mesh = jax.make_mesh((2,), ("i",))
    laid = jax.ShapeDtypeStruct((2, 3), "float32", sharding=NamedSharding(mesh, P("i")))
    found = checkpointer.restore(place / "one", {**abstract, "w": laid})
    check(found)
    assert found["w"].sharding.spec == P("i")
    options = ocp.CheckpointManagerOptions(max_to_keep=2)
    with ocp.CheckpointManager(place / "many", options=options) as manager:
        for step in range(3):
            manager.save(step, args=ocp.args.StandardSave(tree))
        manager.wait_until_finished()
        assert manager.all_steps() == [1, 2]
        check(manager.restore(manager.latest_step(), args=ocp.args.StandardRestore(abstract)))

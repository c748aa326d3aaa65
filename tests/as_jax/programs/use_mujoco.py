"""mujoco.mjx: a body falls, step by step, under jit and vmap."""

import jax
import jax.numpy as jnp
import mujoco
from mujoco import mjx

text = (
    "<mujoco><worldbody><body pos='0 0 1'><freejoint/><geom size='.1'/></body></worldbody></mujoco>"
)
host = mujoco.MjModel.from_xml_string(text)
model = mjx.put_model(host)
data = mjx.make_data(model)
data = data.replace(qpos=jnp.array(host.qpos0))
step = jax.jit(lambda d: mjx.step(model, d))
for _ in range(10):
    data = step(data)
there = mujoco.MjData(host)
for _ in range(10):
    mujoco.mj_step(host, there)
assert jnp.allclose(data.qpos, there.qpos, atol=1e-5), (data.qpos, there.qpos)
several = jax.vmap(lambda z: mjx.step(model, data.replace(qpos=data.qpos.at[2].add(z))).qpos[2])
assert jnp.allclose(jnp.diff(several(jnp.array([0.0, 1.0, 2.0]))), 1.0, atol=1e-5)

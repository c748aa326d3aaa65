"""jaxmarl: agents of four of its environments acting at random, steps scanned."""

import jax
import jax.numpy as jnp
import jaxmarl

for name in ("MPE_simple_spread_v3", "overcooked", "hanabi", "switch_riddle"):
    env = jaxmarl.make(name)
    views, state = jax.jit(env.reset)(jax.random.PRNGKey(0))
    assert set(views) == set(env.agents)

    def step(carry, _, env=env):
        key, state = carry
        key, acting, stepping = jax.random.split(key, 3)
        keys = jax.random.split(acting, env.num_agents)
        actions = {
            agent: env.action_space(agent).sample(k)
            for agent, k in zip(env.agents, keys, strict=True)
        }
        views, state, rewards, done, _ = env.step(stepping, state, actions)
        return (key, state), (views, rewards, done["__all__"])

    start = (jax.random.PRNGKey(1), state)
    _, (views, rewards, done) = jax.jit(lambda s, step=step: jax.lax.scan(step, s, None, 40))(start)
    assert done.shape == (40,)
    for agent in env.agents:
        assert rewards[agent].shape == (40,)
        assert jnp.isfinite(views[agent].astype(float)).all()
    if name.startswith("MPE"):
        # The reward is the negative of distances to landmarks, and of collisions.
        assert (sum(rewards.values()) < 0).all()
        assert done.sum() == 1

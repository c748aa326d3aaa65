"""gymnax: environments of classic control and MinAtar, fifty steps of each in one scan."""

import gymnax
import jax

key = jax.random.key(0)
for name in ("CartPole-v1", "Pendulum-v1", "Acrobot-v1", "Breakout-MinAtar"):
    world, params = gymnax.make(name)

    def step(carry, key, world=world, params=params):
        seen, state = carry
        action = world.action_space(params).sample(key)
        seen, state, reward, *_ = world.step(key, state, action, params)
        return (seen, state), reward

    run = jax.jit(lambda carry, step=step: jax.lax.scan(step, carry, jax.random.split(key, 50)))
    (seen, _), rewards = run(world.reset(key, params))
    assert rewards.shape == (50,)
    assert seen.shape == world.observation_space(params).shape
    if name == "CartPole-v1":
        assert rewards.sum() == 50

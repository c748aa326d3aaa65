"""haiku: functions of modules made pure."""

import haiku as hk
import jax
import jax.numpy as jnp
import optax

key = jax.random.PRNGKey(0)
net = hk.transform(lambda x: hk.nets.MLP([16, 1])(x))
x = jax.random.normal(jax.random.key(1), (32, 4))
y = jnp.sin(x.sum(1, keepdims=True))
params = net.init(key, x)
optimizer = optax.adam(1e-2)
state = optimizer.init(params)


@jax.jit
def step(params, state):
    def loss(params):
        return jnp.mean((net.apply(params, None, x) - y) ** 2)

    value, grads = jax.value_and_grad(loss)(params)
    updates, state = optimizer.update(grads, state)
    return optax.apply_updates(params, updates), state, value


losses = []
for _ in range(30):
    params, state, value = step(params, state)
    losses.append(float(value))
assert losses[-1] < 0.6 * losses[0], losses

image = jnp.ones((2, 8, 8, 1))
normed = hk.transform_with_state(lambda x: hk.BatchNorm(True, True, 0.9)(hk.Conv2D(3, 3)(x), True))
assert normed.apply(*normed.init(key, image), None, image)[0].shape == (2, 8, 8, 3)


def unrolled(x):
    core = hk.LSTM(4)
    return hk.dynamic_unroll(core, x, core.initial_state(2))[0]


rnn, series = hk.transform(unrolled), jnp.ones((5, 2, 3))
assert rnn.apply(rnn.init(key, series), None, series).shape == (5, 2, 4)

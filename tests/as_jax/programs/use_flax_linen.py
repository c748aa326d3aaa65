"""flax.linen: modules with parameters, statistics and dropout."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax


class Net(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        x = nn.relu(nn.LayerNorm()(nn.Dense(16)(x)))
        x = nn.BatchNorm(use_running_average=not train)(x)
        x = nn.Dropout(0.1, deterministic=not train)(x)
        return nn.Dense(1)(x)


net, key = Net(), jax.random.key(0)
x = jax.random.normal(jax.random.key(1), (32, 4))
y = jnp.sin(x.sum(1, keepdims=True))
variables = net.init(key, x)
params, stats = variables["params"], variables["batch_stats"]
optimizer = optax.adam(1e-2)
state = optimizer.init(params)


@jax.jit
def step(params, stats, state, key):
    def loss(params):
        given = {"params": params, "batch_stats": stats}
        out, new = net.apply(given, x, train=True, mutable=["batch_stats"], rngs={"dropout": key})
        return jnp.mean((out - y) ** 2), new["batch_stats"]

    (value, new), grads = jax.value_and_grad(loss, has_aux=True)(params)
    updates, state = optimizer.update(grads, state)
    return optax.apply_updates(params, updates), new, state, value


losses = []
for i in range(30):
    params, stats, state, value = step(params, stats, state, jax.random.key(i))
    losses.append(float(value))
assert losses[-1] < 0.7 * losses[0], losses


def shape(layer, *args):
    return layer.init_with_output(key, *args)[0].shape


assert shape(nn.Conv(4, (3, 3)), jnp.ones((1, 8, 8, 3))) == (1, 8, 8, 4)
assert shape(nn.RNN(nn.LSTMCell(5)), jnp.ones((2, 4, 3))) == (2, 4, 5)
attention = nn.MultiHeadDotProductAttention(2, qkv_features=8)
assert shape(attention, jnp.ones((2, 4, 8))) == (2, 4, 8)
assert shape(nn.Embed(5, 3), jnp.array([1, 2])) == (2, 3)

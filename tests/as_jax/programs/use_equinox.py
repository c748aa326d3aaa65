"""equinox: modules that are trees, filtered transforms, errors at run time."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax


class Model(eqx.Module):
    first: eqx.nn.Linear
    rest: eqx.nn.MLP

    def __init__(self, key):
        one, two = jax.random.split(key)
        self.first = eqx.nn.Linear(4, 8, key=one)
        self.rest = eqx.nn.MLP(8, 1, 16, 2, key=two)

    def __call__(self, x):
        return self.rest(jax.nn.relu(self.first(x)))


key = jax.random.PRNGKey(0)
model = Model(key)
x = jax.random.normal(jax.random.PRNGKey(1), (32, 4))
y = jnp.sin(x.sum(1, keepdims=True))
optimizer = optax.adam(1e-2)
state = optimizer.init(eqx.filter(model, eqx.is_array))


@eqx.filter_value_and_grad
def loss(model, x, y):
    return jnp.mean((jax.vmap(model)(x) - y) ** 2)


@eqx.filter_jit
def step(model, state, x, y):
    value, grads = loss(model, x, y)
    updates, state = optimizer.update(grads, state)
    return eqx.apply_updates(model, updates), state, value


losses = []
for _ in range(30):
    model, state, value = step(model, state, x, y)
    losses.append(float(value))
assert losses[-1] < 0.6 * losses[0], losses
assert eqx.nn.Conv2d(1, 3, 3, key=key)(jnp.ones((1, 8, 8))).shape == (3, 6, 6)
assert eqx.nn.GRUCell(3, 4, key=key)(jnp.ones(3), jnp.zeros(4)).shape == (4,)
assert eqx.nn.MultiheadAttention(2, 4, key=key)(*[jnp.ones((3, 4))] * 3).shape == (3, 4)
assert abs(eqx.nn.LayerNorm(4)(jnp.arange(4.0)).sum()) < 1e-5
checked = eqx.filter_jit(lambda x: eqx.error_if(x, x.sum() < 0, "negative"))
assert checked(jnp.ones(2)).sum() == 2

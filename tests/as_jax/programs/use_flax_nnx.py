"""flax.nnx: modules that hold their variables."""

import jax
import jax.numpy as jnp
import optax
from flax import nnx


class Net(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(4, 16, rngs=rngs)
        self.norm = nnx.BatchNorm(16, rngs=rngs)
        self.last = nnx.Linear(16, 1, rngs=rngs)

    def __call__(self, x):
        return self.last(nnx.relu(self.norm(self.first(x))))


net = Net(nnx.Rngs(0))
x = jax.random.normal(jax.random.key(1), (32, 4))
y = jnp.sin(x.sum(1, keepdims=True))
optimizer = nnx.Optimizer(net, optax.adam(1e-2), wrt=nnx.Param)


@nnx.jit
def step(net, optimizer):
    value, grads = nnx.value_and_grad(lambda net: jnp.mean((net(x) - y) ** 2))(net)
    optimizer.update(net, grads)
    return value


losses = [float(step(net, optimizer)) for _ in range(30)]
assert losses[-1] < 0.6 * losses[0], losses

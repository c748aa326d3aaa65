"""haliax: a network of named axes trained, attention, folds over an axis."""

import equinox as eqx
import haliax as hax
import haliax.nn as hnn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from haliax.nn.attention import causal_mask, dot_product_attention

Batch, Feature, Hidden, Class = hax.make_axes(Batch=16, Feature=8, Hidden=12, Class=3)
key = jax.random.PRNGKey(0)
x = hax.random.normal(key, (Batch, Feature))
y = hax.named(jnp.argmax(x.array[:, :3], 1), Batch)


class Network(eqx.Module):
    first: hnn.Linear
    norm: hnn.LayerNorm
    dropout: hnn.Dropout
    last: hnn.Linear

    @staticmethod
    def init(key):
        one, two = jax.random.split(key)
        return Network(
            hnn.Linear.init(Feature, Hidden, key=one),
            hnn.LayerNorm.init(Hidden),
            hnn.Dropout(0.1),
            hnn.Linear.init(Hidden, Class, key=two),
        )

    def __call__(self, x, key=None):
        hidden = self.norm(hnn.gelu(self.first(x)))
        return self.last(self.dropout(hidden, inference=key is None, key=key))


def loss(network, key):
    wanted = hnn.one_hot(y, Class)
    return hnn.cross_entropy_loss(network(x, key), Class, wanted, reduction=hax.mean).scalar()


optimizer = optax.adam(1e-2)


@hax.named_jit
def step(network, state, key):
    value, slopes = eqx.filter_value_and_grad(loss)(network, key)
    updates, state = optimizer.update(slopes, state)
    return value, eqx.apply_updates(network, updates), state


network = Network.init(key)
state = optimizer.init(eqx.filter(network, eqx.is_array))
losses = []
for i in range(40):
    value, network, state = step(network, state, jax.random.PRNGKey(i))
    losses.append(float(value))
assert losses[-1] < 0.5 * losses[0], losses

Position, Head = hax.make_axes(position=6, head=4)
KeyPosition = Position.alias("key_position")
query, keys = hax.random.normal(key, (Position, Head)), hax.random.normal(key, (KeyPosition, Head))
mask = causal_mask(Position, KeyPosition)
attended = dot_product_attention(KeyPosition, Head, query, keys, keys, mask=mask)
scores = np.where(np.tri(6), query.array @ keys.array.T / 2, -np.inf)
weights = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
np.testing.assert_allclose(attended.array, weights @ keys.array, rtol=1e-5, atol=1e-6)

centred = hax.vmap(lambda row: row - row.mean(), "Batch")(x)
np.testing.assert_allclose(centred.sum("Feature").array, np.zeros(16), atol=1e-5)
total, _ = hax.scan(lambda sum, row: (sum + row.sum().scalar(), sum), "Batch")(jnp.zeros(()), x)
np.testing.assert_allclose(total, x.array.sum(), rtol=1e-5)
squares = hax.einsum("{Batch Feature} -> Batch", x * x)
np.testing.assert_allclose(squares.array, (x.array**2).sum(1), rtol=1e-6)

"""bartz: a sum of regression trees sampled."""

import bartz
import jax
import jax.numpy as jnp
import numpy as np

x = jax.random.uniform(jax.random.key(0), (60, 3))
y = jnp.sin(6 * x[:, 0]) + x[:, 1]
fitted = bartz.BART.gbart(x, y, ntree=20, ndpost=60, nskip=60, seed=0)
assert np.corrcoef(fitted.yhat_train_mean, y)[0, 1] > 0.9

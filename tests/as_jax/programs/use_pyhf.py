"""pyhf: a counting experiment fitted and tested, its gradients by `jax`."""

import numpy as np
import pyhf

pyhf.set_backend("jax")
model = pyhf.simplemodels.uncorrelated_background([5.0, 10.0], [50.0, 60.0], [7.0, 8.0])
data = [55.0, 72.0, *model.config.auxdata]
np.testing.assert_allclose(pyhf.infer.mle.fit(data, model)[0], 1.1508, atol=1e-3)
assert 0.05 < pyhf.infer.hypotest(1.0, data, model) < 1

"""dynamiqs: a cavity that loses photons, its derivative by the rate of loss, a closed one."""

import dynamiqs as dq
import jax
import jax.numpy as jnp
import numpy as np

lower = dq.destroy(12)
number = lower.dag() @ lower
times = jnp.linspace(0, 1, 5)
coherent = dq.coherent(12, 1.0)


def photons(rate):
    found = dq.mesolve(
        number, [jnp.sqrt(rate) * lower], coherent, times, exp_ops=[number], progress_meter=None
    )
    return found.expects[0].real


np.testing.assert_allclose(photons(0.5), np.exp(-0.5 * times), rtol=1e-3)
np.testing.assert_allclose(jax.grad(lambda r: photons(r)[-1])(0.5), -np.exp(-0.5), rtol=1e-2)
closed = dq.sesolve(number, coherent, times, exp_ops=[lower + lower.dag()], progress_meter=None)
np.testing.assert_allclose(closed.expects[0].real, 2 * np.cos(times), rtol=1e-3)

"""sympy2jax: expressions of sympy as functions."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import sympy
import sympy2jax

x, y = sympy.symbols("x y")
expressions = [sympy.cos(x) * 2.0 + sympy.exp(-(x**2) * y), sympy.sqrt(x + 3) / y]
module = sympy2jax.SymbolicModule(expressions)
point = {"x": jnp.array(0.5), "y": jnp.array(1.5)}
exact = [float(e.subs({x: 0.5, y: 1.5})) for e in expressions]
np.testing.assert_allclose(module(**point), exact, rtol=1e-6)
np.testing.assert_allclose(eqx.filter_jit(module)(**point), exact, rtol=1e-6)
slope = jax.grad(lambda p: module(**p)[0])(point)["x"]
np.testing.assert_allclose(slope, float(expressions[0].diff(x).subs({x: 0.5, y: 1.5})), rtol=1e-5)
trained = eqx.filter_grad(lambda m: m(**point)[0])(module)
assert jax.tree.structure(trained) == jax.tree.structure(eqx.filter(module, eqx.is_inexact_array))

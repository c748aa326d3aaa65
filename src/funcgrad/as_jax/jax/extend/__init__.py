"""`jax.extend`: what libraries use that define primitives or read jaxprs."""

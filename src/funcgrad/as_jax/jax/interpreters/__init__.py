"""`jax.interpreters`: the rules of primitives that libraries define."""

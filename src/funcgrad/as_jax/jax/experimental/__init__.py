"""`jax.experimental`: names that funcgrad has under others."""

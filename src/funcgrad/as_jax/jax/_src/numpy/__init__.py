"""Parts of `jax._src.numpy` that libraries reach for."""

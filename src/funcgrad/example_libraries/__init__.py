"""The small libraries that come with JAX as examples, which programs have come to rely on."""

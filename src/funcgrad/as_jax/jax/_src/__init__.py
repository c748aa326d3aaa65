"""Internal modules of JAX that libraries reach into, as far as what they use has a meaning here."""

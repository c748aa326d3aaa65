"""User functions around the transforms: derivatives, mapping, tracing, placement."""

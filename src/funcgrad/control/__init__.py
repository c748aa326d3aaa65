"""Higher-order primitives: their rules call transforms."""

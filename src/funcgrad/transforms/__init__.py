"""The mechanisms: jvp, batching, partial evaluation, transposition."""

"""Binding, tracing and evaluation: Array, Primitive, Trace, staging."""

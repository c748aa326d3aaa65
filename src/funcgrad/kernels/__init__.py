"""Stages of the compiler: jaxpr to running code."""

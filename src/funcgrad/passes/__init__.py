"""Jaxpr to jaxpr: simplify, dce, cse."""

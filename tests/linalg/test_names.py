"""Names and signatures of linear algebra are JAX's."""

from __future__ import annotations

import importlib
import inspect

import pytest

# Where arrays are sharded is no question here.
LEFT_OUT = {"out_sharding"}


def shape_of(function):
    """Names, kinds and defaults of parameters; None for what is no function."""
    try:
        parameters = inspect.signature(inspect.unwrap(function)).parameters.values()
    except (TypeError, ValueError):
        return None
    return [(p.name, p.kind, p.default) for p in parameters if p.name not in LEFT_OUT]


@pytest.mark.parametrize("module", ["lax.linalg", "numpy.linalg", "scipy.linalg"])
def test_names_and_signatures_as_in_jax(module):
    theirs = pytest.importorskip(f"jax.{module}")
    ours = importlib.import_module(f"funcgrad.{module}")
    public = [name for name in dir(theirs) if not name.startswith("_")]
    assert not [name for name in public if not hasattr(ours, name)]
    for name in public:
        if inspect.isfunction(inspect.unwrap(getattr(theirs, name))):
            assert shape_of(getattr(ours, name)) == shape_of(getattr(theirs, name)), name

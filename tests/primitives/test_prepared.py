"""What primitives prepare for operands of known avals: the same bits as their NumPy rules."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import funcgrad  # noqa: F401 -- registers the primitives
from funcgrad.control.plans import _knows_its_rule
from funcgrad.core.array import to_ndarray
from funcgrad.core.primitive import Primitive, registry
from funcgrad.ir import narrow
from funcgrad.ir.avals import ShapedArray

SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -2.5, 3e38])


def prepares(primitive: Primitive) -> bool:
    """Whether its class says something of its own."""
    kind = type(primitive)
    return kind.prepared is not Primitive.prepared and _knows_its_rule(kind)


def variants(arrays: list[np.ndarray]) -> list[list[np.ndarray]]:
    """The operands in float32 and float16 as well, with special values, and in other orders."""
    found = [arrays]
    if all(a.dtype == np.float64 for a in arrays):
        found += [[a.astype(kind) for a in arrays] for kind in (np.float32, np.float16)]
        found.append([np.resize(np.roll(SPECIAL, k), a.shape) for k, a in enumerate(arrays)])
    return [*found, [np.asfortranarray(a) if a.ndim > 1 else a for a in arrays]]


NAMES = [name for name, p in registry.items() if prepares(p)]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_prepared_has_the_bits_of_the_rule(name: str) -> None:
    primitive, tried = registry[name], 0
    for example in primitive.examples():
        for arrays in variants([to_ndarray(x) for x in example.args]):
            avals = [ShapedArray(a.shape, a.dtype) for a in arrays]
            if any(narrow.is_narrow(a.dtype) for a in avals):
                continue
            rule = primitive.prepared(avals, example.params)
            if rule is None:
                continue
            tried += 1
            with np.errstate(all="ignore"), warnings.catch_warnings():
                got: Any = rule(*arrays)
                want: Any = primitive.impl(*arrays, **example.params)
            got, want = np.asarray(got), np.asarray(want)
            assert (got.shape, got.dtype) == (want.shape, want.dtype)
            assert got.tobytes() == want.tobytes()
    assert tried


def test_many_primitives_prepare_their_rules() -> None:
    assert len(NAMES) > 40
    for name in ("reduce_sum", "reduce_max", "broadcast_in_dim", "dot_general", "div", "gather"):
        assert name in NAMES


def test_a_rule_that_a_class_replaces_is_not_prepared_by_its_base() -> None:
    class Base(Primitive):
        name = "base of a test"

        def impl(self, *arrays: Any, **params: Any) -> Any:
            return arrays[0]

        def prepared(self, avals: Any, params: Any) -> Any:
            return lambda x: x

    class Other(Base):
        name = "other of a test"

        def impl(self, *arrays: Any, **params: Any) -> Any:
            return arrays[0] + 1

    assert _knows_its_rule(Base)
    assert not _knows_its_rule(Other)

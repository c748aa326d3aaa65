"""Expressions print themselves: errors and failing tests show them."""

import numpy as np

from funcgrad.ir.loops import Const, apply


def test_an_operation_is_printed_with_its_operands():
    x = Const(2.0, np.dtype("float32"))
    assert repr(apply("add", x, apply("exp", x))) == f"add({x!r}, exp({x!r}))"


def test_the_text_of_parts_that_are_shared_stays_short():
    x = apply("exp", Const(2.0, np.dtype("float32")))
    for _ in range(60):
        x = apply("add", x, x)
    assert repr(x).startswith("add(add(") and "…" in repr(x) and len(repr(x)) < 5000

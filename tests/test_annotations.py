"""Shapes in the annotations of public functions: all there, and checked at each call in tests."""

from __future__ import annotations

import inspect
import re
import typing

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from funcgrad import image, ops, random
from funcgrad import numpy as fnp
from funcgrad.scipy import special, stats

x3 = np.ones(3, np.float32)


def public():
    """The public functions, without the wrappers that check them."""
    distributions = [m for m in vars(stats).values() if inspect.ismodule(m)]
    for module in (fnp, fnp.linalg, fnp.fft, random, ops, image, special, stats, *distributions):
        for name in dir(module):
            value = inspect.unwrap(getattr(module, name))
            if inspect.isfunction(value) and value.__module__.startswith("funcgrad."):
                yield pytest.param(value, id=f"{module.__name__}.{name}")


@pytest.mark.parametrize("function", list(public()))
def test_arrays_have_shapes_in_annotations(function):
    # An annotation that cannot be evaluated would be passed over in silence.
    typing.get_type_hints(function)
    for name, text in function.__annotations__.items():
        bare = re.sub(r"\w+\[ArrayLike, '[^']*'\]", "", text)
        assert "ArrayLike" not in bare, f"{name}: {text}"


def test_what_goes_against_an_annotation_is_found():
    with pytest.raises(TypeCheckError):
        fnp.sum(x3, keepdims=1)
    with pytest.raises(TypeCheckError):
        fnp.vander(x3, increasing="yes")
    with pytest.raises(TypeCheckError):
        random.normal(random.key(0), 3)


def test_our_own_errors_come_first():
    with pytest.raises(TypeError, match="asarray"):
        fnp.add([1, 2], x3)
    with pytest.raises(ValueError, match="equal size"):
        fnp.interp(x3, x3, np.ones(4, np.float32))
    with pytest.raises(TypeError, match=r"random\.key"):
        random.normal(x3)

"""The shapes in annotations are checked at run time here: a wrong one is refused at the door."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError

import funcgrad as fg
from funcgrad import nn


def test_shapes_and_dtypes_that_fit():
    logits = np.zeros((2, 3), np.float32)
    assert nn.softmax_cross_entropy(logits, np.array([0, 2])).shape == (2,)
    assert fg.jit(nn.accuracy)(logits, np.array([0, 2])).shape == ()
    assert nn.relu(1.5).shape == ()


def test_annotations_are_live():
    with pytest.raises(TypeCheckError):
        nn.accuracy(np.zeros((2, 3), np.int32), np.zeros(2, np.int32))
    with pytest.raises(TypeCheckError):
        nn.softmax_cross_entropy(np.zeros((2, 3), np.int32), np.zeros(2, np.int32))

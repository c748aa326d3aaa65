"""Metrics against counting by hand; ties, labels out of range, errors."""

import numpy as np
import pytest

import funcgrad as fg
from funcgrad import nn

scores = np.array([[0.1, 0.9, 0.0], [0.5, 0.5, 0.1], [0.3, 0.2, 0.1], [0.0, 0.0, 0.0]], np.float32)


@pytest.mark.parametrize("change", [lambda f: f, fg.jit])
def test_shares_of_hits(change):
    labels = np.array([1, 1, 2, 0])
    assert float(change(nn.accuracy)(scores, labels)) == 0.5
    top = [
        float(change(lambda x, y, k=k: nn.top_k_accuracy(x, y, k))(scores, labels))
        for k in (1, 2, 3)
    ]
    assert top == [0.5, 0.75, 1.0]


def test_what_does_not_count():
    labels = np.array([1, -1, 7, 0])
    assert float(nn.accuracy(scores, labels)) == 0.5
    assert float(nn.top_k_accuracy(scores, labels, 3)) == 0.5
    assert float(nn.accuracy(scores, labels, ignore_label=-1)) == pytest.approx(2 / 3)
    assert float(nn.top_k_accuracy(scores, labels, 3, ignore_label=7)) == pytest.approx(2 / 3)
    assert np.isnan(nn.accuracy(scores, 0 * labels, ignore_label=0))
    bad = scores.copy()
    bad[0, 1] = np.nan
    assert float(nn.top_k_accuracy(bad[:1], labels[:1], 3)) == 0.0


def test_contrastive_accuracy():
    a = np.zeros((4, 2), np.float32)
    b = np.array([[0.1, 0.1], [3, 4], [0, 0.2], [0, 2]], np.float32)
    same = np.array([True, True, False, False])
    assert float(nn.contrastive_accuracy(a, b, same)) == 0.5
    assert float(nn.contrastive_accuracy(a, b, same.astype(np.float32), threshold=6.0)) == 0.5


def test_confusion():
    truth, guess = np.array([[0, 1], [2, 2]]), np.array([[0, 2], [2, 0]])
    want = [[1, 0, 0], [0, 0, 1], [1, 0, 1]]
    np.testing.assert_array_equal(nn.confusion_matrix(truth, guess, 3), want)
    # A negative number is left out and does not count from the end.
    np.testing.assert_array_equal(
        nn.confusion_matrix(np.array([-1, 0, 1, 5]), np.array([0, -1, 1, 1]), 2), [[0, 0], [0, 1]]
    )
    found = fg.jit(lambda t, g: nn.confusion_matrix(t, g, 3, normalize="true"))(truth, guess)
    np.testing.assert_allclose(found, [[1, 0, 0], [0, 0, 1], [0.5, 0, 0.5]])
    none = nn.precision(truth, guess, 4, average=None, zero_division=1.0)
    np.testing.assert_allclose(none, [0.5, 1.0, 0.5, 1.0])
    np.testing.assert_allclose(nn.recall(truth, guess, 3, average=None), [1, 0, 0.5])
    np.testing.assert_allclose(nn.f1_score(truth, guess, 3), (2 / 3 + 0 + 0.5) / 3, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nn.accuracy(scores, np.zeros(3, int)), ValueError, r"Give labels of shape \(4,\)"),
        (lambda: nn.accuracy(scores, np.zeros(4, np.float32)), TypeError, "Give class numbers"),
        (lambda: nn.top_k_accuracy(scores, np.zeros(4, int), 4), ValueError, "k from 1 to 3"),
        (
            lambda: nn.confusion_matrix(np.zeros(3, int), np.zeros(4, int), 2),
            ValueError,
            r"Give predictions of shape \(3,\)",
        ),
        (
            lambda: nn.confusion_matrix(np.zeros(3, int), np.zeros(3, int), 2, normalize="row"),
            ValueError,
            "Give 'true', 'pred', 'all' or None",
        ),
        (
            lambda: nn.recall(np.zeros(3, int), np.zeros(3, int), 2, average="mean"),
            ValueError,
            "Give 'macro'",
        ),
        (
            lambda: nn.contrastive_accuracy(scores, scores[:2], np.zeros(4)),
            ValueError,
            r"\(4, 3\).*\(2, 3\)",
        ),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()

"""Losses and metrics beside optax, PyTorch and scikit-learn, where these are installed."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn

from .test_losses import LOSSES, C, N, labels, logits, others, rng, same, shares, third

optax = pytest.importorskip("optax", reason="a comparison needs the peer: pip install optax")
torch = pytest.importorskip("torch", reason="a comparison needs the peer: funcgrad[bench]")


def narrow(x):
    return x.astype(np.float32) if isinstance(x, np.ndarray) and x.dtype == np.float64 else x


IN_OPTAX = [n for n in LOSSES if hasattr(optax.losses, n)]


def test_many_names_are_shared():
    assert len(IN_OPTAX) >= 20


@pytest.mark.parametrize("name", IN_OPTAX)
def test_as_optax(name):
    import jax

    args, options, count = LOSSES[name]
    args = tuple(narrow(x) for x in args)
    ours, theirs = getattr(nn, name), getattr(optax.losses, name)
    np.testing.assert_allclose(
        ours(*args, **options), theirs(*args, **options), rtol=2e-5, atol=2e-6
    )
    floats = range(count)
    found = fg.grad(lambda *xs: fnp.sum(ours(*xs, **options)), floats)(*args)
    want = jax.grad(lambda *xs: theirs(*xs, **options).sum(), floats)(*args)
    for a, b in zip(found, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)


F = torch.nn.functional
pick = torch.from_numpy(labels)
BY_TORCH = {
    "cross_entropy": (
        lambda x: nn.softmax_cross_entropy(x, labels),
        lambda x: F.cross_entropy(x, pick, reduction="none"),
    ),
    "cross_entropy smoothed, ignoring": (
        lambda x: nn.softmax_cross_entropy(
            x, labels, ignore_label=int(labels[0]), label_smoothing=0.2
        ),
        lambda x: F.cross_entropy(
            x, pick, reduction="none", ignore_index=int(labels[0]), label_smoothing=0.2
        ),
    ),
    "cross_entropy of shares": (
        lambda x: nn.softmax_cross_entropy(x, shares, label_smoothing=0.2),
        lambda x: F.cross_entropy(
            x, torch.from_numpy(shares), reduction="none", label_smoothing=0.2
        ),
    ),
    "smooth_l1": (
        lambda x: nn.smooth_l1_loss(x, others, beta=0.3),
        lambda x: F.smooth_l1_loss(x, torch.from_numpy(others), reduction="none", beta=0.3),
    ),
    "multi_margin 1": (
        lambda x: nn.multi_margin_loss(x, labels),
        lambda x: F.multi_margin_loss(x, pick, reduction="none"),
    ),
    "multi_margin 2": (
        lambda x: nn.multi_margin_loss(x, labels, margin=0.4, norm=2),
        lambda x: F.multi_margin_loss(x, pick, reduction="none", margin=0.4, p=2),
    ),
    "triplet": (
        lambda x: nn.triplet_margin_loss(x, others, third, eps=0.0, margin=2.0),
        lambda x: F.triplet_margin_loss(
            x,
            torch.from_numpy(others),
            torch.from_numpy(third),
            margin=2.0,
            eps=0.0,
            reduction="none",
        ),
    ),
    "cosine_embedding": (
        lambda x: nn.cosine_embedding_loss(x, others, 2 * same - 1, margin=0.1),
        lambda x: F.cosine_embedding_loss(
            x,
            torch.from_numpy(others),
            torch.from_numpy(2 * same - 1),
            margin=0.1,
            reduction="none",
        ),
    ),
    "kl": (
        lambda x: nn.kl_divergence(x, shares),
        lambda x: F.kl_div(x, torch.from_numpy(shares), reduction="none").sum(-1),
    ),
}


@pytest.mark.parametrize("name", BY_TORCH)
def test_as_torch(name):
    ours, theirs = BY_TORCH[name]
    x = torch.from_numpy(logits.copy()).requires_grad_()
    value = theirs(x)
    value.sum().backward()
    with fg.enable_x64(True):
        np.testing.assert_allclose(ours(logits), value.detach(), rtol=1e-6, atol=1e-12)
        slope = fg.grad(lambda x: fnp.sum(ours(x)))(logits)
        np.testing.assert_allclose(slope, x.grad, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("blank", [0, 3])
def test_ctc_as_torch(blank):
    batch, frames, classes, length = 4, 12, 6, 5
    x = rng.normal(size=(batch, frames, classes))
    letters = rng.integers(0, classes - 1, (batch, length))
    letters = np.where(letters >= blank, letters + 1, letters)
    letters[0, :3] = letters[0, 0]
    sizes, lengths = np.array([12, 9, 11, 3]), np.array([5, 4, 0, 1])
    y = torch.from_numpy(x.copy()).requires_grad_()
    want = F.ctc_loss(
        F.log_softmax(y, -1).transpose(0, 1),
        torch.from_numpy(letters),
        torch.from_numpy(sizes),
        torch.from_numpy(lengths),
        blank=blank,
        reduction="none",
    )
    want.sum().backward()
    paddings = (
        (np.arange(frames) >= sizes[:, None]).astype(float),
        (np.arange(length) >= lengths[:, None]).astype(float),
    )

    def loss(x):
        return nn.ctc_loss(x, paddings[0], letters, paddings[1], blank_id=blank)

    with fg.enable_x64(True):
        np.testing.assert_allclose(loss(x), want.detach(), rtol=1e-8)
        np.testing.assert_allclose(fg.grad(lambda x: fnp.sum(loss(x)))(x), y.grad, atol=1e-8)
    theirs = optax.losses.ctc_loss(
        x.astype(np.float32), paddings[0], letters, paddings[1], blank_id=blank
    )
    np.testing.assert_allclose(loss(x.astype(np.float32)), theirs, rtol=1e-4)


def test_losses_as_scikit_learn():
    metrics = pytest.importorskip(
        "sklearn.metrics", reason="a comparison needs the peer: pip install scikit-learn"
    )
    every = list(range(C))
    truth, mean = rng.integers(0, C, 40), fnp.mean
    scores, target = rng.normal(size=(2, 40, C))
    chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    bits, signs = truth % 2, 2.0 * (truth % 2) - 1
    logistic = 1 / (1 + np.exp(-scores[:, 0]))
    cosines = metrics.pairwise.paired_cosine_distances(scores, target)
    pairs = {
        "log_loss of logits": (
            mean(nn.softmax_cross_entropy(scores, truth)),
            metrics.log_loss(truth, chances, labels=every),
        ),
        "log_loss of chances": (
            mean(nn.multinomial_logistic_loss(chances, truth)),
            metrics.log_loss(truth, chances, labels=every),
        ),
        "log_loss of two classes": (
            mean(nn.sigmoid_binary_cross_entropy(scores[:, 0], bits)),
            metrics.log_loss(bits, logistic),
        ),
        "hinge": (
            mean(nn.hinge_loss(scores[:, 0], signs)),
            metrics.hinge_loss(signs, scores[:, 0]),
        ),
        "hinge of classes": (
            mean(nn.multiclass_hinge_loss(scores, truth)),
            metrics.hinge_loss(truth, scores, labels=every),
        ),
        "squared": (
            mean(nn.squared_error(scores, target)),
            metrics.mean_squared_error(target, scores),
        ),
        "half squared": (
            mean(nn.l2_loss(scores, target)),
            metrics.mean_squared_error(target, scores) / 2,
        ),
        "euclidean": (
            mean(nn.euclidean_loss(scores, target)),
            C * metrics.mean_squared_error(target, scores) / 2,
        ),
        "absolute": (
            mean(nn.absolute_error(scores, target)),
            metrics.mean_absolute_error(target, scores),
        ),
        "cosine": (nn.cosine_distance(scores, target), cosines),
        "accuracy": (
            nn.accuracy(scores, truth),
            metrics.accuracy_score(truth, scores.argmax(1)),
        ),
    }
    for name, (ours, theirs) in pairs.items():
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, err_msg=name)


def test_divergences_as_scipy():
    spatial = pytest.importorskip("scipy.spatial.distance", reason="a comparison needs the peer")
    entropy = pytest.importorskip("scipy.stats").entropy
    p, q = rng.dirichlet(np.ones(C), (2, 20))
    np.testing.assert_allclose(nn.kl_divergence(np.log(q), p), entropy(p, q, axis=1), rtol=1e-4)
    found = nn.jensen_shannon_divergence(np.log(q), np.log(p))
    want = spatial.jensenshannon(p, q, axis=1) ** 2
    np.testing.assert_allclose(found, want, rtol=1e-3, atol=1e-6)


def test_metrics_as_scikit_learn():
    metrics = pytest.importorskip(
        "sklearn.metrics", reason="a comparison needs the peer: pip install scikit-learn"
    )
    truth, guess = rng.integers(0, C - 1, 50), rng.integers(0, C - 1, 50)
    every = list(range(C))
    for normalize in (None, "true", "pred", "all"):
        found = nn.confusion_matrix(truth, guess, C, normalize=normalize)
        want = metrics.confusion_matrix(truth, guess, labels=every, normalize=normalize)
        np.testing.assert_allclose(found, want, rtol=1e-6)
    for average in (None, "macro", "micro", "weighted"):
        for empty in (0.0, 1.0):
            for ours, theirs in (
                (nn.precision, metrics.precision_score),
                (nn.recall, metrics.recall_score),
                (nn.f1_score, metrics.f1_score),
            ):
                found = ours(truth, guess, C, average=average, zero_division=empty)
                want = theirs(truth, guess, labels=every, average=average, zero_division=empty)
                np.testing.assert_allclose(found, want, rtol=1e-5)
    scores = rng.normal(size=(N, C))
    for k in range(1, C):
        want = metrics.top_k_accuracy_score(labels, scores, k=k, labels=every)
        np.testing.assert_allclose(nn.top_k_accuracy(scores, labels, k), want, rtol=1e-6)
    assert nn.accuracy(scores, labels) == nn.top_k_accuracy(scores, labels, 1)

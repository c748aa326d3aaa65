"""Losses: closed forms, derivatives, extreme inputs, peers, errors."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn
from funcgrad.test_util import check_grads

rng = np.random.default_rng(0)
N, C = 6, 5
logits = rng.normal(size=(N, C))
others = rng.normal(size=(N, C))
labels = rng.integers(0, C, N)
log_p = np.log(rng.dirichlet(np.ones(C), N))
shares = rng.dirichlet(np.ones(C), N)
signs = np.sign(others)
bits = (others > 0).astype(float)
same = np.array([1, 0, 1, 0, 0, 1])
third = rng.normal(size=(N, C))

# name: arguments, of which the first ones with derivatives; keywords; how many are differentiated.
LOSSES = {
    "softmax_cross_entropy": ((logits, shares), {}, 2),
    "softmax_cross_entropy_with_integer_labels": ((logits, labels), {}, 1),
    "safe_softmax_cross_entropy": ((logits, shares), {}, 2),
    "smooth_labels": ((shares, 0.1), {}, 1),
    "multinomial_logistic_loss": ((shares, labels), {}, 1),
    "poly_loss_cross_entropy": ((logits, shares), {}, 2),
    "sigmoid_binary_cross_entropy": ((logits, bits), {}, 1),
    "sigmoid_focal_loss": ((logits, bits), {"alpha": 0.3}, 1),
    "softmax_focal_loss": ((logits, labels), {"alpha": np.arange(1.0, C + 1)}, 1),
    "squared_error": ((logits, others), {}, 2),
    "l2_loss": ((logits, others), {}, 2),
    "euclidean_loss": ((logits, others), {}, 2),
    "absolute_error": ((logits, others), {}, 2),
    "huber_loss": ((logits, others), {"delta": 0.7}, 2),
    "smooth_l1_loss": ((logits, others), {"beta": 0.7}, 2),
    "log_cosh": ((logits, others), {}, 2),
    "cosine_similarity": ((logits, others), {}, 2),
    "cosine_distance": ((logits, others), {}, 2),
    "hinge_loss": ((logits, signs), {}, 1),
    "squared_hinge_loss": ((logits, signs), {}, 1),
    "perceptron_loss": ((logits, signs), {}, 1),
    "multiclass_hinge_loss": ((logits, labels), {}, 1),
    "multiclass_perceptron_loss": ((logits, labels), {}, 1),
    "multi_margin_loss": ((logits, labels), {"margin": 0.5, "norm": 2}, 1),
    "one_vs_all_hinge_loss": ((logits, labels), {"norm": 2}, 1),
    "contrastive_loss": ((logits, others, same), {"margin": 4.0}, 2),
    "triplet_margin_loss": ((logits, others, third), {"margin": 3.0}, 3),
    "cosine_embedding_loss": ((logits, others, signs[:, 0]), {"margin": 0.1}, 2),
    "ntxent": ((logits, same), {}, 1),
    "kl_divergence": ((log_p, shares), {}, 2),
    "kl_divergence_with_log_targets": ((log_p, np.log(shares)), {}, 2),
    "generalized_kl_divergence": ((log_p, shares), {}, 2),
    "jensen_shannon_divergence": ((log_p, np.log(shares)), {}, 2),
    "minimax_critic_loss": ((logits, others), {}, 2),
    "minimax_generator_loss": ((logits,), {}, 1),
    "non_saturating_generator_loss": ((logits,), {}, 1),
    "least_squares_critic_loss": ((logits, others), {}, 2),
    "least_squares_generator_loss": ((logits,), {}, 1),
    "wasserstein_critic_loss": ((logits, others), {}, 2),
    "wasserstein_generator_loss": ((logits,), {}, 1),
}
NOT_BY_EXAMPLE = {"ntxent"}


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigma(x):
    return 1 / (1 + np.exp(-x))


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


picked = softmax(logits)[np.arange(N), labels]
is_label = np.eye(C, dtype=bool)[labels]
at_label = logits[is_label][:, None]
mean = (np.exp(log_p) + shares) / 2
given = np.where(bits == 1, sigma(logits), 1 - sigma(logits))
gap = np.linalg.norm(logits - others, axis=-1)

CLOSED = {
    "softmax_cross_entropy": -(shares * np.log(softmax(logits))).sum(-1),
    "softmax_cross_entropy_with_integer_labels": -np.log(picked),
    "safe_softmax_cross_entropy": -(shares * np.log(softmax(logits))).sum(-1),
    "smooth_labels": 0.9 * shares + 0.1 / C,
    "multinomial_logistic_loss": -np.log(shares[is_label]),
    "poly_loss_cross_entropy": -(shares * np.log(softmax(logits))).sum(-1)
    + 2 * (shares * (1 - softmax(logits))).sum(-1),
    "sigmoid_binary_cross_entropy": -np.log(given),
    "sigmoid_focal_loss": -np.where(bits == 1, 0.3, 0.7) * (1 - given) ** 2 * np.log(given),
    "softmax_focal_loss": -(labels + 1) * (1 - picked) ** 2 * np.log(picked),
    "squared_error": (logits - others) ** 2,
    "l2_loss": (logits - others) ** 2 / 2,
    "euclidean_loss": gap**2 / 2,
    "absolute_error": abs(logits - others),
    "huber_loss": np.where(
        abs(logits - others) < 0.7,
        (logits - others) ** 2 / 2,
        0.7 * (abs(logits - others) - 0.35),
    ),
    "smooth_l1_loss": np.where(
        abs(logits - others) < 0.7,
        (logits - others) ** 2 / 1.4,
        abs(logits - others) - 0.35,
    ),
    "log_cosh": np.log(np.cosh(logits - others)),
    "cosine_similarity": (unit(logits) * unit(others)).sum(-1),
    "cosine_distance": 1 - (unit(logits) * unit(others)).sum(-1),
    "hinge_loss": np.maximum(0, 1 - signs * logits),
    "squared_hinge_loss": np.maximum(0, 1 - signs * logits) ** 2,
    "perceptron_loss": np.maximum(0, -signs * logits),
    "multiclass_hinge_loss": (logits + ~is_label).max(-1) - at_label[:, 0],
    "multiclass_perceptron_loss": logits.max(-1) - at_label[:, 0],
    "multi_margin_loss": (np.maximum(0, 0.5 - at_label + logits) ** 2 * ~is_label).sum(-1) / C,
    "one_vs_all_hinge_loss": (np.maximum(0, 1 - np.where(is_label, 1, -1) * logits) ** 2).sum(-1),
    "contrastive_loss": np.where(same == 1, gap**2, np.maximum(0, 4 - gap) ** 2) / 2,
    "triplet_margin_loss": np.maximum(0, gap - np.linalg.norm(logits - third, axis=-1) + 3),
    "cosine_embedding_loss": np.where(
        signs[:, 0] > 0,
        1 - (unit(logits) * unit(others)).sum(-1),
        np.maximum(0, (unit(logits) * unit(others)).sum(-1) - 0.1),
    ),
    "kl_divergence": (shares * (np.log(shares) - log_p)).sum(-1),
    "kl_divergence_with_log_targets": (shares * (np.log(shares) - log_p)).sum(-1),
    "generalized_kl_divergence": (shares * (np.log(shares) - log_p)).sum(-1),
    "jensen_shannon_divergence": (
        shares * np.log(shares / mean) + np.exp(log_p) * (log_p - np.log(mean))
    ).sum(-1)
    / 2,
    "minimax_critic_loss": -np.log(sigma(logits)) - np.log(1 - sigma(others)),
    "minimax_generator_loss": np.log(1 - sigma(logits)),
    "non_saturating_generator_loss": -np.log(sigma(logits)),
    "least_squares_critic_loss": (logits - 1) ** 2 / 2 + others**2 / 2,
    "least_squares_generator_loss": (logits - 1) ** 2 / 2,
    "wasserstein_critic_loss": others - logits,
    "wasserstein_generator_loss": -logits,
}


@pytest.fixture(autouse=True)
def wide():
    with fg.enable_x64(True):
        yield


def of_first(name):
    """The loss as a function of the arguments that have derivatives, and these."""
    args, options, count = LOSSES[name]
    loss = getattr(nn, name)
    return lambda *xs: loss(*xs, *args[count:], **options), args[:count]


@pytest.mark.parametrize("name", LOSSES)
def test_values_and_derivatives(name):
    args, options, _ = LOSSES[name]
    loss = getattr(nn, name)
    found = loss(*args, **options)
    if name in CLOSED:
        np.testing.assert_allclose(found, CLOSED[name], rtol=1e-6)
    np.testing.assert_allclose(
        fg.jit(lambda *xs: loss(*xs, **options))(*args), found, rtol=1e-10, atol=1e-12
    )
    f, xs = of_first(name)
    check_grads(f, xs, 1, eps=1e-6)
    if name not in NOT_BY_EXAMPLE | {"smooth_labels"}:
        mapped = fg.vmap(lambda *xs: loss(*xs, **options))(*args)
        np.testing.assert_allclose(mapped, found, rtol=1e-10, atol=1e-12)
    narrow = loss(*(x.astype(np.float32) if np.ndim(x) == 2 else x for x in args), **options)
    assert narrow.dtype == np.float32 or any(np.ndim(x) == 1 for x in options.values())


def test_every_loss_is_here():
    ends = ("_loss", "_entropy", "_divergence", "_error")
    listed = {n for n in dir(nn) if n.endswith(ends) and callable(getattr(nn, n))}
    tested_elsewhere = {"ctc_loss", "gram_loss", "perceptual_loss", "total_variation_loss"}
    assert listed - tested_elsewhere <= set(LOSSES)


EXTREME = [
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels",
    "poly_loss_cross_entropy",
    "sigmoid_binary_cross_entropy",
    "sigmoid_focal_loss",
    "softmax_focal_loss",
    "log_cosh",
    "minimax_critic_loss",
    "minimax_generator_loss",
    "non_saturating_generator_loss",
    "huber_loss",
]


@pytest.mark.parametrize("size", [0.0, 80.0, 1e4, 1e30])
@pytest.mark.parametrize("name", EXTREME)
def test_extreme_logits(name, size):
    args, options, _ = LOSSES[name]
    loss = getattr(nn, name)
    far = (size * np.sign(logits)).astype(np.float32)
    rest = tuple(x.astype(np.float32) if np.ndim(x) == 2 else x for x in args[1:])
    for change in (lambda f: f, fg.jit):
        value, slope = change(
            fg.value_and_grad(lambda x: fnp.sum(loss(x, *rest, **options)), allow_int=False)
        )(far)
        assert np.isfinite(value)
        assert np.isfinite(slope).all()


@pytest.mark.parametrize("name", ["contrastive_loss", "triplet_margin_loss", "cosine_distance"])
def test_points_that_meet_have_finite_gradients(name):
    args, options, count = LOSSES[name]
    loss = getattr(nn, name)
    xs = (logits,) * count

    def total(*xs):
        return fnp.sum(loss(*xs, *args[count:], **options))

    for slope in fg.grad(total, range(count))(*xs):
        assert np.isfinite(slope).all()


def test_cross_entropy_of_class_numbers():
    numbers = np.array([0, 4, -1, 5, 2, -100])
    found = nn.softmax_cross_entropy(logits, numbers)
    assert np.isnan(found).tolist() == [False, False, True, True, False, True]
    kept = nn.softmax_cross_entropy(logits, numbers, ignore_label=-1)
    assert np.isnan(kept).tolist() == [False, False, False, True, False, True]
    assert kept[2] == 0

    def total(x, **options):
        return fnp.sum(nn.softmax_cross_entropy(x, labels, **options))

    slope = fg.grad(total)(logits, ignore_label=int(labels[0]))
    assert (slope[labels == labels[0]] == 0).all()
    assert (slope[labels != labels[0]] != 0).all()
    spoilt = fg.grad(lambda x: fnp.sum(nn.softmax_cross_entropy(x, numbers)))(logits)
    assert np.isnan(spoilt[2]).any()
    assert not np.isnan(spoilt[0]).any()


@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
def test_label_smoothing_and_where(smoothing):
    by_share = nn.one_hot(labels, C)
    mask = rng.uniform(size=(N, C)) < 0.7
    mask[np.arange(N), labels] = True
    smooth = {"label_smoothing": smoothing}
    for where in (None, mask):
        found = nn.softmax_cross_entropy(logits, labels, where=where, **smooth)
        same = nn.softmax_cross_entropy(logits, by_share, where=where, **smooth)
        np.testing.assert_allclose(found, same, rtol=1e-12)
    own = []
    for x, label, chosen in zip(logits, labels, mask, strict=True):
        p = np.log(softmax(x[chosen]))
        position = chosen[:label].sum()
        own.append(-(1 - smoothing) * p[position] - smoothing * p.mean())
    np.testing.assert_allclose(found, own, rtol=1e-10)
    rows = np.arange(N) % 2 == 0
    by_row = nn.softmax_cross_entropy(logits, labels, where=rows, **smooth)
    assert (by_row[~rows] == 0).all()
    slope = fg.grad(lambda x: fnp.sum(nn.softmax_cross_entropy(x, labels, where=rows, **smooth)))(
        logits
    )
    assert np.isfinite(slope).all()
    assert (slope[~rows] == 0).all()


def test_axes_of_classes():
    want = nn.softmax_cross_entropy(logits, labels)
    np.testing.assert_allclose(nn.softmax_cross_entropy(logits.T, labels, axis=0), want)
    twelve = rng.normal(size=(3, N, 4))
    numbers = rng.integers(0, 12, N)
    found = nn.softmax_cross_entropy(twelve, numbers, axis=(0, 2))
    flat = twelve.transpose(1, 0, 2).reshape(N, 12)
    np.testing.assert_allclose(found, nn.softmax_cross_entropy(flat, numbers))
    whole = nn.softmax_cross_entropy(logits, shares, axis=None)
    assert whole.shape == ()


def test_impossible_classes():
    x = np.array([[0.0, 1.0, -np.inf]])
    for loss in (nn.softmax_cross_entropy, nn.safe_softmax_cross_entropy):
        share = np.array([[0.25, 0.75, 0.0]])
        want = np.log1p(np.e) - 0.75
        np.testing.assert_allclose(loss(x, share), [want])
        assert np.isfinite(fg.grad(lambda x: loss(x, share)[0])(x)).all()  # noqa: B023
    assert nn.softmax_cross_entropy(x, np.array([2]))[0] == np.inf
    target = np.array([[0.5, 0.5, 0.0]])
    logs = np.log(np.array([[0.25, 0.75, 1e-300]]))
    logs[0, 2] = -np.inf
    np.testing.assert_allclose(nn.kl_divergence(logs, target), [0.5 * np.log(4 / 3)], rtol=1e-6)
    assert nn.kl_divergence(logs, np.array([[0.0, 0.5, 0.5]]))[0] == np.inf
    with np.errstate(divide="ignore"):
        found = nn.jensen_shannon_divergence(logs, np.log(target))
        far = nn.jensen_shannon_divergence(
            np.log(np.array([[1.0, 0, 0]])), np.log(np.array([[0, 1.0, 0]]))
        )
    assert 0 < found[0] < np.log(2)
    np.testing.assert_allclose(far, [np.log(2)])


def test_gradient_penalty():
    key = fg.random.key(0)
    real, generated = logits[:, None], others[:, None]
    weight = np.arange(1.0, C + 1)
    found = nn.gradient_penalty(lambda x: x.reshape(N, -1) @ weight, key, real, generated)
    np.testing.assert_allclose(found, np.full(N, (np.linalg.norm(weight) - 1) ** 2))

    def penalty(weight):
        return nn.gradient_penalty(
            lambda x: fnp.tanh(x.reshape(N, -1) @ weight), key, real, generated
        )

    check_grads(penalty, (weight,), 1, eps=1e-6)
    flat = fg.grad(lambda w: fnp.sum(penalty(w)))(np.zeros(C))
    assert np.isfinite(flat).all()


def test_features_and_images():
    a, b = rng.normal(size=(2, 2, 3, 4, 5))
    gram = np.einsum("nhwc,nhwd->ncd", a, a) / 60
    np.testing.assert_allclose(nn.gram_matrix(a), gram)
    other = np.einsum("nhwc,nhwd->ncd", b, b) / 60
    pair = ([a, a[:, :2]], [b, b[:, :2]])
    found = nn.gram_loss([a], [b], [3.0])
    np.testing.assert_allclose(found, 3 * ((gram - other) ** 2).sum((1, 2)))
    found = nn.perceptual_loss(*pair, [2.0, 0.5])
    want = 2 * ((a - b) ** 2).mean((1, 2, 3)) + 0.5 * ((a - b)[:, :2] ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(found, want)
    rough = abs(np.diff(a, axis=1)).sum((1, 2, 3)) + abs(np.diff(a, axis=2)).sum((1, 2, 3))
    np.testing.assert_allclose(nn.total_variation_loss(a), rough)
    for f in (nn.gram_loss, nn.perceptual_loss):
        check_grads(lambda x, f=f: f([x], [b]), (a,), 1, eps=1e-6)
    with pytest.raises(ValueError, match="at least 3 axes"):
        nn.gram_matrix(a[0, 0])
    with pytest.raises(ValueError, match="1 weights for 2 layers"):
        nn.gram_loss(*pair, [1.0])
    with pytest.raises(ValueError, match="Give both from the same layers"):
        nn.perceptual_loss([a], {"x": b})


def by_hand_ctc(log_p, label, blank):
    """−log of the sum over all alignments, one by one."""
    total = -np.inf
    frames, classes = log_p.shape
    for code in range(classes**frames):
        path = [code // classes**t % classes for t in range(frames)]
        merged = [c for t, c in enumerate(path) if t == 0 or c != path[t - 1]]
        if [c for c in merged if c != blank] == list(label):
            total = np.logaddexp(total, log_p[np.arange(frames), path].sum())
    return -total


@pytest.mark.parametrize("label", [(), (1,), (1, 2), (1, 1), (2, 0)])
@pytest.mark.parametrize("blank", [0, 2])
def test_ctc_sums_all_alignments(label, blank):
    label = tuple(c for c in label if c != blank)
    x = rng.normal(size=(2, 5, 3))
    frames = np.zeros((2, 5))
    frames[1, 4] = 1
    padded = np.zeros((2, 3), int)
    padded[:, : len(label)] = label
    spare = np.broadcast_to(np.arange(3) >= len(label), (2, 3)).astype(float)

    def loss(x):
        return nn.ctc_loss(x, frames, padded, spare, blank_id=blank)

    log_p = np.log(softmax(x))
    want = [by_hand_ctc(log_p[0], label, blank), by_hand_ctc(log_p[1, :4], label, blank)]
    np.testing.assert_allclose(loss(x), want, rtol=1e-6)
    np.testing.assert_allclose(fg.jit(loss)(x), want, rtol=1e-6)
    check_grads(loss, (x,), 1, ("rev",), eps=1e-6)


def test_ctc_edges():
    x = (1e4 * rng.normal(size=(1, 4, 3))).astype(np.float32)
    zeros = np.zeros((1, 4), np.float32)
    label = np.array([[1, 1, 1]])
    fits = np.array([[0.0, 0, 1]])

    def loss(x, spare):
        return nn.ctc_loss(x, zeros, label, spare)[0]

    assert np.isfinite(fg.grad(loss)(x, fits)).all()
    # Three equal labels need two blanks between them: five frames.
    assert loss(0 * x, np.zeros((1, 3))) > 9e4
    assert np.isfinite(fg.grad(loss)(0 * x, np.zeros((1, 3)))).all()
    assert np.isnan(nn.ctc_loss(x, zeros, label + 2, fits)[0])
    assert not np.isnan(nn.ctc_loss(x, zeros, np.array([[1, 1, 9]]), fits)[0])
    with pytest.raises(ValueError, match=r"logit_paddings of shape \(1, 3\)"):
        nn.ctc_loss(x, zeros[:, :3], label, fits)
    with pytest.raises(ValueError, match="blank_id=3 with 3 classes"):
        nn.ctc_loss(x, zeros, label, fits, blank_id=3)
    with pytest.raises(ValueError, match="of one batch size"):
        nn.ctc_loss(x, zeros, label[0], fits)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nn.softmax_cross_entropy(logits, labels[:2]), ValueError, r"of shape \(6,\)"),
        (lambda: nn.softmax_cross_entropy(logits, shares[:2]), ValueError, r"of shape \(6, 5\)"),
        (
            lambda: nn.softmax_cross_entropy(logits, shares, ignore_label=0),
            ValueError,
            "Give class numbers",
        ),
        (
            lambda: nn.softmax_cross_entropy(logits, labels, label_smoothing=2.0),
            ValueError,
            "between 0 and 1",
        ),
        (lambda: nn.squared_error(logits, others[:, :1]), ValueError, r"\(6, 5\).*\(6, 1\)"),
        (lambda: nn.multi_margin_loss(logits, labels, norm=3), ValueError, "Give 1 or 2"),
        (lambda: nn.contrastive_loss(logits, others, same[:2]), ValueError, r"shape \(6,\)"),
        (lambda: nn.multiclass_hinge_loss(logits, labels[1:]), ValueError, r"shape \(6,\)"),
        (
            lambda: nn.softmax_focal_loss(logits, labels, alpha=np.ones(2)),
            ValueError,
            "each class has a weight",
        ),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match=text) as caught:
        call()
    assert "test_losses.py" in str(caught.value)

"""Libraries that compute with the arrays they are given: einops, scikit-learn, SciPy.

Those of their functions that assign to elements refuse immutable arrays; docs/array-api.md tells.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.experimental import register_einops

RAW = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)


def einops_calls() -> list[tuple[Any, Any]]:
    """Functions of an array, and what NumPy makes of it."""
    return [
        (lambda e, v: e.rearrange(v, "a b c -> c (a b)"), RAW.transpose(2, 0, 1).reshape(4, 6)),
        (lambda e, v: e.rearrange(v, "a b (c d) -> (d a) b c", d=2), None),
        (lambda e, v: e.rearrange([v[0], v[1]], "a b c -> b a c"), RAW.transpose(1, 0, 2)),
        (lambda e, v: e.reduce(v, "a b c -> b", "mean"), RAW.mean((0, 2))),
        (lambda e, v: e.reduce(v, "a b (c 2) -> a b c", "max"), RAW.reshape(2, 3, 2, 2).max(3)),
        (lambda e, v: e.reduce(v, "a b c -> 1 b 1", "prod"), RAW.prod((0, 2), keepdims=True)),
        (lambda e, v: e.repeat(v, "a b c -> a (r b) c", r=2), np.tile(RAW, (1, 2, 1))),
        (lambda e, v: e.repeat(v, "a b c -> a b c r", r=2), np.stack([RAW, RAW], 3)),
        (lambda e, v: e.einsum(v, v, "a b c, a d c -> a b d"), RAW @ RAW.transpose(0, 2, 1)),
        (lambda e, v: e.pack([v, v[0]], "* b c")[0], np.concatenate([RAW, RAW[:1]])),
    ]


@pytest.mark.parametrize("number", range(10))
def test_einops(number: int) -> None:
    einops = pytest.importorskip("einops")
    register_einops()
    function, want = einops_calls()[number]
    want = function(einops, RAW) if want is None else want

    def f(v: Any) -> Any:
        return function(einops, v)

    x = fnp.asarray(RAW)
    for run in (f, fg.jit(f)):
        out = run(x)
        assert isinstance(out, fg.Array)
        np.testing.assert_allclose(out, want, rtol=1e-5, atol=1e-6)
    many = fg.vmap(f)(fnp.stack([x, 2 * x]))
    np.testing.assert_allclose(many[0], want, rtol=1e-5, atol=1e-6)
    # The derivative along x of a function that is homogeneous of degree d is d times its value.
    value, slope = fg.jvp(f, (x,), (x,))
    degree = {5: 8, 8: 2}.get(number, 1)
    np.testing.assert_allclose(slope, degree * value, rtol=1e-4, atol=1e-5)
    (back,) = fg.vjp(f, x)[1](value)
    assert back.shape == x.shape
    np.testing.assert_allclose((back * x).sum(), (value * slope).sum(), rtol=1e-4)


SCIKIT_LEARN = """
import numpy as np, sklearn, funcgrad as fg, funcgrad.numpy as xp
from sklearn import metrics
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.preprocessing import LabelEncoder

raw = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
x, labels, target = xp.asarray(raw), xp.asarray(np.arange(30) % 2), xp.asarray(raw[:, 0])
for solver in ("full", "randomized"):
    pca = PCA(2, svd_solver=solver, power_iteration_normalizer="QR", random_state=0)
    want = pca.fit_transform(raw)
    with sklearn.config_context(array_api_dispatch=True):
        fitted = pca.fit(x)
        assert isinstance(fitted.components_, fg.Array)
        for got in (fitted.transform(x), fitted.fit_transform(x)):
            assert isinstance(got, fg.Array)
            np.testing.assert_allclose(got, want, rtol=1e-2, atol=1e-3)
        back = fitted.inverse_transform(fitted.transform(x))
    np.testing.assert_allclose(back, pca.fit(raw).inverse_transform(want), rtol=1e-2, atol=1e-3)
with sklearn.config_context(array_api_dispatch=True):
    codes = LabelEncoder().fit_transform(labels)
    assert isinstance(codes, fg.Array) and codes.tolist() == labels.tolist()
    matrix = metrics.confusion_matrix(labels, labels)
    assert matrix.tolist() == [[15, 0], [0, 15]]
    assert metrics.accuracy_score(labels, labels) == 1
    assert metrics.zero_one_loss(labels, labels) == 0
    found = metrics.mean_squared_error(target, 2 * target)
    kernel = metrics.pairwise.linear_kernel(x, x)
    assert isinstance(kernel, fg.Array)
    np.testing.assert_allclose(kernel, raw @ raw.T, rtol=1e-4, atol=1e-5)
    try:
        LinearDiscriminantAnalysis().fit(x, labels)
    except TypeError as error:
        assert "MutableArray(x)" in str(error)
    else:
        raise AssertionError("LinearDiscriminantAnalysis assigns to elements no more")
np.testing.assert_allclose(found, (raw[:, 0] ** 2).mean(), rtol=1e-5)
"""

ASSIGNING = """
import numpy as np, sklearn, funcgrad as fg, funcgrad.numpy as xp
from funcgrad.experimental.mutable import MutableArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import Ridge
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, StandardScaler

random = np.random.default_rng(0)
target = np.arange(60) % 3
raw = (random.normal(size=(60, 4)) + target[:, None]).astype(np.float32)
held = xp.asarray(raw)
x, labels = MutableArray(held), MutableArray(target)
want = LinearDiscriminantAnalysis().fit(raw, target)
with sklearn.config_context(array_api_dispatch=True):
    lda = LinearDiscriminantAnalysis().fit(x, labels)
    assert isinstance(lda.means_, MutableArray)
    assert isinstance(lda.predict(x), MutableArray)
    assert lda.predict(x).tolist() == want.predict(raw).tolist()
    for name in ("transform", "predict_proba", "decision_function"):
        got = getattr(lda, name)(x)
        assert isinstance(got, MutableArray), name
        expected = getattr(want, name)(raw)
        if name == "transform":
            got, expected = abs(np.asarray(got)), abs(expected)
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4, err_msg=name)
    for scaler in (MaxAbsScaler, MinMaxScaler, Normalizer, StandardScaler):
        got = scaler().fit_transform(x)
        assert isinstance(got, MutableArray), scaler
        np.testing.assert_allclose(got, scaler().fit_transform(raw), rtol=1e-4, atol=1e-5)
    ridge = Ridge(solver="svd").fit(x, MutableArray(raw[:, 0]))
np.testing.assert_allclose(
    ridge.coef_, Ridge(solver="svd").fit(raw, raw[:, 0]).coef_, rtol=1e-4, atol=1e-5
)
np.testing.assert_array_equal(held, raw)
"""

SCIPY = """
import numpy as np, funcgrad as fg, funcgrad.numpy as xp
import scipy.fft, scipy.integrate, scipy.signal, scipy.special, scipy.stats

raw = np.array([0.1, 0.5, 0.9, 0.4], np.float32)
calls = {
    scipy.special: "expit logit erf erfc gammaln ndtr log_ndtr ndtri i0 entr digamma softmax",
    scipy.stats: "gmean hmean skew kurtosis sem rankdata",
    scipy.fft: "fft rfft dct",
    scipy.integrate: "trapezoid",
    scipy.signal: "detrend",
}
for module, names in calls.items():
    for name in names.split():
        function = getattr(module, name)
        got = function(xp.asarray(raw))
        assert isinstance(got, fg.Array), name
        np.testing.assert_allclose(got, function(raw), rtol=1e-3, atol=1e-5, err_msg=name)
for name in "convolve fftconvolve oaconvolve".split():
    function = getattr(scipy.signal, name)
    got = function(xp.asarray(raw), xp.asarray(raw))
    assert isinstance(got, fg.Array), name
    np.testing.assert_allclose(got, np.convolve(raw, raw), rtol=1e-3, atol=1e-5)
result = scipy.stats.ttest_1samp(xp.asarray(raw), 0.0)
assert isinstance(result.pvalue, fg.Array)
np.testing.assert_allclose(result.pvalue, scipy.stats.ttest_1samp(raw, 0.0).pvalue, rtol=1e-3)
window = scipy.signal.windows.hann(5, xp=xp)
assert isinstance(window, fg.Array)
np.testing.assert_allclose(window, scipy.signal.windows.hann(5), atol=1e-6)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("library", "program"),
    [("sklearn", SCIKIT_LEARN), ("sklearn", ASSIGNING), ("scipy", SCIPY)],
)
def test_dispatch_on_our_arrays(library: str, program: str) -> None:
    pytest.importorskip(library)
    # The variable is read when SciPy is imported: a process of its own.
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]

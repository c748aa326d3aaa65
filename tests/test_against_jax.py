"""Public calls on funcgrad and on JAX: values, dtypes, weak types, errors, printed jaxprs."""

import re
import warnings

import numpy
import numpy as np
import pytest

import funcgrad as fg

from .jax_calls import FAILING, JAXPRS, SINCE_0_12, UNTIL_0_12, calls

jax = pytest.importorskip("jax", reason="a differential test needs the peer: funcgrad[bench]")


OTHERWISE = UNTIL_0_12 if jax.__version_info__ >= (0, 12) else SINCE_0_12


@pytest.fixture(autouse=True)
def skip_what_this_version_has_otherwise(text):
    if text in OTHERWISE:
        pytest.skip(f"JAX {jax.__version__} has it otherwise")


def names(package, np_):
    """What the texts of the calls refer to."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3)).astype(np.float32)
    return {
        "top": package,
        "np_": np_,
        "numpy": numpy,
        "lax": package.lax,
        "random": package.random,
        "x": np_.asarray(x),
        "y": np_.asarray(y),
        "m": np_.asarray(rng.normal(size=(2, 3)).astype(np.float32)),
        "i": np_.asarray(np.array([0, 1, 2], np.int32)),
        "b": np_.asarray(np.array([True, False, True])),
        "h": np_.asarray(x).astype(np_.bfloat16),
        "z": np_.asarray((x + 1j * y).astype(np.complex64)),
    }


@pytest.fixture(scope="module")
def both():
    import jax.image
    import jax.numpy as jnp
    import jax.ops
    import jax.scipy.special
    import jax.scipy.stats

    return names(fg, fg.numpy), names(jax, jnp)


def run(text, scope):
    """The value of a call, or its exception."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return eval(text, dict(scope))
        except Exception as error:
            return error


@pytest.mark.parametrize("text", list(dict.fromkeys(calls())))
def test_same_value(text, both):
    ours, theirs = (run(text, scope) for scope in both)
    if isinstance(theirs, Exception):
        assert isinstance(ours, Exception), f"JAX raises {theirs!r}, we return {ours!r}"
        return
    if isinstance(ours, Exception):
        raise ours
    if not isinstance(theirs, jax.Array):
        assert str(ours) == str(theirs)
        return
    types = [(out.shape, out.dtype, out.weak_type) for out in (ours, theirs)]
    assert types[0] == types[1]
    got, want = np.asarray(ours), np.asarray(theirs)
    if got.dtype.name == "bfloat16":
        np.testing.assert_allclose(got.astype("f4"), want.astype("f4"), rtol=1e-2, atol=1e-2)
    elif got.dtype.kind in "fc":
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6)
    else:
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("text", FAILING)
def test_same_error_class(text, both):
    ours, theirs = (run(text, scope) for scope in both)
    assert isinstance(theirs, Exception), f"JAX returns {theirs!r}"
    assert isinstance(ours, Exception), f"JAX raises {type(theirs).__name__}, we return {ours!r}"
    ancestors = {c.__name__ for c in type(ours).__mro__}
    assert type(theirs).__name__ in ancestors or {
        c.__name__ for c in type(theirs).__mro__
    } & ancestors & {"TypeError", "ValueError", "IndexError", "NameError", "AttributeError"}, (
        f"JAX raises {type(theirs).__name__}: {theirs}\nwe raise {type(ours).__name__}: {ours}"
    )
    assert len(str(ours)) > 20


def normalised(text):
    """A printed jaxpr without what only a machine of several devices needs."""
    text = re.sub(r" ?(out_)?sharding=None", "", text)
    text = re.sub(r"\[\]( |$)", r"[]\1", text)
    return re.sub(r"\s+", " ", text).replace("[ ", "[").replace(" ]", "]")


@pytest.mark.parametrize("text", JAXPRS)
def test_same_jaxpr(text, both):
    printed = []
    for scope in both:
        fun, args = eval(text, dict(scope))()
        printed.append(normalised(str(scope["top"].make_jaxpr(fun)(*args))))
    assert printed[0] == printed[1]

"""The special functions: values of SciPy, types of JAX, derivatives against differences."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.special as reference

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.scipy import special

rng = np.random.default_rng(0)
DATA = {
    "x": np.concatenate([rng.uniform(-3, 3, 12), [0.0, 1.0, -1.0, 0.5]]),
    "p": rng.uniform(0.05, 0.95, 16),
    "q": rng.uniform(0.2, 3, 16),
    "r": rng.uniform(0.2, 3, 16),
    "n": rng.integers(0, 4, 16).astype(np.int32),
    "k": np.arange(16, dtype=np.int32) % 3 - 1,
}

# Each in the words of SciPy, which are ours where no others are given.
CALLS: dict[str, str] = {
    **dict.fromkeys(
        """
gammaln(x) gammasgn(q) gamma(x) loggamma(q) loggamma(x+1j*p) gamma(q+1j*p) betaln(q,r)
betaln(q*1e8,r) beta(q,r) betainc(q,r,p) gammainc(q,r) gammaincc(q,r) digamma(q) polygamma(n,q)
zeta(q+1,r) zeta(q+1) multigammaln(q+3,3) factorial(q) factorial(n) poch(q,r) comb(q+r,q)
comb(n+k+1,n,repetition=True) bernoulli(12) bernoulli(1) logit(p) expit(x) xlogy(x,q)
xlogy(x*0,x*0) xlog1py(x,q) entr(x) rel_entr(p,q) rel_entr(x,q) kl_div(p,q) boxcox(q,x)
boxcox(q,x*0) boxcox1p(q,x) logsumexp(x) logsumexp(x,b=x,return_sign=True)[1]
logsumexp(x,b=q) softmax(x) log_softmax(x) erf(x) erfc(x) erfcx(x) erfinv(p) wofz(x+1j*p)
erfcx(x+1j*p)
wofz(x) ndtr(x*4) ndtri(p) log_ndtr(x*9) owens_t(x,q) expi(x) expn(n,q) exp1(q) sici(x)[0]
sici(q)[1] fresnel(x)[0] fresnel(x)[1] spence(q) i0(x) i0e(x) i1(x) i1e(x) hyp1f1(q,r,x)
hyp2f1(q,r,q+1,p) hyp2f1(q,r,q+1,x/6) sph_harm_y(n,0*n,q,r) sph_harm_y(n,n,q,r)
sph_harm_y(n,-n,q+3,r)
""".split(),
        "",
    ),
    "dawsn(x)": "dawsn(x)",
    "bessel_jn(q, v=4)": "jv(np.arange(5)[:, None], q)",
}

SLOPES = """
gammaln:q gamma:q betaln:qr beta:qr betainc:qrp gammainc:qr gammaincc:qr digamma:q zeta:qr poch:qr
logit:p expit:x xlogy:xq xlog1py:xq entr:p rel_entr:pq kl_div:pq boxcox:qx boxcox1p:qx logsumexp:x
softmax:x log_softmax:x erf:x erfc:x erfcx:x erfinv:p dawsn:x ndtr:x ndtri:p log_ndtr:x owens_t:xq
expi:q exp1:q spence:q i0:x i0e:q i1:x i1e:x hyp1f1:qrx comb:rp factorial:q
""".split()


@pytest.fixture
def wide() -> Any:
    with fg.enable_x64(True):
        yield


def run(call: str, module: Any, arrays: dict[str, Any]) -> Any:
    return eval(f"M.{call}", {"M": module, "np": np, **arrays})


@pytest.mark.parametrize("call", CALLS)
def test_values_as_in_scipy(call: str, wide: None) -> None:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = np.asarray(run(CALLS[call] or call, reference, DATA))
    got = np.asarray(run(call, special, {k: fnp.asarray(v) for k, v in DATA.items()}))
    assert got.shape == want.shape
    # Integers become float32, as in JAX.
    integers = call in ("factorial(n)", "comb(n+k+1,n,repetition=True)")
    np.testing.assert_allclose(got, want, rtol=1e-6 if integers else 1e-10, atol=1e-12)


@pytest.mark.parametrize("call", CALLS)
def test_types_as_in_jax(call: str) -> None:
    theirs = pytest.importorskip("jax.scipy.special")
    jnp = pytest.importorskip("jax.numpy")
    if call == "zeta(q+1)":
        pytest.skip("JAX has no function of Riemann")
    arrays = {k: v.astype(np.float32) if v.dtype.kind == "f" else v for k, v in DATA.items()}
    want = run(call, theirs, {k: jnp.asarray(v) for k, v in arrays.items()})
    got = run(call, special, {k: fnp.asarray(v) for k, v in arrays.items()})
    assert (got.shape, got.dtype) == (want.shape, want.dtype)


@pytest.mark.parametrize("case", SLOPES)
def test_slopes_of_every_argument(case: str, wide: None) -> None:
    name, letters = case.split(":")
    function = getattr(special, name)
    args = [fnp.asarray(np.abs(DATA[c][:6]) if c == "x" else DATA[c][:6]) + 0.1 for c in letters]
    if "p" in letters:
        args = [0.8 * a if c == "p" else a for a, c in zip(args, letters, strict=True)]
    weights = fnp.asarray(rng.normal(size=6))

    def total(*values: Any) -> Any:
        return (function(*values) * weights).sum()

    slopes = fg.grad(total, tuple(range(len(args))))(*args)
    direction = rng.normal(size=(len(args), 6))
    step = 1e-5
    ends = [
        float(total(*[a + s * step * d for a, d in zip(args, direction, strict=True)]))
        for s in (1, -1)
    ]
    got = sum(float((s * d).sum()) for s, d in zip(slopes, direction, strict=True))
    np.testing.assert_allclose(got, (ends[0] - ends[1]) / (2 * step), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("case", SLOPES)
def test_mapped_is_broadcast(case: str, wide: None) -> None:
    name, letters = case.split(":")
    function = getattr(special, name)
    if name in ("logsumexp", "softmax", "log_softmax"):
        pytest.skip("reduces")
    args = [fnp.asarray(np.abs(DATA[c][:6]) + 0.1) * 0.9 for c in letters]
    want = np.asarray(function(*args))
    np.testing.assert_allclose(fg.vmap(function)(*args), want, rtol=1e-12)
    if len(args) > 1:
        rest = [a[2] for a in args[1:]]
        mapped = fg.vmap(function, (0, *[None] * len(rest)))(args[0], *rest)
        np.testing.assert_allclose(mapped[2], want[2], rtol=1e-12)


def test_slopes_at_edges() -> None:
    slope = fg.grad(lambda v: special.logsumexp(v))
    assert np.isfinite(slope(fnp.asarray([-np.inf, 0.0, 1.0], dtype="float32"))).all()
    assert float(fg.grad(special.xlogy)(0.0, 2.0)) == pytest.approx(np.log(2.0))
    assert float(fg.grad(special.xlogy, 1)(0.0, 2.0)) == 0.0
    assert float(fg.grad(lambda v: special.sici(v)[0])(0.0)) == 1.0
    assert float(fg.grad(special.spence)(fnp.float32(1.0))) == -1.0
    assert float(fg.grad(special.i1e)(0.0)) == 0.5
    assert float(special.logsumexp(fnp.asarray([-np.inf, -np.inf]))) == -np.inf
    assert np.isfinite(fg.grad(fg.grad(special.log_ndtr))(fnp.float32(-8.0)))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        ("gammasgn(1j * x)", ValueError, "complex"),
        ("polygamma(x, x)", ValueError, "integer type"),
        ("ndtr(k)", TypeError, "not supported"),
        ("log_ndtr(x, 1.5)", TypeError, "Python integer"),
        ("log_ndtr(x, 31)", ValueError, "<= 30"),
        ("factorial(n, exact=True)", ValueError, "math.factorial"),
        ("bernoulli(-1)", ValueError, "non-negative"),
        ("sph_harm_y(n, n, x, x, diff_n=1)", ValueError, "grad"),
        ("erf([1.0])", TypeError, "erf requires ndarray or scalar"),
    ],
)
def test_errors(call: str, error: type[Exception], text: str) -> None:
    arrays = {k: fnp.asarray(v.astype("f4") if v.dtype.kind == "f" else v) for k, v in DATA.items()}
    with pytest.raises(error, match=text):
        run(call, special, arrays)


def test_spherical_harmonics_need_a_degree_when_traced() -> None:
    n = fnp.asarray([2, 1])
    angle = fnp.asarray([0.3, 0.4])
    with pytest.raises(TypeError, match="n_max"):
        fg.jit(lambda v: special.sph_harm_y(v, v, angle, angle))(n)
    got = fg.jit(lambda v: special.sph_harm_y(v, v, angle, angle, n_max=2))(n)
    np.testing.assert_allclose(got, special.sph_harm_y(n, n, angle, angle), rtol=1e-6)


BENDS = "betainc:qrp gammainc:qr gammaincc:qr zeta:tr hyp1f1:qrx hyp2f1:qrtp owens_t:xq poch:qr"


@pytest.mark.parametrize("case", BENDS.split())
def test_second_derivatives_of_every_pair_of_arguments(case: str, wide: None) -> None:
    name, letters = case.split(":")
    function = getattr(special, name)
    data = {**DATA, "p": 0.8 * DATA["p"], "t": DATA["r"] + 1.5}
    # Both sides of the mean, where other expansions are used, and a small and a large parameter.
    args = [fnp.asarray(data[c][:10]) for c in letters]
    args[0] = args[0].at[:2].set(fnp.asarray([0.05, 9.0]) if letters[0] != "t" else 2.0)

    def total(*values: Any) -> Any:
        return function(*values).sum()

    numbers = tuple(range(len(args)))
    bends = fg.jacfwd(fg.grad(total, numbers), numbers)(*args)
    step = 1e-5
    for j in numbers:
        moved = [[a + s * step if i == j else a for i, a in enumerate(args)] for s in (1, -1)]
        ahead, behind = (fg.grad(total, numbers)(*m) for m in moved)
        for i in numbers:
            want = (np.asarray(ahead[i]) - np.asarray(behind[i])) / (2 * step)
            got = np.diagonal(bends[i][j])
            np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6)


def test_second_derivatives_at_edges(wide: None) -> None:
    def bend(function: Any, *args: float) -> float:
        return float(fg.grad(fg.grad(function))(*args))

    for name, args in (
        ("betainc", (2.0, 3.0, 0.0)),
        ("betainc", (2.0, 3.0, 1.0)),
        ("gammainc", (2.0, 0.0)),
        ("gammainc", (2.0, np.inf)),
    ):
        assert bend(getattr(special, name), *args) == 0.0
    for name, args in (("gammainc", (-1.0, 2.0)), ("zeta", (0.5, 1.0))):
        assert np.isnan(bend(getattr(special, name), *args))
    # Far out in the tail the bend is small, and exact to its own size.
    slope = fg.grad(special.gammaincc)
    want = (float(slope(2.001, 40.0)) - float(slope(1.999, 40.0))) / 0.002
    assert bend(special.gammaincc, 2.0, 40.0) == pytest.approx(want, rel=1e-5)


def test_third_derivatives_by_parameters_say_so() -> None:
    with pytest.raises(TypeError, match="third derivatives"):
        fg.grad(fg.grad(fg.grad(special.gammainc)))(2.0, 1.0)


# Functions of the arguments named, smooth there; all of them have two derivatives, or more.
SMOOTH: dict[str, Any] = {
    **{c.split(":")[0]: c.split(":")[1] for c in SLOPES if not c.startswith("zeta")},
    "zeta": "tr",
    "hyp2f1": "qrtp",
    "loggamma": "q",
}
OTHERS: dict[str, Any] = {
    "multigammaln": lambda q: special.multigammaln(q + 3, 3),
    "expn": lambda q: special.expn(2, q),
    "polygamma": lambda q: special.polygamma(1, q),
    "sici": lambda q: special.sici(q)[0] + special.sici(q)[1],
    "fresnel": lambda q: special.fresnel(q)[0] + special.fresnel(q)[1],
    "wofz": lambda q: special.wofz(q + 0.3j).real,
    "bessel_jn": lambda q: special.bessel_jn(q, v=3),
    "sph_harm_y": lambda q: special.sph_harm_y(np.array(2), np.array(1), q, 2 * q).real,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SMOOTH, *OTHERS])
def test_second_derivatives_compiled_and_mapped(name: str, wide: None) -> None:
    function = OTHERS.get(name) or getattr(special, name)
    data = {k: np.abs(v[:3]) * 0.8 + 0.1 for k, v in DATA.items()} | {"t": DATA["r"][:3] + 1.5}
    args = tuple(fnp.asarray(data[c]) for c in SMOOTH.get(name, "q"))
    fg.test_util.check_grads(function, args, order=2, rtol=2e-3, atol=2e-3)

    def total(*values: Any) -> Any:
        return fnp.sum(fnp.sin(function(*values)))

    bends = fg.hessian(total)
    want = np.stack([bends(*args), bends(*[0.9 * a for a in args])])
    pairs = [fnp.stack([a, 0.9 * a]) for a in args]
    for run in (fg.vmap(bends), fg.jit(fg.vmap(bends)), fg.vmap(fg.jit(bends))):
        np.testing.assert_allclose(run(*pairs), want, rtol=1e-8, atol=1e-10)

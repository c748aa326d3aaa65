"""scan and map: against the loop written out, under every transform; its structure; errors."""

from functools import partial

import numpy as np
import pytest

from funcgrad.api.forward import jvp, linearize
from funcgrad.api.jacobians import jacfwd, jacrev
from funcgrad.api.mapping import vmap
from funcgrad.api.reverse import grad, linear_transpose
from funcgrad.api.tracing import make_jaxpr
from funcgrad.config import disable_jit
from funcgrad.control.collectives import psum
from funcgrad.control.custom_jvp import custom_jvp
from funcgrad.control.custom_vjp import custom_vjp
from funcgrad.control.jitted import jit
from funcgrad.control.scan import map as scan_map
from funcgrad.control.scan import scan
from funcgrad.errors import ConcretizationTypeError
from funcgrad.ir.checking import check_jaxpr
from funcgrad.passes.dce import dce
from funcgrad.primitives.arithmetic import add, mul
from funcgrad.primitives.casting import convert_element_type
from funcgrad.primitives.indexing import index_in_dim
from funcgrad.primitives.reduction import reduce_sum
from funcgrad.primitives.transcendental import sin
from funcgrad.random.keys import fold_in, key

f32 = np.float32
half = f32(0.5)


def total(x):
    return reduce_sum(x, tuple(range(np.ndim(x))))


def scanned(reverse, w, c, xs):
    """A scan with a captured weight, a counter, and two outputs of which one is whole numbers."""

    def body(carry, a):
        c, i = carry
        n = sin(add(mul(c, sin(w)), mul(a, half)))
        return (n, add(i, 1)), {"y": mul(n, a), "i": i}

    (c, _), ys = scan(body, (c, 0), xs, reverse=reverse)
    return add(total(c), total(sin(ys["y"])))


def unrolled(reverse, w, c, xs):
    out = f32(0)
    for k in range(3, -1, -1) if reverse else range(4):
        a = index_in_dim(xs, k, 0, False)
        c = sin(add(mul(c, sin(w)), mul(a, half)))
        out = add(out, total(sin(mul(c, a))))
    return add(total(c), out)


w = np.array([0.3, 0.7, 1.0], f32)
xs = np.linspace(-1, 1, 12, dtype=f32).reshape(4, 3)
args = (w, 2 * w, xs)
batch = tuple(np.stack([x, half * x, -x]) for x in args)
every = (0, 1, 2)

transforms = {
    "value": lambda f: f(*args),
    "jit": lambda f: jit(f)(*args),
    "jvp": lambda f: jvp(f, args, args),
    "linearize": lambda f: linearize(f, *args)[1](*args),
    "grad": lambda f: grad(f, every)(*args),
    "jit(grad)": lambda f: jit(grad(f, every))(*args),
    "grad(jit)": lambda f: grad(jit(f), every)(*args),
    "jacfwd": lambda f: jacfwd(f, every)(*args),
    "hessian": lambda f: jacfwd(jacrev(f))(*args),
    "grad(grad)": lambda f: grad(lambda *a: total(sin(grad(f, 2)(*a))), every)(*args),
    "grad(jvp)": lambda f: grad(lambda *a: jvp(f, a, args)[1], every)(*args),
    "vmap": lambda f: vmap(f)(*batch),
    "vmap(one)": lambda f: vmap(f, (0, None, None))(batch[0], *args[1:]),
    "vmap(rows)": lambda f: vmap(f, (None, None, 2))(*args[:2], np.stack([xs, -xs], 2)),
    "vmap(vmap)": lambda f: vmap(vmap(f, (None, 0, None)), (0, None, None))(*batch[:2], xs),
    "vmap(grad)": lambda f: vmap(grad(f, every), (0, None, 0))(batch[0], args[1], batch[2]),
    "grad(vmap)": lambda f: grad(lambda *a: total(sin(vmap(f)(*a))), every)(*batch),
    "jit(vmap(grad))": lambda f: jit(vmap(grad(f, every)))(*batch),
}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", transforms)
def test_equals_the_loop_written_out(name, reverse):
    transform = transforms[name]
    found, expected = transform(partial(scanned, reverse)), transform(partial(unrolled, reverse))
    if not isinstance(found, tuple):
        found, expected = (found,), (expected,)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_jaxprs_are_well_formed():
    check_jaxpr(make_jaxpr(grad(partial(scanned, False), every))(*args).jaxpr)
    check_jaxpr(make_jaxpr(vmap(grad(partial(scanned, True), every)))(*batch).jaxpr)


def test_prints_as_jax():
    text = str(make_jaxpr(lambda x: scan(lambda c, a: (add(c, mul(a, w)), total(c)), w, x))(xs))
    order = ["jaxpr={", "length=4", "num_carry=1", "num_consts=1", "reverse=False", "unroll=1"]
    at = [text.index(part) for part in order]
    assert at == sorted(at)


def scan_eqns(f, *arguments):
    return [e for e in make_jaxpr(f)(*arguments).eqns if e.primitive.name == "scan"]


def test_what_is_the_same_at_every_step_is_computed_once():
    forward, backward = scan_eqns(grad(partial(scanned, False)), *args)
    assert "sin" in str(forward.params["jaxpr"]) and forward.params["num_consts"] == 1
    # sin(w) was hoisted: the only sine left in the body is that of the carry.
    assert str(forward.params["jaxpr"]).count("sin") == 1
    assert backward.params["reverse"]
    stacked = [v for v in forward.outvars if v.aval.shape == (4, 3)]
    assert len(stacked) == 3  # y, the carry before the step, and the cosine


def test_a_carry_handed_through_is_a_constant():
    (eqn,) = scan_eqns(
        lambda a, b: scan(lambda c, x: ((c[0], mul(c[1], c[0])), x), (a, b), xs), w, w
    )
    assert eqn.params["num_consts"] == 1 and eqn.params["num_carry"] == 1
    assert len(eqn.outvars) == 1
    (a, b), ys = scan(lambda c, x: ((c[0], mul(c[1], c[0])), x), (w, w), xs)
    np.testing.assert_array_equal(a, w)
    np.testing.assert_allclose(b, w**5, rtol=1e-6)
    np.testing.assert_array_equal(ys, xs)


def test_unused_outputs_and_carries_are_dropped():
    closed = make_jaxpr(
        lambda c: scan(lambda c, _: ((mul(c[0], c[0]), sin(c[1])), c[1]), (c, c), None, 3)
    )(w)
    smaller, _ = dce(closed.jaxpr, [True, False, False])
    (eqn,) = smaller.eqns
    assert len(eqn.outvars) == 1 and eqn.params["num_carry"] == 1
    check_jaxpr(smaller)


def test_a_carry_that_is_not_linear_under_linear_transpose():
    def powers(x):
        def body(c, _):
            n = convert_element_type(c[0], f32)
            return (add(c[0], 1), mul(c[1], n)), c[1]

        (_, last), rows = scan(body, (1, x), None, length=3)
        return last, rows

    (ct,) = linear_transpose(powers, f32(1))((f32(1), np.ones(3, f32)))
    assert float(ct) == 6 + 1 + 1 + 2


def test_lengths_and_empty_parts():
    assert float(scan(lambda c, _: (mul(c, f32(2)), None), f32(1), None, length=5)[0]) == 32
    carry, ys = scan(lambda c, x: (add(c, total(x)), mul(c, x)), f32(2), np.zeros((0, 3), f32))
    assert float(carry) == 2.0 and ys.shape == (0, 3)
    none, doubled = scan(lambda c, x: (c, add(x, x)), None, xs)
    assert none is None
    np.testing.assert_array_equal(doubled, 2 * xs)
    gradient = grad(lambda c: scan(lambda c, x: (mul(c, x), c), c, np.zeros(0, f32))[0])(f32(3))
    assert float(gradient) == 1.0
    assert scan(lambda c, x: ((), ()), (), xs) == ((), ())


def test_weak_carries_take_the_dtype_of_the_body():
    carry, _ = scan(lambda c, x: (add(c, x), None), 0.0, np.ones(3, f32))
    assert carry.dtype == np.float32 and not carry.weak_type
    carry, _ = scan(lambda c, x: (add(convert_element_type(c, f32), x), None), 0, np.ones(3, f32))
    assert carry.dtype == np.float32 and float(carry) == 3.0
    # Two carries, of which the second only shows its dtype once the first has found its own.
    (a, b), _ = scan(
        lambda c, x: ((add(convert_element_type(c[0], f32), x), c[0]), None),
        (0, 0),
        np.ones(3, f32),
    )
    assert (a.dtype, b.dtype) == (np.float32, np.float32)


def test_keys_in_the_carry_and_the_rows():
    k = key(1)

    def f(x):
        (_, out), ks = scan(
            lambda c, i: ((fold_in(c[0], i), mul(c[1], x)), c[0]), (k, x), np.arange(3)
        )
        return out, ks

    out, ks = f(f32(2))
    assert float(out) == 16.0 and ks.shape == (3,) and ks.dtype == k.dtype
    assert float(grad(lambda x: f(x)[0])(f32(2))) == 32.0
    assert vmap(lambda i: scan(lambda c, _: (fold_in(c, i), c), k, None, 2)[1])(
        np.arange(4)
    ).shape == (4, 2)


def test_named_axes_inside():
    x = np.arange(3, dtype=f32)
    out = vmap(
        lambda x: scan(lambda c, _: (add(c, psum(x, "i")), None), x, None, 2)[0], axis_name="i"
    )(x)
    np.testing.assert_array_equal(out, x + 6)


def test_rules_of_the_users_own_inside_the_body():
    @custom_jvp
    def steep(x):
        return sin(x)

    steep.defjvp(lambda p, t: (steep(p[0]), mul(t[0], f32(10))))

    @custom_vjp
    def steep_back(x):
        return sin(x)

    steep_back.defvjp(lambda x: (steep_back(x), None), lambda _, ct: (mul(ct, f32(10)),))
    for rule in (steep, steep_back):

        def f(x, rule=rule):
            return scan(lambda c, _: (rule(c), None), x, None, length=3)[0]

        np.testing.assert_allclose(f(half), np.sin(np.sin(np.sin(0.5))), rtol=1e-6)
        assert float(grad(f)(half)) == 1000.0
        np.testing.assert_allclose(jit(vmap(grad(f)))(w), [1000.0] * 3)


def test_nested_scans():
    def outer(w):
        return scan(
            lambda c, row: scan(lambda d, a: (sin(add(mul(d, w), a)), d), c, row), f32(0.5), xs
        )

    def plain(w):
        c = f32(0.5)
        for row in xs:
            for a in row:
                c = sin(add(mul(c, w), a))
        return c

    def final(w):
        return outer(w)[0]

    assert outer(half)[1].shape == (4, 3)
    for f in (lambda g: g(half), lambda g: grad(g)(half), lambda g: jit(grad(grad(g)))(half)):
        np.testing.assert_allclose(f(final), f(plain), rtol=1e-4)


@pytest.mark.parametrize("unroll", [True, False, 0, 2, 3])
def test_unroll_changes_nothing(unroll):
    carry, ys = scan(lambda c, x: (add(c, x), c), np.zeros(3, f32), xs, unroll=unroll)
    np.testing.assert_allclose(carry, xs.sum(0), atol=1e-6)
    assert ys.shape == xs.shape


def test_disable_jit_is_a_python_loop():
    with disable_jit():
        for reverse in (False, True):
            found = scan(lambda c, x: (add(c, x), {"c": c}), w, xs, reverse=reverse)
            with disable_jit(False):
                expected = scan(lambda c, x: (add(c, x), {"c": c}), w, xs, reverse=reverse)
            np.testing.assert_array_equal(found[0], expected[0])
            np.testing.assert_array_equal(found[1]["c"], expected[1]["c"])
        with pytest.raises(ValueError, match="zero-length"):
            scan(lambda c, x: (c, x), 0, None, length=0)


@pytest.mark.parametrize("batch_size", [None, 0, 1, 3, 4, 9])
def test_map(batch_size):
    out = scan_map(lambda d: {"s": sin(d["x"])}, {"x": xs}, batch_size=batch_size)
    np.testing.assert_allclose(out["s"], np.sin(xs), rtol=1e-6)
    slope = grad(lambda x: total(scan_map(sin, x, batch_size=batch_size)))(xs)
    np.testing.assert_allclose(slope, np.cos(xs), rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: scan(3, 0, xs), TypeError, "callable"),
        (lambda: scan(lambda c, x: c, 0, xs), TypeError, "must be a pair.*test_scan.py"),
        (lambda: scan(lambda c, x: ((c, c), x), 0, xs), TypeError, "same pytree structure"),
        (
            lambda: scan(lambda c, x: ({"w": x}, x), {"w": np.zeros(2, f32)}, xs),
            TypeError,
            r"carry\['w'\] goes in as float32\[2\] and comes out as float32\[3\].*test_scan.py",
        ),
        (lambda: scan(lambda c, x: (c, x), 0, 1.0), ValueError, "no leading axis"),
        (lambda: scan(lambda c, x: (c, x), 0, None), ValueError, "length. not provided"),
        (lambda: scan(lambda c, x: (c, x), 0, (xs, w)), ValueError, "different leading axis sizes"),
        (lambda: scan(lambda c, x: (c, x), 0, xs, length=3), ValueError, "disagrees"),
        (lambda: scan(lambda c, x: (c, x), 0, xs, unroll=-1), ValueError, "unroll"),
        (
            lambda: jit(lambda n: scan(lambda c, x: (c, x), 0, None, length=n))(3),
            ConcretizationTypeError,
            "length.*while_loop",
        ),
        (lambda: scan(lambda c, x: (c, x), "s", xs), TypeError, "initial carry of scan"),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match="(?s)" + text):
        call()

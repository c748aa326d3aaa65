"""Arrays of a device that a jitted function closes over: they stay there, and go in by address."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.sharding import Mesh, NamedSharding, PartitionSpec

X = np.float32([1, 2, 3, 4])
W = np.float32([2, -1, 0.5, 3])
B = np.array([[True, False], [False, True]])


def scanned(w):
    def turn(carry, _):
        return fg.jit(lambda c: c * w)(carry) + w, carry.sum()

    return lambda x: fg.lax.scan(turn, x, None, length=3)


def solved(w):
    return lambda x: fg.lax.while_loop(lambda c: (c * w).sum() < 90, lambda c: c + w, x)


PROGRAMS = {
    "map": lambda w: lambda x: x * w + 1,
    "product": lambda w: lambda x: fnp.tanh(x) @ w,
    "a jitted function inside": lambda w: lambda x: fg.jit(lambda y: y * w)(x) + 1,
    "the body of a scan": scanned,
    "a while loop": solved,
    "branches": lambda w: lambda x: fg.lax.cond(x.sum() > 0, lambda y: y + w, lambda y: y - w, x),
    "gradient": lambda w: fg.grad(lambda x: fnp.sin(x * w).sum()),
    "vmap": lambda w: lambda x: fg.vmap(lambda a: a * w + x)(x),
    "the array itself": lambda w: lambda x: (w, x + 1),
    "bfloat16": lambda w: lambda x: x * w.astype("bfloat16"),
    "a sort": lambda w: lambda x: fnp.sort(w)[fnp.argsort(x)],
}


def over(fake, f):
    """What a function gives, and what it had the driver do beside kernels."""
    start = len(fake.log)
    out = f()
    seen = [
        e for e in fake.log[start:] if e[0] in ("upload", "download", "copy", "bring", "follow")
    ]
    return out, seen


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_of_it_goes_through_the_host(gpu, name):
    want = fg.jit(PROGRAMS[name](fnp.asarray(W)))(X)
    w, x = (fg.device_put(v, "gpu") for v in (W, X))
    f = fg.jit(PROGRAMS[name](w))
    for _ in range(3):
        got, seen = over(gpu, lambda: f(x))
        assert not [e for e in seen if e[0] in ("upload", "download")]
    for a, b in zip(fg.tree.leaves(got), fg.tree.leaves(want), strict=True):
        assert str(a.device) == "GPU:0" and a.committed
        np.testing.assert_allclose(
            np.asarray(a, np.float32), np.asarray(b, np.float32), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize(
    "value",
    [B, np.arange(6, dtype=np.int64), np.complex64([1 + 2j, 3]), np.float32(2), X[:0]],
    ids=["bool", "int64", "complex64", "scalar", "empty"],
)
def test_dtypes_and_extents(gpu, value):
    held = fg.device_put(value, "gpu")

    def f(x):
        return held, fnp.where(x > 0, 1, 2) * held

    x = fg.device_put(np.float32(1), "gpu")
    got, seen = over(gpu, lambda: fg.jit(f)(x))
    assert not [e for e in seen if e[0] != "copy"]
    np.testing.assert_array_equal(got[0], value)
    np.testing.assert_array_equal(got[1], 1 * value)


def test_keys(gpu):
    key = fg.random.key(7)
    there = fg.device_put(key, "gpu")
    n = fg.device_put(np.uint32(3), "gpu")
    got, seen = over(gpu, lambda: fg.jit(lambda n: fg.random.bits(there, (5,)) + n)(n))
    assert not [e for e in seen if e[0] in ("upload", "download")]
    np.testing.assert_array_equal(got, fg.random.bits(key, (5,)) + np.uint32(3))


def test_it_is_read_where_it_lies_as_long_as_the_program_lives(gpu):
    w, x = (fg.device_put(v, "gpu") for v in (W, X))
    f = fg.jit(lambda v: v * w)
    f(x)
    # Its handle may go, and others may be made in the meantime.
    w.delete()
    others = [fg.device_put(np.full(4, 9, np.float32), "gpu") for _ in range(4)]
    np.testing.assert_array_equal(f(x), X * W)
    assert all((y.numpy() == 9).all() for y in others)
    gone = fg.jit(lambda v: v + w)
    with pytest.raises(RuntimeError, match="has been deleted"):
        gone(x)


def test_what_a_program_holds_is_not_written_over_when_it_is_donated(gpu):
    w, x = (fg.device_put(v, "gpu") for v in (W, X))
    f = fg.jit(lambda v: v * w)
    f(x)
    step = fg.jit(lambda v: v + 1, donate_argnums=0)
    np.testing.assert_array_equal(step(w), W + 1)
    assert w.is_deleted()
    np.testing.assert_array_equal(f(x), X * W)


def test_arguments_decide_and_what_is_held_comes_to_them_past_the_host(gpus):
    fake = gpus(count=3)
    one, two, _ = fg.devices("gpu")
    w, x = fg.device_put(W, two), fg.device_put(X, one)
    f = fg.jit(lambda v: v * w)
    got, seen = over(fake, lambda: f(x))
    assert str(got.device) == "GPU:0" and got.committed
    assert [e[0] for e in seen].count("bring") == 1
    assert not [e for e in seen if e[0] in ("upload", "download")]
    np.testing.assert_array_equal(got, X * W)
    again, seen = over(fake, lambda: f(x))
    assert not seen and str(again.device) == "GPU:0"
    # Without an argument that was put anywhere, it is what decides.
    assert str(f(X).device) == "GPU:1"
    with pytest.raises(ValueError, match=r"(?s)incompatible devices.*GPU:1.*GPU:0.*device_put"):
        fg.jit(lambda v: v * w + fg.jit(lambda: x)())(X)
    inner = fg.jit(lambda v: fg.jit(lambda y: y * w)(v))(X)
    assert str(inner.device) == "GPU:1" and inner.committed
    # No GPU's array goes to the host because an argument is there.
    with pytest.raises(ValueError, match=r"(?s)incompatible devices.*CPU:0.*GPU:1"):
        f(fg.device_put(X, fg.devices("cpu")[0]))


def test_gradients_of_jitted_functions_stay_where_their_arrays_are(gpu):
    w = fg.device_put(W, "gpu")
    f = fg.jit(lambda x: fnp.sin(x * w).sum())
    got, seen = over(gpu, lambda: fg.grad(f)(X))
    assert str(got.device) == "GPU:0" and not [e for e in seen if e[0] == "download"]
    np.testing.assert_allclose(got, W * np.cos(X * W), rtol=1e-5)


def test_explain_says_where_it_lies(gpus):
    gpus(count=2)
    one, two = fg.devices("gpu")
    w, v, x = fg.device_put(W, one), fg.device_put(W, two), fg.device_put(X, one)
    page = fg.jit(lambda y: y * w + v + B.sum() + X).lower(x).explain()
    lines = [line.strip() for line in page.splitlines() if "constants: " in line]
    assert lines == [
        "constants: 16 B from GPU:0, there already",
        "constants: 16 B from GPU:1, once",
        "constants: 16 B from the host, once",
    ]


def test_arrays_that_all_gpus_of_a_mesh_have(gpus):
    fake = gpus(count=2)
    mesh = Mesh(np.array(fg.devices("gpu")), ("i",))
    whole = fg.device_put(W, NamedSharding(mesh, PartitionSpec()))
    x = fg.device_put(X, fg.devices("gpu")[1])
    got, seen = over(fake, lambda: fg.jit(lambda v: v * whole)(x))
    assert not [e for e in seen if e[0] in ("upload", "download", "copy")]
    np.testing.assert_array_equal(got, X * W)

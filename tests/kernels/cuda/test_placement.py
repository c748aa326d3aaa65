"""Where arrays are made, where is computed, and what is committed: JAX's rules, on fake GPUs."""

import os
import subprocess
import sys

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import random

CPU = fg.devices("cpu")[0]


def on(array):
    return str(array.device), array.committed


MADE = {
    "zeros": lambda: fnp.zeros((2, 3)),
    "ones": lambda: fnp.ones(4, int),
    "full": lambda: fnp.full((2, 2), 7.0),
    "full of a row": lambda: fnp.full((2, 2), np.float32([1, 2])),
    "zeros_like": lambda: fnp.zeros_like(np.ones((3, 2), np.float32)),
    "arange": lambda: fnp.arange(2, 9, 2),
    "linspace": lambda: fnp.linspace(0, 1, 5),
    "eye": lambda: fnp.eye(3),
    "asarray": lambda: fnp.asarray(np.arange(6.0).reshape(2, 3)),
    "array of a list": lambda: fnp.array([[1, 2], [3, 4]]),
    "scalar": lambda: fnp.asarray(2.5),
    "key": lambda: random.key(3),
    "uniform": lambda: random.uniform(random.key(3), (5,)),
    "normal": lambda: random.normal(random.key(3), (2, 4)),
    "device_put": lambda: fg.device_put(np.ones(3, np.float32)),
    "operation": lambda: fnp.sin(np.float32([1, 2])) + 1,
    "jit": lambda: fg.jit(lambda x: x * 2 + fnp.arange(3))(np.float32([1, 2, 3])),
    "grad": lambda: fg.grad(lambda x: fnp.sin(x).sum())(np.float32([1, 2, 3])),
}


@pytest.mark.parametrize("name", MADE)
def test_arrays_are_made_on_the_default_device(gpus, name):
    gpus(count=2)
    want, second = MADE[name](), fg.devices("gpu")[1]
    with fg.default_device(second):
        got = MADE[name]()
    assert on(want) == ("CPU:0", False)
    assert on(got) == ("GPU:1", False) and got.devices() == {second}
    assert (got.shape, got.dtype, got.weak_type) == (want.shape, want.dtype, want.weak_type)
    if got.dtype.names is None:
        np.testing.assert_allclose(got, want, rtol=2e-6)
    else:
        np.testing.assert_array_equal(random.key_data(got), random.key_data(want))


def test_the_default_device_by_update_name_and_environment(gpu):
    device = fg.devices("gpu")[0]
    for value in (device, "gpu", "cuda"):
        fg.config.update("jax_default_device", value)
        assert on(fnp.zeros(2)) == ("GPU:0", False)
        with fg.default_device("cpu"):
            assert on(fnp.zeros(2)) == ("CPU:0", False)
        with fg.default_device(None):
            assert on(fnp.zeros(2)) == ("CPU:0", False)
    fg.config.update("default_device", None)
    assert on(fnp.zeros(2)) == ("CPU:0", False)
    with pytest.raises(ValueError, match="default_device='tpu9' is not understood"):
        fg.config.update("default_device", "tpu9")

    @fg.default_device(device)
    def make():
        return fnp.ones(3)

    assert on(make()) == ("GPU:0", False)


def test_uncommitted_arrays_follow_the_default_device(gpu):
    with fg.default_device("gpu"):
        x = fnp.arange(3.0)
    assert on(x) == ("GPU:0", False)
    # Outside, what is uncommitted is computed with on the default device of there.
    for y in (x + 1, fg.jit(fnp.sin)(x), fnp.zeros(3) + x):
        assert on(y) == ("CPU:0", False)
    cpu = fnp.arange(3.0)
    with fg.default_device("gpu"):
        assert on(cpu * 2) == on(fg.jit(lambda v: v * 2)(cpu)) == ("GPU:0", False)


def test_committed_arrays_decide(gpus):
    gpus(count=2)
    one, two = fg.devices("gpu")
    x, free = fg.device_put(np.float32([1, 2]), two), fnp.ones(2)
    assert on(x) == ("GPU:1", True)
    with fg.default_device(one):
        for y in (x + 1, x + free, fg.jit(lambda a, b: a + b)(free, x), fnp.zeros_like(x)):
            assert on(y) == ("GPU:1", True)
        other = fnp.ones(2)
        assert on(other) == ("GPU:0", False)
        assert on(x * other) == ("GPU:1", True)
        assert on(fg.device_put(x)) == ("GPU:1", True)
        with pytest.raises(ValueError, match="Received incompatible devices"):
            _ = x + fg.device_put(other, one)


@pytest.mark.parametrize("wrap", [fg.jit, lambda f: f], ids=["jit", "eager"])
def test_arrays_that_a_function_holds_decide_too(gpus, wrap):
    gpus(count=2)
    one, two = fg.devices("gpu")
    w = fg.device_put(np.float32([1, 2]), two)
    f = wrap(lambda x: x * w + 1)
    y = f(np.float32([3, 4]))
    assert on(y) == ("GPU:1", True)
    np.testing.assert_array_equal(y, [4, 9])
    x = fg.device_put(np.float32([3, 4]), one)
    if wrap is fg.jit:
        # As in JAX: what a program has captured comes to where its arguments were put.
        assert on(f(x)) == ("GPU:0", True)
        np.testing.assert_array_equal(f(x), [4, 9])
        return
    with pytest.raises(ValueError, match="incompatible devices"):
        f(x)


def test_the_cpu_is_a_device_to_commit_to(gpu):
    x = fg.device_put(np.float32([1, 2]), CPU)
    there = fg.device_put(np.float32([1, 2]), "gpu")
    assert on(x) == ("CPU:0", True)
    with fg.default_device("gpu"):
        results = (x + 1, fg.jit(fnp.sin)(x), x[0], fg.jit(fnp.sin, backend="cpu")(np.ones(2)))
    for y in results:
        assert on(y) == ("CPU:0", True)
    assert on(fg.jit(fnp.sin, backend="cpu")(there)) == ("CPU:0", True)
    np.testing.assert_array_equal(x.numpy(), [1, 2])
    np.testing.assert_array_equal(np.from_dlpack(x), [1, 2])
    assert not hasattr(x, "__cuda_array_interface__")
    for act in (lambda: x + there, lambda: fg.jit(fnp.add)(x, there)):
        with pytest.raises(ValueError, match=r"(?s)incompatible devices.*CPU:0.*GPU:0.*device_put"):
            act()


@pytest.mark.parametrize(
    "make",
    [
        lambda d: fnp.zeros(3, device=d),
        lambda d: fnp.ones((2, 1), device=d),
        lambda d: fnp.full(3, 2.0, device=d),
        lambda d: fnp.arange(5, device=d),
        lambda d: fnp.linspace(0, 1, 4, device=d),
        lambda d: fnp.asarray(np.ones(3, np.float32), device=d),
        lambda d: fnp.array([1.0, 2.0], device=d),
        lambda d: fnp.zeros_like(np.ones(3), device=d),
        lambda d: fnp.asarray(fnp.ones(3), device=d),
        lambda d: fnp.ones(3).to_device(d),
    ],
)
def test_functions_that_make_arrays_take_a_device(gpu, make):
    device = fg.devices("gpu")[0]
    want = make(CPU)
    for given in (device, "gpu"):
        got = make(given)
        assert on(got) == ("GPU:0", True)
        np.testing.assert_array_equal(got, want)


def test_a_device_that_is_not_there_is_an_error_at_first_use(monkeypatch):
    from funcgrad.control import accelerators

    def absent():
        raise RuntimeError("NVIDIA's driver is not installed")

    monkeypatch.setattr(accelerators, "homes", absent)
    with fg.default_device("gpu"), pytest.raises(RuntimeError, match="driver is not installed"):
        fnp.zeros(3)
    assert fnp.zeros(3).sum() == 0


def test_training_under_a_default_device(gpu):
    def loss(w, x):
        return ((fnp.tanh(x @ w) - 1) ** 2).mean()

    @fg.jit
    def step(w, x):
        return w - 0.1 * fg.grad(loss)(w, x)

    def run():
        w, x = random.normal(random.key(0), (4, 2)), random.normal(random.key(1), (8, 4))
        for _ in range(3):
            w = step(w, x)
        return w

    want = run()
    with fg.default_device("gpu"):
        got = run()
    assert on(got) == ("GPU:0", False) and on(want) == ("CPU:0", False)
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_the_environment_names_the_default_device():
    code = (
        "import funcgrad as fg, funcgrad.numpy as fnp, sys\n"
        "print(fg.config.default_device, 'cuda' in sys.modules)\n"
        "with fg.default_device('cpu'): print(fnp.zeros(1).device)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "FUNCGRAD_DEFAULT_DEVICE": "gpu"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "gpu False\nCPU:0\n"

"""Optimizers of trees: the states of JAX's, compiled and not; schedules, trees, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.example_libraries import optimizers

RANDOM = np.random.default_rng(0)
PARAMS = {
    "w": RANDOM.normal(size=(3, 4)).astype(np.float32),
    "b": [RANDOM.normal(size=4).astype(np.float32)],
}
RULES: list[tuple[str, tuple[Any, ...]]] = [
    ("sgd", (0.1,)),
    ("momentum", (0.05, 0.9)),
    ("nesterov", (0.05, 0.9)),
    ("adagrad", (0.3,)),
    ("rmsprop", (0.05,)),
    ("rmsprop_momentum", (0.01,)),
    ("adam", (0.1,)),
    ("adamax", (0.1,)),
    ("sm3", (0.3,)),
]
SCHEDULES: list[tuple[str, tuple[Any, ...], list[float]]] = [
    ("constant", (0.5,), [0.5, 0.5, 0.5]),
    ("exponential_decay", (1.0, 2, 0.25), [1.0, 0.5, 1 / 16]),
    ("inverse_time_decay", (1.0, 2, 0.5), [1.0, 0.8, 0.5]),
    ("inverse_time_decay", (1.0, 2, 0.5, True), [1.0, 1.0, 0.5]),
    ("polynomial_decay", (1.0, 4, 0.2, 2.0), [1.0, 0.65, 0.2]),
    ("piecewise_constant", ([0, 2], [3.0, 2.0, 1.0]), [3.0, 2.0, 1.0]),
]


def steps(namespace: Any, transforms: Any, made: Any, count: int, compiled: bool) -> list[Any]:
    """The leaves of the state after some steps of descent."""
    start, update, params = made
    state = start(transforms.tree.map(namespace.asarray, PARAMS))
    update = transforms.jit(update) if compiled else update

    def loss(p: Any) -> Any:
        return sum((namespace.sin(x) ** 2).sum() for x in transforms.tree.leaves(p))

    for i in range(count):
        state = update(i, transforms.grad(loss)(params(state)), state)
    return [np.asarray(x) for x in transforms.tree.leaves((state, params(state)))]


# The state of sm3 holds the shape of the parameter, which is traced under jit, in JAX too.
@pytest.mark.parametrize(
    ("name", "args", "compiled"),
    [(*rule, c) for rule in RULES for c in (False, True) if not (c and rule[0] == "sm3")],
)
def test_states_are_those_of_jax(name: str, args: tuple[Any, ...], compiled: bool) -> None:
    jax = pytest.importorskip("jax")
    peer = pytest.importorskip("jax.example_libraries.optimizers")
    want = steps(jax.numpy, jax, getattr(peer, name)(*args), 5, compiled)
    got = steps(fnp, fg, getattr(optimizers, name)(*args), 5, compiled)
    for a, b in zip(got, want, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(("name", "args"), RULES)
def test_losses_go_down(name: str, args: tuple[Any, ...]) -> None:
    made = getattr(optimizers, name)(*args)
    after = steps(fnp, fg, made, 60, compiled=False)[-2:]
    assert sum(float((np.sin(x) ** 2).sum()) for x in after) < 0.5


@pytest.mark.parametrize(("name", "args", "want"), SCHEDULES)
def test_schedules(name: str, args: tuple[Any, ...], want: list[float]) -> None:
    schedule = getattr(optimizers, name)(*args)
    times = [0, 2 if name == "piecewise_constant" else 1, 4]
    np.testing.assert_allclose([float(schedule(i)) for i in times], want, rtol=1e-6)
    state = optimizers.sgd(schedule).init_fn(fnp.ones(2))
    moved = optimizers.sgd(schedule).update_fn(times[1], fnp.ones(2), state)
    np.testing.assert_allclose(moved.packed_state[0][0], 1 - want[1], rtol=1e-6)


def test_trees() -> None:
    found = optimizers.l2_norm({"a": fnp.asarray([3.0]), "b": fnp.asarray([[4.0]])})
    assert float(found) == 5
    clipped = optimizers.clip_grads([fnp.asarray([3.0, 4.0])], 1.0)
    np.testing.assert_allclose(clipped[0], [0.6, 0.8], rtol=1e-6)
    np.testing.assert_array_equal(optimizers.clip_grads([fnp.ones(1)], 2.0)[0], [1.0])


def test_states_are_unpacked_and_packed() -> None:
    start, update, params = optimizers.adam(0.1)
    state = update(0, PARAMS, start(PARAMS))
    marked = optimizers.unpack_optimizer_state(state)
    assert isinstance(marked["w"], optimizers.JoinPoint)
    ((x, mean, squares),) = marked["w"]
    assert x.shape == mean.shape == squares.shape == (3, 4)
    again = optimizers.pack_optimizer_state(marked)
    assert fg.tree.structure(again) == fg.tree.structure(state)
    np.testing.assert_array_equal(params(again)["w"], params(state)["w"])


def test_refusals() -> None:
    start, update, _ = optimizers.adam(0.1)
    with pytest.raises(TypeError, match="The gradients are of the structure"):
        update(0, [1.0], start({"a": 1.0}))
    with pytest.raises(TypeError, match=r"number or a function of the step, got .* shape \(2,\)"):
        optimizers.sgd(fnp.ones(2))
    with pytest.raises(ValueError, match=r"n \+ 1 values"):
        optimizers.piecewise_constant([1, 2], [1.0, 2.0])
    with pytest.raises(TypeError, match="leaves of .*float"):
        optimizers.pack_optimizer_state({"a": 1.0})

    @optimizers.optimizer
    def growing() -> Any:
        return lambda x: (x,), lambda i, g, s: (*s, g), lambda s: s[0]

    start, update, _ = growing()
    with pytest.raises(TypeError, match="growing turned a state of the structure"):
        update(0, 1.0, start(1.0))

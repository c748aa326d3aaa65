"""The best state of a run is a file that stays, can be read, and is the same after any stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn, optim, train, tree

pytest.importorskip("safetensors", reason="checkpoints are its files")
# What the evaluations at steps 3, 6, 9, ... give: best at 9, three worse ones after it.
LOSSES = [5.0, 4.0, 2.0, 3.0, 2.5, 2.0, 1.0]
START = {"n": fnp.zeros((), fnp.int32), "sum": fnp.zeros(())}


def step(state: Any, batch: Any) -> Any:
    return {"n": state["n"] + 1, "sum": state["sum"] + batch}, {}


def evaluate(state: Any) -> Any:
    return {"loss": LOSSES[int(state["n"]) // 3 - 1]}


def run(folder: Path, steps: int = 60, patience: int = 3, **keywords: Any) -> train.Run:
    settings: dict[str, Any] = {
        "steps": steps,
        "evaluate": evaluate,
        "evaluate_every": 3,
        "checkpoint_every": 4,
        "checkpoints": train.Checkpoints(folder),
        "stop": train.EarlyStopping("loss", patience=patience),
        "progress": False,
    }
    return train.fit(step, START, np.arange(60, dtype=np.float32), **{**settings, **keywords})


def check_best(folder: Path) -> None:
    n, state = train.restore(train.Checkpoints(folder), START, best=True)
    assert (n, int(state["n"]), float(state["sum"])) == (9, 9, float(sum(range(9))))


def test_the_best_state_stays_beside_the_last_ones(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert (result.step, result.stopped_early, result.best_step) == (18, True, 9)
    # The last two, and the best, which no schedule would have kept.
    assert train.Checkpoints(tmp_path).steps == [9, 16, 18]
    check_best(tmp_path)
    n, state = train.restore(train.Checkpoints(tmp_path), START)
    assert (n, int(state["n"])) == (18, 18)


@pytest.mark.parametrize("first", [9, 10, 13, 17])
def test_the_best_state_outlasts_a_stop(first: int, tmp_path: Path) -> None:
    """The first part is stopped between evaluations, so that it has none of its own at its end."""
    source = np.arange(first, dtype=np.float32)
    settings: dict[str, Any] = {"checkpoints": train.Checkpoints(tmp_path), "progress": False}
    stop = train.EarlyStopping("loss", patience=3)
    train.fit(step, START, source, evaluate=evaluate, evaluate_every=3, stop=stop, **settings)
    check_best(tmp_path)
    result = run(tmp_path)
    assert (result.step, result.best_step) == (18, 9)
    check_best(tmp_path)


def test_a_run_killed_after_the_best_step_still_has_it(tmp_path: Path) -> None:
    class Killed(BaseException):
        """Nothing gets to run after it, as after SIGKILL."""

    def deadly(state: Any) -> Any:
        if int(state["n"]) == 12:
            raise Killed
        return evaluate(state)

    with pytest.raises(Killed):
        run(tmp_path, evaluate=deadly, checkpoint_every=100)
    check_best(tmp_path)
    assert run(tmp_path).best_step == 9


def test_a_better_state_takes_the_place_of_the_best(tmp_path: Path) -> None:
    result = run(tmp_path, 21, patience=9, checkpoint_every=100)
    assert (result.stopped_early, result.best_step) == (False, 21)
    assert train.Checkpoints(tmp_path).steps == [9, 21]


def test_a_run_without_a_rule_has_no_best_step(tmp_path: Path) -> None:
    assert run(tmp_path / "a", 6, stop=None).best_step is None
    with pytest.raises(train.CheckpointError, match="no best step: it had no early stopping"):
        train.restore(train.Checkpoints(tmp_path / "a"), START, best=True)
    nan = run(tmp_path / "b", 6, evaluate=lambda state: {"loss": float("nan")})
    assert nan.best_step is None
    with pytest.raises(train.CheckpointError, match="or no evaluation so far"):
        train.restore(train.Checkpoints(tmp_path / "b"), START, best=True)
    with pytest.raises(train.CheckpointError, match="no checkpoints"):
        train.restore(train.Checkpoints(tmp_path / "c"), START)


def test_a_folder_is_cleared_for_a_run_that_starts_anew(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    folder = train.Checkpoints(tmp_path)
    folder.clear()
    assert folder.steps == [] and (tmp_path / "notes.txt").exists()
    assert run(tmp_path, 3, resume=False).step == 3


def test_the_gradient_step_is_the_one_written_out() -> None:
    """It hands the optimizer params (decay needs them) and gives back the network's state."""
    network = nn.serial(nn.dense(3, bias=False), nn.batch_norm(), nn.dropout(0.5))
    optimizer = optim.adamw(0.1, weight_decay=0.1)
    x = np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32)

    def loss(params: Any, state: Any, batch: Any) -> Any:
        y, state = network.apply(params, state, batch, train=True)
        return (y**2).mean(), (state, {"largest": fnp.abs(y).max()})

    params, state = network.init(fg.random.key(0), x)
    model = train.Model(params, state, optimizer.init(params))
    found, metrics = fg.jit(train.gradient_step(loss, optimizer))(model, x)

    (value, (state, aux)), grads = fg.value_and_grad(loss, has_aux=True)(params, state, x)
    updates, moments = optimizer.update(grads, model.moments, params)
    wanted = train.Model(optim.apply_updates(params, updates), state, moments)
    assert metrics.keys() == {"loss", "largest"}
    np.testing.assert_allclose([*metrics.values()], [value, *aux.values()], rtol=1e-5)
    assert tree.structure(found) == tree.structure(wanted)
    for a, b in zip(tree.leaves(found), tree.leaves(wanted), strict=True):
        if fg.dtypes.issubdtype(a.dtype, fg.dtypes.prng_key):
            a, b = fg.random.key_data(a), fg.random.key_data(b)
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)

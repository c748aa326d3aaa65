"""The loop: the same bits after any stop, logs without gaps, early stopping, what is shown."""

from __future__ import annotations

import csv
import json
import os
import pty
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import data, nn, optim, train, tree

pytest.importorskip("safetensors", reason="checkpoints are its files")
network = nn.serial(nn.dense(16), nn.batch_norm(), nn.relu, nn.dropout(0.2), nn.dense(2))
optimizer = optim.adam(1e-2)
rng = np.random.default_rng(0)
X = rng.normal(size=(64, 3)).astype(np.float32)
Y = (X.sum(1) > 0).astype(np.int32)


def initial() -> Any:
    params, state = network.init(fg.random.key(0), X[:8])
    return {"params": params, "state": state, "moments": optimizer.init(params)}


def loss(params: Any, state: Any, x: Any, y: Any) -> Any:
    logits, state = network.apply(params, state, x, train=True)
    return nn.softmax_cross_entropy(logits, y).mean(), state


@fg.jit
def step(model: Any, batch: Any) -> Any:
    slope = fg.value_and_grad(loss, has_aux=True)
    (value, state), grads = slope(model["params"], model["state"], *batch)
    updates, moments = optimizer.update(grads, model["moments"], model["params"])
    params = optim.apply_updates(model["params"], updates)
    return {"params": params, "state": state, "moments": moments}, {"loss": value}


def evaluate(model: Any) -> Any:
    logits, _ = network.apply(model["params"], model["state"], X)
    return {"accuracy": nn.accuracy(logits, Y)}


def noisy(key: Any, batch: Any) -> Any:
    x, y = batch
    return x + 0.1 * np.asarray(fg.random.normal(key, x.shape)), y


def batches(**keywords: Any) -> data.Batches:
    return data.batches((X, Y), 8, seed=4, transform=noisy, **keywords)


def run(folder: Path | None, steps: int = 24, **keywords: Any) -> train.Run:
    settings: dict[str, Any] = {
        "evaluate": evaluate,
        "evaluate_every": 6,
        "log_every": 2,
        "checkpoint_every": 5,
        "progress": False,
        "steps": steps,
        "checkpoints": None if folder is None else train.Checkpoints(folder / "checkpoints"),
    }
    source = keywords.pop("source", None)
    source = batches() if source is None else source
    return train.fit(step, initial(), source, **{**settings, **keywords})


def same_bits(a: Any, b: Any) -> bool:
    def words(x: Any) -> bytes:
        key = fg.dtypes.issubdtype(x.dtype, fg.dtypes.prng_key)
        return np.asarray(fg.random.key_data(x) if key else x).tobytes()

    return [words(x) for x in tree.leaves(a)] == [words(x) for x in tree.leaves(b)]


@pytest.fixture(scope="module")
def whole() -> train.Run:
    """The run that was never stopped, by hand for the state and by fit for the history."""
    model, source = initial(), batches()
    for _ in range(24):
        model, _ = step(model, next(source))
    result = run(None)
    assert same_bits(result.state, model)
    return result


def test_records_are_what_was_asked_for(whole: train.Run) -> None:
    assert [r["step"] for r in whole.history] == list(range(2, 25, 2))
    assert [r["step"] for r in whole.history if "eval/accuracy" in r] == [6, 12, 18, 24]
    assert whole.history[-1]["loss"] < whole.history[0]["loss"]
    assert (whole.step, whole.stopped_early) == (24, False)


@pytest.mark.parametrize("first", [5, 8, 13, 24])
def test_a_run_in_two_parts_has_the_same_bits(first: int, whole: train.Run, tmp_path: Path) -> None:
    run(tmp_path, first, log_every=2)
    second = run(tmp_path)
    assert same_bits(second.state, whole.state)
    # The end of the first part is recorded too.
    extra = [r for r in second.history if r["step"] == first and r not in whole.history]
    assert [r for r in second.history if r not in extra] == [
        r for r in whole.history if r["step"] not in {e["step"] for e in extra}
    ]


def test_data_without_a_state_are_read_up_to_the_place(tmp_path: Path, whole: train.Run) -> None:
    run(tmp_path, 7, source=list(batches(epochs=3)))
    second = run(tmp_path, source=list(batches(epochs=3)))
    assert same_bits(second.state, whole.state)


def test_the_end_of_the_data_is_the_end_of_the_run(tmp_path: Path) -> None:
    result = run(tmp_path, source=batches(epochs=1), steps=None)
    assert result.step == 8
    assert train.Checkpoints(tmp_path / "checkpoints").steps == [5, 8]


@pytest.fixture(autouse=True)
def listening() -> Any:
    """Ctrl-C means KeyboardInterrupt also where the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("where", ["step", "evaluation", "data"])
def test_ctrl_c_leaves_a_checkpoint(where: str, whole: train.Run, tmp_path: Path) -> None:
    calls = {"n": 0}

    def interrupt(place: str, at: int) -> None:
        calls["n"] += place == where
        if place == where and calls["n"] == at:
            signal.raise_signal(signal.SIGINT)

    def interrupted(model: Any) -> Any:
        interrupt("evaluation", 2)
        return evaluate(model)

    class Source:
        def __init__(self) -> None:
            self.inner = batches()
            self.restore = self.inner.restore

        state = property(lambda self: self.inner.state)

        def __iter__(self) -> Any:
            return self

        def __next__(self) -> Any:
            batch = next(self.inner)
            interrupt("data", 9)
            return batch

    class Log:
        def begin(self, history: Any) -> None: ...

        def write(self, record: Any) -> None:
            interrupt("step", 3)

        def close(self) -> None: ...

    with pytest.raises(KeyboardInterrupt) as caught:
        run(tmp_path, evaluate=interrupted, source=Source(), logs=[Log()])
    # What was over is kept: a step whose evaluation was interrupted is not.
    (left,) = train.Checkpoints(tmp_path / "checkpoints").steps[-1:]
    assert left == {"step": 6, "evaluation": 11, "data": 8}[where]
    assert f"step-{left:08d}" in caught.value.__notes__[0]
    second = run(tmp_path)
    assert same_bits(second.state, whole.state)
    assert second.history == whole.history


PROGRAM = """
import importlib.util, signal, sys, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
spec = importlib.util.spec_from_file_location("parts", sys.argv[1])
parts = importlib.util.module_from_spec(spec)
spec.loader.exec_module(parts)
folder = Path(sys.argv[2])

class Slow:
    def begin(self, history): pass
    def write(self, record):
        print(record["step"], flush=True)
        time.sleep(0.05)
    def close(self): pass

logs = [parts.train.JsonLinesLog(folder / "log.jsonl"), Slow()]
parts.run(folder, 400, logs=logs, log_every=1)
"""


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM, __file__, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process: subprocess.Popen[str], step: int) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= step:
            return
    assert process.stderr is not None
    pytest.fail(process.stderr.read())


@pytest.mark.slow
def test_a_killed_run_loses_at_most_one_interval_and_goes_on(
    whole: train.Run, tmp_path: Path
) -> None:
    folder = train.Checkpoints(tmp_path / "checkpoints")
    for until in (8, 17):
        process = start(tmp_path)
        wait_for(process, until)
        process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0].split()
        reached = int(rest[-1]) if rest else until
        assert process.returncode == -signal.SIGKILL
        assert reached - folder.steps[-1] <= 5
        assert folder.steps[-1] < 24
    log = train.JsonLinesLog(tmp_path / "log.jsonl")
    second = run(tmp_path, log_every=1, logs=[log])
    assert same_bits(second.state, whole.state)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 25))
    assert lines == second.history
    assert [r for r in lines if r["step"] % 6 == 0 and "eval/accuracy" in r] == [
        r for r in whole.history if "eval/accuracy" in r
    ]


def test_ctrl_c_from_the_terminal_leaves_a_checkpoint(tmp_path: Path) -> None:
    process = start(tmp_path)
    wait_for(process, 7)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (1, -signal.SIGINT, 130)
    assert "KeyboardInterrupt" in errors and "checkpoint: " in errors
    assert train.Checkpoints(tmp_path / "checkpoints").steps[-1] >= 7


def test_a_damaged_checkpoint_stops_the_run_before_it_starts(tmp_path: Path) -> None:
    run(tmp_path, 10)
    folder = train.Checkpoints(tmp_path / "checkpoints")
    folder.path(10).write_bytes(folder.path(10).read_bytes()[:1000])
    with pytest.raises(train.CheckpointError, match=r"truncated[\s\S]*steps \[5\]"):
        run(tmp_path)
    assert folder.steps == [5, 10]
    folder.path(10).unlink()
    assert run(tmp_path).step == 24


def test_without_resume_old_checkpoints_are_not_touched(tmp_path: Path) -> None:
    run(tmp_path, 5)
    with pytest.raises(train.CheckpointError, match="resume is False"):
        run(tmp_path, resume=False)


def test_early_stopping_survives_a_stop(tmp_path: Path) -> None:
    def constant(model: Any) -> Any:
        return {"loss": fnp.float32(1.0)}

    stop = train.EarlyStopping("loss", patience=2)
    keywords: dict[str, Any] = {"stop": stop, "evaluate": constant, "evaluate_every": 3}
    first = run(tmp_path, 4, **keywords)
    assert not first.stopped_early
    result = run(tmp_path, 90, **keywords)
    # Evaluated at 3, at 4 (the end of the first part) and 6: the second without improvement.
    assert (result.step, result.stopped_early) == (6, True)
    result = run(tmp_path / "other", 90, **keywords)
    assert (result.step, result.stopped_early) == (9, True)


STOPPING = [
    ({"patience": 2}, [3, 2, 2, 2, 1], 4),
    ({"patience": 2, "min_delta": 0.5}, [3, 2.8, 2.6, 2, 2], 3),
    ({"patience": 2, "mode": "max"}, [1, 2, 1, 1.5], 4),
    ({"patience": 2}, [float("nan"), float("nan"), 1], 2),
    ({"patience": 3}, [5, 4, 3, 2], None),
]


@pytest.mark.parametrize(("rule", "values", "end"), STOPPING)
def test_when_to_stop(rule: Any, values: list[float], end: int | None) -> None:
    stop = train.EarlyStopping(**rule)
    memory, over = stop.init(), None
    for n, value in enumerate(values, 1):
        memory = stop.update(memory, n, value)
        over = n if over is None and stop.is_over(memory) else over
    assert over == end


def test_logs_hold_the_history(tmp_path: Path, whole: train.Run) -> None:
    pytest.importorskip("tensorboardX", reason="writes TensorBoard's files")

    def logs() -> list[Any]:
        return [
            train.JsonLinesLog(tmp_path / "a" / "log.jsonl"),
            train.CsvLog(tmp_path / "a" / "log.csv"),
            train.TensorBoardLog(tmp_path / "board"),
        ]

    run(tmp_path, 12, logs=logs())
    run(tmp_path, logs=logs())
    with open(tmp_path / "a" / "log.csv", encoding="utf-8", newline="") as file:
        rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    lines = (tmp_path / "a" / "log.jsonl").read_text().splitlines()
    assert rows == [json.loads(line) for line in lines] == whole.history
    assert board(tmp_path / "board") == {
        (r["step"], k): np.float32(v) for r in whole.history for k, v in r.items() if k != "step"
    }


def board(folder: Path) -> dict[Any, Any]:
    """What TensorBoard shows of a folder: scalars, less those that a later start has purged."""
    from tensorboardX.proto.event_pb2 import Event

    shown: dict[Any, Any] = {}
    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        content = path.read_bytes()
        while content:
            (size,) = struct.unpack("<Q", content[:8])
            event = Event.FromString(content[12 : 12 + size])
            content = content[16 + size :]
            if event.HasField("session_log"):
                shown = {k: v for k, v in shown.items() if k[0] < event.step}
            for value in event.summary.value:
                assert (event.step, value.tag) not in shown
                shown[event.step, value.tag] = np.float32(value.simple_value)
    return shown


def test_numbers_that_are_none_are_logged(tmp_path: Path) -> None:
    log = train.JsonLinesLog(tmp_path / "log.jsonl")
    log.begin([])
    log.write({"step": 1, "loss": float("nan"), "norm": float("inf")})
    log.close()
    line = json.loads((tmp_path / "log.jsonl").read_text())
    assert line == {"step": 1, "loss": "nan", "norm": "inf"}


def test_plain_lines_where_there_is_no_terminal(capsys: Any) -> None:
    run(None, 4, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["step", "2/4", "loss"],
        ["step", "4/4", "loss"],
    ]
    assert "eval/accuracy" in lines[-1]


def test_the_rate_is_that_since_the_record_before(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([100.0, 120.0, 121.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    shown = train.Progress(200, done=50)
    for n, record in ((60, {"step": 60}), (70, None), (80, {"step": 80})):
        shown.step(n, record)
    shown.close()
    rates = [line.split("  ")[-1] for line in capsys.readouterr().err.splitlines()]
    assert rates == ["0.5 steps/s", "20 steps/s"]


def test_a_live_line_on_a_terminal() -> None:
    pytest.importorskip("rich", reason="draws the line")
    code = (
        "import time; from funcgrad import train\n"
        "shown = train.Progress(3)\n"
        "for n in (1, 2, 3): shown.step(n, {'step': n, '[red]loss': 1 / n})\n"
        "shown.close()"
    )
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen([sys.executable, "-c", code], stderr=slave, env=environment)
    os.close(slave)
    assert process.wait(timeout=60) == 0
    text = os.read(master, 100_000).decode()
    os.close(master)
    assert "\x1b[" in text and "━" in text and "step 3/3  [red]loss 0.3333" in text


def test_curves(tmp_path: Path, whole: train.Run) -> None:
    pytest.importorskip("matplotlib", reason="draws the curves")
    history = [*whole.history, {"step": 30, "eval/loss": 0.1}]
    figure = train.plot(history, tmp_path / "curves.png")
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("loss", "accuracy")
    assert left.get_yscale() == "log" and right.get_yscale() == "linear"
    assert left.lines[0].get_xdata() == pytest.approx(range(2, 25, 2))
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["training", "evaluation"]
    assert right.lines[0].get_ydata() == pytest.approx(
        [r["eval/accuracy"] for r in history if "eval/accuracy" in r]
    )
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="no metric"):
        train.plot([])


BAD = [
    (lambda: train.fit(lambda s, b: s, 0, [1], progress=False), TypeError, r"gave a \w+, and not"),
    (lambda: train.fit(step, 0, [], log_every=0), ValueError, r"\(100, 0, 100\)"),
    (lambda: train.fit(step, 0, [], stop=train.EarlyStopping()), ValueError, "needs an evaluation"),
    (lambda: train.EarlyStopping(mode="best"), ValueError, "mode='best'"),
    (lambda: train.Checkpoints("x", keep=0), ValueError, "keep=0"),
    (
        lambda: run(None, 6, stop=train.EarlyStopping("f1")),
        KeyError,
        r"waits for 'f1'.*\['accuracy'\]",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), BAD)
def test_bad_input_is_refused(call: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        call()

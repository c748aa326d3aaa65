"""The loop: step, record, evaluate, save, stop. In: a pure step and data. Out: a `Run`.

A step is over when its state, its records and the place in the data have been noted together, in
one assignment. What is saved, by schedule or on Ctrl-C, is always what was noted last; a step that
was interrupted, or its evaluation, is done again by the run that goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from ..control.jitted import jit
from ..core.sources import user_line
from .checkpoints import CheckpointError
from .folders import Checkpoints
from .logs import Log, Record
from .progress import Progress
from .stopping import EarlyStopping

_end: Any = object()


class Run(NamedTuple):
    """What a run came to.

    `state` is that after `step` steps; `history` its records; `stopped_early` whether the rule of
    early stopping ended it; `best_step` the step that was best by that rule, None without one.
    """

    state: Any
    step: int
    history: list[Record]
    stopped_early: bool
    best_step: int | None


class _Noted(NamedTuple):
    """All that a checkpoint holds; replaced as a whole when a step is over."""

    step: int
    state: Any
    data: Mapping[str, Any] | None
    records: int
    memory: dict[str, Any]


@dataclass(frozen=True)
class _Settings:
    evaluate: Callable[[Any], Mapping[str, Any]] | None
    evaluate_every: int
    log_every: int
    steps: int | None
    stop: EarlyStopping | None


class _Loop:
    def __init__(self, settings: _Settings, batches: Any, checkpoints: Checkpoints | None) -> None:
        self.settings = settings
        self.source = batches
        self.batches: Iterator[Any] = iter(batches)
        self.checkpoints = checkpoints
        self.history: list[Record] = []
        self.saved: int | None = None
        self.noted = _Noted(0, None, None, 0, {})

    def start(self, state: Any, resume: bool) -> None:
        """Begin, or go on from the last checkpoint."""
        memory = self.settings.stop.init() if self.settings.stop else {}
        self.noted = _Noted(0, state, self.place(), 0, memory)
        if self.checkpoints is None or not self.checkpoints.steps:
            return
        if not resume:
            raise CheckpointError(
                f"train.fit: {self.checkpoints.folder} has checkpoints of steps "
                f"{self.checkpoints.steps}, and resume is False.\n  {user_line()}\n"
                "  Give another folder, or move them away."
            )
        step, saved = self.checkpoints.restore({"state": state, "run": ""})
        run = json.loads(saved["run"])
        if run["data"] is not None and hasattr(self.source, "restore"):
            self.source.restore(run["data"])
        else:
            for _ in range(step):
                next(self.batches, None)
        self.history = run["history"]
        known = run["memory"].keys() == memory.keys()
        memory = run["memory"] if known else memory
        self.noted = _Noted(step, saved["state"], self.place(), len(self.history), memory)
        self.saved = step

    def place(self) -> Any:
        """Where the data are, if they say so."""
        place: Any = getattr(self.source, "state", None)
        return cast(Any, place) if isinstance(place, Mapping) else None

    def is_over(self) -> bool:
        """Whether nothing is left to do."""
        settings, noted = self.settings, self.noted
        if settings.stop is not None and settings.stop.is_over(noted.memory):
            return True
        return settings.steps is not None and noted.step >= settings.steps

    def best_step(self) -> int | None:
        """The step whose evaluation was best, if there is a rule that says so."""
        return _best(self.noted.memory)

    def is_due(self, checkpoint_every: int) -> bool:
        """Whether what was noted last is to be saved now: by schedule, or as the best so far."""
        return self.noted.step % checkpoint_every == 0 or self.noted.step == self.best_step()

    def advance(self, step: Callable[..., Any], batch: Any) -> Record | None:
        """Do one step and note it; gives its record, if it has one."""
        settings, n = self.settings, self.noted.step + 1
        state, metrics = _checked(step(self.noted.state, batch))
        place, memory = self.place(), self.noted.memory
        last = n == settings.steps
        record: dict[str, float] = {"step": n}
        if n % settings.log_every == 0 or last:
            record |= {name: float(value) for name, value in metrics.items()}
        if settings.evaluate is not None and (n % settings.evaluate_every == 0 or last):
            results = {name: float(x) for name, x in settings.evaluate(state).items()}
            record |= {f"eval/{name}": x for name, x in results.items()}
            if settings.stop is not None:
                memory = settings.stop.update(memory, n, _metric(settings.stop, results))
        self.history[self.noted.records :] = [record] if len(record) > 1 else []
        self.noted = _Noted(n, state, place, len(self.history), memory)
        return record if len(record) > 1 else None

    def save(self) -> None:
        """Write a checkpoint of what was noted last, unless there is one."""
        noted = self.noted
        if self.checkpoints is None or noted.step == self.saved:
            return
        run = {
            "data": None if noted.data is None else dict(noted.data),
            "history": self.history[: noted.records],
            "memory": noted.memory,
        }
        best = self.best_step()
        values = {"state": noted.state, "run": json.dumps(run)}
        self.checkpoints.save(noted.step, values, also=() if best is None else (best,))
        self.saved = noted.step


def _best(memory: Mapping[str, Any]) -> int | None:
    return memory["step"] if memory.get("best") is not None else None


def _checked(result: Any) -> tuple[Any, Mapping[str, Any]]:
    pair = cast(tuple[Any, ...], result) if isinstance(result, tuple) else ()
    if len(pair) != 2 or not isinstance(pair[1], Mapping):
        kind: str = type(cast(object, result)).__name__
        raise TypeError(
            f"train.fit: the step gave a {kind}, and not (state, metrics).\n  {user_line()}\n"
            "  Give the new state and a dict of scalars, empty if there are none."
        )
    return pair[0], cast(Mapping[str, Any], pair[1])


def _metric(stop: EarlyStopping, results: Mapping[str, float]) -> float:
    if stop.metric not in results:
        raise KeyError(
            f"EarlyStopping waits for {stop.metric!r}, and the evaluation gave {sorted(results)}"
        )
    return results[stop.metric]


def fit(
    step: Callable[[Any, Any], tuple[Any, Mapping[str, Any]]],
    state: Any,
    batches: Iterable[Any],
    *,
    steps: int | None = None,
    evaluate: Callable[[Any], Mapping[str, Any]] | None = None,
    evaluate_every: int = 100,
    log_every: int = 10,
    logs: Sequence[Log] = (),
    checkpoints: Checkpoints | None = None,
    checkpoint_every: int = 100,
    resume: bool = True,
    stop: EarlyStopping | None = None,
    progress: bool = True,
) -> Run:
    """Train: state ← step(state, batch) for each batch, with records, checkpoints and an end.

    If the folder of checkpoints has one, the run goes on from it with the same bits as if it had
    never been stopped. Ctrl-C leaves a checkpoint and is raised.

    Args:
        step: a pure function from (state, batch) to (state, dict of scalars); it is jitted.
        state: a pytree of all that changes: params, the optimizer's state, the network's.
        batches: `data.batches(...)`, or any iterable; one without `state` and `restore` is read
            from its start up to the place when a run goes on.
        steps: how many in all, those before a resumption included; by default until the batches
            end.
        evaluate: from a state to a dict of scalars, which are recorded as "eval/..."; called
            every `evaluate_every` steps and after the last of `steps`.
        log_every: steps between two records of what the step gave.
        logs: where records are written; they start anew with the history of the run.
        checkpoint_every: steps between two checkpoints; the end of the run has one too.
        resume: False refuses a folder that has checkpoints.
        stop: ends the run when the evaluation gets no better. The best step has a checkpoint that
            stays besides the last ones; `restore` with best=True reads it.
        progress: show a live line on a terminal, a line for each record elsewhere.
    Raises:
        CheckpointError: the last checkpoint is refused, or resume is False and there is one.
        TypeError: the step does not give (state, metrics).
        ValueError: an interval below 1, or `stop` without `evaluate`.
    """
    intervals = (evaluate_every, log_every, checkpoint_every)
    if min(intervals) < 1 or (stop is not None and evaluate is None):
        raise ValueError(
            f"train.fit: evaluate_every, log_every and checkpoint_every are {intervals}, stop is "
            f"{stop}, evaluate is {evaluate}.\n  {user_line()}\n"
            "  Intervals are at least 1, and early stopping needs an evaluation."
        )
    settings = _Settings(evaluate, evaluate_every, log_every, steps, stop)
    loop = _Loop(settings, batches, checkpoints)
    loop.start(state, resume)
    _drive(loop, step, logs, checkpoint_every, progress)
    noted = loop.noted
    over = stop is not None and stop.is_over(noted.memory)
    history = loop.history[: noted.records]
    return Run(noted.state, noted.step, history, over, loop.best_step())


def restore(checkpoints: Checkpoints, like: Any, *, best: bool = False) -> tuple[int, Any]:
    """The step and the state of the last checkpoint that `fit` wrote, or of the best step.

    Args:
        like: a state of the same structure, shapes and dtypes, such as the one to begin with.
        best: the step that was best by the rule of early stopping, in place of the last.
    Raises:
        CheckpointError: there is none, or it is refused by `load`; best of a run without early
            stopping, or without an evaluation so far.
    """
    wanted = {"state": like, "run": ""}
    step, saved = checkpoints.restore(wanted)
    if not best:
        return step, saved["state"]
    chosen = _best(json.loads(saved["run"])["memory"])
    if chosen is None:
        raise CheckpointError(
            f"train.restore: the run in {checkpoints.folder} has no best step: it had no early "
            f"stopping, or no evaluation so far.\n  {user_line()}\n"
            "  Give `stop` and `evaluate` to fit, or read the last step with best=False."
        )
    step, saved = checkpoints.restore(wanted, chosen)
    return step, saved["state"]


def _drive(
    loop: _Loop, step: Any, logs: Sequence[Log], checkpoint_every: int, progress: bool
) -> None:
    jitted = step if hasattr(step, "lower") else jit(step)
    shown = Progress(loop.settings.steps, loop.noted.step) if progress else None
    try:
        for log in logs:
            log.begin(loop.history)
        while not loop.is_over():
            batch = next(loop.batches, _end)
            if batch is _end:
                break
            record = loop.advance(jitted, batch)
            for log in logs if record is not None else ():
                log.write(record or {})
            if loop.is_due(checkpoint_every):
                loop.save()
            if shown is not None:
                shown.step(loop.noted.step, record)
        loop.save()
    except (KeyboardInterrupt, SystemExit) as error:
        loop.save()
        if loop.checkpoints is not None:
            error.add_note(f"checkpoint: {loop.checkpoints.path(loop.noted.step)}")
        raise
    finally:
        if shown is not None:
            shown.close()
        for log in logs:
            log.close()

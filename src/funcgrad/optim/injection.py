"""Hyper-parameters as part of the state: read, logged, set from outside, driven by schedules."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from .. import numpy as fnp
from ..core.array import Array
from ..ir import dtypes
from .base import GradientTransformationExtraArgs, Params, Updates, with_extra_args_support
from .numerics import safe_increment, zero_count
from .tree import dtype as tree_dtype


@runtime_checkable
class StatefulSchedule(Protocol):
    """A schedule with a state of its own, that may look at the keywords of update."""

    def init(self) -> Any:
        """The state before the first step."""
        ...

    def update(self, state: Any, **extra_args: Any) -> Any:
        """The state after a step."""
        ...

    def __call__(self, state: Any, **extra_args: Any) -> Any:
        """The value for this step."""
        ...


class WrappedScheduleState(NamedTuple):
    """The number of the step, i32[]."""

    count: Any


class WrappedSchedule:
    """A schedule by step number as one with a state."""

    def __init__(self, schedule_fn: Callable[[Any], Any]) -> None:
        self.schedule_fn = schedule_fn

    def init(self) -> WrappedScheduleState:
        """Step 0."""
        return WrappedScheduleState(zero_count())

    def update(self, state: WrappedScheduleState, **extra_args: Any) -> WrappedScheduleState:
        """One step on."""
        return WrappedScheduleState(safe_increment(state.count))

    def __call__(self, state: WrappedScheduleState, **extra_args: Any) -> Any:
        """The value at the step."""
        return self.schedule_fn(state.count)


class InjectStatefulHyperparamsState(NamedTuple):
    """State of `inject_hyperparams`.

    Attributes:
        count: how many updates there were, i32[].
        hyperparams: values by name; entries that no schedule drives may be replaced.
        hyperparams_states: states of the schedules, by name.
        inner_state: state of the transformation.
    """

    count: Any
    hyperparams: dict[str, Any]
    hyperparams_states: dict[str, Any]
    inner_state: Any


InjectHyperparamsState = InjectStatefulHyperparamsState


def _as_float(x: Any, dtype: Any) -> Any:
    """Python's numbers and weak arrays in the dtype of the params; others as they are."""
    if isinstance(x, Array) and not getattr(x, "weak_type", False):
        return x
    own: Any = getattr(x, "dtype", None)
    is_float = isinstance(x, float) if own is None else dtypes.issubdtype(own, np.floating)
    return fnp.asarray(x, dtype=dtype) if is_float else fnp.asarray(x)


def inject_hyperparams(
    inner_factory: Callable[..., Any],
    static_args: str | Iterable[str] = (),
    hyperparam_dtype: Any = None,
) -> Callable[..., GradientTransformationExtraArgs]:
    """The factory again, of a transformation that keeps its numbers in its state.

    Numbers and arrays become entries of `state.hyperparams`; schedules are evaluated at each step
    and show there; other arguments stay as they are.

    Args:
        inner_factory: such as `adam`.
        static_args: names of arguments that stay as they are.
        hyperparam_dtype: dtype of the numbers; the widest of the params by default.
    Raises:
        ValueError: static_args names no argument of the factory.
    """
    static = {static_args} if isinstance(static_args, str) else {*static_args}
    signature = inspect.signature(inner_factory)
    if not static <= {*signature.parameters}:
        unknown = sorted(static - {*signature.parameters})
        name = getattr(inner_factory, "__name__", "the factory")
        raise ValueError(
            f"inject_hyperparams: static_args names {unknown}, and {name} takes "
            f"{list(signature.parameters)}."
        )

    @functools.wraps(inner_factory)
    def make(*args: Any, **kwargs: Any) -> GradientTransformationExtraArgs:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        schedules, numbers, others = _sort(bound.arguments, static)
        return _injected(inner_factory, schedules, numbers, others, hyperparam_dtype)

    return make


def _sort(
    arguments: dict[str, Any], static: set[str]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    schedules: dict[str, Any] = {}
    numbers: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in arguments.items():
        if name in static or isinstance(value, bool):
            others[name] = value
        elif isinstance(value, StatefulSchedule):
            schedules[name] = value
        elif callable(value):
            schedules[name] = WrappedSchedule(value)
        elif isinstance(value, (int, float, Array, np.ndarray, np.generic)):
            numbers[name] = value
        else:
            others[name] = value
    return schedules, numbers, others


def _injected(
    factory: Callable[..., Any],
    schedules: dict[str, Any],
    numbers: dict[str, Any],
    others: dict[str, Any],
    dtype: Any,
) -> GradientTransformationExtraArgs:
    def dtype_of(params: Any) -> Any:
        return tree_dtype(params, "highest") if dtype is None else dtype

    def init(params: Params) -> InjectStatefulHyperparamsState:
        # The numbers themselves first: a factory refuses bad ones while it can still see them.
        start = {name: schedule.init() for name, schedule in schedules.items()}
        now = {name: schedule(start[name]) for name, schedule in schedules.items()}
        factory(**others, **numbers, **now)
        values = {k: _as_float(v, dtype_of(params)) for k, v in {**numbers, **now}.items()}
        inner = factory(**others, **values).init(params)
        return InjectStatefulHyperparamsState(zero_count(), values, start, inner)

    def update(
        updates: Updates,
        state: InjectStatefulHyperparamsState,
        params: Params = None,
        **extra_args: Any,
    ) -> tuple[Any, InjectStatefulHyperparamsState]:
        wanted = dtype_of(updates if params is None else params)
        now = {k: f(state.hyperparams_states[k], **extra_args) for k, f in schedules.items()}
        values = {k: _as_float(v, wanted) for k, v in {**state.hyperparams, **now}.items()}
        part = with_extra_args_support(factory(**others, **values))
        out, inner = part.update(updates, state.inner_state, params, **extra_args)
        after = {
            k: f.update(state.hyperparams_states[k], **extra_args) for k, f in schedules.items()
        }
        count = safe_increment(state.count)
        return out, InjectStatefulHyperparamsState(count, values, after, inner)

    return GradientTransformationExtraArgs(init, update)

"""Measures of updates kept in the state, to be read by `optim.tree.get`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .accumulation import ema
from .base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    Params,
    Updates,
    stateless,
    with_extra_args_support,
)
from .combining import chain


class SnapshotState(NamedTuple):
    """The measure of the last updates, by name."""

    measurement: dict[str, Any]


def snapshot(measure_name: str, measure: Callable[[Any], Any]) -> GradientTransformation:
    """Updates as they are; the state holds measure(updates) under its name."""

    def init(params: Params) -> SnapshotState:
        return SnapshotState({measure_name: measure(params)})

    def update(updates: Updates, state: SnapshotState, params: Params = None) -> tuple[Any, Any]:
        return updates, SnapshotState({measure_name: measure(updates)})

    return GradientTransformation(init, update)


class MonitorState(NamedTuple):
    """The last measures by name, and the states of those that have one."""

    measurements: dict[str, Any]
    measure_states: tuple[Any, ...]


def monitor(measures: Mapping[str, Any]) -> GradientTransformationExtraArgs:
    """Updates as they are; the state holds each measure of them under its name.

    Args:
        measures: functions of the updates, or transformations such as `measure_with_ema`, by name.
            Before the first update there is no measure.
    """
    parts = {
        name: with_extra_args_support(_as_transformation(measure))
        for name, measure in measures.items()
    }

    def init(params: Params) -> MonitorState:
        return MonitorState({}, tuple(part.init(params) for part in parts.values()))

    def update(
        updates: Updates, state: MonitorState, params: Params = None, **extra_args: Any
    ) -> tuple[Any, Any]:
        found: dict[str, Any] = {}
        states: list[Any] = []
        for (name, part), own in zip(parts.items(), state.measure_states, strict=True):
            found[name], own = part.update(updates, own, params, **extra_args)
            states.append(own)
        return updates, MonitorState(found, tuple(states))

    return GradientTransformationExtraArgs(init, update)


def _as_transformation(measure: Any) -> Any:
    return stateless(lambda updates, params: measure(updates)) if callable(measure) else measure


def measure_with_ema(
    measure: Callable[[Any], Any],
    decay: Any,
    debias: bool = True,
    accumulator_dtype: Any = None,
) -> GradientTransformationExtraArgs:
    """The running average of measure(updates), for `monitor`; see `ema`."""
    average = ema(decay, debias, accumulator_dtype)

    def init(params: Params) -> Any:
        return average.init(measure(params))

    def measured(updates: Updates, params: Params) -> Any:
        return measure(updates)

    return chain(stateless(measured), average._replace(init=init))

"""`jax.monitoring`: events that programs record; listeners hear of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_listeners: dict[str, list[Callable[..., Any]]] = {"event": [], "duration": [], "scalar": []}


def _tell(kind: str, *args: Any, **kwargs: Any) -> None:
    for listener in list(_listeners[kind]):
        listener(*args, **kwargs)


def record_event(event: str, **kwargs: Any) -> None:
    """Tell the listeners that something happened."""
    _tell("event", event, **kwargs)


def record_event_duration_secs(event: str, duration: float, **kwargs: Any) -> None:
    """Tell the listeners how many seconds something took."""
    _tell("duration", event, duration, **kwargs)


def record_scalar(event: str, value: float, **kwargs: Any) -> None:
    """Tell the listeners a number."""
    _tell("scalar", event, value, **kwargs)


def register_event_listener(callback: Callable[..., Any]) -> None:
    """Call a function at each event."""
    _listeners["event"].append(callback)


def register_event_duration_secs_listener(callback: Callable[..., Any]) -> None:
    """Call a function at each duration."""
    _listeners["duration"].append(callback)


def register_scalar_listener(callback: Callable[..., Any]) -> None:
    """Call a function at each number."""
    _listeners["scalar"].append(callback)


def unregister_event_listener(callback: Callable[..., Any]) -> None:
    """Call it no more."""
    _listeners["event"].remove(callback)


def unregister_event_duration_listener(callback: Callable[..., Any]) -> None:
    """Call it no more."""
    _listeners["duration"].remove(callback)


def unregister_scalar_listener(callback: Callable[..., Any]) -> None:
    """Call it no more."""
    _listeners["scalar"].remove(callback)


def clear_event_listeners() -> None:
    """Forget all listeners."""
    for listeners in _listeners.values():
        listeners.clear()

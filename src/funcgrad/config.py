"""Options: global defaults from FUNCGRAD_* variables, overridden for a thread by with-statements.

Reads are plain attribute look-ups on a `threading.local`; `config.update` changes the default of
every thread, the context managers change this thread only.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any


def _flag(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True}
    known |= {"0": False, "false": False, "no": False, "off": False, "": False}
    if text.lower() not in known:
        raise ValueError("give 0 or 1")
    return known[text.lower()]


def _choice(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"give one of {', '.join(words)}")
        return text

    return parse


_precisions = ("default", "high", "highest", "bfloat16", "tensorfloat32", "float32", "fastest")
_options: dict[str, tuple[Any, Callable[[str], Any]]] = {
    "enable_x64": (False, _flag),
    "debug_nans": (False, _flag),
    "debug_infs": (False, _flag),
    "disable_jit": (False, _flag),
    "check_tracer_leaks": (False, _flag),
    "debug_key_reuse": (False, _flag),
    "numpy_rank_promotion": ("allow", _choice("allow", "warn", "raise")),
    "numpy_dtype_promotion": ("standard", _choice("standard", "strict")),
    "default_matmul_precision": (None, _choice(*_precisions)),
}


def _initial(name: str) -> Any:
    default, parse = _options[name]
    text = os.environ.get(f"FUNCGRAD_{name.upper()}")
    if text is None:
        return default
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"FUNCGRAD_{name.upper()}={text!r} is not understood: {error}.") from None


class Config(threading.local):
    """The options in force in this thread."""

    enable_x64: bool
    debug_nans: bool
    debug_infs: bool
    disable_jit: bool
    check_tracer_leaks: bool
    debug_key_reuse: bool
    numpy_rank_promotion: str
    numpy_dtype_promotion: str
    default_matmul_precision: str | None

    def update(self, name: str, value: Any) -> None:
        """Set an option for every thread that does not override it.

        Raises:
            AttributeError: no option has that name.
            ValueError: the value is not one the option can have.
        """
        name = _known(name)
        setattr(Config, name, _checked(name, value))
        self.__dict__.pop(name, None)

    def signature(self) -> tuple[Any, ...]:
        """The options that change what is traced; a part of every trace's cache key."""
        return (
            self.enable_x64,
            self.numpy_rank_promotion,
            self.numpy_dtype_promotion,
            self.default_matmul_precision,
            self.check_tracer_leaks,
        )

    def read(self, name: str) -> Any:
        """The value of an option by its name."""
        return getattr(self, _known(name))


def _known(name: str) -> str:
    short = name.removeprefix("jax_")
    if short not in _options:
        raise AttributeError(
            f"Unrecognized config option: {name}. The options are {', '.join(_options)}."
        )
    return short


def _checked(name: str, value: Any) -> Any:
    default, parse = _options[name]
    if isinstance(default, bool):
        if not isinstance(value, (bool, int)):
            raise ValueError(f"{name} takes a bool, got {value!r}.")
        return bool(value)
    if value is None and default is None:
        return None
    try:
        return parse(value)
    except ValueError as error:
        raise ValueError(f"{name}={value!r} is not understood: {error}.") from None


for _name in _options:
    setattr(Config, _name, _initial(_name))

config = Config()


class _Override:
    """Overrides an option in this thread for the body of a with-statement."""

    name = ""
    default: Any = None

    def __init__(self, value: Any = None) -> None:
        self.value = _checked(self.name, self.default if value is None else value)

    def __enter__(self) -> None:
        self.previous = config.__dict__.get(self.name, _Override)
        setattr(config, self.name, self.value)

    def __exit__(self, *_: object) -> None:
        if self.previous is _Override:
            del config.__dict__[self.name]
        else:
            setattr(config, self.name, self.previous)


class enable_x64(_Override):
    """64-bit types on (or off) in this thread."""

    name = "enable_x64"
    default = True


class disable_jit(_Override):
    """Run jitted functions eagerly, step by step."""

    name = "disable_jit"
    default = True


class debug_nans(_Override):
    """Raise FloatingPointError where a NaN is made."""

    name = "debug_nans"
    default = True


class debug_infs(_Override):
    """Raise FloatingPointError where an infinity is made."""

    name = "debug_infs"
    default = True


class check_tracer_leaks(_Override):
    """Raise when a tracer outlives its transform."""

    name = "check_tracer_leaks"
    default = True


class debug_key_reuse(_Override):
    """Raise KeyReuseError when a random key is used twice."""

    name = "debug_key_reuse"
    default = True


class numpy_rank_promotion(_Override):
    """What happens when operands of different ranks broadcast: allow, warn or raise."""

    name = "numpy_rank_promotion"
    default = "allow"


class numpy_dtype_promotion(_Override):
    """Which dtypes promote: standard or strict."""

    name = "numpy_dtype_promotion"
    default = "standard"


class default_matmul_precision(_Override):
    """Precision of contractions that name none."""

    name = "default_matmul_precision"


checking_leaks = check_tracer_leaks

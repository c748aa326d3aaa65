"""Options: global defaults from FUNCGRAD_* variables, overridden for a thread by with-statements.

Reads are plain attribute look-ups on a `threading.local`: its class attributes hold the defaults of
every thread, which `config.update` changes, and its instance attributes the overrides of this
thread, which the with-statements make. Each option starts from the variable FUNCGRAD_<NAME>.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
# More are a mistake, which would show as a process that does not come to an end.
_MOST_THREADS = 1024


def _flag(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True}
    known |= {"0": False, "false": False, "no": False, "off": False}
    if text.lower() not in known:
        raise ValueError("give 1, true, yes or on, or 0, false, no or off")
    return known[text.lower()]


def _choice(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"give one of {', '.join(words)}")
        return text

    return parse


def _count(most: int) -> Callable[[Any], int]:
    def parse(given: Any) -> int:
        text = str(given).strip()
        if isinstance(given, bool) or not text.isdecimal() or not 1 <= int(text) <= most:
            raise ValueError(f"give a whole number from 1 to {most}")
        return int(text)

    return parse


def _level(given: Any) -> int:
    if isinstance(given, bool) or str(given) not in ("0", "1", "2", "3", "4"):
        raise ValueError("give a number from 0 to 4")
    return int(given)


# Devices that were named as default ones, in any thread, beside the CPU. Until there is one, or an
# array elsewhere, nobody need look where arrays are.
elsewhere: list[Any] = []


def _device(given: Any) -> Any:
    platform = given if isinstance(given, str) else getattr(given, "platform", None)
    if platform not in ("cpu", "gpu", "cuda"):
        raise ValueError("give 'cpu' or 'gpu', or in Python one of devices('gpu') or None")
    if platform != "cpu" and given not in elsewhere:
        elsewhere.append(given)
    return given


def _path(given: str | os.PathLike[str]) -> str:
    try:
        path = os.path.expanduser(os.fsdecode(given))
    except TypeError:
        path = ""
    if not path:
        raise ValueError("give the path of a directory")
    return os.path.abspath(path)


_precisions = ("default", "high", "highest", "bfloat16", "tensorfloat32", "float32", "fastest")
updates = [0]  # how often `config.update` was called, in any thread
_options: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "enable_x64": (False, _flag),
    "debug_nans": (False, _flag),
    "debug_infs": (False, _flag),
    "disable_jit": (False, _flag),
    "check_tracer_leaks": (False, _flag),
    "debug_key_reuse": (False, _flag),
    "numpy_rank_promotion": ("allow", _choice("allow", "warn", "raise")),
    "numpy_dtype_promotion": ("standard", _choice("standard", "strict")),
    "default_matmul_precision": (None, _choice(*_precisions)),
    "default_device": (None, _device),
    "gpu_scatter_atomics": (False, _flag),
    "lowering": ("fast", _choice("fast", "source", "python", "numpy")),
    "profile": (False, _flag),
    "debug": (0, _level),
    "log_compiles": (False, _flag),
    "num_threads": (None, _count(_MOST_THREADS)),
    "num_cpu_devices": (None, _count(_MOST_THREADS)),
    "cache": (True, _flag),
    "cache_dir": (None, _path),
    "cache_max_bytes": (2**30, _count(2**63 - 1)),
}
# These say how and where programs run, not what they are: traces do not depend on them.
_of_running = {"debug", "log_compiles", "num_threads", "num_cpu_devices"}
_of_running |= {"cache", "cache_dir", "cache_max_bytes"}
_of_tracing = [name for name in _options if name not in _of_running]


def _initial(name: str) -> Any:
    default, parse = _options[name]
    text = os.environ.get(f"FUNCGRAD_{name.upper()}")
    if text is None or not text.strip():
        return default  # a variable that is set to nothing counts as not set
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"FUNCGRAD_{name.upper()}={text!r} is not understood: {error}.") from None


class Config(threading.local):
    """The options in force in this thread.

    Attributes:
        enable_x64: 64-bit dtypes stay; else they become their 32-bit kin.
        debug_nans: raise FloatingPointError for a NaN among the results of an operation, or of a
            jitted function, and name the eqn that made it.
        debug_infs: likewise for an infinity.
        disable_jit: jitted functions run eagerly, step by step.
        check_tracer_leaks: raise LeakedTracerError where a tracer outlives its transform.
        debug_key_reuse: raise KeyReuseError where a random key is used twice.
        numpy_rank_promotion: operands of different ranks: "allow", "warn" or "raise".
        numpy_dtype_promotion: "standard", or "strict": arrays of different dtypes do not promote.
        default_matmul_precision: precision of contractions that name none; None leaves it open.
        default_device: where arrays are made, and where is computed what names no device: one of
            `devices("gpu")`, or "cpu" or "gpu"; None: the CPU.
        gpu_scatter_atomics: on a GPU, updates of one element are added by atomic operations: with
            no sort before, but floating-point sums differ from run to run by their rounding.
        lowering: how jitted programs run: "fast" compiles them to machine code; "source" writes
            the same loops as Python that Numba compiles, "python" as Python that runs as it is;
            "numpy" runs the NumPy rule of each eqn.
        profile: the steps of compiled programs are timed; `funcgrad.profile` sets it. Of a whole
            process, FUNCGRAD_PROFILE=1 has a table printed at the end.
        debug: stages that the compiler prints to stderr: 0 none, 1 a page on what it did, 2 also
            groups, 3 also loops and memory, 4 also the code.
        log_compiles: the logger "funcgrad" warns of each trace and compile: of what, how long.
        num_threads: threads that compiled programs use; None: one a processor of this process.
        num_cpu_devices: how many devices the CPU counts as, for `shard_map` and `pmap`: each runs
            its part of a program in a thread of its own; None: one.
        cache: compiled programs are kept on disk for the next process.
        cache_dir: the directory they are kept in; None: the user's directory for caches.
        cache_max_bytes: how much of it they may fill; those unused for longest go first.
    """

    enable_x64: bool
    debug_nans: bool
    debug_infs: bool
    disable_jit: bool
    check_tracer_leaks: bool
    debug_key_reuse: bool
    numpy_rank_promotion: str
    numpy_dtype_promotion: str
    default_matmul_precision: str | None
    default_device: Any
    gpu_scatter_atomics: bool
    lowering: str
    profile: bool
    debug: int
    log_compiles: bool
    num_threads: int | None
    num_cpu_devices: int | None
    cache: bool
    cache_dir: str | None
    cache_max_bytes: int

    # The number of updates when the signature of this thread was made, the signature, and its
    # number among all that there were. A stamp met before stands for the same signature while the
    # number of updates is the present one.
    stamp: tuple[int, tuple[Any, ...], int] = (-1, (), -1)

    def update(self, name: str, value: Any) -> None:
        """Set an option for every thread that does not override it.

        Raises:
            AttributeError: no option has that name.
            ValueError: the value is not one the option can have.
        """
        name = _known(name)
        setattr(Config, name, _checked(name, value))
        updates[0] += 1

    def signature(self) -> tuple[Any, ...]:
        """The values of what tracing depends on, in this thread; in every trace's cache key."""
        return self.present_stamp()[1]

    def present_stamp(self) -> tuple[int, tuple[Any, ...], int]:
        """The stamp of the options in force, in this thread."""
        stamp = self.stamp
        if stamp[0] != updates[0]:
            made, values = updates[0], tuple([getattr(self, name) for name in _of_tracing])
            stamp = self.__dict__["stamp"] = made, values, _number_of(values)
        return stamp

    def read(self, name: str) -> Any:
        """The value of an option by its name."""
        return getattr(self, _known(name))

    def override(self, name: str, value: Any) -> Any:
        """Set an option in this thread; returns the override it replaces, `unset` if none.

        Args:
            value: a checked value, or `unset` to take the override away.
        """
        previous = self.__dict__.pop(name, unset)
        if value is not unset:
            self.__dict__[name] = value
        self.__dict__.pop("stamp", None)
        return previous

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            f"config.{name} cannot be assigned. Use config.update({name!r}, {value!r}), or "
            f"funcgrad.{name} in a with-statement."
        )

    def __getattr__(self, name: str) -> Any:
        # Reached only by names that are no attribute, such as JAX's config.jax_enable_x64.
        return getattr(self, _known(name))


_numbers: dict[tuple[Any, ...], int] = {}
# Options under which each operation is to be seen, or is done in another way than usual.
_of_operations = (
    "debug_nans",
    "debug_infs",
    "disable_jit",
    "check_tracer_leaks",
    "debug_key_reuse",
    "default_device",
    "profile",
)


def _number_of(values: tuple[Any, ...]) -> int:
    """A number that stands for a signature; -1 where operations must be done one by one."""
    options = dict(zip(_of_tracing, values, strict=True))
    if options["lowering"] != "fast" or any(options[name] for name in _of_operations):
        return -1
    return _numbers.setdefault(values, len(_numbers))


def tracing_options() -> list[str]:
    """The names of the options whose values `Config.signature` gives, in its order."""
    return list(_of_tracing)


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
        if not isinstance(value, int) or value not in (0, 1):
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
unset = object()


class _Override:
    """Overrides an option in this thread for a with-statement, or for a decorated function."""

    name = ""
    default: Any = None

    def __init__(self, value: Any = unset) -> None:
        self.value = _checked(self.name, self.default if value is unset else value)
        self.previous: list[Any] = []

    def __enter__(self) -> None:
        self.previous.append(config.override(self.name, self.value))

    def __exit__(self, *_: object) -> None:
        config.override(self.name, self.previous.pop())

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function with the option set while it runs."""

        @wraps(function)
        def overridden(*args: P.args, **kwargs: P.kwargs) -> R:
            # An instance a call: calls may nest and may run in several threads.
            with type(self)(self.value):
                return function(*args, **kwargs)

        return overridden


class enable_x64(_Override):
    """64-bit types on (or off) in this thread."""

    name = "enable_x64"
    default = True


class disable_jit(_Override):
    """Run jitted functions eagerly, step by step."""

    name = "disable_jit"
    default = True


class log_compiles(_Override):
    """Log what is traced and compiled, and how long it takes, as warnings of "funcgrad"."""

    name = "log_compiles"
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


class default_device(_Override):
    """Where arrays are made, and where is computed what names no device."""

    name = "default_device"


checking_leaks = check_tracer_leaks

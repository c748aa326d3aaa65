"""Every exception of the library, with the names and the bases of `jax.errors`.

    TypeError
    ├── FuncgradTypeError
    │   ├── ConcretizationTypeError          a traced value where a concrete one is needed
    │   │   └── TracerBoolConversionError    `if` on a traced value
    │   ├── TracerArrayConversionError       np.asarray of a traced value
    │   ├── TracerIntegerConversionError     a traced value as an integer or index
    │   ├── UnexpectedTracerError            a tracer outside of its transform
    │   │   └── LeakedTracerError            found by checking_leaks
    │   └── KeyReuseError                    a random key used twice
    └── JaxprTypeError                       in ir.checking: a jaxpr that breaks its own rules
    IndexError
    └── FuncgradIndexError
        └── NonConcreteBooleanIndexError     a traced mask as an index
    ValueError
    ├── TypePromotionError                   in ir.dtypes: dtypes that do not promote
    └── CheckpointError                      in train.checkpoints: damaged, foreign, of another tree
    Exception
    └── InconclusiveDimensionOperation       an unknown size where an integer is needed
    RuntimeError
    ├── CompileError                         generated code that cannot be compiled or loaded
    └── RanksDivergeError                    in core.ranks: collectives that wait for each other

Tracer errors take the tracer: they tell its type, where it came from, and what to do instead.
"""

from __future__ import annotations

from typing import Any


def _what(tracer: Any) -> str:
    origin = tracer.origin()
    where = f"\n  It comes from {origin}" if origin else ""
    return f"{type(tracer).__name__}<{tracer.aval.short()}>{where}"


class FuncgradTypeError(TypeError):
    """Base of the type errors of this library; `JAXTypeError` in JAX."""


class FuncgradIndexError(IndexError):
    """Base of the index errors of this library; `JAXIndexError` in JAX."""


class ConcretizationTypeError(FuncgradTypeError):
    """A concrete value is needed where only shape and dtype are known."""

    def __init__(self, tracer: Any, context: str = "") -> None:
        text = (
            tracer
            if isinstance(tracer, str)
            else (
                f"Abstract tracer value encountered where concrete value is expected: "
                f"{_what(tracer)}"
            )
        )
        super().__init__(
            f"{text}{_sentence(context)}\n  The value is known only when the traced program runs. "
            "Mark the argument static (static_argnums), or keep the computation in "
            "funcgrad.numpy."
        )


class TracerBoolConversionError(ConcretizationTypeError):
    """Python control flow on a traced value."""

    def __init__(self, tracer: Any) -> None:
        FuncgradTypeError.__init__(
            self,
            f"Attempted boolean conversion of traced array: {_what(tracer)}\n"
            "  Python's if, while, and, or, not need a concrete value. Use lax.cond, "
            "lax.while_loop, fnp.where or the operators & | ~, or mark the argument static "
            "(static_argnums).",
        )


class TracerArrayConversionError(FuncgradTypeError):
    """A NumPy function was given a traced value."""

    def __init__(self, tracer: Any) -> None:
        super().__init__(
            f"The numpy.ndarray conversion method __array__() was called on {_what(tracer)}\n"
            "  NumPy cannot take traced values. Use the function of that name in funcgrad.numpy, "
            "or funcgrad.pure_callback for one that has no counterpart."
        )


class TracerIntegerConversionError(FuncgradTypeError):
    """A traced value was used as a Python integer."""

    def __init__(self, tracer: Any) -> None:
        super().__init__(
            f"The __index__() method was called on traced array: {_what(tracer)}\n"
            "  A Python integer is needed here. Mark the argument static (static_argnums), index "
            "an Array (not a list) with it, or use lax.dynamic_slice."
        )


class NonConcreteBooleanIndexError(FuncgradIndexError):
    """A traced boolean mask was used as an index."""

    def __init__(self, tracer: Any) -> None:
        super().__init__(
            f"Array boolean indices must be concrete; got {_what(tracer)}\n"
            "  The number of selected elements would depend on values. Use fnp.where(mask, x, 0), "
            "or fnp.nonzero(mask, size=n)."
        )


class UnexpectedTracerError(FuncgradTypeError):
    """A tracer was used outside of the transformed function that made it."""


class LeakedTracerError(UnexpectedTracerError):
    """A tracer outlived its transform; found by `checking_leaks`."""


class KeyReuseError(FuncgradTypeError):
    """A random key was used twice."""


class InconclusiveDimensionOperation(Exception):
    """What is asked of an extent depends on sizes that are not known."""


class CompileError(RuntimeError):
    """Generated code cannot be compiled or loaded: an error of the library, not of its user."""

    def __init__(self, what: str, lines: str = "") -> None:
        shown = f"\n{lines}" if lines else ""
        super().__init__(
            f"{what.rstrip()}{shown}\n  Please report it together with the program that was "
            "compiled; it runs without the compiler under funcgrad.disable_jit()."
        )


def _sentence(context: str) -> str:
    return f"\n  {context}" if context else ""

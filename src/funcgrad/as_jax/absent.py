"""What stands for a name of JAX that funcgrad does not have.

`from jax import export` at the top of a library must not keep the rest of it from working, so a
missing name is an object that can be imported, passed on, put into annotations and asked about by
`isinstance`; whatever would need the real thing raises `AbsentError` with the dotted name.
"""

from __future__ import annotations

from typing import Any, NoReturn, Union

from ..core.sources import user_line

# The first prefix that fits says what to do instead.
_remedies = {
    "jax.experimental.pallas": "Write the computation with jax.numpy and jax.lax under jax.jit.",
    "jax.experimental.sparse": "Use dense arrays, or indices with jax.ops.segment_sum.",
    "jax.profiler": "Measure with a profiler of Python, or time jitted calls.",
    "jax.export": "Keep the Python function: funcgrad writes no StableHLO.",
    "jax.interpreters.mlir": "Give the primitive an implementation (def_impl): there is no MLIR.",
    "jax._src": "It is internal to JAX. Use the public name, if there is one.",
    "jaxlib": "It is part of XLA, which is not here.",
}


class AbsentError(RuntimeError):
    """A name of JAX was used that funcgrad does not have."""

    def __init__(self, name: str, use: str) -> None:
        remedy = next((text for start, text in _remedies.items() if name.startswith(start)), None)
        super().__init__(
            f"{name} was {use}, and funcgrad, which serves `jax` here, does not have it.\n"
            f"  {user_line()}\n"
            f"  {remedy or 'Do without it, or run this program with JAX itself.'}"
        )
        self.name = name


class AbsentAttributeError(AbsentError, AttributeError):
    """An attribute of an absent name was asked for; `hasattr` answers that it is not there."""


class Absent:
    """A name of JAX without a value here; every use but a mention raises `AbsentError`.

    It keeps attributes that it is given, as whoever copies it may give it another name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.__name__ = name.rpartition(".")[2]

    def __repr__(self) -> str:
        return f"<{self._name}: not in funcgrad>"

    def __reduce__(self) -> Any:
        return Absent, (self._name,)

    def _refuse(self, use: str) -> NoReturn:
        raise AbsentError(self._name, use)

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse("called")

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            # Python's own questions: copy, inspect and typing ask whether such a name is there.
            raise AttributeError(f"{self!r} has no attribute {name!r}")
        raise AbsentAttributeError(f"{self._name}.{name}", "asked for")

    def __bool__(self) -> NoReturn:
        self._refuse("tested for truth")

    def __iter__(self) -> NoReturn:
        self._refuse("iterated over")

    def __enter__(self) -> NoReturn:
        self._refuse("entered")

    def __exit__(self, *_: object) -> None: ...

    def __mro_entries__(self, _: Any) -> tuple[type, ...]:
        name = self._name

        class Derived:
            """A class derived from an absent one: its instances are absent too."""

            def __new__(cls, *_: Any, **__: Any) -> Any:
                return Absent(f"{name} (as {cls.__qualname__})")

        return (Derived,)

    # What mentions of a class ask for: isinstance, X | None, X[int].

    def __instancecheck__(self, _: object) -> bool:
        return False

    def __subclasscheck__(self, _: type) -> bool:
        return False

    def __or__(self, other: Any) -> Any:
        return Union[self, other]  # noqa: UP007 - `|` is what is being defined

    def __ror__(self, other: Any) -> Any:
        return Union[other, self]  # noqa: UP007 - likewise

    def __getitem__(self, _: Any) -> Absent:
        return self

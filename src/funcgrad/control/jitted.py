"""The user's side of jit: `JitFunction`, its cache of traced programs, and its stages.

A call flattens its arguments, looks up `Entry` by tree, avals and static values, and binds the
entry's program. `.trace()` and `.lower()` give the stages as values.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any

from .. import tree
from ..config import config
from ..core import collecting, remote
from ..core.array import Array
from ..core.calls import Call, no_compiler_options
from ..core.context import context
from ..core.meshes import Mesh
from ..core.primitive import registry
from ..core.remote import Home, RemoteArray, home_of
from ..core.sources import user_line
from ..core.staging import stage
from ..core.trace import Tracer, eval_trace
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import ClosedJaxpr
from .accelerators import CudaHome, HostHome, home_at, host_home, placed
from .announcing import announced
from .direct import Known, memory_of, not_known
from .flat import FlatFunction, check_leaves, name_of, signature_of
from .jit import captured, executable, jit_p, leading_tracers, run, simplified

if TYPE_CHECKING:
    from ..stages import Lowered, Traced
    from .layouts import Layouts

_limit = 4096
_tracing = threading.local()


class Entry:
    """A traced program with the tree of its result."""

    __slots__ = ("captured", "closed", "donated", "mesh", "out_avals", "out_tree", "params")

    def __init__(
        self, closed: ClosedJaxpr, captured: list[Any], out_tree: Any, params: dict[str, Any]
    ) -> None:
        self.closed = closed
        self.captured = captured
        self.out_tree = out_tree
        self.params = params
        self.out_avals = closed.out_avals
        self.mesh = _gpus_of(closed)

    def evaluate(self, leaves: Sequence[Any]) -> list[Array] | None:
        """The results on arrays, by the shortest way; None where it takes the longer one."""
        if self.captured:
            return None
        # Compiled programs copy what they give out, so they read memory as it lies.
        arrays = memory_of(leaves, self.closed.in_avals, config.lowering == "fast")
        if arrays is None:
            return None
        return [Array(y, a) for y, a in zip(run(self.closed, arrays), self.out_avals, strict=True)]


def _gpus_of(closed: ClosedJaxpr) -> Mesh | None:
    """The mesh of GPUs that a program runs on; None without one."""
    # No program maps over a mesh before someone asks for the function that does.
    if "shard_map" not in registry:
        return None
    from .meshed import mesh_within

    found = mesh_within(closed.jaxpr)
    return None if found is None or found.ranks[0].platform == "cpu" else found


class JitFunction:
    """A function that is traced once for each signature and then run as a program."""

    def __init__(
        self,
        fun: Callable[..., Any],
        static_argnums: Any,
        static_argnames: Any,
        donate_argnums: Any,
        donate_argnames: Any,
        inline: bool,
        home: CudaHome | HostHome | None = None,
    ) -> None:
        if not callable(fun):
            raise TypeError(f"Expected a callable value, got {fun!r}. jit takes a function.")
        self._fun = fun
        self._name = name_of(fun)
        nums, names = static_arguments(fun, static_argnums, static_argnames, "static")
        self._static_nums, self._static_names = nums, names
        self._has_static = bool(nums or names)
        self._donate_nums, self._donate_names = static_arguments(
            fun, donate_argnums, donate_argnames, "donate"
        )
        both = set(nums) & set(self._donate_nums) | set(names) & set(self._donate_names)
        if both:
            raise ValueError(
                f"static and donated arguments of {self._name} overlap: {sorted(map(str, both))}. "
                "A static argument is no array and cannot be donated."
            )
        self._inline = inline
        self._home = home
        self._entries: dict[Any, Entry] = {}
        self._known = Known(_limit)
        self._known_by: dict[Any, Known] = {}
        # The wrapped function may carry the fields of a JitFunction inside: they are not ours.
        update_wrapper(self, fun, updated=())

    def __repr__(self) -> str:
        return f"<jitted {self._name}>"

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        known, dynamic, named, static = self._known, args, kwargs, ()
        if self._has_static and not config.disable_jit:
            dynamic, named, static = self._split(args, kwargs)
            known = self._known_with(static)
        result = known.call(dynamic, named)
        if result is not not_known:
            return result
        if config.disable_jit:
            return self._fun(*args, **kwargs)
        leaves, entry = self._entry(dynamic, named, static)
        trace = context.trace
        evaluated = trace is None or trace is eval_trace
        donated = self._donated_leaves(args, kwargs)
        given = [leaves[i] for i in donated]
        home = self._home_of(leaves, entry) if evaluated else None
        outs = None
        if home is not None and not entry.captured:
            outs = home.run(entry.closed, leaves, donated)
        elif evaluated and not entry.captured:
            if _may_be_known():
                out = (entry.out_avals, entry.out_tree)
                learned = known.learn(dynamic, named, executable(entry.closed), out, donated)
                # As any later call, so that the first one writes into what is donated too.
                result = not_known if learned is None else learned(tuple(leaves))
                if result is not not_known:
                    return result
            outs = entry.evaluate(leaves)
        if outs is None:
            outs = jit_p.bind(*entry.captured, *leaves, **entry.params)
        if given and not any(isinstance(x, Tracer) for x in outs):
            for x in given:
                if isinstance(x, Array):
                    x.delete()  # its handle is of no use any more
        return tree.unflatten(entry.out_tree, outs)

    def _known_with(self, static: Any) -> Known:
        """The signatures met with these static values."""
        known = self._known_by.get(static)
        if known is None:
            if len(self._known_by) >= _limit:
                del self._known_by[next(iter(self._known_by))]
            known = self._known_by[static] = Known(_limit)
        return known

    def _home_of(self, leaves: list[Any], entry: Entry) -> Home | None:
        """The device on which arrays make the program run; its own, if it was given one."""
        if entry.mesh is not None:
            from .meshed import mesh_home

            return mesh_home(entry.mesh)
        if self._home is None:
            return home_of(leaves, captured(entry.closed)) if remote.known else None
        if self._home is host_home and not remote.known:
            return None
        leaves[:] = [placed(x, self._home) for x in leaves]
        return self._home

    # Signatures and traced programs.

    def _split(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, Any]:
        """Dynamic arguments, and the static ones as a hashable key."""
        if not self._has_static:
            return args, kwargs, ()
        nums = {i % len(args) for i in self._static_nums if -len(args) <= i < len(args)}
        dynamic = tuple(x for i, x in enumerate(args) if i not in nums)
        dynamic_kwargs = {k: v for k, v in kwargs.items() if k not in self._static_names}
        static = (
            tuple((i, StaticValue(args[i], self._name, i)) for i in sorted(nums)),
            tuple(
                (k, StaticValue(kwargs[k], self._name, k))
                for k in sorted(kwargs)
                if k in self._static_names
            ),
        )
        return dynamic, dynamic_kwargs, static

    def _entry(
        self, dynamic: tuple[Any, ...], dynamic_kwargs: dict[str, Any], static: Any
    ) -> tuple[list[Any], Entry]:
        """The dynamic leaves, and the program traced for their signature."""
        leaves, in_tree = tree.flatten((dynamic, dynamic_kwargs))
        try:
            avals = tuple([x.aval if type(x) is Array else aval_of(x) for x in leaves])
        except TypeError:
            check_leaves((dynamic, dynamic_kwargs), leaves, f"the arguments of {self._name} ")
            raise
        key = (in_tree, avals, static, config.signature(), context.axis_sizes)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._trace(key, in_tree, avals, static)
        return leaves, entry

    def _trace(self, key: Any, in_tree: Any, avals: Sequence[ShapedArray], static: Any) -> Entry:
        active: set[Any] = _tracing.__dict__.setdefault("active", set())
        if (id(self), key) in active:
            raise RecursionError(
                f"jitted function {self._name} calls itself with the same signature while it is "
                f"being traced, which would never end.\n  {user_line()}\n  Use lax.while_loop, "
                "lax.fori_loop or lax.cond, or recurse on a static argument."
            )
        active.add((id(self), key))
        try:
            flat = FlatFunction(with_static(self._fun, static), in_tree, name=self._name)
            with collecting.put_off(), announced("tracing", self._name, avals):
                closed = stage(flat, avals, self._name)
        finally:
            active.discard((id(self), key))
        closed, captured = leading_tracers(closed)
        params = {"name": self._name, "jaxpr": closed, "donated": (), "inline": self._inline}
        entry = Entry(closed, captured, flat.out_tree, params)
        if not captured:
            if len(self._entries) >= _limit:
                self._entries.pop(next(iter(self._entries)))
            self._entries[key] = entry
        return entry

    def _donated_leaves(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[int]:
        """Which of the dynamic leaves are donated."""
        nums = {i % len(args) for i in self._donate_nums if -len(args) <= i < len(args)}
        if not nums and not self._donate_names:
            return []
        fixed = {i % len(args) for i in self._static_nums if -len(args) <= i < len(args)}
        marks = tuple(_marked(x, i in nums) for i, x in enumerate(args) if i not in fixed)
        named = {
            k: _marked(v, k in self._donate_names)
            for k, v in kwargs.items()
            if k not in self._static_names
        }
        return [i for i, flag in enumerate(tree.leaves((marks, named))) if flag]

    # Stages.

    def trace(self, *args: Any, **kwargs: Any) -> Traced:
        """The traced program for these arguments (arrays or ShapeDtypeStructs)."""
        from ..stages import Traced
        from .blame import check_results

        dynamic, named, static = self._split(args, kwargs)
        leaves, entry = self._entry(dynamic, named, static)
        home = self._home or self._home_of(list(leaves), entry)
        call = Call(
            tree.structure((dynamic, named)),
            entry.out_tree,
            self._names(args, named),
            tuple(self._donated_leaves(args, kwargs)),
            self._layouts(dynamic, leaves, entry),
        )
        return Traced(
            entry.closed,
            self._name,
            call,
            simplified,
            check_results,
            None if isinstance(home, HostHome) else home,
            [str(x.device) if type(x) is RemoteArray else "" for x in leaves],
        )

    def _names(self, args: tuple[Any, ...], named: dict[str, Any]) -> list[str]:
        """What each dynamic leaf is called: its place in the call, and its path there."""
        fixed = {i % len(args) for i in self._static_nums if -len(args) <= i < len(args)}
        live = {i: x for i, x in enumerate(args) if i not in fixed}
        found: list[str] = []
        for path, _ in tree.leaves_with_path((live, named)):
            which, rest = str(path[1]).strip("[]'"), "".join(map(str, path[2:]))
            found.append(f"argument {which}{rest}")
        return found

    def _layouts(self, dynamic: tuple[Any, ...], leaves: Sequence[Any], entry: Entry) -> Layouts:
        """Where arguments and results lie: nothing is said."""
        from .layouts import Layouts

        own = [getattr(x, "sharding", None) for x in leaves]
        return Layouts(own, [None] * len(leaves), [None] * len(entry.out_avals))

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """The simplified program for these arguments."""
        return self.trace(*args, **kwargs).lower()

    def eval_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Shapes and dtypes of the result, without computing it."""
        return self.trace(*args, **kwargs).out_info

    def explain_recompiles(self) -> str:
        """Which argument, static value or option differed each time the function was traced."""
        from .recompiles import recompiles

        return recompiles(self._name, list(self._entries))

    def clear_cache(self) -> None:
        """Forget the traced programs."""
        self._entries.clear()
        self._known.clear()
        self._known_by.clear()

    def _cache_size(self) -> int:
        return len(self._entries)


def _may_be_known() -> bool:
    """Whether calls under the options and axes of now may take the short way."""
    if config.debug_nans or config.debug_infs or config.profile:
        return False
    return config.lowering == "fast" and not context.axis_sizes


def _marked(x: Any, flag: bool) -> Any:
    return tree.map(lambda _: flag, x)


class StaticValue:
    """A static argument as a part of a cache key."""

    __slots__ = ("_hash", "value")

    def __init__(self, value: Any, fun_name: str, where: Any) -> None:
        self.value = value
        if isinstance(value, Tracer):
            hash(value)
        try:
            self._hash = hash((value.__class__, value))
        except TypeError as error:
            raise ValueError(
                f"Non-hashable static arguments are used in a jit function: static argument "
                f"{where!r} of {fun_name} is {value!r} of type {type(value).__name__}.\n"
                f"  {user_line()}\n  Static arguments must be hashable; give a tuple instead of "
                "a list, or do not mark it static."
            ) from error

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, StaticValue)
            and type(self.value) is type(other.value)
            and bool(self.value == other.value)
        )


def with_static(fun: Callable[..., Any], static: Any) -> Callable[..., Any]:
    """The function with its static arguments put in place."""
    if not static:
        return fun
    positional, keyword = static

    def call(*args: Any, **kwargs: Any) -> Any:
        whole = list(args)
        for i, wrapped in positional:
            whole.insert(i, wrapped.value)
        return fun(*whole, **kwargs, **{k: wrapped.value for k, wrapped in keyword})

    call.__name__ = name_of(fun)
    return call


def static_arguments(
    fun: Callable[..., Any], argnums: Any, argnames: Any, what: str
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Positions and names of marked arguments; each is inferred from the other.

    Raises:
        ValueError: a position or name the function does not have.
        TypeError: not ints or strings.
    """
    nums = _sequence(argnums, int, f"{what}_argnums")
    names = _sequence(argnames, str, f"{what}_argnames")
    signature = signature_of(fun)
    if signature is None:
        return nums, names
    parameters = list(signature.parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    any_positional = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    any_keyword = any(p.kind is p.VAR_KEYWORD for p in parameters)
    count = len(positional)
    for i in nums:
        if not any_positional and not -count <= i < count:
            raise ValueError(
                f"{what}_argnums={i} is out of range: {name_of(fun)} has {count} positional "
                "parameters."
            )
    known = {p.name for p in parameters}
    for name in names:
        if name not in known and not any_keyword:
            raise ValueError(
                f"{what}_argnames={name!r} is no parameter of {name_of(fun)}{signature}."
            )
    if argnums is None:
        nums = tuple(i for i, p in enumerate(positional) if p.name in names)
    elif argnames is None:
        inferred = {i % count for i in nums if -count <= i < count}
        names = tuple(
            p.name
            for i, p in enumerate(positional)
            if i in inferred and p.kind is p.POSITIONAL_OR_KEYWORD
        )
    return nums, names


def _sequence(value: Any, kind: type, what: str) -> tuple[Any, ...]:
    if value is None:
        return ()
    if isinstance(value, kind):
        return (value,)
    given: tuple[Any, ...] = tuple(value) if hasattr(value, "__iter__") else (value,)
    if not all(isinstance(v, kind) for v in given):
        raise TypeError(f"{what} takes {kind.__name__}s or a sequence of them, got {value!r}.")
    return given


def jit(
    fun: Callable[..., Any] | None = None,
    /,
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Iterable[str] | None = None,
    donate_argnums: int | Sequence[int] | None = None,
    donate_argnames: str | Iterable[str] | None = None,
    keep_unused: bool = False,
    device: Any = None,
    backend: str | None = None,
    inline: bool = False,
    in_shardings: Any = None,
    out_shardings: Any = None,
    compiler_options: Mapping[str, Any] | None = None,
) -> Any:
    """Trace a function once for each signature and run it as a program.

    A signature is the tree, shapes, dtypes and weak types of the arguments and the values of the
    static ones. Used as a decorator, with or without arguments.

    Args:
        fun: a pure function of pytrees of arrays.
        static_argnums: positions of arguments that are Python values; hashable.
        static_argnames: names of such arguments; each is inferred from the other where it can be.
        donate_argnums: positions of arguments whose memory the call may reuse; they cannot be
            used afterwards.
        donate_argnames: names of such arguments.
        keep_unused: accepted; unused arguments cost nothing here.
        device: where it runs; arguments that are elsewhere are brought there, and results stay
            there. Without it, it runs where its arguments are.
        backend: `"cpu"` or `"gpu"`, in place of `device`: the first of that platform.
        in_shardings: where positional arguments lie: a sharding, a PartitionSpec over the mesh that
            is set, None for any, or a tree prefix of these. What is committed elsewhere is an
            error.
        out_shardings: likewise, where results lie; without it, results of arguments over a mesh lie
            whole on each of its devices, those of `shard_map` by its specs.
        compiler_options: None, or no options: XLA's have no meaning here.
        inline: put the program into an enclosing jaxpr instead of one `jit` eqn.
    Returns:
        A function with the methods `lower`, `trace`, `eval_shape`, `clear_cache`.
    Raises:
        TypeError: fun is not callable, or an argument is no array value.
        ValueError: unknown static arguments, or one that cannot be hashed; compiler options.
        RecursionError: the function calls itself with the same signature.
    """
    no_compiler_options(compiler_options, "jit")
    home = home_at(device, backend)
    options = (static_argnums, static_argnames, donate_argnums, donate_argnames, inline, home)
    if in_shardings is None and out_shardings is None:
        make = JitFunction
    else:
        from .layouts import LaidJit

        make = partial(LaidJit, in_shardings=in_shardings, out_shardings=out_shardings)

    def decorate(f: Callable[..., Any]) -> JitFunction:
        return make(f, *options)

    return decorate if fun is None else decorate(fun)

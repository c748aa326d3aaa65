"""Where arguments and results of a jitted function lie: `in_shardings`, `out_shardings`.

In: a tree, a sharding for each leaf. Out: arrays that lie so. The one idea: a sharding says where
an array is, not how it is computed; so arguments are laid out before the call, and results behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import tree
from ..core.devices import cpu_device
from ..core.meshes import PartitionSpec, current_mesh
from ..core.remote import Home, RemoteArray
from ..core.shardings import NamedSharding, Sharding, SingleDeviceSharding
from ..core.sources import user_line
from ..core.trace import Tracer, as_array
from ..ir.avals import aval_of
from ..ir.jaxpr import ClosedJaxpr, Var
from .accelerators import home_at, placed
from .jitted import Entry, JitFunction

if TYPE_CHECKING:
    from ..stages import Traced


def laid_out(x: Any, sharding: Sharding) -> Any:
    """A value that lies by a sharding; a tracer stays as it is.

    Raises:
        ValueError: its shape does not divide so.
    """
    sharding.shard_shape(aval_of(x).shape)
    if isinstance(x, Tracer):
        return x
    if isinstance(sharding, NamedSharding) and sharding.num_devices > 1:
        from .meshed import mesh_home

        over = mesh_home(sharding.mesh)
        if over is not None:
            return over.put(x, sharding)
        from .laid import host_mesh

        return host_mesh(sharding).lay(as_array(x), sharding)
    home = home_at(sharding.device_list()[0])
    assert home is not None
    return placed(x, home)


def resolved(sharding: Any, what: str, error: type[Exception] = RuntimeError) -> Any:
    """A sharding for a spec, over the mesh that is set; other values as they are.

    Args:
        error: what is raised for a spec where no mesh is set.
    Raises:
        TypeError: it is no sharding.
    """
    if isinstance(sharding, PartitionSpec):
        mesh = current_mesh()
        if mesh is None:
            raise error(
                f"{what} got {sharding!r}, which names axes of a mesh, and no mesh is set.\n"
                f"  {user_line()}\n  Give NamedSharding(mesh, spec), or call it inside of "
                "`with funcgrad.set_mesh(mesh):`."
            )
        return NamedSharding(mesh, sharding)
    if sharding is not None and not isinstance(sharding, Sharding):
        raise TypeError(
            f"{what} takes shardings, PartitionSpecs and None, got {sharding!r}.\n  {user_line()}"
        )
    return sharding


def shardings_of(prefix: Any, whole: Any, what: str) -> list[Sharding | None]:
    """A sharding, or None, for each leaf of a tree.

    Raises:
        ValueError: the shardings are no prefix of the tree.
    """
    try:
        found = tree.flatten_prefix(prefix, whole)
    except ValueError as error:
        raise ValueError(
            f"{what} must be a tree prefix of what it is for, got {prefix!r}. {error}\n"
            f"  {user_line()}\n  Give one sharding for all, or a tuple of one for each argument."
        ) from error
    return [resolved(s, what) for s in found]


def with_sharding_constraint(x: Any, shardings: Any) -> Any:
    """The tree with its leaves by shardings; within a traced function, as it is.

    There it says how XLA should divide a program, which is not done here: say where results of a
    jitted function lie by `jit(out_shardings=)`.

    Args:
        shardings: a sharding, a PartitionSpec over the mesh that is set, or a tree prefix of these.
    Raises:
        TypeError: something else.
        RuntimeError: a spec is given and no mesh is set.
        ValueError: an array does not divide so.
    """
    return _laid(x, shardings, "with_sharding_constraint")


def reshard(xs: Any, out_shardings: Any) -> Any:
    """The tree with its leaves by shardings; within a traced function, as it is.

    Args:
        out_shardings: a sharding, a PartitionSpec over the mesh that is set, or a tree prefix of
            these.
    Raises:
        ValueError: a leaf is given none, or does not divide so.
        TypeError: something else.
        RuntimeError: a spec is given and no mesh is set.
    """
    if any(s is None for s in shardings_of(out_shardings, xs, "reshard")):
        raise ValueError(
            f"reshard got {out_shardings!r}, and needs a sharding for each leaf.\n  {user_line()}\n"
            "  Give a NamedSharding, or a PartitionSpec inside of `with funcgrad.set_mesh(mesh):`."
        )
    return _laid(xs, out_shardings, "reshard")


def _laid(x: Any, shardings: Any, what: str) -> Any:
    leaves, structure = tree.flatten(x)
    wanted = shardings_of(shardings, x, what)
    laid = [y if s is None else laid_out(y, s) for y, s in zip(leaves, wanted, strict=True)]
    return tree.unflatten(structure, laid)


class Layouts(NamedTuple):
    """Where the arguments and results of a traced call lie.

    Attributes:
        own: of each leaf where the argument was that was traced; None for what is no array.
        ins, outs: where it shall be; None for any place.
    """

    own: Sequence[Sharding | None]
    ins: Sequence[Sharding | None]
    outs: Sequence[Sharding | None]

    def placed(self, leaves: Sequence[Any], name: str) -> list[Any]:
        """The arguments where they shall lie.

        Raises:
            ValueError: somebody put one elsewhere.
        """
        return [_brought(x, s, name) for x, s in zip(leaves, self.ins, strict=True)]

    def laid(self, results: Sequence[Any]) -> list[Any]:
        """The results where they shall lie."""
        return [x if s is None else laid_out(x, s) for x, s in zip(results, self.outs, strict=True)]

    def whole(
        self, closed: ClosedJaxpr, home: Home | None
    ) -> tuple[list[Sharding], list[Sharding]]:
        """Where each argument and result of a program lies, also where nothing was said.

        Args:
            home: what runs it, if that is not the CPU.
        """
        given = [a or b for a, b in zip(self.ins, self.own, strict=True)]
        meshes = [s.mesh for s in given if isinstance(s, NamedSharding) and s.num_devices > 1]
        mapped = specs_within(closed) if meshes or home is not None else {}
        meshes += [s.mesh for s in mapped.values()]
        device = cpu_device if home is None else home.device
        rest: Sharding = SingleDeviceSharding(device)
        if meshes:
            rest = NamedSharding(meshes[0], PartitionSpec())
        ins = [s if s is not None and s.num_devices == rest.num_devices else rest for s in given]
        made: list[Any] = list(closed.jaxpr.outvars)
        outs = [s or mapped.get(v, rest) for s, v in zip(self.outs, made, strict=True)]
        return ins, outs


def specs_within(closed: ClosedJaxpr) -> dict[Var, NamedSharding]:
    """Where the results of the `shard_map`s of a program lie."""
    return {
        var: NamedSharding(eqn.params["mesh"], spec)
        for eqn in closed.jaxpr.eqns
        if eqn.primitive.name == "shard_map"
        for var, spec in zip(eqn.outvars, eqn.params["out_specs"], strict=True)
    }


def _brought(x: Any, sharding: Sharding | None, name: str) -> Any:
    """An argument where it shall lie.

    Raises:
        ValueError: somebody put it elsewhere.
    """
    if sharding is None:
        return x
    own = x.sharding if type(x) is RemoteArray and x.committed else None
    if own is not None and not own.is_equivalent_to(sharding, x.aval.ndim):
        raise ValueError(
            "Sharding passed to jit does not match the sharding on the respective arg: "
            f"in_shardings of {name} has {sharding!r}, and {x.aval.long()} lies by {own!r}.\n"
            f"  {user_line()}\n  Bring it there by device_put, or leave in_shardings out."
        )
    return x if own == sharding else laid_out(x, sharding)


class LaidJit(JitFunction):
    """A jitted function that says where its arguments and results lie."""

    def __init__(
        self, fun: Callable[..., Any], *options: Any, in_shardings: Any, out_shardings: Any
    ) -> None:
        super().__init__(fun, *options)
        # A list says what a tuple of the arguments does.
        self._in: Any = (*in_shardings,) if isinstance(in_shardings, list) else in_shardings
        self._out = out_shardings

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._check_named(kwargs)
        if self._in is not None:
            args = self._placed(args)
        outs = super().__call__(*args, **kwargs)
        return _laid(outs, self._out, "jit out_shardings")

    def trace(self, *args: Any, **kwargs: Any) -> Traced:
        """The traced program for these arguments (arrays or ShapeDtypeStructs)."""
        self._check_named(kwargs)
        return super().trace(*args, **kwargs)

    def _check_named(self, kwargs: dict[str, Any]) -> None:
        """Raise ValueError for arguments by name that in_shardings say nothing of."""
        if self._in is not None and kwargs:
            raise ValueError(
                f"{self._name} has in_shardings, which are for positional arguments, and was "
                f"called with {', '.join(kwargs)} by name.\n  {user_line()}\n"
                "  Give them by position."
            )

    def _layouts(self, dynamic: tuple[Any, ...], leaves: Sequence[Any], entry: Entry) -> Layouts:
        own = super()._layouts(dynamic, leaves, entry).own
        whole = tree.unflatten(entry.out_tree, [object()] * len(entry.out_avals))
        # Without shardings there may be arguments by name.
        ins = shardings_of(self._in, dynamic, "jit in_shardings") if self._in else None
        outs = shardings_of(self._out, whole, "jit out_shardings")
        return Layouts(own, ins or [None] * len(leaves), outs)

    def _placed(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments where they shall lie; static ones have no sharding.

        Raises:
            ValueError: somebody put one elsewhere.
        """
        fixed = {i % len(args) for i in self._static_nums if -len(args) <= i < len(args)}
        live = tuple(x for i, x in enumerate(args) if i not in fixed)
        leaves, structure = tree.flatten(live)
        wanted = shardings_of(self._in, live, "jit in_shardings")
        found = [_brought(x, s, self._name) for x, s in zip(leaves, wanted, strict=True)]
        made = iter(tree.unflatten(structure, found))
        return tuple(x if i in fixed else next(made) for i, x in enumerate(args))

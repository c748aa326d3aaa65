"""Where arguments and results of a jitted function lie: `in_shardings`, `out_shardings`.

In: a tree, a sharding for each leaf. Out: arrays that lie so. The one idea: a sharding says where
an array is, not how it is computed; so arguments are laid out before the call, and results behind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import tree
from ..core.meshes import PartitionSpec, current_mesh
from ..core.remote import RemoteArray
from ..core.shardings import NamedSharding, Sharding
from ..core.sources import user_line
from ..core.trace import Tracer, as_array
from ..ir.avals import aval_of
from .accelerators import home_at, placed
from .jitted import JitFunction


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
    leaves, structure = tree.flatten(x)
    wanted = shardings_of(shardings, x, "with_sharding_constraint")
    laid = [y if s is None else laid_out(y, s) for y, s in zip(leaves, wanted, strict=True)]
    return tree.unflatten(structure, laid)


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
        if self._in is not None and kwargs:
            raise ValueError(
                f"{self._name} has in_shardings, which are for positional arguments, and was "
                f"called with {', '.join(kwargs)} by name.\n  {user_line()}\n"
                "  Give them by position."
            )
        if self._in is not None:
            args = self._placed(args)
        outs = super().__call__(*args, **kwargs)
        leaves, structure = tree.flatten(outs)
        wanted = shardings_of(self._out, outs, "jit out_shardings")
        laid = [x if s is None else laid_out(x, s) for x, s in zip(leaves, wanted, strict=True)]
        return tree.unflatten(structure, laid)

    def _placed(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments where they shall lie; static ones have no sharding.

        Raises:
            ValueError: somebody put one elsewhere.
        """
        fixed = {i % len(args) for i in self._static_nums if -len(args) <= i < len(args)}
        live = tuple(x for i, x in enumerate(args) if i not in fixed)
        leaves, structure = tree.flatten(live)
        found: list[Any] = []
        wanted = shardings_of(self._in, live, "jit in_shardings")
        for leaf, sharding in zip(leaves, wanted, strict=True):
            if sharding is None:
                found.append(leaf)
                continue
            own = leaf.sharding if type(leaf) is RemoteArray and leaf.committed else None
            if own is not None and not own.is_equivalent_to(sharding, leaf.aval.ndim):
                raise ValueError(
                    "Sharding passed to jit does not match the sharding on the respective arg: "
                    f"in_shardings of {self._name} has {sharding!r}, and {leaf.aval.long()} lies "
                    f"by {own!r}.\n  {user_line()}\n  Bring it there by device_put, or leave "
                    "in_shardings out."
                )
            found.append(leaf if own == sharding else laid_out(leaf, sharding))
        made = iter(tree.unflatten(structure, found))
        return tuple(x if i in fixed else next(made) for i, x in enumerate(args))

"""Several transformations as one: one after another, or each for its part of the params."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

from .. import numpy as fnp
from .. import tree
from ..core.sources import user_line
from .base import (
    GradientTransformationExtraArgs,
    MaskOrFn,
    OptState,
    Params,
    Updates,
    set_to_zero,
    with_extra_args_support,
)
from .states import ParamsNode


def chain(*args: Any) -> GradientTransformationExtraArgs:
    """Transformations one after another; the state is the tuple of their states.

    Raises:
        TypeError: a part is no transformation.
        ValueError: in update, when the state has another number of parts.
    """
    parts = [with_extra_args_support(part) for part in args]

    def init(params: Params) -> tuple[Any, ...]:
        return tuple(part.init(params) for part in parts)

    def update(
        updates: Updates, state: OptState, params: Params = None, **extra_args: Any
    ) -> tuple[Any, Any]:
        if len(state) != len(parts):
            raise ValueError(
                f"chain of {len(parts)} transformations got a state of {len(state)} parts. Give "
                "the state that its init returned."
            )
        new: list[Any] = []
        for part, own in zip(parts, state, strict=True):
            updates, own = part.update(updates, own, params, **extra_args)
            new.append(own)
        return updates, tuple(new)

    return GradientTransformationExtraArgs(init, update)


def named_chain(*args: tuple[str, Any]) -> GradientTransformationExtraArgs:
    """Transformations one after another, by name; the state is an OrderedDict of their states.

    Args:
        args: pairs of name and transformation.
    Raises:
        ValueError: a name stands twice.
    """
    names = [name for name, _ in args]
    if len(names) != len({*names}):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"named_chain got the names {names}: {twice} stand more than once.")
    parts = [(name, with_extra_args_support(part)) for name, part in args]

    def init(params: Params) -> Any:
        return OrderedDict((name, part.init(params)) for name, part in parts)

    def update(
        updates: Updates, state: OptState, params: Params = None, **extra_args: Any
    ) -> tuple[Any, Any]:
        new: OrderedDict[str, Any] = OrderedDict()
        for name, part in parts:
            updates, new[name] = part.update(updates, state[name], params, **extra_args)
        return updates, new

    return GradientTransformationExtraArgs(init, update)


class MaskedState(NamedTuple):
    """State of `masked`: that of the inner transformation, for the leaves it sees."""

    inner_state: Any


class MaskedNode(NamedTuple):
    """Stands where a masked transformation sees nothing: a node without leaves."""


def _mask_of(mask: Any, like: Any) -> Any:
    """The tree of booleans, called for if the mask is a function."""
    leaves = tree.leaves(mask)
    is_function = bool(leaves) and all(callable(leaf) for leaf in leaves)
    return mask(like) if is_function else mask


def _hide(mask: Any, part: Any) -> Any:
    """The tree with a MaskedNode wherever the mask is false."""
    return tree.map(lambda shown, x: x if shown else MaskedNode(), mask, part)


def masked(
    inner: Any, mask: MaskOrFn, *, mask_compatible_extra_args: bool = False
) -> GradientTransformationExtraArgs:
    """The transformation for the leaves where the mask is true; the others pass as they are.

    Args:
        mask: a tree of booleans with the structure of the params or a prefix of it, or a function
            from params to one. Its values are Python's, known when the program is traced.
        mask_compatible_extra_args: mask also those keywords of update that have the structure of
            the updates.
    Raises:
        ValueError: in init and update, when the mask is no prefix of the tree.
    """
    part = with_extra_args_support(inner)

    def init(params: Params) -> MaskedState:
        if isinstance(params, ParamsNode):
            return MaskedState(part.init(params))
        return MaskedState(part.init(_hide(_mask_of(mask, params), params)))

    def update(
        updates: Updates, state: MaskedState, params: Params = None, **extra_args: Any
    ) -> tuple[Any, Any]:
        shown = _mask_of(mask, updates)
        if mask_compatible_extra_args:
            treedef = tree.structure(updates)
            extra_args = {
                name: _hide(shown, value) if tree.structure(value) == treedef else value
                for name, value in extra_args.items()
            }
        own_params = None if params is None else _hide(shown, params)
        new, own = part.update(_hide(shown, updates), state.inner_state, own_params, **extra_args)
        out = tree.map(lambda is_ours, ours, other: ours if is_ours else other, shown, new, updates)
        return out, MaskedState(own)

    return GradientTransformationExtraArgs(init, update)


class PartitionState(NamedTuple):
    """State of `partition`: the states of its transformations, by label."""

    inner_states: Any


def partition(
    transforms: Mapping[Hashable, Any],
    param_labels: Any,
    *,
    mask_compatible_extra_args: bool = False,
) -> GradientTransformationExtraArgs:
    """Each leaf goes through the transformation whose label it bears.

    Args:
        transforms: transformations by label.
        param_labels: a tree of labels with the structure of the params or a prefix of it, or a
            function from params to one.
    Raises:
        ValueError: in init, when a label has no transformation.
    """
    parts = {label: with_extra_args_support(part) for label, part in transforms.items()}

    def own(labels: Any, label: Hashable) -> GradientTransformationExtraArgs:
        mask = tree.map(lambda found: found == label, labels)
        return masked(parts[label], mask, mask_compatible_extra_args=mask_compatible_extra_args)

    def init(params: Params) -> PartitionState:
        labels = param_labels(params) if callable(param_labels) else param_labels
        unknown = {*tree.leaves(labels)} - {*parts}
        if unknown:
            raise ValueError(
                f"partition found the labels {sorted(map(repr, unknown))} on params, and has "
                f"transformations for {sorted(map(repr, parts))}.\n  {user_line()}\n"
                "  Add transformations for them; set_to_zero() keeps a part as it is."
            )
        return PartitionState({label: own(labels, label).init(params) for label in parts})

    def update(
        updates: Updates, state: PartitionState, params: Params = None, **extra_args: Any
    ) -> tuple[Any, Any]:
        labels = param_labels(updates) if callable(param_labels) else param_labels
        new: dict[Hashable, Any] = {}
        for label in parts:
            updates, new[label] = own(labels, label).update(
                updates, state.inner_states[label], params, **extra_args
            )
        return updates, PartitionState(new)

    return GradientTransformationExtraArgs(init, update)


multi_transform = partition
MultiTransformState = PartitionState


def freeze(mask: MaskOrFn) -> GradientTransformationExtraArgs:
    """Zero updates where the mask is true: those params stay as they are."""
    return masked(set_to_zero(), mask)


def selective_transform(optimizer: Any, *, freeze_mask: Any) -> GradientTransformationExtraArgs:
    """The optimizer for the leaves where the mask is false, and zeros where it is true.

    Other than `chain(optimizer, freeze(mask))`, no state is kept for frozen leaves.
    """

    def labels(params: Params) -> Any:
        return tree.map(lambda frozen: "freeze" if frozen else "train", freeze_mask)

    return partition({"train": optimizer, "freeze": set_to_zero()}, labels)


def flatten(inner: Any) -> GradientTransformationExtraArgs:
    """The transformation on all leaves joined to one long vector.

    What it computes by leaf (norms, ranks of axes) it now computes once for the whole tree.
    """
    part = with_extra_args_support(inner)

    def join(parts: Any) -> Any:
        return fnp.concatenate([fnp.reshape(x, (-1,)) for x in tree.leaves(parts)])

    def split(like: Any, flat: Any) -> Any:
        leaves, treedef = tree.flatten(like)
        out: list[Any] = []
        start = 0
        for x in leaves:
            stop = start + int(fnp.size(x))
            out.append(fnp.reshape(flat[start:stop], fnp.shape(x)))
            start = stop
        return tree.unflatten(treedef, out)

    def init(params: Params) -> OptState:
        return part.init(join(params))

    def update(
        updates: Updates, state: OptState, params: Params = None, **extra_args: Any
    ) -> tuple[Any, Any]:
        own = None if params is None else join(params)
        flat, state = part.update(join(updates), state, own, **extra_args)
        return split(updates, flat), state

    return GradientTransformationExtraArgs(init, update)

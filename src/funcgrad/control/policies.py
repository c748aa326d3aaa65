"""What a checkpoint may keep: policies, names for values, and splitting a program by a policy.

A policy is called as `policy(primitive, *avals, **params)` for each eqn whose operands are known
in the forward pass; where it is true, the outputs are kept instead of recomputed.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

from .. import tree
from ..core.evaluate import eval_closed
from ..core.primitive import AxisData, Example, Primitive
from ..core.staging import stage
from ..core.trace import as_array
from ..ir.avals import ShapedArray
from ..ir.jaxpr import ClosedJaxpr, Eqn, Var, is_literal
from ..passes.dce import dce
from ..transforms.linearize import Split
from .jit import jit_p

Policy = Callable[..., Any]


class Name(Primitive):
    """The operand, with a name for policies."""

    name = "name"
    linear = "joint"
    composed = True

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        return avals[0]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return arrays[0]

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        return [ct]

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        # The tangent has no name: policies speak of values of the forward pass.
        return self.bind(*primals, **params), tangents[0]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        return self.bind(*args, **params), dims[0]

    def examples(self) -> Any:
        import numpy as np

        yield Example((np.arange(6.0).reshape(2, 3),), {"name": "hidden"})
        yield Example((np.float64(2.0),), {"name": "scale"})


name_p = Name()


def checkpoint_name(x: Any, name: str) -> Any:
    """The value (a tree of arrays) with a name that checkpoint policies can refer to."""
    return tree.map(lambda leaf: name_p.bind(as_array(leaf), name=name), x)


class NamePolicy(NamedTuple):
    """Answers by the name of a value.

    Attributes:
        names: the names spoken of.
        for_these: the answer for values with one of the names.
        for_others: the answer for values with another name.
        for_unnamed: the answer for values without a name.
    """

    names: frozenset[str]
    for_these: bool
    for_others: bool
    for_unnamed: bool

    def __call__(self, prim: Any, *_: Any, **params: Any) -> bool:
        if prim is not name_p:
            return self.for_unnamed
        return self.for_these if params["name"] in self.names else self.for_others


class EitherPolicy(NamedTuple):
    """Keeps what one of two policies keeps."""

    first: Policy
    second: Policy

    def __call__(self, prim: Any, *avals: Any, **params: Any) -> bool:
        return bool(self.first(prim, *avals, **params) or self.second(prim, *avals, **params))


def everything_saveable(*_: Any, **__: Any) -> bool:
    """Keep every value, as without checkpoint."""
    return True


def nothing_saveable(*_: Any, **__: Any) -> bool:
    """Recompute every value; the policy of checkpoint without a policy."""
    return False


def dots_saveable(prim: Any, *_: Any, **params: Any) -> bool:
    """Keep results of contractions and convolutions, the costly ones."""
    return prim.name in ("dot_general", "conv_general_dilated")


def dots_with_no_batch_dims_saveable(prim: Any, *_: Any, **params: Any) -> bool:
    """Keep results of contractions without batch axes, such as layers' products by weights."""
    if prim.name != "dot_general":
        return False
    _, (lhs_batch, rhs_batch) = params["dimension_numbers"]
    return not lhs_batch and not rhs_batch


def offload_dot_with_no_batch_dims(offload_src: str, offload_dst: str) -> Policy:
    """As `dots_with_no_batch_dims_saveable`: the host's memory is the only one there is."""
    return dots_with_no_batch_dims_saveable


def save_only_these_names(*names_which_can_be_saved: str) -> Policy:
    """Keep values named so by `checkpoint_name`, and no others."""
    return NamePolicy(frozenset(names_which_can_be_saved), True, False, False)


def save_any_names_but_these(*names_not_to_save: str) -> Policy:
    """Keep values with a name, except these; values without a name are recomputed."""
    return NamePolicy(frozenset(names_not_to_save), False, True, False)


def save_anything_except_these_names(*names_not_to_save: str) -> Policy:
    """Keep every value, with or without a name, except those named so."""
    return NamePolicy(frozenset(names_not_to_save), False, True, True)


def save_and_offload_only_these_names(
    *,
    names_which_can_be_saved: Sequence[str],
    names_which_can_be_offloaded: Sequence[str],
    offload_src: str,
    offload_dst: str,
) -> Policy:
    """Keep values with any of these names: the host's memory is the only one there is.

    Raises:
        ValueError: a name is in both lists.
    """
    both = set(names_which_can_be_saved) & set(names_which_can_be_offloaded)
    if both:
        raise ValueError(f"the names to save and to offload overlap: {sorted(both)}. Choose one.")
    return save_only_these_names(*names_which_can_be_saved, *names_which_can_be_offloaded)


def save_from_both_policies(policy_1: Policy, policy_2: Policy) -> Policy:
    """Keep what either policy keeps."""
    return EitherPolicy(policy_1, policy_2)


checkpoint_policies = SimpleNamespace(
    everything_saveable=everything_saveable,
    nothing_saveable=nothing_saveable,
    dots_saveable=dots_saveable,
    checkpoint_dots=dots_saveable,
    dots_with_no_batch_dims_saveable=dots_with_no_batch_dims_saveable,
    checkpoint_dots_with_no_batch_dims=dots_with_no_batch_dims_saveable,
    offload_dot_with_no_batch_dims=offload_dot_with_no_batch_dims,
    save_anything_except_these_names=save_anything_except_these_names,
    save_any_names_but_these=save_any_names_but_these,
    save_only_these_names=save_only_these_names,
    save_from_both_policies=save_from_both_policies,
    save_and_offload_only_these_names=save_and_offload_only_these_names,
)


# Splitting a program by a policy.


def without_jits(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The program with the eqns of jitted functions in place, where a policy can see them."""
    if not any(eqn.primitive is jit_p for eqn in closed.eqns):
        return closed

    def run(*args: Any) -> list[Any]:
        return _eval_inline(closed, args)

    return stage(run, closed.in_avals, closed.jaxpr.debug_name)


def _eval_inline(closed: ClosedJaxpr, args: Sequence[Any]) -> list[Any]:
    jaxpr = closed.jaxpr
    env: dict[Var, Any] = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    env.update(zip(jaxpr.invars, args, strict=True))
    for eqn in jaxpr.eqns:
        values = [a.val if is_literal(a) else env[a] for a in eqn.invars]  # pyright: ignore[reportArgumentType]
        if eqn.primitive is jit_p:
            out = _eval_inline(eqn.params["jaxpr"], values)
        else:
            out = eqn.primitive.bind_eqn(values, eqn.params)
        outs = out if eqn.primitive.multiple_results else [out]
        env.update(zip(eqn.outvars, outs, strict=True))
    return [a.val if is_literal(a) else env[a] for a in jaxpr.outvars]  # pyright: ignore[reportArgumentType]


def is_kept(eqn: Eqn, policy: Policy) -> bool:
    """Whether the outputs of an eqn are kept; those of effects always, they happen once."""
    if eqn.effects:
        return True
    return bool(policy(eqn.primitive, *[a.aval for a in eqn.invars], **eqn.params))


Savings = tuple[ClosedJaxpr, ClosedJaxpr, list[bool]]
_savings: weakref.WeakKeyDictionary[Split, dict[Any, Savings]] = weakref.WeakKeyDictionary()


def with_savings(split: Split, policy: Policy | None) -> Savings:
    """A split program whose residuals are kept or recomputed as a policy says.

    Returns:
        A known program giving known outputs and kept values; an unknown one taking kept values,
        some of the known inputs, and the unknown inputs; which known inputs it takes.
    """
    known = _savings.setdefault(split, {})
    if policy not in known:
        known[policy] = _with_savings(split, policy or nothing_saveable)
    return known[policy]


def _with_savings(split: Split, rule: Policy) -> Savings:
    whole = without_jits(split.known)
    jaxpr = whole.jaxpr
    kept_vars = [v for eqn in jaxpr.eqns if is_kept(eqn, rule) for v in eqn.outvars]
    kept_set = set(kept_vars)
    count = len(jaxpr.outvars) - split.residual_count
    again = jaxpr.replace(
        invars=[*kept_vars, *jaxpr.invars],
        outvars=jaxpr.outvars[count:],
        eqns=[eqn for eqn in jaxpr.eqns if not any(v in kept_set for v in eqn.outvars)],
        effects=None,
    )
    again = again.replace(eqns=[eqn for eqn in again.eqns if not eqn.effects], effects=None)
    again, used = dce(again, keep_inputs=False)
    used_kept, used_ins = used[: len(kept_vars)], used[len(kept_vars) :]
    saved = [v for v, u in zip(kept_vars, used_kept, strict=True) if u]
    known = jaxpr.replace(outvars=[*jaxpr.outvars[:count], *saved])
    known, _ = dce(known)
    first = len(again.invars)
    recompute = ClosedJaxpr(again, whole.consts)

    def run(*values: Any) -> list[Any]:
        residuals = eval_closed(recompute, *values[:first])
        return eval_closed(split.unknown, *residuals, *values[first:])

    avals = [*again.in_avals, *split.unknown.in_avals[split.residual_count :]]
    return ClosedJaxpr(known, whole.consts), stage(run, avals, jaxpr.debug_name), used_ins

"""Arithmetic on whole trees, under the names of `optax.tree`.

`None` is an empty part of a tree; trees of two operands have one structure, or a ValueError says
where they differ.
"""

from __future__ import annotations

import builtins
import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import numpy as fnp
from .. import random
from .. import tree as pytree
from ..ir import dtypes
from .leaves import map_leaves
from .numerics import abs_sq
from .states import get as get
from .states import get_all_with_path as get_all_with_path
from .states import map_params as map_params
from .states import set as set


def add(tree_x: Any, tree_y: Any, *other_trees: Any) -> Any:
    """The sum of two or more trees."""
    for other in (tree_y, *other_trees):
        tree_x = map_leaves("tree.add", operator.add, tree_x, second=other, unlike=("second",))
    return tree_x


def sub(tree_x: Any, tree_y: Any) -> Any:
    """x − y."""
    return map_leaves("tree.sub", operator.sub, tree_x, second=tree_y, unlike=("second",))


def mul(tree_x: Any, tree_y: Any) -> Any:
    """x · y, elementwise."""
    return map_leaves("tree.mul", operator.mul, tree_x, second=tree_y, unlike=("second",))


def div(tree_x: Any, tree_y: Any) -> Any:
    """x / y, elementwise."""
    return map_leaves("tree.div", lambda x, y: x / y, tree_x, second=tree_y, unlike=("second",))


def scale(scalar: Any, tree: Any) -> Any:
    """scalar · x."""
    return pytree.map(lambda x: scalar * x, tree)


def add_scale(tree_x: Any, scalar: Any, tree_y: Any) -> Any:
    """x + scalar · y."""
    scalar = fnp.asarray(scalar)
    return map_leaves(
        "tree.add_scale", lambda x, y: x + scalar * y, tree_x, second=tree_y, unlike=("second",)
    )


def vdot(tree_x: Any, tree_y: Any) -> Any:
    """⟨x, y⟩ = Σ conj(x) · y over all elements of all leaves."""
    products = map_leaves("tree.vdot", fnp.vdot, tree_x, second=tree_y)
    return pytree.reduce(operator.add, products, 0)


def sum(tree: Any) -> Any:
    """The sum of all elements of all leaves."""
    return pytree.reduce(operator.add, pytree.map(fnp.sum, tree), 0)


def max(tree: Any) -> Any:
    """The largest element; −∞ for a tree without elements."""
    found = [fnp.max(x) for x in pytree.leaves(tree) if fnp.size(x)]
    return functools.reduce(fnp.maximum, found, -float("inf"))


def min(tree: Any) -> Any:
    """The smallest element; ∞ for a tree without elements."""
    found = [fnp.min(x) for x in pytree.leaves(tree) if fnp.size(x)]
    return functools.reduce(fnp.minimum, found, float("inf"))


def size(tree: Any) -> int:
    """How many elements there are in all leaves."""
    return builtins.sum(int(fnp.size(x)) for x in pytree.leaves(tree))


def conj(tree: Any) -> Any:
    """Complex conjugates."""
    return pytree.map(fnp.conj, tree)


def real(tree: Any) -> Any:
    """Real parts."""
    return pytree.map(fnp.real, tree)


def norm(tree: Any, ord: Any = None, squared: bool = False) -> Any:
    """The norm of the tree as one long vector: 2 (the default), 1 or inf; or its square.

    Raises:
        ValueError: another order.
    """
    if ord is None or ord == 2:
        total = fnp.asarray(sum(pytree.map(abs_sq, tree)))
        return total if squared else fnp.sqrt(total)
    if ord == 1:
        found = sum(pytree.map(fnp.abs, tree))
    elif ord in (float("inf"), "inf", "infinity"):
        found = max(pytree.map(fnp.abs, tree))
    else:
        raise ValueError(f"tree.norm knows the orders 1, 2 and inf, got {ord!r}.")
    found = fnp.asarray(found)
    return fnp.square(found) if squared else found


def batch_shape(tree: Any, shape: tuple[int, ...] = ()) -> Any:
    """Each leaf repeated over leading axes of this shape."""
    return pytree.map(lambda x: fnp.broadcast_to(x, (*shape, *fnp.shape(x))), tree)


def zeros_like(tree: Any, dtype: Any = None) -> Any:
    """Zeros in the shapes of the leaves."""
    return pytree.map(lambda x: fnp.zeros_like(x, dtype=dtype), tree)


def ones_like(tree: Any, dtype: Any = None) -> Any:
    """Ones in the shapes of the leaves."""
    return pytree.map(lambda x: fnp.ones_like(x, dtype=dtype), tree)


def full_like(tree: Any, fill_value: Any, dtype: Any = None) -> Any:
    """One value in the shapes of the leaves."""
    return pytree.map(lambda x: fnp.full_like(x, fill_value, dtype=dtype), tree)


def clip(tree: Any, min_value: Any = None, max_value: Any = None) -> Any:
    """Each element brought into [min_value, max_value]."""
    return pytree.map(lambda x: fnp.clip(x, min_value, max_value), tree)


def update_moment(updates: Any, moments: Any, decay: Any, order: int) -> Any:
    """decay · moment + (1 − decay) · gᵒʳᵈᵉʳ."""
    return map_leaves(
        "tree.update_moment",
        lambda g, t: (1 - decay) * g**order + decay * t,
        updates,
        moments=moments,
    )


def update_infinity_moment(updates: Any, moments: Any, decay: Any, eps: Any) -> Any:
    """max(|g| + eps, decay · moment)."""
    return map_leaves(
        "tree.update_infinity_moment",
        lambda g, t: fnp.maximum(fnp.abs(g) + eps, decay * t),
        updates,
        moments=moments,
    )


def update_moment_per_elem_norm(updates: Any, moments: Any, decay: Any, order: int) -> Any:
    """decay · moment + (1 − decay) · |g|ᵒʳᵈᵉʳ, real also for complex g."""
    return map_leaves(
        "tree.update_moment_per_elem_norm",
        lambda g, t: (1 - decay) * _power_of_modulus(g, order) + decay * t,
        updates,
        moments=moments,
    )


def _power_of_modulus(g: Any, order: int) -> Any:
    if not dtypes.issubdtype(g.dtype, np.complexfloating):
        return g**order
    return abs_sq(g) ** (order // 2 if order % 2 == 0 else order / 2)


def bias_correction(moment: Any, decay: Any, count: Any) -> Any:
    """moment / (1 − decayᶜᵒᵘⁿᵗ): the average of what came in since a start at zero."""
    factor = fnp.asarray(1 - decay**count)
    return pytree.map(lambda t: t / factor.astype(fnp.asarray(t).dtype), moment)


def where(condition: Any, tree_x: Any, tree_y: Any) -> Any:
    """The leaves of x where the condition holds, else those of y."""
    return map_leaves(
        "tree.where",
        lambda x, y: fnp.where(condition, x, y),
        tree_x,
        second=tree_y,
        unlike=("second",),
    )


def allclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Any:
    """Whether all elements are close, bool[]."""
    close = map_leaves(
        "tree.allclose",
        lambda x, y: fnp.allclose(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan),
        a,
        second=b,
    )
    return functools.reduce(fnp.logical_and, pytree.leaves(close), fnp.array(True))


def cast(tree: Any, dtype: Any) -> Any:
    """Each leaf in this dtype; None leaves the tree as it is."""
    return tree if dtype is None else pytree.map(lambda x: fnp.asarray(x).astype(dtype), tree)


def cast_like(tree: Any, other_tree: Any) -> Any:
    """Each leaf in the dtype of the leaf of the other tree."""
    return pytree.map(
        lambda x, other: fnp.asarray(x).astype(other.dtype) if hasattr(other, "dtype") else x,
        tree,
        other_tree,
    )


def dtype(tree: Any, mixed_dtype_handler: str | None = None) -> Any:
    """The dtype of the leaves.

    Args:
        mixed_dtype_handler: what to do with several dtypes: None refuses them, "promote" gives the
            dtype of their sum, "highest" and "lowest" the one that all others, or that it, promote
            to.
    Raises:
        ValueError: dtypes that differ, or that have no order.
    """
    found: list[Any] = [fnp.asarray(x).dtype for x in pytree.leaves(tree)]
    if not found:
        return fnp.asarray(0.0).dtype
    handlers: dict[str | None, Callable[[Any, Any], Any]] = {
        None: _same_dtype,
        "promote": fnp.promote_types,
        "highest": lambda a, b: _ordered(a, b)[1],
        "lowest": lambda a, b: _ordered(a, b)[0],
    }
    if mixed_dtype_handler not in handlers:
        names = ", ".join(map(repr, handlers))
        raise ValueError(f"tree.dtype knows {names}, got {mixed_dtype_handler!r}.")
    return functools.reduce(handlers[mixed_dtype_handler], found)


def _same_dtype(a: Any, b: Any) -> Any:
    if a != b:
        raise ValueError(
            f"tree.dtype found leaves of dtypes {a} and {b}. Say what is wanted: "
            "mixed_dtype_handler='promote', 'highest' or 'lowest'."
        )
    return a


def _ordered(a: Any, b: Any) -> tuple[Any, Any]:
    joined = fnp.promote_types(a, b)
    if joined == a:
        return b, a
    if joined == b:
        return a, b
    raise ValueError(f"tree.dtype: neither of {a} and {b} promotes to the other.")


def split_key_like(rng_key: Any, target_tree: Any) -> Any:
    """A tree of keys, one for each leaf of the target."""
    treedef = pytree.structure(target_tree)
    keys = random.split(rng_key, treedef.num_leaves)
    return pytree.unflatten(treedef, [keys[i] for i in range(treedef.num_leaves)])


def random_like(
    rng_key: Any,
    target_tree: Any,
    sampler: Callable[..., Any] = random.normal,
    dtype: Any = None,
) -> Any:
    """Samples in the shapes and dtypes of the leaves, each from a key of its own.

    Args:
        sampler: `(key, shape, dtype) -> array`.
    """
    return pytree.map(
        lambda x, key: sampler(key, fnp.shape(x), dtype or fnp.asarray(x).dtype),
        target_tree,
        split_key_like(rng_key, target_tree),
    )

"""Compression of trained layers: pure functions from params to params.

Each takes the params of one `dense` or `conv` layer (pruning takes any tree) and gives params for
the same layer, in a form of `nn/weights.py`; a network is compressed by replacing parts of its
params.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import numpy as fnp
from .. import tree
from ..core.sources import user_line
from .layer import entries, short
from .weights import form_of, plain


def fold_batch_norm(
    params: Any, norm_params: Any, norm_state: Any, *, epsilon: float = 1e-5
) -> dict[str, Any]:
    """One layer for a `dense` or `conv` and the `batch_norm` after it, in its inference form.

    weight · s and (bias − mean) · s + shift, with s = scale / √(variance + epsilon). The norm then
    has to leave the network; the layer takes the bias even if it was made without one.

    Args:
        params: of the layer.
        norm_params, norm_state: of the norm; without scale or shift they count as 1 and 0.
        epsilon: of the norm.
    Returns:
        Params of the layer, with weight and bias.
    Raises:
        ValueError: the norm is for another number of features.
    """
    (weight,) = entries(params, ("weight",), "fold_batch_norm", "params")
    weight = plain(weight, "fold_batch_norm")
    mean, variance = entries(norm_state, ("mean", "variance"), "fold_batch_norm", "norm state")
    if mean.shape != weight.shape[-1:]:
        raise ValueError(
            f"fold_batch_norm got a weight of {short(weight)} and a norm of {short(mean)}: "
            f"features are the last axis of the weight.\n  {user_line()}\n"
            "  Give the layer right before the norm."
        )
    own: Any = norm_params or {}
    factor = own.get("scale", 1.0) / fnp.sqrt(variance + epsilon)
    bias = (params.get("bias", 0.0) - mean) * factor + own.get("shift", 0.0)
    return {"weight": (weight * factor).astype(weight.dtype), "bias": bias.astype(weight.dtype)}


def magnitude_masks(params: Any, sparsity: float, *, together: bool = False) -> Any:
    """Masks that are False at the share `sparsity` of smallest weights.

    Arrays of fewer than two axes, biases and norms, are kept whole.

    Args:
        params: any tree of arrays.
        sparsity: from 0 to 1; of n weights, ⌊sparsity · n⌋ are left out.
        together: rank the weights of all arrays together, not each array by itself.
    Returns:
        The tree with bool arrays.
    Raises:
        ValueError: a sparsity outside of 0 … 1.
    Source: Han et al., arXiv:1506.02626.
    """
    if not 0 <= sparsity <= 1:
        raise ValueError(
            f"magnitude_masks needs a sparsity from 0 to 1, got {sparsity}.\n  {user_line()}"
        )
    leaves, form = tree.flatten(params)
    chosen = [i for i, leaf in enumerate(leaves) if leaf.ndim >= 2]
    masks: list[Any] = [fnp.ones(leaf.shape, bool) for leaf in leaves]
    for group in [chosen] if together else [[i] for i in chosen]:
        if not group:
            continue
        sizes = fnp.concatenate([fnp.abs(leaves[i]).reshape(-1) for i in group])
        # Ranks, not a threshold: equal weights must not change how many are kept.
        ranks = fnp.argsort(fnp.argsort(sizes))
        kept = ranks >= math.floor(sparsity * sizes.size)
        ends = np.cumsum([leaves[i].size for i in group])
        for i, part in zip(group, fnp.split(kept, [int(end) for end in ends[:-1]]), strict=True):
            masks[i] = part.reshape(leaves[i].shape)
    return tree.unflatten(form, masks)


def prune(params: Any, masks: Any) -> Any:
    """The params with zeros where the masks are False.

    Inside of a loss it also makes the gradients zero there: training goes on with what is left.
    """

    def one(weight: Any, mask: Any) -> Any:
        return fnp.where(mask, weight, fnp.zeros_like(weight))

    return tree.map(one, params, masks)


def quantize(params: Any, inputs: Any = None) -> dict[str, Any]:
    """Weights as 8-bit integers with a scale for each feature, and inputs too when the layer runs.

    weight ≈ int8 · scale, off by at most scale / 2 = max |weight| / 254. The layer rounds its input
    to 8 bits, sums products as 32-bit integers and scales the sums.

    Args:
        params: of a `dense` or `conv` layer.
        inputs: examples of what the layer gets, from which the scale of its input is fixed;
            without, each example has its own, found when the layer runs.
    Returns:
        Params of the layer: `{"weight": {"int8": ..., "scale": ...}, "bias": ...}`.
    Source: Jacob et al., arXiv:1712.05877, symmetric.
    """
    (weight,) = entries(params, ("weight",), "quantize", "params")
    weight = plain(weight, "quantize")
    largest = fnp.max(fnp.abs(weight), axis=tuple(range(weight.ndim - 1)))
    scale = fnp.where(largest > 0, largest, 1) / 127
    form = {"int8": fnp.round(weight / scale).astype(np.int8), "scale": scale}
    if inputs is not None:
        reach = fnp.max(fnp.abs(fnp.asarray(inputs))).astype(weight.dtype)
        form["input_scale"] = fnp.where(reach > 0, reach, 1) / 127
    return {**params, "weight": form}


def factorize(
    params: Any, rank: int | None = None, *, energy: float | None = None
) -> dict[str, Any]:
    """The weight as a product of two narrow ones: the nearest of its rank, by singular values.

    A convolution becomes one to `rank` features and a matrix over these; one with groups cannot be
    factorised.

    Args:
        params: of a `dense` or `conv` layer.
        rank: how many features lie between.
        energy: instead of a rank, the share of the squared singular values that is kept; values
            must be known.
    Returns:
        Params of the layer: `{"weight": {"left": ..., "right": ...}, "bias": ...}`.
    Raises:
        ValueError: neither or both of rank and energy; or one that is out of range.
    Source: Eckart & Young, Psychometrika 1 (1936); Denton et al., arXiv:1404.0736.
    """
    (weight,) = entries(params, ("weight",), "factorize", "params")
    weight = plain(weight, "factorize")
    matrix = weight.reshape(-1, weight.shape[-1])
    u, values, vt = fnp.linalg.svd(matrix, full_matrices=False)
    k = _rank(np.shape(values)[0], values, rank, energy)
    root = fnp.sqrt(values[:k])
    left = (u[:, :k] * root).reshape((*weight.shape[:-1], k))
    return {**params, "weight": {"left": left, "right": root[:, None] * vt[:k]}}


def _rank(full: int, values: Any, rank: int | None, energy: float | None) -> int:
    if (rank is None) == (energy is None):
        raise ValueError(f"factorize takes either a rank or an energy.\n  {user_line()}")
    if rank is None:
        if energy is None or not 0 < energy <= 1:
            raise ValueError(f"factorize needs an energy in (0, 1], got {energy}.\n  {user_line()}")
        squares: Any = np.cumsum(np.square(np.asarray(values, np.float64)))
        return min(int(np.count_nonzero(squares < energy * squares[-1] * (1 - 1e-12))) + 1, full)
    if not 1 <= rank <= full:
        raise ValueError(
            f"factorize of a weight of rank {full} got rank {rank}.\n  {user_line()}\n"
            f"  Give one from 1 to {full}."
        )
    return rank


def decompress(params: Any) -> dict[str, Any]:
    """Params with the weight as an array again, from any form: what the layer computes with."""
    (weight,) = entries(params, ("weight",), "decompress", "params")
    form = form_of(weight)
    if form is None:
        return dict(params)
    parts: Sequence[str] = ("int8", "scale") if "int8" in form else ("left", "right")
    first, second = entries(form, parts, "decompress", "weight")
    array = first * second if "int8" in form else first @ second
    return {**params, "weight": array}

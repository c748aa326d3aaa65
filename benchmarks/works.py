"""What a benchmark is: one function of the array library, the same text for ours and JAX's.

A `Work` gives its inputs as NumPy arrays and its function as `function(fw)`, where fw is the root
module, `funcgrad` or `jax`. PyTorch and NumPy have versions of their own; what they return must
agree with the checked part of the function's result before anything is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

OURS = "funcgrad"
# In this order in the tables. What is not installed is left out with a note.
PEERS = ("jax", "torch", "torch channels-last", "torch.compile", "numpy")


def everything(inputs: tuple[Any, ...], out: Any) -> Any:
    """The checked part of a result, where it is all of it."""
    return out


@dataclass(frozen=True)
class Work:
    """One thing to time.

    Attributes:
        name: what the tables call it.
        inputs: from a random generator to the arguments, trees of NumPy arrays.
        function: from the root module to the function that is jitted and timed.
        goal: our time over the best peer's, at most; None where the row is for information.
        limit: seconds a call may take, where the goal is absolute.
        torch: `torch(tools, *inputs)` gives a function of nothing: one call, and its results.
        numpy: the work in NumPy, from the inputs to the results.
        carry: the first argument is a state: donated, and replaced by the first output.
        checked: from inputs and output to the tree that the peers' results are held against.
        tolerance: greatest difference of results, as a part of the greatest absolute value.
        variants: further peers of PyTorch's: "torch channels-last", "torch.compile".
        amount: elements or operations; odd sizes are held against smooth ones by time over it.
        smooth: name of the work with even sizes that this one is compared with.
        plain: places of arguments that stay NumPy's arrays or numbers, which each call is given.
        eager: the function is not jitted.
        waits: every call is waited for; where it is not, calls of microseconds are timed in a row.
    """

    name: str
    inputs: Callable[[np.random.Generator], tuple[Any, ...]]
    function: Callable[[Any], Callable[..., Any]]
    goal: float | None = None
    limit: float | None = None
    torch: Callable[..., Callable[[], Any]] | None = None
    numpy: Callable[..., Any] | None = None
    carry: bool = False
    checked: Callable[[tuple[Any, ...], Any], Any] = everything
    tolerance: float = 1e-3
    variants: tuple[str, ...] = ()
    amount: float | None = None
    smooth: str | None = None
    plain: tuple[int, ...] = ()
    eager: bool = False
    waits: bool = True

    def contenders(self) -> list[str]:
        """Who can do this work, ours first."""
        found = [OURS, "jax"]
        if self.torch is not None:
            found += ["torch", *self.variants]
        if self.numpy is not None:
            found.append("numpy")
        return [name for name in (OURS, *PEERS) if name in found]


def leaves(tree: Any) -> Iterator[Any]:
    """The arrays of a tree of tuples, lists and dicts, in the order of JAX's trees."""
    if isinstance(tree, dict):
        for key in sorted(tree):
            yield from leaves(tree[key])
    elif isinstance(tree, tuple | list):
        for branch in tree:
            yield from leaves(branch)
    elif tree is not None:
        yield tree


def map_tree(f: Callable[[Any], Any], tree: Any) -> Any:
    """The tree with f applied to its leaves."""
    if isinstance(tree, dict):
        return {key: map_tree(f, branch) for key, branch in tree.items()}
    if isinstance(tree, tuple | list):
        return type(tree)([map_tree(f, branch) for branch in tree])
    return f(tree)


SAMPLE = 200_000


def sample(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """At most some 200,000 elements of an array, evenly spread, flat."""
    flat = array.reshape(-1)
    return flat[:: max(1, flat.size // SAMPLE)]


def difference(ours: list[Any], theirs: list[Any]) -> float:
    """The greatest difference of two lists of arrays, as a part of the greatest absolute value."""
    if [a.shape for a in ours] != [a.shape for a in theirs]:
        return float("inf")
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        if not a.size:
            continue
        wide = np.complex128 if np.iscomplexobj(b) else np.float64
        wide_a, wide_b = a.astype(wide), b.astype(wide)
        scale = max(float(np.max(np.abs(wide_b))), 1e-30)
        gap = float(np.max(np.abs(wide_a - wide_b))) / scale
        worst = max(worst, gap if np.isfinite(gap) else float("inf"))
    return worst


def normal(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> np.ndarray[Any, Any]:
    """Normal numbers, float32."""
    return (rng.standard_normal(shape, dtype=np.float32) * np.float32(scale)).astype(np.float32)


def labels(rng: np.random.Generator, count: int, classes: int) -> np.ndarray[Any, Any]:
    """Class numbers, int32."""
    return rng.integers(0, classes, count).astype(np.int32)

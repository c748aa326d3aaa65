"""Why a jitted function was traced again: which argument had another signature.

In: the keys of its traced programs, in order. Out: text, a paragraph for each program but the
first, that names what differs from the program before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from .. import tree
from ..config import tracing_options
from ..tree_keys import keystr

Key = tuple[Any, Any, Any, Any, Any]


def recompiles(name: str, keys: Sequence[Key]) -> str:
    """The reasons, as text.

    Args:
        keys: (tree, avals, static values, options, axis sizes) of each program.
    """
    if not keys:
        return f"{name} has not been traced yet."
    lines = [f"{name} has been traced {len(keys)} time{'s' if len(keys) > 1 else ''}."]
    for k, (before, after) in enumerate(pairwise(keys), 2):
        lines.append(f"{k}. Other than for the program before:")
        lines += [f"   {reason}" for reason in differences(before, after)]
    return "\n".join(lines)


def differences(before: Key, after: Key) -> list[str]:
    """What differs between two keys."""
    found: list[str] = []
    if before[0] != after[0]:
        found.append(f"arguments: {tree.structure_difference(before[0], after[0])}")
    else:
        pairs = zip(paths(after[0]), before[1], after[1], strict=True)
        found += [
            f"{path}: {described(old)}, then {described(new)}"
            for path, old, new in pairs
            if old != new
        ]
    if before[2] != after[2]:
        found.append(f"static arguments: {static(before[2])}, then {static(after[2])}")
    options = zip(tracing_options(), before[3], after[3], strict=True)
    found += [f"option {name}: {old!r}, then {new!r}" for name, old, new in options if old != new]
    if before[4] != after[4]:
        found.append(f"axis names in scope: {dict(before[4])}, then {dict(after[4])}")
    return found


def paths(treedef: Any) -> list[str]:
    """The leaves of (arguments, keyword arguments), as a user would write them."""
    numbered = tree.unflatten(treedef, range(treedef.num_leaves))
    texts = [keystr(path) for path, _ in tree.leaves_with_path(numbered)]
    named = {"[0]": "args", "[1]": "kwargs"}
    return [named[text[:3]] + text[3:] for text in texts]


def described(aval: Any) -> str:
    """An aval with its weakness, since that is a part of the signature."""
    return aval.long() + (" (weak)" if aval.weak_type else "")


def static(values: Any) -> str:
    """Static arguments by position or name."""
    if not values:
        return "none"
    return ", ".join(f"{k}={wrapped.value!r}" for part in values for k, wrapped in part)

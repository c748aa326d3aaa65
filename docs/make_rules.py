"""Writes `docs/rules.md`: every primitive with the rules it has, read from the definitions.

Run it with `.venv/bin/python docs/make_rules.py` after a change to a primitive's rules;
`tests/test_docs.py` fails while the page says something else than the code. The one idea: a rule
is there when the primitive's class overrides the method of `Primitive`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections import defaultdict
from pathlib import Path

from funcgrad.core.primitive import NotDifferentiable, Primitive, registry

PAGE = Path(__file__).with_name("rules.md")
KINDS = "funcgrad.primitives.kinds"
HEAD = """# Which rules each primitive has

Written by `docs/make_rules.py` from the definitions; do not edit it. The contract of each rule is
in [design/0001-architecture.md](design/0001-architecture.md).

| column | what it says |
|---|---|
| kind | the kind in `primitives/kinds.py`, or the family's own base class; - where there is none |
| jvp | *linear*: linear in its operands together, so the tangent is the primitive of the tangents |
| | *linear in each*: linear in every operand alone, so the product rule gives the tangent |
| | *terms*: one `jvp_term` for each operand, added |
| | *rule*: a `jvp` of its own |
| | *zero* or *none*, declared, with the reason: the derivative is zero, or asking for it raises |
| transpose | whether it has a transpose rule; each that stands in linear programs has one |
| batch | whether it has a batching rule |
| | *the trace*: the call keeps the user's rule, and each trace handles it |
"""


def primitives() -> list[Primitive]:
    """All primitives of the package, by name; those that users define are left out."""
    for package in ("primitives", "control"):
        found = importlib.import_module(f"funcgrad.{package}")
        for module in pkgutil.iter_modules(found.__path__):
            importlib.import_module(f"funcgrad.{package}.{module.name}")
    own = [p for p in registry.values() if type(p).__module__.startswith("funcgrad.")]
    return sorted(own, key=lambda p: p.name)


def overrides(primitive: Primitive, rule: str) -> bool:
    """Whether the class of the primitive has this rule itself, or from its kind."""
    return getattr(type(primitive), rule) is not getattr(Primitive, rule)


def kind_of(primitive: Primitive) -> str:
    """The nearest kind of `kinds.py`; else the widest base class below `Primitive`."""
    bases = [c for c in type(primitive).__mro__[1:] if issubclass(c, Primitive)]
    for base in bases:
        if base.__module__ == KINDS:
            return base.__name__
    named = [base for base in bases if base is not Primitive]
    return named[-1].__name__ if named else "-"


def jvp_of(primitive: Primitive) -> str:
    """How the primitive is differentiated forwards."""
    term = primitive.jvp_term
    if isinstance(term, NotDifferentiable):
        return f"{'zero' if term.zero else 'none'}: {term.reason}"
    if primitive.linear is not None:
        return "linear" if primitive.linear == "joint" else "linear in each"
    if overrides(primitive, "jvp"):
        return "rule"
    return "the trace" if term is None else "terms"


def batch_of(primitive: Primitive) -> str:
    """How the primitive is applied to batches."""
    return "yes" if overrides(primitive, "batch") else "the trace"


def row(primitive: Primitive) -> str:
    """The line of a primitive."""
    transpose = "yes" if overrides(primitive, "transpose") else "-"
    cells = [f"`{primitive.name}`", kind_of(primitive), jvp_of(primitive)]
    return f"| {' | '.join([*cells, transpose, batch_of(primitive)])} |"


def page() -> str:
    """The text of `rules.md`: a table for each file, files and primitives by name."""
    files: dict[str, list[Primitive]] = defaultdict(list)
    for primitive in primitives():
        files[type(primitive).__module__].append(primitive)
    parts = [HEAD, f"{sum(map(len, files.values()))} primitives in {len(files)} files.\n"]
    for name in sorted(files):
        path = f"{name.replace('.', '/')}.py"
        doc = inspect.getdoc(importlib.import_module(name)) or ""
        parts.append(f"## [{path.removeprefix('funcgrad/')}](../src/{path})\n")
        parts.append(f"{doc.partition(chr(10))[0]}\n")
        parts.append("| primitive | kind | jvp | transpose | batch |\n|---|---|---|---|---|")
        parts.append("\n".join(row(p) for p in files[name]) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

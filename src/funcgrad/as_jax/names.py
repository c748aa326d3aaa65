"""Which modules and names JAX has: a table for each version, and which version is served.

It is the newest that can be installed for the Python that runs, for that is what libraries
installed beside it were written for.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import resources
from typing import NamedTuple

version = "0.12.0.1" if sys.version_info >= (3, 12) else "0.10.2"


class Names(NamedTuple):
    """The modules of JAX.

    Attributes:
        public: the names of each module that promises its names.
        internal: modules that promise none; any name may be looked for in them.
    """

    public: dict[str, frozenset[str]]
    internal: frozenset[str]

    def has_module(self, name: str) -> bool:
        """Whether JAX has a module of that name."""
        return name in self.public or name in self.internal


@cache
def names() -> Names:
    """The table, read when it is first asked for.

    Each entry starts a line, `module: names`, and goes on in lines that are indented.
    `package.*: names` lists internal modules of a package.
    """
    file = resources.files(__package__ or "").joinpath(f"names-{version}.txt")
    text = file.read_text(encoding="utf-8")
    entries = text.replace("\n  ", " ").splitlines()
    public: dict[str, frozenset[str]] = {}
    internal: set[str] = set()
    for entry in entries:
        module, colon, listed = entry.partition(":")
        if entry.startswith("#") or not colon:
            continue
        if module.endswith(".*"):
            package = module.removesuffix(".*")
            internal.add(package)
            internal.update(f"{package}.{name}" for name in listed.split())
        else:
            public[module] = frozenset(listed.split())
    return Names(public, frozenset(internal - {*public}))

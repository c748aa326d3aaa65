"""Names of generated functions' values, none of them twice."""

from __future__ import annotations

import keyword

_RESERVED = {
    *keyword.kwlist,
    *"np lo hi min max abs range kernel view copy strided matmul rules memory fma fmaf".split(),
    *"bool int float program step index round pow len".split(),
}


class Namer:
    """Names that are each given once."""

    def __init__(self) -> None:
        self.taken: set[str] = set(_RESERVED)

    def __call__(self, wish: str) -> str:
        """The name, or one like it that is free."""
        name, count = wish, 0
        while name in self.taken or not name.isidentifier():
            count += 1
            name = f"{wish}_{count}"
        self.taken.add(name)
        return name

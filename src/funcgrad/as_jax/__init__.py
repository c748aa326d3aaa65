"""Programs written for JAX run on funcgrad unchanged: `import jax` is answered with our names.

    python -m funcgrad.as_jax train.py --steps 100

runs a program so; `with funcgrad.as_jax.serve():` does it for the imports of a block. Nothing of
JAX is loaded, nor need it be installed. What funcgrad lacks raises `AbsentError` where it is used,
with its name; `docs/as-jax.md` lists the libraries that were tried.

`serve` is a function and not the module itself made callable: a type checker, `help` and a reader
see what it is.
"""

from __future__ import annotations

from .absent import AbsentError as AbsentError
from .names import version as version
from .serving import serve as serve

__all__ = ["AbsentError", "serve", "version"]

"""What blocks of a running kernel tell each other, in words of memory that were cleared before.

In: a dtype. Out: the functions that leave a number, and that wait for one. The one idea: a word has
32 bits of a number and says beside them that they are there, so that one store tells both, and
nothing has to be ordered with anything else.
"""

from __future__ import annotations

import numpy as np

from ...ir.loops import DType
from ..emit.source_ops import Text
from .words import CudaLibrary, memory_type

WORD = np.dtype(np.uint64)
# The first word counts the blocks that have begun; messages lie in other lines of the cache.
FIRST = 16


def words_for(messages: int, size: int) -> int:
    """How many words so many numbers of some bytes take."""
    return FIRST + messages * (1 if size <= 4 else 2)


def telling(library: CudaLibrary, dtype: DType) -> str:
    """The name of the function that leaves a number as a message."""
    kind, ops = memory_type(dtype), library.ops
    x = ops.stored(Text("x"), dtype)
    bits = f"as_uint{8 * dtype.itemsize}({x})" if kind.startswith("float") else x
    name = f"tell_{dtype.name}"
    head = f'def {name}(told, place, x):\n    """Leave a number for other blocks."""\n'
    if dtype.itemsize <= 4:
        lines = [f"tell_word(told, place + {FIRST}, uint64({bits}))"]
    else:
        lines = [
            f"bits = uint64({bits})",
            f"tell_word(told, 2 * place + {FIRST}, bits)",
            f"tell_word(told, 2 * place + {FIRST + 1}, bits >> uint64(32))",
        ]
    return ops.defined(name, head + "".join(f"    {line}\n" for line in lines))


def hearing(library: CudaLibrary, dtype: DType) -> str:
    """The name of the function that waits for a message, and gives its number."""
    kind, ops = memory_type(dtype), library.ops
    name = f"hear_{dtype.name}"
    head = f'def {name}(told, place):\n    """The number that another block leaves."""\n'
    if dtype.itemsize <= 4:
        lines = [f"bits = hear_word(told, place + {FIRST})"]
    else:
        lines = [
            f"low = hear_word(told, 2 * place + {FIRST})",
            f"bits = low | (hear_word(told, 2 * place + {FIRST + 1}) << uint64(32))",
        ]
    floating = kind.startswith("float")
    unsigned = f"uint{8 * dtype.itemsize}(bits)"
    number = f"as_{kind}({unsigned})" if floating else f"{kind}(bits)"
    lines.append(f"return {ops.loaded(number, dtype).code}")
    return ops.defined(name, head + "".join(f"    {line}\n" for line in lines))

"""Bits of what is positive, which cuBLASLt takes for the slope of ReLU.

In: the result of a ReLU, rows of a product. Out: a launch that packs a bit for each element. The
one idea: DRELU passes on what has its bit set, whoever set it. RELU_AUX writes such bits too, but
whether that of 0 is set is documented nowhere, and CUTLASS, NVIDIA's templates, sets it
(`ReluConditional`), where the slope of JAX's ReLU is 0. So the bits are ours: what ReLU gave is
read once more.

Source: how they lie is what nvmath-python says of `relu_aux` and tests: element i of a row is bit
i % 8 of byte i // 8, and rows begin at multiples of 128 bits.
"""

from __future__ import annotations

import numpy as np

from ...ir.nests import Buffer
from ..library.gemm import Gemm
from .cublaslt import mask_lead
from .products import ProductLaunch
from .words import CudaLibrary, memory_type

_THREADS = 256
# Elements of a byte, and bytes that a thread moves at once.
_BITS, _MOVED = 8, 16


def mask_launch(g: Gemm, name: str, given: Buffer, library: CudaLibrary) -> ProductLaunch:
    """The launch that packs the bits of a product's result; its last parameter gets them."""
    row, pitch = g.n // _BITS, mask_lead(g.n) // _BITS
    mask = Buffer((g.m, pitch), np.dtype(np.uint8), f"{name}_bits")
    kind, each = memory_type(given.dtype), min(_MOVED // given.dtype.itemsize, _BITS)
    moves = [f"part_{k}" for k in range(_BITS // each)]
    lines = [f"{part} = cuda.local.array({each}, {kind}, alignment={_MOVED})" for part in moves]
    lines += ["at = cuda.grid(1)", f"if at < {g.m * row}:", "    if aligned(given):"]
    places = [f"{_BITS} * at + {each * k}" if k else f"{_BITS} * at" for k in range(len(moves))]
    pairs = list(zip(places, moves, strict=True))
    lines += [f"        load_{each}(given, {place}, {part})" for place, part in pairs]
    lines += ["    else:", f"        for k in range({each}):"]
    lines += [f"            {part}[k] = given[{place} + k]" for place, part in pairs]
    lines += ["    bits = 0"]
    zero = library.ops.constant(0, np.dtype(np.float32))
    for k in range(_BITS):
        value = library.ops.loaded(f"{moves[k // each]}[{k % each}]", given.dtype).inner
        lines += [f"    bits = bits | ({1 << k} if {value} > {zero} else 0)"]
    lines += [f"    mask[at // {row} * {pitch} + at % {row}] = uint8(bits)"]
    body = "\n".join(f"    {line}" for line in lines)
    heading = f"# {name}: a bit for each of {g.m} × {g.n} elements, set where it is positive"
    text = f"{heading}\n@kernel\ndef {name}(given, mask):\n{body}\n"
    blocks = -(-g.m * row // _THREADS)
    return ProductLaunch(name, "mask", blocks, _THREADS, [given, mask], text)

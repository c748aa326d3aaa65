"""What a block can have of a multiprocessor's shared memory, by the compute capability of a GPU.

In: a target such as "sm_90". Out: bytes. The one idea: a launch may have 48 KiB of arrays whose
size its code says; what is beyond it asks for by a number, which the driver has to be told before.

Source: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
"""

from __future__ import annotations

from .adapter import capability

# What every GPU gives without being asked.
PLAIN = 48 << 10
# KiB of a block that asks. A multiprocessor has one more, which is what it keeps of each block.
_MOST = {
    (8, 0): 163,
    (8, 6): 99,
    (8, 7): 163,
    (8, 9): 99,
    (9, 0): 227,
    (10, 0): 227,
    (10, 3): 227,
    (12, 0): 99,
    (12, 1): 99,
}
# Of what programs are that are read without a GPU being named.
USUAL = "sm_90"


def most_shared(target: str) -> int:
    """Bytes of shared memory that a block can ask for; of a target not known, those all have."""
    return _MOST.get(capability(target), PLAIN >> 10) << 10

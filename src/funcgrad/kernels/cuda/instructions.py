"""Instructions of PTX that the texts of kernels name like functions.

The one idea: such an instruction is data, read by whoever compiles: its text, the registers it
names (LLVM's constraints), and the types of what it takes and gives. A new one is a new line here,
and what it does in the emulator.
"""

from __future__ import annotations

from typing import NamedTuple

# How LLVM calls the registers of a type.
REGISTERS = {
    "uint16": "h",
    "int32": "r",
    "uint32": "r",
    "int64": "l",
    "uint64": "l",
    "float32": "f",
    "float64": "d",
}


class Instruction(NamedTuple):
    """One instruction.

    Attributes:
        text: with `$0`, `$1`, … for its registers: results first.
        results: their types; `operands`: theirs.
        together: whether the lanes of a warp do it at once, so that it must stay where it is.
    """

    text: str
    results: tuple[str, ...]
    operands: tuple[str, ...]
    together: bool = False

    @property
    def constraints(self) -> str:
        """Its registers, as LLVM asks for them."""
        outs = [f"={REGISTERS[r]}" for r in self.results]
        return ",".join([*outs, *(REGISTERS[o] for o in self.operands)])


def _matrices(kind: str, steps: int) -> Instruction:
    """What a warp multiplies by tensor cores: 16 × steps times steps × 8.

    Its lanes give four words, two words and four sums, and get four sums.
    """
    text = (
        f"mma.sync.aligned.m16n8k{steps}.row.col.f32.{kind}.{kind}.f32 "
        "{$0,$1,$2,$3}, {$4,$5,$6,$7}, {$8,$9}, {$10,$11,$12,$13};"
    )
    sums = ("float32",) * 4
    return Instruction(text, sums, (*("uint32",) * 6, *sums), together=True)


_FLOATS = ("float32", "float32")
INSTRUCTIONS = {
    # LLVM's type of halves is not in NVVM's language.
    "from_float16": Instruction("cvt.f32.f16 $0, $1;", ("float32",), ("uint16",)),
    "to_float16": Instruction("cvt.rn.f16.f32 $0, $1;", ("uint16",), ("float32",)),
    "maximum_float32": Instruction("max.NaN.f32 $0, $1, $2;", ("float32",), _FLOATS),
    "minimum_float32": Instruction("min.NaN.f32 $0, $1, $2;", ("float32",), _FLOATS),
    "mma_float16": _matrices("f16", 16),
    "mma_bfloat16": _matrices("bf16", 16),
    "mma_tf32": _matrices("tf32", 8),
    # Float32 with a mantissa of 10 bits.
    "to_tf32": Instruction("cvt.rna.tf32.f32 $0, $1;", ("uint32",), ("float32",)),
    # The first of two is the lower half of the word.
    "pack_float16": Instruction("cvt.rn.f16x2.f32 $0, $2, $1;", ("uint32",), _FLOATS),
    "pack_bfloat16": Instruction("cvt.rn.bf16x2.f32 $0, $2, $1;", ("uint32",), _FLOATS),
    # A number of which LLVM does not know that it is the same in each turn of a loop: what follows
    # from it is worked out again, where keeping it would take registers.
    "again": Instruction("mov.b64 $0, $1;", ("int64",), ("int64",), together=True),
    "log2_quick": Instruction("lg2.approx.ftz.f32 $0, $1;", ("float32",), ("float32",)),
    "exp2_quick": Instruction("ex2.approx.ftz.f32 $0, $1;", ("float32",), ("float32",)),
}

# What is given an address in shared memory: it is worked out by whoever compiles.


def _fetched(how: str) -> Instruction:
    """Four matrices of 8 × 8 halves: each lane names a row, and gets two elements of each."""
    text = f"ldmatrix.sync.aligned.m8n8.x4{how}.shared.b16 {{$0,$1,$2,$3}}, [$4];"
    return Instruction(text, ("uint32",) * 4, ("uint32",), together=True)


FETCHES = {"fetch_matrices": _fetched(""), "fetch_turned": _fetched(".trans")}
# From an address in global memory to one in shared memory, so many bytes of 16, zeros for others.
COPY = Instruction(
    "cp.async.cg.shared.global [$0], [$1], 16, $2;", (), ("uint32", "uint64", "uint32"), True
)
WAIT = Instruction("cp.async.wait_all;", (), (), True)

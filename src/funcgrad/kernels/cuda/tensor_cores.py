"""Products by tensor cores: of 16-bit floats a warp multiplies 16 × 16 by 16 × 8 at once.

In: the text of a product. Out: its lines for tiles, sums and products. The one idea: an instruction
takes two neighbours along the contraction in a word of 32 bits, so tiles lie in shared memory as
such words, whatever the order in memory; the rows of a tile are a few words longer than they must
be, so that the lanes of a warp read 32 different banks.

    lane = 4 · quad + turn        A: words (quad, turn), (quad + 8, turn), both again 4 on
    of a warp                     B: words (quad, turn), and 4 on
                                  C: row quad, columns 2 · turn and the next; row quad + 8

Of float32, where a program asks for less than all of its bits, a word is one number rounded to 19
bits (TF32), and half as many steps are multiplied at once; all else is the same.

Source: PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type", "… for mma.m16n8k8".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .products import ProductText

THREADS = 256
WARP = 32
# Steps of the contraction held at once, and words of 32 bits of a row of them, with what is unused.
DEPTH = 32
WORDS = DEPTH // 2
PITCH = WORDS + 4
ROWS, COLUMNS, STEPS = 16, 8, 16
# Warps of a block side by side, by the side of a tile.
_ACROSS = {32: 4, 64: 2, 128: 2}


class TensorTiles:
    """Tiles whose products warps add up by tensor cores."""

    how = ", by tensor cores"

    def __init__(self, text: ProductText) -> None:
        self.text = text
        self.function = f"mma_{text.buffers[0].dtype.name}"
        self.cut = text.cut
        self.line = text.line
        across = _ACROSS[self.cut.side]
        self.across = across
        down = THREADS // WARP // across
        # How many products a warp does below and beside each other.
        self.high = self.cut.side // (down * ROWS)
        self.wide = self.cut.side // (across * COLUMNS)

    def begin(self) -> None:
        """What a lane is, and the room of the tiles."""
        self.line(f"warp, quad, turn = lane // {WARP}, lane % {WARP} // 4, lane % 4")
        self.line(f"own_row = {ROWS * self.high} * (warp // {self.across}) + quad")
        self.line(f"own_column = {COLUMNS * self.wide} * (warp % {self.across})")
        for side in ("left", "right"):
            self.line(f"{side}_tile = cuda.shared.array({self.cut.side * PITCH}, uint32)")

    def cells(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Rows that a thread has parts of, and the columns and sums of each."""
        found: list[tuple[str, list[tuple[str, str]]]] = []
        for i in range(self.high):
            for below in range(2):
                columns = [
                    (
                        f"column + own_column + {COLUMNS * j + beside} + 2 * turn",
                        f"sum_{i}_{j}_{2 * below + beside}",
                    )
                    for j in range(self.wide)
                    for beside in range(2)
                ]
                found.append((f"row + own_row + {ROWS * i + 8 * below}", columns))
        return found

    def fill(self, side: str, extent: int, outside: bool) -> None:
        """Bring an operand's part to shared memory, two neighbours along the steps in a word."""
        first, words = {"left": "row", "right": "column"}[side], WORDS
        self.line(f"for k in range({self.cut.side * words // THREADS}):", 2)
        fast = words if outside else self.cut.side
        names = ("pair", "place") if outside else ("place", "pair")
        self.line(f"{names[0]} = (lane + {THREADS} * k) % {fast}", 3)
        self.line(f"{names[1]} = (lane + {THREADS} * k) // {fast}", 3)
        for half in ("low", "high"):
            self.line(f"step = 2 * pair{' + 1' if half == 'high' else ''}", 3)
            self.line("value = uint16(0)", 3)
            self.line(f"if start + step < end and {first} + place < {extent}:", 3)
            self.text.load(side, f"{first} + place", outside)
            self.line(f"{half} = value", 3)
        both = "uint32(low) | (uint32(high) << uint32(16))"
        self.line(f"{side}_tile[{PITCH} * place + pair] = uint32({both})", 3)

    def multiply(self) -> None:
        """A warp adds the products of its parts of both tiles."""
        self.line(f"for part_of in range({DEPTH // STEPS}):", 2)
        self.line(f"at = {STEPS // 2} * part_of + turn", 3)
        for i in range(self.high):
            for k, (below, on) in enumerate(((0, 0), (8, 0), (0, 4), (8, 4))):
                row = f"own_row + {ROWS * i + below}"
                self.line(f"a_{i}_{k} = left_tile[{PITCH} * ({row}) + at + {on}]", 3)
        for j in range(self.wide):
            for k, on in enumerate((0, 4)):
                column = f"own_column + {COLUMNS * j} + quad"
                self.line(f"b_{k} = right_tile[{PITCH} * ({column}) + at + {on}]", 3)
            for i in range(self.high):
                sums = ", ".join(f"sum_{i}_{j}_{k}" for k in range(4))
                given = ", ".join(f"a_{i}_{k}" for k in range(4))
                self.line(f"{sums} = {self.function}({given}, b_0, b_1, {sums})", 3)


class RoundedTiles(TensorTiles):
    """Tiles of float32 that is rounded to TF32 on its way to shared memory."""

    how = ", by tensor cores, of numbers rounded to TF32"

    def __init__(self, text: ProductText) -> None:
        super().__init__(text)
        self.function = "mma_tf32"

    def fill(self, side: str, extent: int, outside: bool) -> None:
        """Bring an operand's part to shared memory, a number in a word."""
        first = {"left": "row", "right": "column"}[side]
        self.line(f"for k in range({self.cut.side * WORDS // THREADS}):", 2)
        fast = WORDS if outside else self.cut.side
        names = ("step", "place") if outside else ("place", "step")
        self.line(f"{names[0]} = (lane + {THREADS} * k) % {fast}", 3)
        self.line(f"{names[1]} = (lane + {THREADS} * k) // {fast}", 3)
        self.line(f"value = {self.text.ops.constant(0, self.text.sums)}", 3)
        self.line(f"if start + step < end and {first} + place < {extent}:", 3)
        self.text.load(side, f"{first} + place", outside)
        self.line(f"{side}_tile[{PITCH} * place + step] = to_tf32(value)", 3)

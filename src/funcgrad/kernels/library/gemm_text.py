"""Text of the functions that large matrix products share.

    blocks:   blocks of rows of a result, each over the blocks of the contraction and the panels
    tiles:    the tiles of one panel, sums of outer products held in registers
    pack, or turn where the right side is transposed:
              rows of a right side brought into panels

Extents, strides and blocks come from memory (`Numbers`), so a program has one of each at most for a
type of number, however many products it has: LLVM takes as long for one of these as for a hundred
kernels of a few lines. What a product has of its own is a call with its numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache

from .conv_code import Code, Value
from .conv_micro import Ahead, Level, Tile, outer_products
from .conv_tiles import registers

# Vectors of a panel's row.
WIDE = 3
# Steps of the contraction in an item of the packing.
STEPS = 32
# Bytes of a block of the left side that is copied, which the stack has room for; tiles of few steps
# need an eighth more to lie apart.
COPY = 1 << 17

# The numbers of a product, and of its packing: `row` and `step` are the distances of the left
# side's rows and of steps of the contraction, `tile_row`, `tile_step`, `tile` those of the tiles
# that are read, `pitch` that of the result's rows; `depth` and `row_block` are extents of blocks,
# `apart` and `per_block` the distances of panels and of blocks of panels; `share` is what a tile
# fetches of the next panel in a step, `copies` whether the left side is copied, `adds` whether the
# product is added to what is there, `axes` the number of batch axes, whose extents and strides
# follow.
PRODUCT = (
    "m n k row step tile_row tile_step tile pitch depth row_block blocks apart per_block share "
    "copies adds axes"
).split()
PACKING = "n k column turn depth per_block apart items axes".split()


def rows_of(vector_bits: int) -> int:
    """Rows of a tile: with three vectors they fill the registers, and divide blocks of others."""
    return registers(vector_bits) // 4


def numbers_text(
    fields: Sequence[str],
    numbers: Mapping[str, int],
    axes: Sequence[tuple[int, int, int, int]],
) -> tuple[str, str]:
    """The name and the text of the memory of a product's numbers.

    Args:
        axes: extent and three strides of the batch axes.
    """
    values = [len(axes) if f == "axes" else numbers[f] for f in fields]
    for axis in reversed(axes):
        values += axis
    words = ", ".join(f"i64 {v}" for v in values)
    name = f"sizes_{hashlib.sha256(words.encode()).hexdigest()[:16]}"
    return name, f"@{name} = private constant [{len(values)} x i64] [{words}]"


def call_text(name: str, function: str, sizes: str, more: Sequence[str] = ()) -> str:
    """The text of the function of the kernel ABI that calls a shared one with its numbers."""
    rest = "".join(f", ptr @{x}" for x in (sizes, *more))
    return (
        f"define void @{name}(ptr %args, i64 %lo, i64 %hi) nounwind {{\nentry:\n"
        f"  call void @{function}(ptr %args, i64 %lo, i64 %hi{rest})\n  ret void\n}}\n"
    )


@cache
def shared(name: str, dtype: str, vector_bits: int) -> tuple[str, tuple[str, ...]]:
    """The text of the shared function of a name, and what it needs in its module."""
    code, rows = Code(dtype, vector_bits), rows_of(vector_bits)
    what = name.split("_")[1]
    if what == "blocks":
        text = blocks_text(code, name, rows)
    elif what in ("pack", "turn"):
        text = (pack_text if what == "pack" else turn_text)(code, name)
    else:
        text = tiles_text(code, name, rows, int(what.removeprefix("tiles")))
    return text, code.declarations


class Numbers:
    """The numbers of a product in registers."""

    def __init__(self, code: Code, fields: Sequence[str]) -> None:
        self.code, self.fields = code, fields
        self.known: dict[str, str] = {}

    def __getitem__(self, field: str) -> str:
        if field not in self.known:
            first, number = self.code.writer.first, self.fields.index(field)
            place = first(f"getelementptr i64, ptr %sizes, i64 {number}")
            self.known[field] = first(f"load i64, ptr {place}, align 8")
        return self.known[field]

    def at(self, number: Value) -> str:
        """A number by its place."""
        writer = self.code.writer
        place = writer.value(f"getelementptr i64, ptr %sizes, i64 {number}")
        return writer.value(f"load i64, ptr {place}, align 8")

    def offsets(self, number: Value) -> list[str]:
        """Where the operands of product `number` of the batch begin."""
        code = self.code
        first = [("i64", str(number)), *[("i64", "0")] * 3]
        with code.writer.loop("0", self["axes"], 1, first) as axis:
            rest, *starts = axis.carried
            place = code.add(code.mul(axis.index, 4), len(self.fields))
            extent, *strides = (self.at(code.add(place, i)) for i in range(4))
            index = code.rem(rest, extent)
            moved = [code.add(s, code.mul(index, d)) for s, d in zip(starts, strides, strict=True)]
            axis.next = [str(x) for x in (code.div(rest, extent), *moved)]
        return axis.results[1:]


def blocks_text(code: Code, name: str, rows: int) -> str:
    """The function that computes blocks of rows from a left side and packed panels.

    Args:
        rows: of a tile.
    """
    s, width = Numbers(code, PRODUCT), WIDE * code.lanes
    bases = [code.argument(i) for i in range(3)]
    room = code.room((COPY + COPY // 8) // code.size)
    copies = code.writer.first(f"icmp ne i64 {s['copies']}, 0")
    with code.writer.loop("%lo", "%hi", 1) as chunk:
        number, block = code.div(chunk.index, s["blocks"]), code.rem(chunk.index, s["blocks"])
        a, b, c = s.offsets(number)
        row = code.mul(block, s["row_block"])
        left = code.at(bases[0], code.add(a, code.mul(row, s["row"])))
        out = code.at(bases[2], code.add(c, code.mul(row, s["pitch"])))
        high = code.least(code.sub(s["m"], row), s["row_block"])
        first, columns = code.at(bases[1], b), s["n"]
        with code.writer.loop("0", s["k"], s["depth"], [("ptr", first)]) as over:
            depth = code.least(code.sub(s["k"], over.index), s["depth"])
            here = code.at(left, code.mul(over.index, s["step"]))
            with code.writer.when(copies):
                _copy_left(code, s, rows, here, room, high, depth)
            here = code.writer.value(f"select i1 {copies}, ptr {room}, ptr {here}")
            before = code.writer.value(f"or i64 {over.index}, {s['adds']}")
            adds = code.writer.value(f"icmp ne i64 {before}, 0")
            (panel,) = over.carried
            with code.writer.loop("0", columns, width, [("ptr", panel)]) as along:
                wide = code.least(code.sub(columns, along.index), width)
                whole = code.writer.value(f"icmp eq i64 {wide}, {width}")
                tiles = code.writer.value(f"select i1 {whole}, ptr %whole, ptr %rest")
                code.writer.line(
                    f"call void {tiles}(ptr {here}, ptr {along.carried[0]}, "
                    f"ptr {code.at(out, along.index)}, ptr %sizes, i64 {high}, i64 {depth}, "
                    f"i64 {wide}, i1 {adds})"
                )
                along.next = [code.at(along.carried[0], s["apart"])]
            over.next = [code.at(panel, s["per_block"])]
    return code.function(name, "ptr %args, i64 %lo, i64 %hi, ptr %sizes, ptr %whole, ptr %rest")


def _copy_left(
    code: Code, s: Numbers, rows: int, source: str, room: str, high: Value, depth: Value
) -> None:
    """A left side's block as tiles, each one's columns one behind the other."""
    whole = code.mul(code.div(high, rows), rows)
    with code.loop(0, depth) as i:
        line = code.at(source, code.mul(i, s["step"]))
        first = code.at(room, code.mul(i, rows))
        with code.writer.loop("0", str(whole), rows, [("ptr", first)]) as tile:
            (into,) = tile.carried
            code.copy(into, code.at(line, tile.index), rows, 1, 1)
            tile.next = [code.at(into, s["tile"])]
        (into,) = tile.results
        with code.loop(whole, high) as row:
            code.store(code.load(line, row), into, code.sub(row, whole))


def tiles_text(code: Code, name: str, rows: int, vectors: int) -> str:
    """The function that computes the tiles of one panel, over a block of the contraction.

    Rows that a last tile has not are read as its first one and not stored.
    """
    s, lanes, width = Numbers(code, PRODUCT), code.lanes, vectors * code.lanes
    room = code.room(rows * width)
    lines_at = [code.mul(s["pitch"], t) for t in range(rows)]
    rows_at = [code.mul(s["tile_row"], t) for t in range(rows)]
    ahead = code.at("%panel", s["apart"])
    with code.writer.loop("0", "%rows", rows, [("ptr", "%left"), ("ptr", "%out")]) as tile:
        left, out = tile.carried
        number = code.div(tile.index, rows)
        fetched = code.at(ahead, code.mul(code.mul(number, s["share"]), "%depth"))
        high = code.least(code.sub("%rows", tile.index), rows)
        there = [code.writer.value(f"icmp sgt i64 {high}, {t}") for t in range(rows)]
        chosen = code.chosen
        lines = [code.at(out, chosen(*x, 0)) for x in zip(there, lines_at, strict=True)]
        for line in lines:
            for start in sorted({*range(0, width, 64 // code.size), width - 1}):
                code.prefetch(line, start, 1)
        places = tuple(chosen(*x, 0) for x in zip(there, rows_at, strict=True))
        held = Tile(places, tuple(range(0, width, lanes)), lanes)
        levels = [Level("%depth", s["tile_step"], WIDE * lanes)]
        sums = outer_products(code, held, levels, left, "%panel", [Ahead(fetched, s["share"])])
        _store(code, sums, lines, room, high, width)
        tile.next = [code.at(left, s["tile"]), code.at(out, code.mul(s["pitch"], rows))]
    params = "ptr %left, ptr %panel, ptr %out, ptr %sizes, i64 %rows, i64 %depth, i64 %columns"
    return code.function(name, f"{params}, i1 %adds")


def _store(
    code: Code, sums: list[str], lines: list[str], room: str, high: Value, width: int
) -> None:
    """Sums stored or added to what is there, one by one where the tile is not whole."""
    writer, lanes = code.writer, code.lanes
    rows, vectors = len(lines), width // lanes
    places = [divmod(number, vectors) for number in range(len(sums))]
    tall = writer.value(f"icmp eq i64 {high}, {rows}")
    wide = writer.value(f"icmp eq i64 %columns, {width}")
    whole = writer.value(f"and i1 {tall}, {wide}")
    part = writer.value(f"xor i1 {whole}, true")
    later = writer.value(f"and i1 {whole}, %adds")
    first = writer.value(f"xor i1 {later}, {whole}")
    with writer.when(first):
        for (t, vector), value in zip(places, sums, strict=True):
            code.store(value, lines[t], vector * lanes, lanes)
    with writer.when(later):
        for (t, vector), value in zip(places, sums, strict=True):
            total = code.sum(code.load(lines[t], vector * lanes, lanes), value, lanes)
            code.store(total, lines[t], vector * lanes, lanes)
    with writer.when(part):
        for (t, vector), value in zip(places, sums, strict=True):
            code.store(value, room, t * width + vector * lanes, lanes)
        with code.loop(0, high) as i:
            line = code.at(lines[0], code.mul(i, Numbers(code, PRODUCT)["pitch"]))
            with code.loop(0, "%columns") as j:
                value = code.load(code.at(room, code.mul(i, width)), j)
                total = code.sum(code.load(line, j), value)
                kind = code.vector(1)
                chosen = writer.value(f"select i1 %adds, {kind} {total}, {kind} {value}")
                code.store(chosen, line, j)


@contextmanager
def _items(code: Code) -> Generator[tuple[str, str, Value, Numbers]]:
    """The items of a packing: source, target and how many steps of the contraction."""
    s, width = Numbers(code, PACKING), WIDE * code.lanes
    right, panels = code.argument(0), code.argument(1)
    with code.writer.loop("%lo", "%hi", 1) as item:
        number, place = code.div(item.index, s["items"]), code.rem(item.index, s["items"])
        b, into, _ = s.offsets(number)
        start, depth = code.mul(place, STEPS), s["depth"]
        block = code.mul(code.div(start, depth), s["per_block"])
        row = code.mul(code.rem(start, depth), width)
        source = code.at(right, code.add(b, code.mul(start, s["turn"])))
        target = code.at(panels, code.add(into, block, row))
        yield source, target, code.least(code.sub(s["k"], start), STEPS), s


def pack_text(code: Code, name: str) -> str:
    """The function that copies `STEPS` rows of a right side into panels."""
    lanes, width = code.lanes, WIDE * code.lanes
    with _items(code) as (source, target, steps, s):
        n = s["n"]
        whole = code.mul(code.div(n, width), width)
        with code.loop(0, steps) as i:
            line = code.at(source, code.mul(i, s["turn"]))
            first = code.at(target, code.mul(i, width))
            with code.writer.loop("0", str(whole), width, [("ptr", first)]) as column:
                (into,) = column.carried
                here = code.at(line, column.index)
                for v in range(0, width, lanes):
                    code.store(code.load(here, v, lanes), into, v, lanes)
                column.next = [code.at(into, s["apart"])]
            (into,) = column.results
            with code.loop(whole, n, width):
                for v in range(0, width, lanes):
                    code.store(code.zero(lanes), into, v, lanes)
            vectors = code.mul(code.div(n, lanes), lanes)
            for first_, last, lanes_ in ((whole, vectors, lanes), (vectors, n, 1)):
                with code.loop(first_, last, lanes_) as j:
                    code.store(code.load(line, j, lanes_), into, code.sub(j, whole), lanes_)
    return code.function(name, _PACKING_PARAMS)


def turn_text(code: Code, name: str) -> str:
    """The function that copies `STEPS` rows of a transposed right side into panels."""
    lanes, width = code.lanes, WIDE * code.lanes
    with _items(code) as (source, target, steps, s):
        n, column = s["n"], s["column"]
        whole = code.mul(code.div(steps, lanes), lanes)
        with code.writer.loop("0", n, width, [("ptr", source), ("ptr", target)]) as panel:
            here, into = panel.carried
            columns = code.least(code.sub(n, panel.index), width)
            squares = code.mul(code.div(columns, lanes), lanes)
            with code.loop(0, squares, lanes) as j, code.loop(0, whole, lanes) as i:
                square = code.at(here, code.add(code.mul(j, column), i))
                code.transpose(
                    square, column, code.at(into, code.add(code.mul(i, width), j)), width
                )
            _turn_rest(code, (here, column, into), steps, whole, columns, squares)
            panel.next = [code.at(here, code.mul(column, width)), code.at(into, s["apart"])]
    return code.function(name, _PACKING_PARAMS)


def _turn_rest(
    code: Code,
    sides: tuple[str, Value, str],
    steps: Value,
    whole: Value,
    columns: Value,
    squares: Value,
) -> None:
    """What is in no square, element by element, with zeros behind the last column."""
    writer, width = code.writer, WIDE * code.lanes
    here, column, into = sides
    missing = writer.value(f"icmp slt i64 {squares}, {width}")
    short = writer.value(f"icmp slt i64 {whole}, {steps}")
    with writer.when(writer.value(f"or i1 {missing}, {short}")), code.loop(0, steps) as i:
        outside = writer.value(f"icmp sge i64 {i}, {whole}")
        first = writer.value(f"select i1 {outside}, i64 0, i64 {squares}")
        line, row = code.at(here, i), code.at(into, code.mul(i, width))
        with code.loop(first, columns) as j:
            code.store(code.load(line, code.mul(j, column)), row, j)
        with code.loop(columns, width) as j:
            code.store(code.zero(1), row, j)


_PACKING_PARAMS = "ptr %args, i64 %lo, i64 %hi, ptr %sizes"

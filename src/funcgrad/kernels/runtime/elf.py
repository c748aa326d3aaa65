"""A loader of relocatable object code: ELF of 64 bits for x86-64, as LLVM writes it.

    [ sections that are read or run | jumps | addresses ]   becomes read and execute
    [ sections that are written                         ]   stays read and write

Sections are copied into memory one behind the other, and each place that the object names as open
is given the distance to, or the address of, what it calls for. What lies elsewhere in the process
may be too far for a distance of 32 bits: calls go to a jump through a table of
addresses, and loads read the table.

LLVM's own linker does the same for every format, after 50 ms of loading LLVM, which a process that
only runs what another one compiled has no use for.

Source: System V Application Binary Interface, chapters 4 and 5, and its supplement for AMD64,
table of relocation types.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

X86_64 = 62
# Of sections: kinds and flags.
SYMBOLS, RELOCATIONS, EMPTY = 2, 4, 8
WRITE, ALLOCATE = 1, 2
# Of symbols: the section of those that are elsewhere.
UNDEFINED = 0
# Of relocations: an address; a distance; one of a call; one of an entry in the table of addresses.
ADDRESS, DISTANCE, CALL, FAR_DISTANCE = 1, 2, 4, 24
ENTRIES = (9, 41, 42)
JUMP, PAGE = 8, mmap.PAGESIZE
# Who unwinds stacks reads it; compiled code throws nothing.
UNUSED = b".eh_frame"


class ForeignError(Exception):
    """The object is none that this loader can bring into memory."""


class Section(NamedTuple):
    """The head of a section, in the order in which the file has it."""

    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    item: int


class Symbol(NamedTuple):
    """A name: of an offset in a section, or of what is elsewhere."""

    name: str
    section: int
    offset: int


class Object(NamedTuple):
    """An object file that was read."""

    content: bytes
    sections: list[Section]
    names: list[str]
    symbols: list[Symbol]


def read(content: bytes) -> Object:
    """The sections and symbols of an object file.

    Raises:
        ForeignError: it is damaged, or not ELF for x86-64.
    """
    try:
        magic, kind, machine = content[:6], *struct.unpack_from("<HH", content, 16)
        if magic != b"\x7fELF\x02\x01" or (kind, machine) != (1, X86_64):
            raise ForeignError("It is not relocatable ELF code for x86-64.")
        (start,) = struct.unpack_from("<Q", content, 40)
        size, count, strings = struct.unpack_from("<HHH", content, 58)
        sections = [
            Section(*struct.unpack_from("<IIQQQQIIQQ", content, start + i * size))
            for i in range(count)
        ]
        for section in sections:
            if section.kind != EMPTY and section.offset + section.size > len(content):
                raise ForeignError("It ends within a section.")
        names = [_string(content, sections[strings].offset + s.name) for s in sections]
        symbols: list[Symbol] = []
        for section in sections:
            if section.kind == SYMBOLS:
                text = sections[section.link].offset
                held = content[section.offset : section.offset + section.size]
                for name, _, _, where, offset, _ in struct.iter_unpack("<IBBHQQ", held):
                    symbols.append(Symbol(_string(content, text + name), where, offset))
    except (struct.error, ValueError, IndexError) as error:
        raise ForeignError(f"It is damaged: {error}.") from error
    return Object(content, sections, names, symbols)


def _string(content: bytes, start: int) -> str:
    return content[start : content.index(0, start)].decode()


class Image:
    """Code in memory, which is given back when this object is collected.

    Attributes:
        addresses: of what it defines, by name.

    Raises:
        ForeignError: the object is damaged, or has what this loader does not know.
        KeyError: it needs what `outside` does not name.
    """

    def __init__(self, held: Object, outside: Mapping[str, int]) -> None:
        self._held, self._outside = held, outside
        self._places: dict[int, int] = {}
        fixed = self._place(0, writes=False)
        # Which symbols are in the table of addresses, and where.
        self._entries: dict[int, int] = {}
        for section in held.sections:
            for _, kind, number, _ in self._relocations(section):
                if kind in ENTRIES or held.symbols[number].section == UNDEFINED:
                    self._entries.setdefault(number, len(self._entries))
        self._jumps = -(-fixed // JUMP) * JUMP
        self._table = self._jumps + JUMP * len(self._entries)
        protected = -(-(self._table + 8 * len(self._entries)) // PAGE) * PAGE
        size = max(self._place(protected, writes=True), PAGE)
        try:
            self._memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except (OSError, OverflowError) as error:
            raise ForeignError(f"It asks for {size} bytes: {error}.") from error
        self._keeper = ctypes.c_char.from_buffer(self._memory)
        self._base = ctypes.addressof(self._keeper)
        image = bytearray(size)
        self._fill(image)
        self._memory[:] = bytes(image)
        if _protect(self._base, protected, mmap.PROT_READ | mmap.PROT_EXEC):
            raise ForeignError("The system does not allow memory that is executed.")
        self.addresses = {
            s.name: self._base + self._places[s.section] + s.offset
            for s in held.symbols
            if s.section in self._places
        }

    def _place(self, end: int, *, writes: bool) -> int:
        """Give the sections that are written, or the others, their places from `end` on."""
        held = self._held
        for number, section in enumerate(held.sections):
            kept = section.flags & ALLOCATE and held.names[number].encode() != UNUSED
            if kept and bool(section.flags & WRITE) == writes:
                step = max(section.align, 1)
                self._places[number] = -(-end // step) * step
                end = self._places[number] + section.size
        return end

    def _relocations(self, section: Section) -> Iterator[tuple[int, int, int, int]]:
        """Place, kind, symbol and addend of what a section tells of another that is kept."""
        if section.kind == RELOCATIONS and section.info in self._places:
            entries = section.size // 24 * 24
            content = self._held.content[section.offset : section.offset + entries]
            for offset, info, addend in struct.iter_unpack("<QQq", content):
                if info >> 32 >= len(self._held.symbols):
                    raise ForeignError("It is damaged: a relocation names no symbol.")
                yield offset, info & 0xFFFFFFFF, info >> 32, addend

    def _goal(self, number: int) -> int:
        """Where a symbol is, counted from the beginning."""
        symbol = self._held.symbols[number]
        if symbol.section == UNDEFINED:
            return self._outside[symbol.name] - self._base
        if symbol.section not in self._places:
            raise ForeignError(f"{symbol.name} is in a section that is not kept.")
        return self._places[symbol.section] + symbol.offset

    def _fill(self, image: bytearray) -> None:
        held = self._held
        for number, place in self._places.items():
            section = held.sections[number]
            if section.kind != EMPTY:
                content = held.content[section.offset : section.offset + section.size]
                image[place : place + section.size] = content
        for number, place in self._entries.items():
            entry, jump = self._table + 8 * place, self._jumps + JUMP * place
            struct.pack_into("<Q", image, entry, self._base + self._goal(number))
            # jmp [rip + distance], whose six bytes are followed by padding
            struct.pack_into("<BBi", image, jump, 0xFF, 0x25, entry - jump - 6)
        for section in held.sections:
            for offset, kind, number, addend in self._relocations(section):
                at = self._places[section.info] + offset
                format_, value = self._written(kind, number, at, addend)
                if offset + struct.calcsize(format_) > held.sections[section.info].size:
                    raise ForeignError("It is damaged: a relocation lies outside its section.")
                try:
                    struct.pack_into(format_, image, at, value)
                except struct.error as error:
                    raise ForeignError(f"It is damaged: {error}.") from error

    def _written(self, kind: int, number: int, at: int, addend: int) -> tuple[str, int]:
        """What a relocation writes, and how."""
        if kind in ENTRIES:
            return "<i", self._table + 8 * self._entries[number] + addend - at
        if kind == ADDRESS:
            return "<Q", self._base + self._goal(number) + addend
        outside = self._held.symbols[number].section == UNDEFINED
        if kind == CALL:
            jump = self._jumps + JUMP * self._entries[number] if outside else self._goal(number)
            return "<i", jump + addend - at
        if kind in (DISTANCE, FAR_DISTANCE) and not outside:
            return "<i" if kind == DISTANCE else "<q", self._goal(number) + addend - at
        raise ForeignError(f"It has a relocation of kind {kind}, which is unknown here.")


@cache
def _protect_of_system() -> Any:
    function = ctypes.CDLL(None).mprotect
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return function


def _protect(address: int, size: int, rights: int) -> int:
    return _protect_of_system()(address, size, rights)


def undefined(held: Object) -> list[str]:
    """The names that an object leaves open."""
    return [s.name for s in held.symbols if s.section == UNDEFINED and s.name]

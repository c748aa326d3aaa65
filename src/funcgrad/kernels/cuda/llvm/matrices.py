"""Tiles of 16-bit floats in NVVM's language: fetches from shared memory, copies to it.

In: the arguments of a call. Out: lines. Addresses of shared memory have 32 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ..instructions import COPY, FETCHES, WAIT, Instruction
from .functions import Function
from .module import Call
from .values import KINDS, UINT32, Value


def _address(body: Function, pointer: Any, place: Any, kind: str) -> str:
    """Where an element is, as a number."""
    return body.made(f"ptrtoint {body.address(body.element(pointer, place))} to {kind}")


def _asm(code: Instruction, args: str, result: str) -> str:
    text = f'"{code.text}", "{code.constraints}"'
    return f"call {result} asm sideeffect {text}({args}) #1"


def _fetched(code: Instruction, body: Function, given: Sequence[Any]) -> list[Value]:
    """What a lane gets of four matrices."""
    kinds = [KINDS[k] for k in code.results]
    tiles, place = given
    args = f"i32 {_address(body, tiles, place, 'i32')}"
    return body.parts(body.made(_asm(code, args, "{i32, i32, i32, i32}")), kinds)


def _copied(body: Function, given: Sequence[Any]) -> list[Value]:
    """16 bytes on their way, or zeros."""
    tiles, place, source, at, there = given
    target, start = _address(body, tiles, place, "i32"), _address(body, source, at, "i64")
    size = body.result(UINT32, f"select {there.typed}, i32 16, i32 0")
    body.put(_asm(COPY, f"i32 {target}, i64 {start}, {size.typed}", "void"))
    return []


def _waited(body: Function, given: Sequence[Any]) -> list[Value]:
    """They have come."""
    body.put(_asm(WAIT, "", "void"))
    return []


MATRICES: dict[str, Call] = {
    **{name: partial(_fetched, code) for name, code in FETCHES.items()},
    "copy_16": _copied,
    "wait_copies": _waited,
}

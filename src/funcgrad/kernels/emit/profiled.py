"""A program that takes the time of each of its steps.

In: what a `ProgramEmitter` gets. Out: the text of a module whose program has one more result, the
record: int64 numbers, described by the places below. The one idea: this is another program than the
usual one, so that nobody else pays for a time stamp, or for asking whether one is wanted.

The record: how many events there were, when the program began and ended; then of each step the
number of its runs and their nanoseconds; then events (step, beginning, nanoseconds), as many as
there is room for.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ..program import Block, BlockStep, all_constants
from .program import FIRST_SLOT, ProgramEmitter

HEAD = 3
EVENTS = 8192
# The clock of Python's time.perf_counter_ns.
CLOCK = 8 if sys.platform == "darwin" else 1


def record_size(steps: int) -> int:
    """How many numbers the record of a program of so many steps has."""
    return HEAD + 2 * steps + 3 * EVENTS


class ProfiledEmitter(ProgramEmitter):
    """Writes the module of a program that times its steps.

    Attributes:
        timed: the steps by number, with the block each is in and the step around it.
    """

    def module(self) -> str:
        """The text of the module."""
        self.timed: list[tuple[BlockStep, Block, int]] = []
        self.around = -1
        inputs = len(all_constants(self.block)) + len(self.block.inputs)
        self.record = self._slot(FIRST_SLOT + inputs + len(self.block.outputs))
        text = super().module()
        return "\n".join([f"declare i32 @clock_gettime(i32, ptr)\n{_TEXT}", text]).replace(
            "FIRST_EVENT", str(HEAD + 2 * len(self.timed))
        )

    def run(self, block: Block, targets: Sequence[str]) -> None:
        """The steps of a block; around the outermost one the times of the whole."""
        whole = block is self.block
        if whole:
            clear = self.w.declare("llvm.memset.p0.i64", "void (ptr, i8, i64, i1)")
            size = "FIRST_EVENT"
            bytes_ = self.w.value(f"mul i64 {size}, 8")
            self.w.line(f"call void {clear}(ptr {self.record}, i8 0, i64 {bytes_}, i1 false)")
            self._stamp(1)
        super().run(block, targets)
        if whole:
            self._stamp(2)

    def follows(self, block: Block) -> dict[int, int]:
        """None: what runs as one would have one time."""
        return {}

    def _stamp(self, place: int) -> None:
        at = self.w.value(f"getelementptr i64, ptr {self.record}, i64 {place}")
        now = self.w.value("call i64 @fg_now()")
        self.w.line(f"store i64 {now}, ptr {at}")

    def step(self, block: Block, step: BlockStep) -> None:
        """One step of a block, between two time stamps."""
        around, number = self.around, len(self.timed)
        self.timed.append((step, block, around))
        self.around = number
        begin = self.w.value("call i64 @fg_now()")
        super().step(block, step)
        self.w.line(f"call void @fg_took(ptr {self.record}, i64 {number}, i64 {begin})")
        self.around = around


_TEXT = f"""
define internal i64 @fg_now() #0 {{
  %time = alloca [2 x i64]
  %code = call i32 @clock_gettime(i32 {CLOCK}, ptr %time)
  %seconds = load i64, ptr %time
  %rest.at = getelementptr i64, ptr %time, i64 1
  %rest = load i64, ptr %rest.at
  %whole = mul i64 %seconds, 1000000000
  %now = add i64 %whole, %rest
  ret i64 %now
}}

define internal void @fg_took(ptr %record, i64 %step, i64 %begin) #0 {{
  %now = call i64 @fg_now()
  %took = sub i64 %now, %begin
  %two = mul i64 %step, 2
  %place = add i64 %two, {HEAD}
  %count.at = getelementptr i64, ptr %record, i64 %place
  %count = load i64, ptr %count.at
  %count1 = add i64 %count, 1
  store i64 %count1, ptr %count.at
  %total.at = getelementptr i64, ptr %count.at, i64 1
  %total = load i64, ptr %total.at
  %total1 = add i64 %total, %took
  store i64 %total1, ptr %total.at
  %n = load i64, ptr %record
  %n1 = add i64 %n, 1
  store i64 %n1, ptr %record
  %room = icmp slt i64 %n, {EVENTS}
  br i1 %room, label %write, label %end
write:
  %three = mul i64 %n, 3
  %event = add i64 %three, FIRST_EVENT
  %step.at = getelementptr i64, ptr %record, i64 %event
  store i64 %step, ptr %step.at
  %begin.at = getelementptr i64, ptr %step.at, i64 1
  store i64 %begin, ptr %begin.at
  %took.at = getelementptr i64, ptr %step.at, i64 2
  store i64 %took, ptr %took.at
  br label %end
end:
  ret void
}}
"""

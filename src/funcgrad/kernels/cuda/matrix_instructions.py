"""Instructions for tiles of 16-bit floats that generated kernels name, for numba.cuda.

In: what makes intrinsics. Out: functions by name: matrices of 8 × 8 from shared memory to the
registers of a warp, copies of 16 bytes that nobody waits for, and waiting for them.
"""

from __future__ import annotations

from typing import Any

from .instructions import COPY, FETCHES, WAIT, Instruction


def matrix_instructions(intrinsic: Any, types: Any, ir: Any) -> dict[str, Any]:
    """The functions.

    Args:
        intrinsic: numba.cuda's decorator; `types`: Numba's types; `ir`: llvmlite's.
    """
    make = _Makers(intrinsic, types, ir)
    return {
        **{name: make.fetched(code) for name, code in FETCHES.items()},
        "copy_16": make.copied(),
        "wait_copies": make.waited(),
    }


class _Makers:
    def __init__(self, intrinsic: Any, types: Any, ir: Any) -> None:
        self.intrinsic = intrinsic
        self.types = types
        self.ir = ir
        self.word = ir.IntType(32)

    def _address(self, context: Any, builder: Any, kind: Any, array: Any, place: Any) -> Any:
        """Where an element is in shared memory, in 32 bits."""
        ir = self.ir
        first = context.make_array(kind)(context, builder, array).data
        shared = builder.addrspacecast(first, ir.PointerType(first.type.pointee, 3))
        size = ir.Constant(self.word, context.get_abi_sizeof(first.type.pointee))
        steps = builder.mul(builder.trunc(place, self.word), size)
        return builder.add(builder.ptrtoint(shared, self.word), steps)

    def fetched(self, fetch: Instruction) -> Any:
        """Four matrices of 8 × 8: each lane names a row, and gets two elements of each."""
        ir, types, word = self.ir, self.types, self.word

        def made(context: Any, tiles: Any, place: Any) -> Any:
            result = types.UniTuple(types.uint32, 4)

            def gen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                at = self._address(context, builder, signature.args[0], *args)
                shape = ir.FunctionType(ir.LiteralStructType([word] * 4), [word])
                given = f"{fetch.constraints},~{{memory}}"
                code = ir.InlineAsm(shape, fetch.text, given, side_effect=True)
                found = builder.call(code, [at])
                parts = [builder.extract_value(found, k) for k in range(4)]
                return context.make_tuple(builder, result, parts)

            return result(tiles, types.int64), gen

        return self.intrinsic(made)

    def copied(self) -> Any:
        """16 bytes from memory to shared memory, or zeros, while the thread goes on."""
        ir, types, word = self.ir, self.types, self.word

        def made(
            context: Any, tiles: Any, place: Any, pointer: Any, source: Any, there: Any
        ) -> Any:
            def gen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                target = self._address(context, builder, signature.args[0], args[0], args[1])
                source = builder.gep(args[2], [args[3]])
                there = builder.addrspacecast(source, ir.PointerType(source.type.pointee, 1))
                given = builder.ptrtoint(there, ir.IntType(64))
                size = builder.select(args[4], ir.Constant(word, 16), ir.Constant(word, 0))
                shape = ir.FunctionType(ir.VoidType(), [word, given.type, word])
                clobbers = f"{COPY.constraints},~{{memory}}"
                code = ir.InlineAsm(shape, COPY.text, clobbers, side_effect=True)
                builder.call(code, [target, given, size])
                return context.get_dummy_value()

            return types.void(tiles, types.int64, pointer, types.int64, types.boolean), gen

        return self.intrinsic(made)

    def waited(self) -> Any:
        """The thread's copies have come."""
        ir, types = self.ir, self.types

        def made(context: Any) -> Any:
            def gen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                shape = ir.FunctionType(ir.VoidType(), [])
                code = ir.InlineAsm(shape, WAIT.text, "~{memory}", side_effect=True)
                builder.call(code, [])
                return context.get_dummy_value()

            return types.void(), gen

        return self.intrinsic(made)

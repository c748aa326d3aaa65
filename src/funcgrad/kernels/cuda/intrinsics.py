"""Instructions that generated kernels name and no text defines, for numba.cuda.

In: the module numba.cuda, handed over by `adapter`. Out: functions by name. Each is one or two
instructions: the bits of a number, halves, moves of 128 bits, a maximum that keeps NaN, atomics.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .words import ATOMICS

# A thread moves so many bytes in one instruction.
_MOVE = 16


def intrinsics(extending: Any, types: Any) -> dict[str, Any]:
    """Every function of `words.GIVEN`.

    Args:
        extending: the module numba.cuda.extending; `types`: Numba's types.
    """
    ir: Any = import_module("llvmlite.ir")
    make = _Makers(extending.intrinsic, types, ir)
    f32, f64, u16, u32, u64 = (
        getattr(types, name) for name in ("float32", "float64", "uint16", "uint32", "uint64")
    )
    found = {
        "as_float32": make.bits(u32, f32),
        "as_float64": make.bits(u64, f64),
        "as_uint32": make.bits(f32, u32),
        "as_uint64": make.bits(f64, u64),
        # LLVM's type of halves is not in NVVM's language.
        "from_float16": make.assembled("cvt.f32.f16 $0, $1;", "=f,h", f32, u16),
        "to_float16": make.assembled("cvt.rn.f16.f32 $0, $1;", "=h,f", u16, f32),
        "maximum_float32": make.assembled("max.NaN.f32 $0, $1, $2;", "=f,f,f", f32, f32, f32),
        "minimum_float32": make.assembled("min.NaN.f32 $0, $1, $2;", "=f,f,f", f32, f32, f32),
        "mma_float16": make.matrices("f16"),
        "mma_bfloat16": make.matrices("bf16"),
        "aligned": make.pointer_test(),
    }
    for op, name in ATOMICS:
        found[f"atomic_{op}_{name}"] = make.atomic(op, getattr(types, name))
    for count in (2, 4, 8):
        found[f"load_{count}"] = make.moved(count, load=True)
        found[f"store_{count}"] = make.moved(count, load=False)
    return found


class _Makers:
    def __init__(self, intrinsic: Any, types: Any, ir: Any) -> None:
        self.intrinsic = intrinsic
        self.types = types
        self.ir = ir

    def bits(self, source: Any, target: Any) -> Any:
        """The bits of a number as another type of the same width."""

        def made(context: Any, x: Any) -> Any:
            def gen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                return builder.bitcast(args[0], context.get_value_type(target))

            return target(source), gen

        return self.intrinsic(made)

    def assembled(self, instruction: str, registers: str, target: Any, *sources: Any) -> Any:
        """An instruction that LLVM has no name for; what it is given is converted first."""
        ir = self.ir

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            types = [context.get_value_type(t) for t in (target, *sources)]
            kind = ir.FunctionType(types[0], types[1:])
            return builder.call(ir.InlineAsm(kind, instruction, registers), args)

        # Numba reads the number of arguments off the function.
        def one(context: Any, x: Any) -> Any:
            return target(*sources), code

        def two(context: Any, x: Any, y: Any) -> Any:
            return target(*sources), code

        return self.intrinsic(one if len(sources) == 1 else two)

    def moved(self, count: int, load: bool) -> Any:
        """Neighbours from memory to a thread's own array, or back, 16 bytes at once."""
        ir, types = self.ir, self.types

        def made(context: Any, pointer: Any, place: Any, room: Any) -> Any:
            def gen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                array = context.make_array(signature.args[2])(context, builder, args[2])
                kind = context.get_data_type(pointer.dtype)
                size = context.get_abi_sizeof(kind)
                each = min(max(_MOVE // size, 1), count)
                move = ir.VectorType(kind, each)
                if size < 4 <= each * size:
                    # Small numbers are moved as words: only those are moved four at once.
                    move = ir.VectorType(ir.IntType(32), each * size // 4)
                vector = ir.PointerType(move)
                for k in range(0, count, each):
                    step = ir.Constant(ir.IntType(64), k)
                    outside = builder.gep(args[0], [builder.add(args[1], step)])
                    inside = builder.gep(array.data, [step])
                    ends = [builder.bitcast(p, vector) for p in (outside, inside)]
                    source, target = ends if load else ends[::-1]
                    align = each * size
                    builder.store(builder.load(source, align=align), target, align=align)
                return context.get_dummy_value()

            return types.void(pointer, types.int64, room), gen

        return self.intrinsic(made)

    def matrices(self, kind: str) -> Any:
        """What a warp multiplies by tensor cores: 16 × 16 times 16 × 8 of 16-bit floats.

        Its lanes give four words, two words and four sums, and get four sums.
        """
        ir, types = self.ir, self.types
        word, single = types.uint32, types.float32
        text = (
            f"mma.sync.aligned.m16n8k16.row.col.f32.{kind}.{kind}.f32 "
            "{$0,$1,$2,$3}, {$4,$5,$6,$7}, {$8,$9}, {$10,$11,$12,$13};"
        )
        registers = ",".join(["=f"] * 4 + ["r"] * 6 + ["f"] * 4)

        def made(
            context: Any,
            a0: Any,
            a1: Any,
            a2: Any,
            a3: Any,
            b0: Any,
            b1: Any,
            c0: Any,
            c1: Any,
            c2: Any,
            c3: Any,
        ) -> Any:
            result = types.UniTuple(single, 4)

            def gen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                float_type = ir.FloatType()
                shape = ir.FunctionType(
                    ir.LiteralStructType([float_type] * 4), [a.type for a in args]
                )
                code = ir.InlineAsm(shape, text, registers, side_effect=True)
                found = builder.call(code, args)
                parts = [builder.extract_value(found, k) for k in range(4)]
                return context.make_tuple(builder, result, parts)

            return result(*[word] * 6, *[single] * 4), gen

        return self.intrinsic(made)

    def atomic(self, op: str, kind: Any) -> Any:
        """An operation on an element in memory that nobody else comes between."""
        ir, types = self.ir, self.types
        bits = kind.bitwidth
        letter = "f" if kind in (types.float32, types.float64) else "s" if kind.signed else "u"
        # There is one addition of whole numbers, which wraps, with or without a sign.
        letter = "u" if op == "add" and letter == "s" else letter
        register = ("f" if bits == 32 else "d") if letter == "f" else "r" if bits == 32 else "l"

        def made(context: Any, pointer: Any, place: Any, x: Any) -> Any:
            def gen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                where = builder.ptrtoint(builder.gep(args[0], [args[1]]), ir.IntType(64))
                shape = ir.FunctionType(ir.VoidType(), [where.type, args[2].type])
                text = f"red.relaxed.gpu.{op}.{letter}{bits} [$0], $1;"
                code = ir.InlineAsm(shape, text, f"l,{register},~{{memory}}", side_effect=True)
                builder.call(code, [where, args[2]])
                return context.get_dummy_value()

            return types.void(pointer, types.int64, kind), gen

        return self.intrinsic(made)

    def pointer_test(self) -> Any:
        """Whether an address is a multiple of 16."""
        ir, types = self.ir, self.types

        def made(context: Any, pointer: Any) -> Any:
            def gen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                address = builder.ptrtoint(args[0], ir.IntType(64))
                low = builder.and_(address, ir.Constant(ir.IntType(64), _MOVE - 1))
                return builder.icmp_unsigned("==", low, ir.Constant(ir.IntType(64), 0))

            return types.boolean(pointer), gen

        return self.intrinsic(made)

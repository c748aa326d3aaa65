"""Instructions that generated kernels name and no text defines, for numba.cuda.

In: the module numba.cuda, handed over by `with_numba`. Out: functions by name. Each is one or two
instructions: the bits of a number, moves of 128 bits, atomics, words
that blocks tell each other, and those of `instructions`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .instructions import INSTRUCTIONS, Instruction
from .matrix_instructions import matrix_instructions
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
    f32, f64, u32, u64 = (
        getattr(types, name) for name in ("float32", "float64", "uint32", "uint64")
    )
    found = {
        "as_float32": make.bits(u32, f32),
        "as_float64": make.bits(u64, f64),
        "as_uint32": make.bits(f32, u32),
        "as_uint64": make.bits(f64, u64),
        **{name: make.assembled(code) for name, code in INSTRUCTIONS.items()},
        "aligned": make.pointer_test(),
        **matrix_instructions(extending.intrinsic, types, ir),
    }
    for op, name in ATOMICS:
        found[f"atomic_{op}_{name}"] = make.atomic(op, getattr(types, name))
    found["next_number"] = make.looked("atom.add.relaxed.gpu.u64 $0, [$1], 1;", types.int64)
    found["word_at"] = make.looked("ld.relaxed.gpu.u64 $0, [$1];", types.uint64)
    found["put_word"] = make.put()
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

    def assembled(self, code: Instruction) -> Any:
        """An instruction of PTX; what it is given is converted first."""
        ir, types = self.ir, self.types
        operands = [getattr(types, name) for name in code.operands]
        results = [getattr(types, name) for name in code.results]
        result = results[0] if len(results) == 1 else types.Tuple(results)

        def gen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kinds = [context.get_value_type(t) for t in results]
            whole = kinds[0] if len(kinds) == 1 else ir.LiteralStructType(kinds)
            shape = ir.FunctionType(whole, [context.get_value_type(t) for t in operands])
            text = ir.InlineAsm(shape, code.text, code.constraints, side_effect=code.together)
            found = builder.call(text, args)
            if len(kinds) == 1:
                return found
            parts = [builder.extract_value(found, k) for k in range(len(kinds))]
            return context.make_tuple(builder, result, parts)

        # Numba reads the number of arguments off the function.
        names = ", ".join(f"x{k}" for k in range(len(operands)))
        made = eval(f"lambda context, {names}: made", {"made": (result(*operands), gen)})
        return self.intrinsic(made)

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

    def looked(self, text: str, kind: Any) -> Any:
        """What lies in a word that other blocks change meanwhile."""
        ir = self.ir

        def made(context: Any, pointer: Any, place: Any) -> Any:
            def gen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                where = builder.ptrtoint(builder.gep(args[0], [args[1]]), ir.IntType(64))
                shape = ir.FunctionType(ir.IntType(64), [where.type])
                code = ir.InlineAsm(shape, text, "=l,l,~{memory}", side_effect=True)
                return builder.call(code, [where])

            return kind(pointer, self.types.int64), gen

        return self.intrinsic(made)

    def put(self) -> Any:
        """Change a word that other blocks look at meanwhile."""
        ir, types = self.ir, self.types

        def made(context: Any, pointer: Any, place: Any, word: Any) -> Any:
            def gen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                where = builder.ptrtoint(builder.gep(args[0], [args[1]]), ir.IntType(64))
                shape = ir.FunctionType(ir.VoidType(), [where.type, args[2].type])
                text = "st.relaxed.gpu.u64 [$0], $1;"
                code = ir.InlineAsm(shape, text, "l,l,~{memory}", side_effect=True)
                builder.call(code, [where, args[2]])
                return context.get_dummy_value()

            return types.void(pointer, types.int64, types.uint64), gen

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

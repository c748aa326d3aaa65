"""Equal expressions of a kernel are one, but for what is read again after it was written."""

import numpy as np

from funcgrad.ir.loops import Affine, Axis, Const, Load, apply, axis_index
from funcgrad.ir.nests import Buffer, For, Store
from funcgrad.kernels.sharing import Shared

F32 = np.dtype(np.float32)


def test_equal_expressions_are_one_object():
    source, target, other = (Buffer((8,), F32, name) for name in "abc")
    axis = Axis(8)

    def value():
        return apply("mul", Load(source, (axis_index(axis),), F32, None), Const(np.float32(2), F32))

    first, second = (
        Store(target, (axis_index(axis),), value()),
        Store(other, (axis_index(axis),), apply("add", value(), value())),
    )
    Shared({target, other}).run([For(axis, [first, second])])
    assert second.value.args[0] is second.value.args[1] is first.value


def test_zeros_of_both_signs_stay_apart():
    shared = Shared(set())
    assert shared(Const(0.0, F32)) is shared(Const(np.float32(0), F32))
    assert shared(Const(0.0, F32)) is not shared(Const(-0.0, F32))
    assert shared(Const(0, F32)) is not shared(Const(0, np.dtype(np.int32)))


def test_what_is_written_is_read_anew():
    buffer = Buffer((8,), F32, "a")
    loads = [Load(buffer, (Affine(3),), F32, None) for _ in range(2)]
    shared = Shared({buffer})
    assert shared(loads[0]) is not shared(loads[1])

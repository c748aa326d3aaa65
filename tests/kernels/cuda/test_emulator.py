"""What a GPU leaves undefined is found, and loops are shared only where turns are apart."""

import numpy as np
import pytest

from funcgrad.ir.loops import Affine, Axis, Const, Load, axis_index, index_of
from funcgrad.ir.nests import Acc, Accumulate, Buffer, For, Store
from funcgrad.kernels.cuda.apart import independent
from funcgrad.kernels.cuda.emulator import Emulator
from funcgrad.kernels.cuda.hazards import Hazards, touched
from funcgrad.kernels.cuda.lanes import EmulationError

f4 = np.dtype(np.float32)


def launch(body, blocks=1, threads=64, size=64, aligned=True):
    text = "def k(a):\n" + "".join(f"    {line}\n" for line in body.strip().splitlines())
    a = np.arange(size, dtype=np.float32)
    Emulator(text, aligned).launch("k", blocks, threads, [a])
    return a


def test_lanes_do_their_own_element():
    got = launch("i = cuda.grid(1)\nif i < 60:\n    a[i] = a[i] * float32(2.0)")
    assert np.array_equal(got[:60], 2 * np.arange(60)) and np.array_equal(
        got[60:], [60, 61, 62, 63]
    )


def test_loops_end_for_each_lane_apart():
    got = launch("n = 0\nwhile n < cuda.threadIdx.x:\n    n += 3\na[cuda.threadIdx.x] = float32(n)")
    assert np.array_equal(got, -(-np.arange(64) // 3) * 3)


def test_shared_memory_after_a_barrier():
    got = launch(
        """
room = cuda.shared.array(64, float32)
i = cuda.threadIdx.x
room[i] = a[i]
cuda.syncthreads()
a[i] = room[63 - i]
"""
    )
    assert np.array_equal(got, np.arange(64)[::-1])


WRONG = {
    "two lanes write one element": "a[0] = float32(1.0)",
    "is outside of its 64 elements": "a[cuda.threadIdx.x + 1] = float32(1.0)",
    "while another one writes it": "i = cuda.threadIdx.x\na[i] = float32(1.0)\nx = a[63 - i]",
    "while another one reads it": "i = cuda.threadIdx.x\nx = a[63 - i]\na[i] = x",
    "others do not reach": "if cuda.threadIdx.x < 9:\n    cuda.syncthreads()",
    "some lanes of a warp only": "if cuda.threadIdx.x < 9:\n"
    "    x = cuda.shfl_xor_sync(0xFFFFFFFF, a[3], 1)",
    "where nobody wrote": "room = cuda.shared.array(64, float32)\nx = room[cuda.threadIdx.x]",
    "between two boundaries": "v = cuda.local.array(4, float32)\n"
    "if cuda.threadIdx.x == 0:\n    load_4(a, 2, v)",
    "given float64": "a[cuda.threadIdx.x] = float64(1.0) + a[cuda.threadIdx.x]",
}


@pytest.mark.parametrize("words", WRONG)
def test_what_is_undefined_is_found(words):
    with pytest.raises(EmulationError, match=words):
        launch(WRONG[words])


def test_a_barrier_of_warps_does_not_order_blocks():
    body = "i = cuda.threadIdx.x\na[i] = float32(1.0)\ncuda.syncwarp()\nx = a[{}]"
    launch(body.format("i - i % 32 + (i + 1) % 32"))
    with pytest.raises(EmulationError, match="another one writes"):
        launch(body.format("63 - i"))


def test_blocks_never_share_an_element():
    body = "if cuda.threadIdx.x == 0:\n    a[{}] = float32(1.0)\n    cuda.syncwarp"
    with pytest.raises(EmulationError, match="two lanes write"):
        launch(body.format("0").replace("\n    cuda.syncwarp", ""), blocks=2)


def test_wide_moves_need_alignment():
    with pytest.raises(EmulationError, match="not aligned"):
        launch("v = cuda.local.array(4, float32)\nload_4(a, 0, v)", threads=1, aligned=False)


# Which loops are shared.

i, j = Axis(8, "i"), Axis(4, "j")
x, y = Buffer((8, 4), f4, "x"), Buffer((8, 4), f4, "y")
one = Const(1.0, f4)


def at(*axes):
    return tuple(axis_index(a) for a in axes)


def test_loops_over_places_of_their_own_are_independent():
    inner = For(j, [Store(y, at(i, j), Load(x, at(i, j), f4, None))])
    assert independent(For(i, [inner])) and independent(inner)


def test_what_another_turn_writes_makes_a_loop_serial():
    before = (Affine(-1, {i: 1}), axis_index(j))
    loop = For(i, [For(j, [Store(y, at(i, j), Load(y, before, f4, None))])])
    assert not independent(loop)
    assert independent(loop.body[0])


def test_one_place_for_all_turns_makes_a_loop_serial():
    row = Buffer((4,), f4, "row")
    loop = For(i, [For(j, [Store(row, at(j), one, "add")])])
    assert not independent(loop) and independent(loop.body[0])


def test_windows_that_overlap_make_a_loop_serial():
    flat = Buffer((40,), f4, "flat")
    for step, apart in ((4, True), (3, False)):
        place = (Affine(0, {i: step, j: 1}),)
        assert independent(For(i, [For(j, [Store(flat, place, one)])])) is apart


def test_folds_may_be_shared_but_not_read_while_they_go():
    acc = Acc("add", f4, "acc")
    fold = Accumulate(acc, Load(x, at(i, j), f4, None))
    assert independent(For(j, [fold], [acc]))
    assert not independent(For(j, [fold, Store(y, at(i, j), acc)], [acc]))


def test_places_that_data_decides_make_a_loop_serial():
    where = Load(Buffer((8,), np.dtype(np.int64), "n"), at(i), np.dtype(np.int64), None)
    update = For(i, [For(j, [Store(y, (index_of(where), axis_index(j)), one)])])
    assert not independent(update) and independent(update.body[0])


# Barriers.


def test_the_same_lane_needs_no_barrier():
    hazards, k = Hazards(), Axis(4, "k")
    hazards.add(touched(For(j, [Store(y, at(i, j), one)]), True))
    assert not hazards.needed(
        touched(For(k, [Store(x, at(i, k), Load(y, at(i, k), f4, None))]), True)
    )
    back = (axis_index(i), Affine(3, {k: -1}))
    assert hazards.needed(touched(For(k, [Store(x, at(i, k), Load(y, back, f4, None))]), True))
    assert hazards.needed(touched(Store(x, at(i, j), Load(y, at(i, j), f4, None)), False))

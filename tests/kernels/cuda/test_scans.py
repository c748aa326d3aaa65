"""Running folds by blocks that wait for each other: every order of blocks gives the same bits."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.config import enable_x64
from funcgrad.kernels.cuda import scan_plan, scans
from funcgrad.kernels.cuda.emulated import emulate
from funcgrad.kernels.cuda.emulator import Emulator
from funcgrad.kernels.cuda.lanes import EmulationError

from .processor import Processors
from .running import both_ways, program_of, traced

LENGTH = 30_000


def numbers(dtype, *shape):
    drawn = np.random.default_rng(len(shape)).normal(size=shape)
    return (drawn * (30 if np.dtype(dtype).kind in "iu" else 1)).astype(dtype)


SUMS = {
    "float32": lambda x: fnp.cumsum(x),
    "int8": lambda x: lax.cummin(x, axis=0, reverse=True),
    "float64": lambda x: fnp.cumsum(x * 2),
    "int64": lambda x: lax.cumsum(x, axis=0, reverse=True),
    "bfloat16": lambda x: lax.cummax(x, axis=0),
}


@pytest.mark.parametrize("dtype", sorted(SUMS))
@pytest.mark.parametrize("group", [3, scan_plan.GROUP])
def test_every_order_of_blocks_gives_the_same_bits(dtype, group, monkeypatch):
    monkeypatch.setattr(scan_plan, "GROUP", group)
    monkeypatch.setattr(scans, "GROUP", group)
    with enable_x64(True):
        closed, inputs = traced(SUMS[dtype], numbers(getattr(fnp, dtype), LENGTH))
        program, (want,), found = both_ways(closed, inputs)
        assert [k.launch.kind for k in program.kernels] == ["map", "scan"]
        runs = [outs[0] for outs in found]
        runs += [emulate(program, inputs, seed=seed)[0].reshape(-1) for seed in (2, 3, 4)]
    for run in runs:
        assert run.tobytes() == runs[0].tobytes()
    np.testing.assert_allclose(
        runs[0].astype(np.float64), want.astype(np.float64), rtol=1e-4, atol=1e-3
    )
    if dtype in ("int8", "int64", "bfloat16"):
        assert runs[0].tobytes() == want.tobytes()


def launched(text, emulator=Emulator, clear=True, dtype="float32", **options):
    """A running fold of a long row by the kernels of a text."""
    x, out = numbers(dtype, LENGTH), np.zeros(LENGTH, dtype)
    program = program_of(SUMS[dtype], x)
    before, scan = (k.launch for k in program.kernels)
    told = np.full(before.told.size, 0xA5, np.uint64)
    run = emulator(text(program.text), **options)
    if clear:
        run.launch(before.name, before.blocks, before.threads, [told])
    run.launch(scan.name, scan.blocks, scan.threads, [x, out, told])
    return out


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_the_compiler_gives_the_same_bits(dtype):
    with enable_x64(True):
        emulated = launched(lambda text: text, dtype=dtype)
        compiled = launched(lambda text: text, Processors, dtype=dtype)
    assert emulated.tobytes() == compiled.tobytes()


def test_blocks_that_go_by_their_place_may_wait_for_ever():
    def by_place(text):
        assert "turn = number[0]" in text
        return text.replace("turn = number[0]", "turn = cuda.blockIdx.x")

    # The fifth, the second and the sixth of eight begin first, and wait for the others.
    with pytest.raises(EmulationError, match="have begun"):
        launched(by_place, seed=0)


def test_words_must_be_cleared():
    with pytest.raises(EmulationError, match=r"not cleared|outside"):
        launched(lambda text: text, clear=False)


def test_a_block_that_does_not_tell_is_found():
    def silent(text):
        return text.replace("tell_float32(k1_told, part, total)", "part = part")

    with pytest.raises(EmulationError, match="have begun"):
        launched(silent)


def test_a_word_is_touched_in_no_other_way():
    def plain(text):
        return text.replace("tell_float32(k1_told, part, total)", "k1_told[16 + part] = uint64(1)")

    with pytest.raises(EmulationError, match="while another one"):
        launched(plain)


def test_a_row_is_read_once():
    program = program_of(SUMS["float32"], numbers("float32", LENGTH))
    clear, scan = program.kernels
    x, out, told = (b.bytes for b in scan.params)
    assert (x, out) == (4 * LENGTH, 4 * LENGTH) and told <= x // 500 + 256
    assert sum(b.bytes for b in clear.params) == told


@pytest.mark.parametrize("shape", [(2, 9_000), (3, 4_097), (2, 64)])
def test_a_block_goes_through_a_row_in_turns(shape, monkeypatch):
    monkeypatch.setattr(scan_plan, "FEW_ROWS", 1)
    x = numbers("float32", *shape)
    program, (want,), found = both_ways(*traced(lambda x: fnp.cumsum(x, 1), x))
    assert [k.launch.kind for k in program.kernels] == ["scan"]
    assert found[0][0].tobytes() == found[1][0].tobytes()
    np.testing.assert_allclose(found[0][0], want, rtol=1e-4, atol=1e-3)


def test_repeated_calls_clear_what_blocks_told(gpu):
    x = numbers("float32", 2, 9_001)
    f = fg.jit(lambda x: fnp.cumsum(x, 1))
    there = fg.device_put(x, "gpu")
    outs = [np.asarray(f(there)) for _ in range(4)]
    # The first call is done as it is, the second one recorded, others repeat it.
    assert gpu.graphs == 1
    assert {out.tobytes() for out in outs} == {outs[0].tobytes()}
    np.testing.assert_allclose(outs[0], np.cumsum(x.astype(np.float64), 1), rtol=1e-4, atol=1e-3)


def test_sums_are_written_over_a_donated_row(gpu):
    x = numbers("float32", 9_001)
    f = fg.jit(lambda x: lax.cumsum(x, axis=0, reverse=True), donate_argnums=0)
    given = fg.device_put(x, "gpu")
    place = given.unsafe_buffer_pointer()
    out = f(given)
    assert given.is_deleted() and out.unsafe_buffer_pointer() == place
    want = np.cumsum(x[::-1].astype(np.float64))[::-1]
    np.testing.assert_allclose(out, want, rtol=1e-4, atol=1e-3)


# What is made of a running fold is stored by its kernel.


def doubled(fold, x):
    return fold(x) * 2


def with_the_fold(fold, x):
    y = fold(x)
    return y, y * x[..., ::-1]


def chained(fold, x):
    y = fold(x) + 1
    z = y * y
    return z - x, fnp.where(x > 0, z, y), y


def small_and_large(fold, x):
    # The dtype of the fold rounds before the product.
    return (fold(x.astype(fnp.bfloat16)) * fnp.bfloat16(3)).astype(fnp.float32)


FOLDS = {
    "rows": lambda x: lax.cumsum(x, axis=1),
    "rows backwards": lambda x: lax.cumsum(x, axis=1, reverse=True),
    "extremes": lambda x: lax.cummax(x, axis=1),
    "columns": lambda x: lax.cumsum(x, axis=0),
    "columns backwards": lambda x: lax.cummin(x, axis=0, reverse=True),
    "logarithms": lambda x: lax.cumlogsumexp(x, axis=0),
    "short rows": lambda x: lax.cumsum(x[:, :30], axis=1),
}
MADE = [doubled, with_the_fold, chained, small_and_large]


@pytest.mark.parametrize("name", FOLDS)
@pytest.mark.parametrize("made", MADE)
def test_what_is_made_of_a_fold_is_stored_by_its_kernel(name, made):
    x = numbers("float32", 3, 300)
    x = x[:, :30] if name == "short rows" else x
    fold = FOLDS[name]
    program, want, found = both_ways(*traced(lambda x: made(fold, x), x))
    kernels = [k for k in program.kernels if not k.name.endswith("_clear")]
    assert len(kernels) == 1
    # The very bits of the fold, stored, and of a map of that.
    whole, _, (plain, _) = both_ways(*traced(fold, x.astype(getattr(fnp, _given(made)))))
    assert kernels[0].launch.kind == whole.kernels[-1].launch.kind
    _, _, (after, _) = both_ways(
        *traced(lambda x, y: made(lambda _: y, x), x, plain[0].reshape(x.shape))
    )
    for g, a, other, w in zip(found[0], after, found[1], want, strict=True):
        assert g.tobytes() == a.tobytes() == other.tobytes()
        np.testing.assert_allclose(g, w, 2e-2 if made is small_and_large else 1e-3, 2e-2)


def _given(made):
    return "bfloat16" if made is small_and_large else "float32"


def test_a_row_in_parts_is_mapped_in_the_same_order():
    x = numbers("float32", LENGTH)
    closed, inputs = traced(lambda x: fnp.exp(fnp.cumsum(x) * 0.01), x)
    program, _, (first, _) = both_ways(closed, inputs)
    assert [k.launch.kind for k in program.kernels] == ["map", "scan"]
    assert program.kernels[1].launch.parts > 1
    for seed in (2, 3):
        assert emulate(program, inputs, seed=seed)[0].tobytes() == first[0].tobytes()


def differences(x):
    y = fnp.cumsum(x, 1)
    return y[:, 1:] - y[:, :-1]


def turned(x):
    return fnp.cumsum(x, 1)[:, ::-1] * 2


def of_all(x):
    y = fnp.cumsum(x, 1)
    return y / y[:, -1:]


@pytest.mark.parametrize("f", [differences, turned, of_all])
def test_what_reads_other_places_waits_for_the_whole_fold(f):
    x = np.abs(numbers("float32", 5, 600)) + 1
    program, (want,), found = both_ways(*traced(f, x))
    assert program.kernels[0].launch.kind == "scan" and len(program.kernels) == 2
    for (g,) in found:
        np.testing.assert_allclose(g, want, 1e-3, 1e-3)


def test_a_map_of_a_fold_compiles_to_the_same_bits():
    x = numbers("float32", 3, 700)
    program, _, (found, _) = both_ways(*traced(lambda x: with_the_fold(FOLDS["rows"], x), x))
    (kernel,) = program.kernels
    outs = [np.zeros(x.shape, np.float32) for _ in range(2)]
    launch = kernel.launch
    Processors(program.text).launch(launch.name, launch.blocks, launch.threads, [x, *outs])
    assert [o.tobytes() for o in outs] == [f.tobytes() for f in found]

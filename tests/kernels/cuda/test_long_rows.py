"""Few long rows are divided among blocks: the numbers of a block for each row, and when it pays."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn
from funcgrad.config import enable_x64
from funcgrad.kernels.chunks import GPU
from funcgrad.kernels.cuda import long_rows
from funcgrad.kernels.memory import reusable

from .running import both_ways, program_of, traced
from .test_rows import FUNCTIONS, RATES


@pytest.fixture
def short(monkeypatch):
    """Rows of a thousand elements are long."""
    for name, value in (("SMALL", 64), ("LEAST", 96), ("WHOLE", 1), ("GAIN", 1e9)):
        monkeypatch.setattr(long_rows, name, value)
    monkeypatch.setattr(long_rows, "BLOCKS", 24)
    # Longer rows than a block has memory for are not kept for later loops.
    monkeypatch.setattr("funcgrad.kernels.cuda.program.GPU", GPU._replace(row=16))


def drawn(*shape, dtype="float32"):
    x = np.random.default_rng(shape[-1]).normal(size=shape)
    return x.astype(fnp.bfloat16 if dtype == "bfloat16" else dtype)


def agrees(f, *args, divided=True):
    """The program that does f as NumPy does, whether or not memory is aligned."""
    with enable_x64():
        program, wanted, found = both_ways(*traced(f, *args))
    for got, again, want in zip(*found, wanted, strict=True):
        if want.dtype.kind in "biu":
            np.testing.assert_array_equal(got, want)
            np.testing.assert_array_equal(again, want)
            continue
        rate = RATES.get(want.dtype.name, 3e-2)
        got, again, want = (a.astype(np.float64) for a in (got, again, want))
        # Places are folded in an order that does not depend on sizes alone where memory lies so.
        np.testing.assert_allclose(got, want, rtol=rate, atol=rate)
        np.testing.assert_allclose(again, want, rtol=rate, atol=rate)
    if divided is not None:
        assert any(k.launch.kind == "chunks" for k in program.kernels) is divided
    return program


MORE = {
    "sum": lambda x: x.sum(1),
    "product": lambda x: (1 + x / 100).prod(1),
    "extremes": lambda x: (x.max(1), x.min(1), fnp.argmax(x, 1), fnp.argmin(x, 1)),
    "truth": lambda x: ((x > 2).any(1), (x < 3).all(1), (x > 3).any(1)),
    "variance": lambda x: (x.mean(1), x.var(1)),
    "logsumexp": lambda x: nn.logsumexp(x, 1),
    "layer norm and what it is of": lambda x: (
        x.mean(1),
        (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True),
    ),
    "place of a place": lambda x: fnp.argmin(x - x[:, :1] * fnp.argmax(x, 1, keepdims=True), 1),
    "cross-entropy": lambda x: -nn.log_softmax(x)[:, 3],
    "row of integers": lambda x: fnp.argmax((x * 3).astype(np.int32), 1),
    "row of truth values": lambda x: (fnp.argmax(x > 1, 1), fnp.argmin(x > -1, 1)),
    "two loops beside each other": lambda x: (x.sum(1), x[::-1].max(1), x * 2),
}


@pytest.mark.parametrize("width", [193, 1000, 1025, 4096])
@pytest.mark.parametrize("rows", [1, 2, 7])
@pytest.mark.parametrize("name", {**FUNCTIONS, **MORE})
@pytest.mark.usefixtures("short")
def test_parts_of_rows(name, rows, width):
    agrees((FUNCTIONS | MORE)[name], drawn(rows, width))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
@pytest.mark.parametrize("width", [1001, 4096])
@pytest.mark.parametrize("name", ["softmax", "extremes", "variance", "layer norm's gradient"])
@pytest.mark.usefixtures("short")
def test_parts_of_rows_of_other_dtypes(name, width, dtype):
    agrees((FUNCTIONS | MORE)[name], drawn(3, width, dtype=dtype))


@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        ((0, 2), (30, 4, 50)),
        ((0, 2), (2, 4, 500)),
        ((0, 2), (2, 2, 500)),
        ((0, 2, 4), (2, 2, 3, 1, 500)),
        ((1, 2), (4, 30, 50)),
        ((0, 1, 3), (3, 5, 2, 70)),
        ((0, 1, 2), (30, 4, 50)),
    ],
)
@pytest.mark.usefixtures("short")
def test_folds_of_several_axes(axes, shape):
    agrees(lambda x: (x.sum(axes), x.max(axes)), drawn(*shape))
    agrees(lambda x: x.sum(axes), fnp.flip(drawn(*shape), -1))


@pytest.mark.usefixtures("short")
def test_a_phase_that_is_a_map_of_several_axes():
    def f(s, x, y):
        z = x * s * nn.sigmoid((y * s).min())
        return z, z.reshape(13, 288).T + 1

    agrees(fg.vmap(f, (0, None, None)), drawn(2), drawn(13, 96, 3), drawn(600))


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.usefixtures("short")
def test_short_folds_that_later_phases_read(rows):
    def f(x, y):
        scale = fnp.exp(y.sum(1, keepdims=True)) + fnp.argmax(y, 1, keepdims=True)
        x = x - x.max(1, keepdims=True) * scale
        return x / x.sum(1, keepdims=True) + scale, scale

    agrees(f, drawn(rows, 1000), drawn(rows, 9))


@pytest.mark.usefixtures("short")
def test_the_place_of_an_extreme_of_everything():
    x = drawn(50, 60)
    agrees(lambda x: (fnp.argmax(x), fnp.argmin(x)), x)
    # Places go through loops that do not lie in the order of memory.
    agrees(lambda x: (fnp.argmax(x.T), fnp.argmin(x.T[::-1])), x)
    agrees(lambda x: (fnp.argmax(x.T), fnp.argmin(x.T[::-1])), drawn(1000, 3))
    agrees(lambda x: fnp.argmax(x.transpose(2, 0, 1)), drawn(2, 500, 2))


EVERYTHING = {
    "softmax": lambda x: nn.softmax(x, axis=None),
    "gradient of a softmax": fg.grad(lambda x: (nn.softmax(x, axis=None) ** 2).sum()),
    "variance": lambda x: (x.var(), x.mean()),
    "norm": lambda x: x / fnp.sqrt((x * x).sum()),
    "range": lambda x: (x - x.min()) / (x.max() - x.min()),
    "log-sum-exp": lambda x: nn.logsumexp(x, axis=None),
    "numbers of numbers": lambda x: fnp.exp(fnp.sin((x * x).mean()) / x.size) + x.max(),
    "layer norm and its numbers": lambda x: (x - x.mean()) / fnp.sqrt(x.var() + 1e-5) + x.std(),
    "both orders": lambda x: nn.softmax(x + x.T, axis=None) * x.T.sum() if x.ndim > 1 else x.sum(),
    "place and value": lambda x: (x - x.max(), fnp.argmax(x), x * fnp.argmin(x)),
    "truth": lambda x: fnp.where((x > 2).any(), x, -x),
    "integers": lambda x: (x * 5).astype(np.int32) - (x * 5).astype(np.int32).max(),
}


@pytest.mark.parametrize("shape", [(1,), (7,), (300,), (2001,), (9000,), (50, 50), (3, 700)])
@pytest.mark.parametrize("name", EVERYTHING)
@pytest.mark.parametrize("way", ["parts", "a block"])
def test_folds_of_everything_and_what_is_made_of_them(name, shape, way, request):
    if way == "parts":
        request.getfixturevalue("short")
    if name == "both orders" and len(set(shape)) > 1:
        shape = (40, 40)
    agrees(EVERYTHING[name], drawn(*shape), divided=None)


def test_what_is_made_of_folds_of_everything_is_in_one_kernel():
    def launches(f, *shape):
        return len(program_of(f, np.broadcast_to(np.float32(1), shape)).kernels)

    for size in (100, 20_000):
        assert launches(EVERYTHING["softmax"], size) == launches(EVERYTHING["norm"], size) == 1
    assert launches(EVERYTHING["softmax"], 10**7) == launches(EVERYTHING["variance"], 10**7) == 3
    assert launches(EVERYTHING["norm"], 10**7) == launches(EVERYTHING["numbers of numbers"], 10**7)
    assert launches(EVERYTHING["norm"], 3000, 1000) == 2
    # A transposition has a kernel of its own.
    assert launches(lambda x: nn.softmax(x + x.T, axis=None), 3000, 3000) == 4


def places():
    x = np.zeros(3000, np.float32)
    found = {"all equal": x, "all lowest": x - np.inf, "all NaN": x * np.nan}
    for name, at in {"first": 0, "within": 1234, "last": 2999}.items():
        found[f"NaN {name}"] = x.copy()
        found[f"NaN {name}"][[at, 2999]] = np.nan
        found[f"largest {name}"] = x - np.inf
        found[f"largest {name}"][[at, 2999]] = -2
    return found


@pytest.mark.parametrize("name", places())
@pytest.mark.usefixtures("short")
def test_of_equal_extremes_the_first_and_of_nans(name):
    x = places()[name]
    agrees(lambda x: (fnp.argmax(x), fnp.argmin(-x), fnp.max(x)), x)
    agrees(lambda x: (fnp.argmax(x, 1), fnp.argmin(-x, 1)), np.stack([x, x[::-1], -x]))


def test_rows_that_are_divided_when_that_is_quicker():
    def parts(f, *shape):
        kernels = program_of(f, np.broadcast_to(np.float32(1), shape)).kernels
        return [k.launch.blocks for k in kernels]

    assert parts(fnp.argmax, 10**8) == [1039, 1]
    assert parts(lambda x: x.sum(1), 8, 10**6) == [984, 1]
    assert parts(nn.softmax, 8, 10**6) == [984, 984, 984]
    assert parts(nn.softmax, 1, 10**7) == [977] * 3
    # A block for each row: there are blocks enough, or the rows end before another launch begins.
    assert parts(nn.softmax, 4, 100) == [1]
    assert parts(nn.softmax, 8, 30000) == [8]
    assert parts(nn.softmax, 128, 65536) == [128]
    assert parts(fnp.argmax, 20000) == [1]
    assert parts(lambda x: x.sum(1), 132, 10**6) == [132]


@pytest.mark.usefixtures("short")
def test_what_one_part_alone_writes_takes_no_memory_that_others_read():
    def f(most, x):
        new = fnp.maximum(most, x.max(1))
        return new, x - most[:, None]

    most, x = drawn(3, 1)[:, 0], drawn(3, 1000)
    program = agrees(f, most, x)
    kernels = [k for k in program.kernels if program.block.outputs[0] in k.launch.written]
    together = any(program.block.inputs[0] in k.params for k in kernels if len(k.params) > 3)
    assert not together or (0, 0) not in reusable(program.block)
    # A row is still written over.
    assert (0, 0) in reusable(program_of(nn.softmax, x).block)


@pytest.mark.usefixtures("short")
def test_rows_in_a_loop_are_divided():
    def f(x):
        return fg.lax.fori_loop(0, 3, lambda i, x: nn.softmax(x * i), x)

    agrees(f, drawn(2, 500))


@pytest.mark.usefixtures("short")
def test_the_page_says_who_does_what():
    page = fg.jit(nn.softmax).lower(drawn(2, 1000)).explain(target="sm_90")
    assert "a block does 96 turns of a row" in page and "folds of parts of rows" in page

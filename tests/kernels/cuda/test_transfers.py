"""What goes between the host and a GPU: on the page of `explain()`, and on the executable."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import debug, lax
from funcgrad.control import accelerators
from funcgrad.experimental import io_callback

VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)


def program():
    (found,) = accelerators._homes[0]._programs.values()
    return found


def test_arguments_constants_and_results(gpu):
    table = np.arange(4, dtype=np.float32)
    f = fg.jit(lambda p, x, *, scale: (p["w"] @ x + table * scale, x.sum()))
    w = fg.device_put(np.ones((5, 3), np.float32), "gpu")
    page = f.lower({"w": w}, VALUES, scale=2.0).explain()
    assert "for sm_90 on a GPU" in page and "transfers" in page
    assert "argument 0" not in page.partition("transfers")[2].replace("argument of", "")
    for line in (
        "argument 1: f32[3,4], 48 B from the host at every call",
        "argument scale: f32[], 4 B from the host at every call",
        "1 argument of 60 B on GPU:0 already",
        "2 results of 84 B, on GPU:0 until the host reads",
    ):
        assert line in page, page
    constants = next(line for line in page.splitlines() if "constants: " in line)
    assert constants.endswith("from the host, once")


def test_the_executable_knows_what_the_last_call_brought(gpu):
    f = fg.jit(lambda x, y: x * 2 + y)
    x = fg.device_put(VALUES, "gpu")
    f(x, VALUES)
    assert program().brought == [0, 48]
    assert "the last call brought 48 bytes for the arguments 1" in program().explain()
    f(x, x)
    assert program().brought == [0, 0] and "brought" not in program().explain()


def test_the_device_of_jit_and_the_default_device_are_explained(gpu):
    with fg.default_device("gpu"):
        page = fg.jit(fnp.sin).lower(VALUES).explain()
    assert "argument 0: f32[3,4], 48 B from the host at every call" in page
    assert fg.jit(fnp.sin, device="gpu").lower(VALUES).explain() == page
    assert "transfers" not in fg.jit(fnp.sin).lower(VALUES).explain()


def test_compiled_programs_run_where_their_arguments_were(gpu):
    x = fg.device_put(VALUES, "gpu")
    compiled = fg.jit(lambda x: x * 2).lower(x).compile()
    y = compiled(x)
    assert y.device.platform == "gpu"
    np.testing.assert_array_equal(y, VALUES * 2)
    z = fg.jit(lambda x: x * 2, device="gpu").lower(VALUES).compile()(VALUES)
    assert z.device.platform == "gpu"


# Python in the middle of a program.


def test_callbacks_read_from_the_device_and_bring_back(gpu):
    seen = []

    def host(x):
        seen.append(np.array(x))
        return np.float32(x.sum())

    def f(x):
        y = fnp.sin(x) * 2
        total = fg.pure_callback(host, fg.ShapeDtypeStruct((), np.float32), y)
        return fnp.cumsum(y, 1) * total

    x = fg.device_put(VALUES, "gpu")
    jitted = fg.jit(f)
    for _ in range(3):
        np.testing.assert_allclose(jitted(x), f(VALUES), rtol=1e-5, atol=1e-5)
    assert len(seen) == 6 and ("record",) not in gpu.log
    page = jitted.lower(x).explain()
    assert "the host waits for 48 B, calls Python and brings 4 B: " in page
    assert "test_transfers.py" in page.partition("the host waits")[2]
    assert "the host computes pure_callback(" in program().explain()


@pytest.mark.parametrize("jitted", [False, True])
def test_effects_happen_in_order(gpu, capsys, jitted):
    said = []

    def f(x):
        debug.callback(lambda v: said.append(("debug", float(v))), x.sum(), ordered=True)

        def body(c, row):
            got = io_callback(
                lambda v: (said.append(("io", float(v))), np.float32(v + 1))[1],
                fg.ShapeDtypeStruct((), np.float32),
                row[0],
                ordered=True,
            )
            return c + got, None

        return lax.scan(body, fnp.float32(0), x)[0]

    x = fg.device_put(VALUES, "gpu")
    assert float((fg.jit(f) if jitted else f)(x)) == 15
    assert said == [("debug", 66.0), ("io", 0.0), ("io", 4.0), ("io", 8.0)]


@pytest.mark.parametrize("decides", [True, False])
def test_loops_that_the_host_decides_are_named(gpus, decides):
    gpus(decides=decides)
    f = fg.jit(lambda x: lax.while_loop(lambda s: s.sum() < 100, lambda s: s * 2, x))
    # Sorts are no choice between elements, so this one is between kernels.
    g = fg.jit(lambda x: lax.cond(x[0, 0] > 3, fnp.sort, fnp.cos, x))
    x = fg.device_put(VALUES, "gpu")
    assert ("the host waits for 1 byte at each turn: " in f.lower(x).explain()) == (not decides)
    assert ("the host waits for 4 B to choose: " in g.lower(x).explain()) == (not decides)

"""Blocks of results are nobody else's, whoever asks for one, and at whatever place of the code."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from funcgrad.kernels.runtime import outputs

SIZE = outputs.SMALLEST


@pytest.fixture(autouse=True)
def no_blocks():
    outputs.clear()
    yield
    outputs.clear()


def made(count=1):
    return [outputs.empty((SIZE,), np.uint8, SIZE) for _ in range(count)]


def test_a_block_is_free_when_nobody_holds_its_array():
    held = made(3)
    addresses = {x.ctypes.data for x in held}
    assert len(addresses) == 3
    again = made()[0]
    assert again.ctypes.data not in addresses
    part = held.pop()[5:]
    address = part.ctypes.data - 5
    assert made()[0].ctypes.data != address
    del part
    assert address in {x.ctypes.data for x in made(2)}


def test_results_begin_at_lines_of_cache():
    assert not any(x.ctypes.data % 64 for x in made(3))


def test_the_oldest_blocks_are_dropped(monkeypatch):
    monkeypatch.setattr(outputs, "LIMIT", 4 * SIZE)
    held = made(6)
    for k, x in enumerate(held):
        x[:] = k
    assert sum(b.nbytes for b, _ in outputs._blocks) <= 4 * SIZE
    assert all((x == k).all() for k, x in enumerate(held))


@pytest.mark.parametrize("free", [0, 1, 2])
def test_whoever_comes_in_between_gets_another_block(free):
    """As a signal's handler may at each line, or another thread."""
    made(1), made(2)[:free]
    others = []

    def trace(frame, event, told):
        if frame.f_code.co_filename == outputs.__file__:
            others.extend(made())
            return trace
        return None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        mine = made()
    finally:
        sys.settrace(before)
    assert len(others) > 8
    addresses = [x.ctypes.data for x in [*mine, *others]]
    assert len(set(addresses)) == len(addresses)


HANDLER = """
import random, signal, time
import numpy as np
import funcgrad as fg, funcgrad.numpy as fnp

large = fg.jit(lambda x, y: x + y)
x = fnp.arange(400_000, dtype=np.float32)
handled = asked = 0

def check(y):
    found = np.asarray(large(x, y)) - np.asarray(x)
    assert (found == y).all()
    assert fnp.zeros((1, asked, 3)).shape == (1, asked, 3)

def handler(*_):
    global handled
    handled += 1
    check(2.0)

# What a handler computes while a program is traced becomes a part of it, as in JAX.
for _ in range(3):
    check(0.0)
signal.signal(signal.SIGALRM, handler)
random.seed(0)
until = time.monotonic() + 3
while time.monotonic() < until:
    asked += 1
    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 8e-4))
    check(1.0)
signal.setitimer(signal.ITIMER_REAL, 0)
print(handled > 20)
"""


# The handler must interrupt at any place: that takes signals by a timer, which Windows lacks.
@pytest.mark.skipif(sys.platform == "win32", reason="the system has no interval timers")
def test_handlers_of_signals_may_ask_for_large_results():
    command = [sys.executable, "-c", textwrap.dedent(HANDLER)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert found.stdout == "True\n", found.stderr

"""The memory of results that were dropped is used again, whatever their sizes."""

import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
import resource
import numpy as np
import funcgrad as fg

f = fg.jit(lambda xs: [x * 2 + 1 for x in xs])
xs = [fg.numpy.asarray(np.ones({size} // 4, np.float32)) for _ in range({count})]
for _ in range(5):
    f(xs)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    f(xs)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


# What a page is, how many come with one fault, and what ru_minflt counts is said of Linux alone.
@pytest.mark.skipif(sys.platform != "linux", reason="other systems count page faults otherwise")
@pytest.mark.parametrize(("size", "count"), [(100_000, 24), (400_000, 12), (2_000_000, 3)])
def test_calls_find_pages_that_were_used(size, count):
    text = textwrap.dedent(PROGRAM.format(size=size, count=count))
    found = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    pages = 20 * size * count // 4096  # of all results
    assert int(found.stdout) < pages / 20

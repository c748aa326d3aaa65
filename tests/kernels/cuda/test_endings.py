"""What is let go of as the interpreter ends says nothing: names of modules may be gone then."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

# Modules that somebody holds are cleared in the end, the last one imported first: what the first
# one holds goes when the names of the others are gone.
KEPT = """
import sys
from types import ModuleType
first = sys.modules["first"] = ModuleType("first")
import numpy as np
import funcgrad as fg
from funcgrad.control import accelerators
from funcgrad.control.accelerators import CudaHome
from funcgrad.kernels.cuda.runtime import interchange, place, pool, recordings, staging
from tests.kernels.cuda.fake import FakeDriver

fake = FakeDriver()
home = CudaHome(place.Place(fake, 0, fake.devices()[0], fake.compile))
accelerators._homes[:] = [home]
f = fg.jit(lambda x: (x @ x.T).sum(0) @ x)
x = fg.device_put(np.ones((40, 30), np.float32), "gpu")
for _ in range(4):
    y = f(x)
assert fake.graphs
y.copy_to_host_async()
first.kept = [
    home.executable(next(iter(home._programs)))._recordings,
    y._coming,
    place.Mark(home.place),
    y.memory,
    interchange.Foreign(0, 0, home.place, fake.devices),
]
sys.kept = [first, interchange, place, pool, recordings, staging]
"""


def test_what_is_let_go_of_at_the_end_says_nothing():
    made = subprocess.run(
        [sys.executable, "-c", KEPT],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), *sys.path]))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (made.returncode, made.stderr) == (0, "")

"""The programs of shardings on fake GPUs: the same as on a CPU, their parts on their devices."""

import numpy as np
import pytest

import funcgrad as fg
from funcgrad import P
from funcgrad.sharding import Mesh, NamedSharding

from ...layout_programs import PROGRAMS, X


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_programs(four, program):
    program(Mesh(fg.devices("gpu"), "data"))


def test_parts_are_joined_where_they_are(four):
    gpus = fg.devices("gpu")
    sharding = NamedSharding(Mesh(gpus, "data"), P("data"))
    parts = [fg.device_put(X[2 * k : 2 * k + 2], d) for k, d in enumerate(gpus)]
    four.driver.log.clear()
    x = fg.make_array_from_single_device_arrays(X.shape, sharding, parts)
    assert not four.driver.log
    np.testing.assert_array_equal(x, X)
    with pytest.raises(ValueError, match="a part is on GPU:3, and by .* it is on GPU:0"):
        fg.make_array_from_single_device_arrays(X.shape, sharding, parts[::-1])

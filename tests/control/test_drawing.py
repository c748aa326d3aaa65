"""Pictures of where arrays lie."""

import numpy as np
import pytest

import funcgrad as fg
from funcgrad import P, debug
from funcgrad.sharding import NamedSharding, SingleDeviceSharding


@pytest.fixture
def mesh(cpus):
    """Two by two devices."""
    cpus(4)
    return fg.make_mesh((2, 2), ("x", "y"))


TWO = """\
┌─────────┬─────────┐
│  CPU 0  │  CPU 1  │
├─────────┼─────────┤
│  CPU 2  │  CPU 3  │
└─────────┴─────────┘
"""
ROWS = """\
┌─────────┐
│ CPU 0,2 │
├─────────┤
│ CPU 1,3 │
└─────────┘
"""
LINE = """\
┌─────────┬─────────┐
│ CPU 0,1 │ CPU 2,3 │
└─────────┴─────────┘
"""


@pytest.mark.parametrize(
    ("shape", "spec", "picture"),
    [((4, 4), P("x", "y"), TWO), ((4, 4), P("y"), ROWS), ((4,), P("x"), LINE)],
)
def test_pictures(mesh, capsys, shape, spec, picture):
    debug.visualize_array_sharding(fg.device_put(np.zeros(shape), NamedSharding(mesh, spec)))
    assert capsys.readouterr().out == picture


def test_widths(mesh, capsys):
    sharding = NamedSharding(mesh, P(None, "y"))
    widths = {9: {}, 12: {"min_width": 12}, 16: {"scale": 4}, 17: {"scale": 9, "max_width": 37}}
    for width, options in widths.items():
        debug.visualize_sharding((8, 8), sharding, **options)
        lines = capsys.readouterr().out.splitlines()
        assert {len(line) for line in lines} == {2 * width + 3}


def test_what_lies_where_is_asked(mesh):
    found = []
    divided = NamedSharding(mesh, P("x"))
    x = fg.device_put(np.zeros(4), divided)
    debug.inspect_array_sharding({"a": x, "b": fg.numpy.zeros(3)}, callback=found.append)
    assert found == [divided, SingleDeviceSharding(fg.devices()[0])]

    def f(x):
        debug.inspect_array_sharding(x, callback=found.append)
        return x

    fg.jit(f)(np.zeros(3))
    with fg.set_mesh(mesh):
        fg.jit(f)(np.zeros(5))
    assert found[2:] == [SingleDeviceSharding(fg.devices()[0]), NamedSharding(mesh, P())]


def test_what_cannot_be_drawn():
    with pytest.raises(ValueError, match=r"(?s)one or two axes.*test_drawing"):
        debug.visualize_array_sharding(fg.numpy.zeros((2, 2, 2)))
    with pytest.raises(TypeError, match=r"(?s)takes an array, got list.*test_drawing"):
        debug.visualize_array_sharding([1.0])

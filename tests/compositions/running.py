"""Programs in the place of primitives, run beside the rules of the CPU."""

import numpy as np

import funcgrad as fg
from funcgrad.core.array import to_ndarray
from funcgrad.core.composed import composition_of
from funcgrad.core.evaluate import eval_closed
from funcgrad.core.primitive import registry
from funcgrad.core.staging import stage
from funcgrad.ir.avals import aval_of

from ..primitives.rules import load_all

load_all()


def both(name, *args, cpu=False, **params):
    """What the program of a primitive gives, compiled for the CPU, and what its rule gives.

    Args:
        cpu: the program is that for CPUs.
    """
    primitive = registry[name]
    with fg.enable_x64(True):

        def apply(*args):
            out = primitive.bind(*args, **params)
            return out if primitive.multiple_results else [out]

        (eqn,) = stage(apply, [aval_of(x) for x in args]).jaxpr.eqns
        composed = composition_of(eqn, cpu)
        found = fg.jit(lambda *args: list(eval_closed(composed, *args)))(*args)
        with np.errstate(all="ignore"):
            wanted = primitive.impl(*map(to_ndarray, args), **params)
    wanted = wanted if primitive.multiple_results else [wanted]
    for f, w in zip(found, wanted, strict=True):
        assert f.dtype == w.dtype and f.shape == w.shape
    return [np.asarray(f) for f in found], wanted

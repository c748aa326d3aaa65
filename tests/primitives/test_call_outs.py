"""What compiled programs call out for: LAPACK and users' callbacks, and nothing else."""

from collections import defaultdict

import numpy as np
import pytest

import funcgrad as fg
from funcgrad.config import enable_x64
from funcgrad.kernels.explain import every_step
from funcgrad.kernels.program import HostCall

from .rules import CASES

# Python calls LAPACK for what has no kernel of its own, whole or for some shapes and dtypes.
LAPACK = set(
    "eig eigh eigh_values expm expm_frechet geqp3 geqrf hessenberg householder_product lu ormqr qr "
    "schur sqrtm svd sylvester triangular_solve tridiagonal".split()
)
# Values that are kept alive for a reader outside of the program.
KEPT = {"dce_sink"}
ALLOWED = LAPACK | KEPT
# Scalar C functions, called element by element within a kernel.
C_FUNCTIONS = {"hyp1f1", "hyp2f1", "igamma", "igammac"}

EXAMPLES = defaultdict(list)
for _, primitive, example in CASES:
    if type(primitive).__module__.startswith("funcgrad."):
        EXAMPLES[primitive.name].append((primitive, example))


def programs(name):
    """The compiled programs of a primitive's examples."""
    with enable_x64():
        for primitive, example in EXAMPLES[name]:

            def apply(*args, primitive=primitive, example=example):
                return primitive.bind(*args, **example.params)

            yield fg.jit(apply).lower(*example.args)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_call_outs_are_known(name):
    called, scalar = set(), set()
    for lowered in programs(name):
        for step in every_step(lowered.stages.block):
            if isinstance(step, HostCall) and step.native is None:
                called.add(step.eqn.primitive.name)
        if "fg_special_" in lowered.source:
            scalar.add(name)
    assert called == {name} & ALLOWED
    assert scalar == {name} & C_FUNCTIONS


@pytest.mark.parametrize(
    ("equation", "left", "right"),
    [
        ("ij,jk->ik", (90, 70), (70, 80)),
        ("bqhd,bkhd->bhqk", (2, 40, 3, 32), (2, 50, 3, 32)),
        ("ij,j->i", (400, 300), (300,)),
    ],
)
def test_large_complex_products_are_products_of_their_parts(equation, left, right):
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(*s, 2)).view(np.complex128)[..., 0] for s in (left, right))
    with enable_x64():
        lowered = fg.jit(lambda x, y: fg.numpy.einsum(equation, x, y)).lower(x, y)
        assert not [s for s in every_step(lowered.stages.block) if isinstance(s, HostCall)]
        assert "0 refused" in lowered.explain(target="sm_90")
        got = lowered.compile()(x, y)
    np.testing.assert_allclose(got, np.einsum(equation, x, y), rtol=1e-12, atol=1e-12)

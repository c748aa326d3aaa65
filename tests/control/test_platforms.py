"""platform_dependent: the branch of the platform that runs, chosen when the program runs."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax

X = np.arange(3.0, dtype=np.float32)


def test_program_holds_all_branches():
    def fun(x):
        return lax.platform_dependent(x, cpu=fnp.sin, tpu=fnp.cos, cuda=fnp.cos, default=fnp.tan)

    index, _, cond = fg.make_jaxpr(fun)(X).jaxpr.eqns
    assert index.params["platforms"] == (("cpu",), ("tpu", "cuda"), None)
    assert len(cond.params["branches"]) == 3
    np.testing.assert_allclose(fg.jit(fun)(X), np.sin(X), rtol=1e-6)


@pytest.mark.parametrize("branches", [{"tpu": fnp.sin}, {"tpu": fnp.sin, "cuda": fnp.cos}, {}])
def test_missing_branch_is_refused_where_the_program_runs(branches):
    with pytest.raises(RuntimeError, match=r"none for the platform that runs, 'cpu'.*default"):
        lax.platform_dependent(X, **branches)
    if branches:
        jitted = fg.jit(lambda x: lax.platform_dependent(x, **branches))
        with pytest.raises(RuntimeError, match="none for the platform that runs"):
            jitted(X)


def test_branches_are_functions_of_platforms():
    with pytest.raises(TypeError, match="the branch 'cpu' must be callable"):
        lax.platform_dependent(X, cpu=3)
    with pytest.raises(TypeError, match="the default branch must be callable"):
        lax.platform_dependent(X, default=3)
    with pytest.raises(ValueError, match=r"'gpu' is no name of a platform.*\n.*\n.*'cuda'"):
        lax.platform_dependent(X, gpu=fnp.sin)

"""Results that are memory of something else in another shape: none is copied by a kernel."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax, nn
from funcgrad.config import config
from funcgrad.control.jit import simplified_for_gpu as simplified
from funcgrad.kernels.cuda.program import cuda_program


def drawn(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


X = drawn(40, 24)
PROGRAMS = {
    "a sum": lambda x: x.sum(0).reshape(4, 6),
    "two shapes of a sum": lambda x: (s := x.sum(0), s.reshape(4, 6), s.reshape(6, 4)),
    "read on": lambda x: (s := x.sum(0).reshape(1, -1), x + s),
    "through several": lambda x: fnp.squeeze(x.sum(0)[None, :, None]).reshape(2, 12),
    "an argument": lambda x: (x.reshape(24, 40), x.reshape(-1)),
    "a constant": lambda x: (fnp.asarray(X).reshape(24, 40), x),
    "a product": lambda x: ((x @ x.T).reshape(-1), (x.T @ x)[None]),
    "another order": lambda x: x.sum(0, keepdims=True).T,
    "a sort": lambda x: (fnp.sort(x, 1).reshape(24, 40), fnp.sort(x, 1) + 1),
    "rows of a loop": lambda x: lax.scan(
        lambda c, r: (c + r.sum()[None], (r @ x.T)[None]), x[0, :1], x
    ),
    "a carry of a loop": lambda x: lax.fori_loop(
        0, 3, lambda _, c: fnp.cumsum(c.reshape(40, 24), 1).reshape(-1) / 9, x.reshape(-1)
    ),
    "a branch": lambda x: lax.cond(
        x[0, 0] > 0, lambda x: x.sum(0).reshape(4, 6), lambda x: x.max(0).reshape(4, 6), x
    ),
    "nothing": lambda x: x[:0].sum(1).reshape(0, 1),
    "none of a sum of one": lambda x: fg.grad(lambda b: (x + b).sum())(x[0]),
}  # fmt: skip


@pytest.mark.parametrize("lowering", ["fast", "source", "python"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_values(name, lowering):
    f = PROGRAMS[name]
    want = fg.tree.leaves(f(X))
    before = config.read("lowering")
    config.update("lowering", lowering)
    try:
        jitted = fg.jit(lambda x: f(x))
        for _ in range(2):
            for got, w in zip(fg.tree.leaves(jitted(X.copy())), want, strict=True):
                assert got.shape == w.shape
                np.testing.assert_allclose(got, w, 1e-5, 1e-5)
    finally:
        config.update("lowering", before)


def test_results_do_not_share_memory():
    first, second = fg.jit(lambda x: (s := x.sum(0), s.reshape(4, 6)))(X)
    assert (
        first.numpy().__array_interface__["data"][0]
        != second.numpy().__array_interface__["data"][0]
    )


def test_a_donated_argument_is_not_a_result_under_two_names():
    f = fg.jit(lambda x: (x.reshape(24, 40), x * 2), donate_argnums=0)
    first, second = f(fnp.asarray(X.copy()))
    np.testing.assert_array_equal(first, X.reshape(24, 40))
    np.testing.assert_array_equal(second, X * 2)


def kernels(f, *args, takes=True):
    """The kernels of a program for a GPU whose products are cuBLASLt's."""
    closed = simplified(fg.make_jaxpr(f)(*args))
    return cuda_program(closed, simplified, lambda product: takes).kernels


@pytest.mark.parametrize(("activation", "others"), [(fnp.tanh, 2 + 3 * 2), (nn.gelu, 2)])
def test_the_gradient_of_a_bias_takes_no_launch_of_its_own(activation, others):
    def loss(params, x):
        for w, b in params:
            x = activation(x @ w + b)
        return (x * x).mean()

    params = [(drawn(512, 512), drawn(512)) for _ in range(3)]
    found = kernels(fg.grad(loss), params, drawn(512, 512))
    # Three products forward, five backward; of each layer a map, a fold, and what joins its parts.
    # Through GELU, those of two layers are epilogues.
    count = len([k for k in found if k.launch.kind == "cublaslt"])
    assert count == 8 and len(found) == count + others


@pytest.mark.parametrize(("rows", "columns"), [(1024, 1024), (8192, 2048), (8192, 512)])
def test_parts_of_a_sum_over_rows_are_few(rows, columns):
    found = kernels(
        lambda x, y: (x * y, (x * y).sum(0)), drawn(rows, columns), drawn(rows, columns)
    )
    parts = max(b.size for b in found[0].params if b.shape[0] != rows)
    assert parts <= rows * columns // 4 and parts >= 1 << 16

"""vmap: axes in and out as tree prefixes, names and sizes, and compositions."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp

x = np.arange(12.0, dtype=np.float32).reshape(3, 4)


def test_axes():
    np.testing.assert_allclose(fg.vmap(fnp.sum)(x), x.sum(1))
    np.testing.assert_allclose(fg.vmap(fnp.sum, in_axes=1)(x), x.sum(0))
    np.testing.assert_allclose(fg.vmap(fnp.sum, in_axes=-1)(x), x.sum(0))
    np.testing.assert_allclose(fg.vmap(lambda v: v * 2, out_axes=1)(x), (x * 2).T)
    np.testing.assert_allclose(fg.vmap(lambda v: v * 2, out_axes=-1)(x), (x * 2).T)


def test_none_and_prefixes():
    w = np.arange(4.0, dtype=np.float32)
    out = fg.vmap(lambda p, v: p["w"] @ v + p["b"], in_axes=({"w": None, "b": 0}, 0))(
        {"w": w, "b": np.arange(3.0, dtype=np.float32)}, x
    )
    np.testing.assert_allclose(out, x @ w + np.arange(3))
    out = fg.vmap(lambda p, v: p["w"] @ v + p["b"], in_axes=(None, 0))({"w": w, "b": 1.0}, x)
    np.testing.assert_allclose(out, x @ w + 1)


def test_what_is_not_mapped_may_be_anything():
    x = np.arange(3.0, dtype=np.float32)
    apply = fg.vmap(lambda f, word, x: f(x) if word == "yes" else x, in_axes=(None, None, 0))
    np.testing.assert_allclose(apply(fnp.sin, "yes", x), np.sin(x), rtol=1e-6)
    np.testing.assert_allclose(apply(fnp.sin, "no", x), x)
    np.testing.assert_allclose(fg.jit(lambda x: apply(fnp.sin, "yes", x))(x), np.sin(x), rtol=1e-6)
    with pytest.raises(TypeError, match="not a valid array type, in the arguments of vmap"):
        fg.vmap(lambda f, x: x, in_axes=(0, 0))(fnp.sin, x)


def test_keywords_are_mapped_over_axis_0():
    out = fg.vmap(lambda v, *, s: v * s)(x, s=np.arange(3.0, dtype=np.float32))
    np.testing.assert_allclose(out, x * np.arange(3)[:, None])


def test_out_axes_tree_and_none():
    out = fg.vmap(lambda v: {"a": v, "b": fnp.ones(())}, out_axes={"a": 1, "b": None})(x)
    np.testing.assert_allclose(out["a"], x.T)
    assert out["b"].shape == ()


def test_axis_size_without_mapped_arguments():
    assert fg.vmap(lambda: fnp.ones(2), axis_size=5)().shape == (5, 2)


def test_nested_and_with_other_transforms():
    outer = fg.vmap(fg.vmap(lambda a, b: a * b, (None, 0)), (0, None))
    np.testing.assert_allclose(outer(np.arange(3.0), np.arange(4.0)), np.outer(range(3), range(4)))
    both = fg.vmap(fg.vmap(fg.grad(fnp.sin)))
    np.testing.assert_allclose(both(x), np.cos(x), rtol=1e-5, atol=1e-6)
    grads = fg.grad(lambda v: fnp.sum(fg.vmap(fnp.sin)(v)))(x)
    np.testing.assert_allclose(grads, np.cos(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fg.jit(fg.vmap(fg.jit(fnp.sin)))(x), np.sin(x), rtol=1e-5)


def test_integer_arrays_and_keys_are_mapped():
    keys = fg.random.split(fg.random.key(0), 3)
    rows = fg.vmap(lambda k: fg.random.normal(k, (2,)))(keys)
    np.testing.assert_array_equal(rows[1], fg.random.normal(keys[1], (2,)))


@fg.tree_util.register_pytree_node_class
class Choosy:
    """A node whose children are its arrays; numbers of Python are part of its structure."""

    def __init__(self, values):
        self.values = values

    def tree_flatten(self):
        arrays = [None if isinstance(v, int) else v for v in self.values]
        return arrays, tuple(v if isinstance(v, int) else None for v in self.values)

    @classmethod
    def tree_unflatten(cls, numbers, arrays):
        return cls([a if n is None else n for n, a in zip(numbers, arrays, strict=True)])


def test_results_whose_nodes_ask_what_their_children_are():
    out = fg.vmap(lambda v: Choosy([v * 2, 3]))(x)
    np.testing.assert_allclose(out.values[0], x * 2)
    assert out.values[1] == 3


def test_a_function_may_be_an_object_whose_fields_have_the_names_of_a_functions():
    class Module:
        def __init__(self):
            self.__name__, self.__annotations__ = 3, np.ones(2)

        def __call__(self, x):
            return 2 * x

    module = Module()
    assert fg.vmap(module)(np.arange(3.0)).tolist() == [0.0, 2.0, 4.0]
    assert fg.checkpoint(module)(1.0) == fg.jit(module)(1.0) == 2.0
    assert fg.grad(module)(1.0) == fg.jacfwd(module)(1.0) == fg.jacrev(module)(1.0) == 2.0
    assert "mul 2.0:f32[] a" in str(fg.make_jaxpr(module)(1.0))

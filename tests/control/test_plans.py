"""Functions without jit: later calls of a signature give what the first call gives, to the bit."""

from __future__ import annotations

import importlib.util
import math
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import funcgrad
from funcgrad import nn, random, scipy, tree
from funcgrad import numpy as fnp
from funcgrad.config import debug_nans, disable_jit, enable_x64
from funcgrad.control import plans
from funcgrad.core import primitive
from funcgrad.core.context import context
from funcgrad.ir.jaxpr import ClosedJaxpr, subjaxprs
from funcgrad.ir.sources import describe
from funcgrad.random import words

_spec = importlib.util.spec_from_file_location(
    "calls", Path(__file__).parents[1] / "numpy" / "calls.py"
)
assert _spec is not None and _spec.loader is not None
calls = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(calls)

ARRAYS = {name: fnp.asarray(x) for name, x in calls.data().items()}
NAMES = {"n": fnp, "nn": nn, "R": random, "S": scipy.special, "key": random.key(7), **ARRAYS}

NETS = """
relu relu6 squareplus softplus sparse_plus soft_sign sigmoid sparse_sigmoid hard_sigmoid silu
hard_silu mish tanh hard_tanh log_sigmoid leaky_relu elu celu selu gelu softmax log_softmax
logsumexp standardize
""".split()
SAMPLES = """
R.split(key)
R.split(key, (2, 3))
R.split(R.key_data(key))
R.fold_in(key, 5)
R.bits(key, (3,), "uint8")
R.uniform(key, (5,))
R.uniform(key, (5,), "bfloat16")
R.normal(key, (5,))
R.normal(key, (2, 3), "complex64")
R.truncated_normal(key, -1.0, 2.0, (4,))
R.bernoulli(key, 0.3, (9,))
R.randint(key, (9,), -7, 70)
R.permutation(key, 9)
R.permutation(key, x, axis=1)
R.choice(key, row, (3,))
R.choice(key, 5, (3,), replace=False)
R.categorical(key, x)
R.gumbel(key, (4,))
R.exponential(key, (4,))
R.laplace(key, (4,))
R.gamma(key, 2.0, (4,))
R.dirichlet(key, edges[3:], (4,))
""".strip().split("\n")
CALLS = [
    *calls.CALLS,
    *(f"nn.{name}({x})" for name in NETS for x in ("x", "nans", "h")),
    *SAMPLES,
    "nn.one_hot(idx, 4)",
    "S.logsumexp(x, axis=1)",
    "x.at[1].set(2.0)",
    "x.at[-1, 2].add(row[0])",
    "x.at[5].set(2.0)",
    "x.at[-4].set(2.0)",
    "x.at[:, 1:3].multiply(y[:, :2])",
    "row.at[idx].add(1.0)",
    "row.at[idx].set(row)",
    "row.at[0, None].max(1)",
    "x.at[1, idx].set(0.0)",
    "x.at[1:, 0].min(-9)",
    "i8.at[2].set(300)",
    "n.take(row, n.array([9, -9, 1]))",
    "n.take(x, n.array([3, 4]), axis=0, mode='clip')",
    "n.take(x, n.array([[3, 0]]), axis=1)",
    "n.searchsorted(edges, nans)",
    "n.squeeze(x)",
    "n.arange(3)",
    "n.linspace(0, 1, 5)",
    "n.full((2, 0), 1)",
]


def bits(result: Any) -> list[Any]:
    """What is to be the same: avals and bytes."""
    found: list[Any] = [tree.structure(result)]
    for leaf in tree.leaves(result):
        if isinstance(leaf, funcgrad.Array):
            found.append((leaf.aval, np.asarray(leaf).tobytes()))
        else:
            found.append((type(leaf), leaf))
    return found


@pytest.mark.parametrize("call", CALLS)
def test_every_call_gives_the_same(call: str) -> None:
    code = compile(call, call, "eval")
    with disable_jit():
        want = bits(eval(code, NAMES))
    for _ in range(4):
        assert bits(eval(code, NAMES)) == want


def made_plans(monkeypatch: pytest.MonkeyPatch) -> list[ClosedJaxpr]:
    """A list to which the program of every plan is added that is made from now on."""
    made: list[ClosedJaxpr] = []
    make = plans.make_plan

    def noted(closed: ClosedJaxpr, out_tree: Any) -> plans.Plan:
        made.append(closed)
        return make(closed, out_tree)

    monkeypatch.setattr(plans, "make_plan", noted)
    return made


def test_the_second_call_makes_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    made = made_plans(monkeypatch)
    x = fnp.ones((3, 5, 7))
    for count in (0, 1, 1):
        fnp.var(x, axis=1)
        assert len([p for p in made if p.out_avals[0].shape == (3, 7)]) == count


def test_numbers_of_equal_value_are_told_apart() -> None:
    x = fnp.asarray([-0.0, 0.0, 3.0])
    for _ in range(3):
        assert np.signbit(fnp.copysign(x, -0.0)).all()
        assert not np.signbit(fnp.copysign(x, 0.0)).any()
        assert fnp.full((2,), 1).dtype == np.int32
        assert fnp.full((2,), 1.0).dtype == np.float32
        assert fnp.full((2,), True).dtype == np.bool_
        assert fnp.full((2,), complex(0.0, -0.0)).imag.tolist() == [-0.0, -0.0]
        assert math.copysign(1, fnp.full((), complex(1.0, -0.0)).imag.item()) == -1
        assert math.copysign(1, fnp.full((), complex(1.0, 0.0)).imag.item()) == 1


def test_an_operand_may_be_given_twice_and_numbers_on_either_side() -> None:
    x, y = fnp.asarray([1.0, 2.0, 5.0]), fnp.asarray([3.0, 7.0, 11.0])
    for _ in range(3):
        assert (x - x).tolist() == [0.0, 0.0, 0.0]
        assert (x - y).tolist() == [-2.0, -5.0, -6.0]
        assert (1 - x).tolist() == [0.0, -1.0, -4.0]
        assert (x - 1).tolist() == [0.0, 1.0, 4.0]
        assert funcgrad.lax.clamp(2.0, x, 4.0).tolist() == [2.0, 2.0, 4.0]


def test_errors_are_raised_each_time() -> None:
    x, y = fnp.ones((3,)), fnp.ones((4,))
    texts = set()
    for _ in range(4):
        with pytest.raises(TypeError) as caught:
            fnp.add(x, y)
        texts.add(str(caught.value))
    assert len(texts) == 1
    gone = fnp.ones((3,))
    fnp.exp(gone), fnp.exp(gone), fnp.exp(gone)
    gone.delete()
    with pytest.raises(RuntimeError, match="deleted"):
        fnp.exp(gone)


def test_warnings_are_given_each_time() -> None:
    x = fnp.ones((3,))
    for _ in range(4):
        with pytest.warns(UserWarning, match="float64") as seen:
            fnp.sum(x, dtype=np.float64)
        assert seen[0].filename == __file__
        with pytest.warns(FutureWarning, match="incompatible types"):
            fnp.arange(3).at[0].set(1.5)


def test_options_are_those_in_force() -> None:
    x = fnp.asarray([1.0, -1.0])
    for _ in range(3):
        assert np.isnan(fnp.log(x)[1])
        assert fnp.arange(3).dtype == np.int32
        with enable_x64():
            assert fnp.arange(3).dtype == np.int64
        with debug_nans(), pytest.raises(FloatingPointError, match="log"):
            fnp.log(x)
        with funcgrad.debug_key_reuse():
            key = random.key(0)
            random.normal(key)
            with pytest.raises(funcgrad.errors.KeyReuseError):
                random.normal(key)


def test_transforms_see_the_primitives() -> None:
    x = fnp.asarray([1.0, 2.0, 4.0])
    before = str(funcgrad.make_jaxpr(nn.softplus)(x))
    slope = funcgrad.grad(lambda v: fnp.var(v).sum())(x)
    for _ in range(3):
        nn.softplus(x), fnp.var(x)
    assert str(funcgrad.make_jaxpr(nn.softplus)(x)) == before
    assert bits(funcgrad.grad(lambda v: fnp.var(v).sum())(x)) == bits(slope)
    rows = funcgrad.vmap(fnp.var)(fnp.stack([x, 2 * x]))
    np.testing.assert_allclose(rows, [np.var(x), np.var(2 * x)], rtol=1e-6)


def test_what_hangs_on_values_has_no_plan() -> None:
    x = fnp.asarray([0.0, 1.0, 2.0])
    for _ in range(3):
        assert fnp.where(x > 0)[0].tolist() == [1, 2]
        assert fnp.where(x > 1)[0].tolist() == [2]
        assert fnp.repeat(x, fnp.asarray([0, 1, 2])).tolist() == [1.0, 2.0, 2.0]
        assert fnp.repeat(x, fnp.asarray([1, 0, 1])).tolist() == [0.0, 2.0]


def test_results_are_never_written_to() -> None:
    x = fnp.ones((4,))
    given = [fnp.eye(3), fnp.eye(3), fnp.eye(3), fnp.reshape(x, (2, 2)), fnp.reshape(x, (2, 2))]
    step = funcgrad.jit(lambda v: v + 1, donate_argnums=0)
    for array in given[:2]:
        step(array)
    np.testing.assert_array_equal(given[2], np.eye(3))
    np.testing.assert_array_equal(fnp.eye(3), np.eye(3))
    for array in given[2:]:
        assert not np.asarray(array).flags.writeable


def test_loops_over_elements_share_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    made = made_plans(monkeypatch)
    x = fnp.zeros((11, 2), np.int32)
    made.clear()
    for i in range(11):
        x = x.at[i, 1].set(i)
    assert x[:, 1].tolist() == list(range(11))
    assert len([p for p in made if p.out_avals[0].shape == (11, 2)]) == 1


def test_plans_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "_limit", 4)
    count: list[dict[Any, Any]] = []
    real = plans._remember
    monkeypatch.setattr(plans, "_remember", lambda p, k, w: (real(p, k, w), count.append(p)))
    double = plans.planned(lambda x, n: fnp.multiply(x, n))
    for i in range(20):
        assert double(fnp.ones(()), i).item() == i
        assert double(fnp.ones(()), i).item() == i
    assert len(count[-1]) <= 4


def test_threads_get_the_same() -> None:
    x = fnp.linspace(0, 1, 7)
    with disable_jit():
        want = bits(nn.softmax(x))
    wrong: list[Any] = []

    def work() -> None:
        for i in range(200):
            with enable_x64(i % 3 == 0):
                wrong.extend([1] if bits(nn.softmax(x)) != want else [])
            fnp.full((i % 5,), float(i))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_numpy_warns_as_before() -> None:
    x = fnp.asarray([0.0, 1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            fnp.log(x), fnp.divide(x, 0.0)
    with np.errstate(all="raise"):
        fnp.log(x)
        with pytest.raises(FloatingPointError):
            np.log(np.zeros(3))


SHAPES = [(), (1,), (3,), (16,), (17,), (2, 33), (0,), (100,), (1025,)]


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random words by compiled programs from the first call on."""
    monkeypatch.setattr(words, "_WORTH_A_PROGRAM", 0.0)
    monkeypatch.setattr(words, "_WORTH_THE_COMPILER", 0.0)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("shape", SHAPES)
def test_words_of_programs_are_those_of_numpy(shape: tuple[int, ...]) -> None:
    key = np.asarray(random.key(2**31 + 5))
    many = np.asarray(random.split(random.key(1), 3))
    for width in (8, 16, 32, 64):
        params = {"bit_width": width, "shape": shape}
        for keys in (key, many):
            got = words.random_bits_p.quick(keys, **params)
            want = words.random_bits_p.impl(keys, **params)
            assert (got.dtype, got.shape) == (want.dtype, want.shape)
            np.testing.assert_array_equal(got, want)
    for keys in (key, many):
        got = words.random_split_p.quick(keys, shape=shape)
        want = words.random_split_p.impl(keys, shape=shape)
        assert (got.dtype, got.shape) == (want.dtype, want.shape)
        assert got.tobytes() == want.tobytes()
    for count in (np.array(0, np.uint32), np.array(2**32 - 1, np.uint32)):
        got = words.random_fold_in_p.quick(key, count)
        assert got.tobytes() == words.random_fold_in_p.impl(key, count).tobytes()


def test_few_words_are_no_reason_to_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr(words._Program, "_made", lambda self: made.append(self))
    monkeypatch.setattr(words._Program, "spent_in_all", 0.0)
    program = words._Program(primitive.Primitive.bind, words._key)
    assert program(1, np.asarray(random.key(0))) is None
    assert not made


def test_eqns_are_of_the_lines_of_the_user() -> None:
    def edge(vector: Any, widths: Any, axis: int, options: Any) -> Any:
        return vector.at[0].set(7.0)

    def f(x: Any) -> Any:
        y = fnp.mean(x, axis=0)
        with pytest.raises(ValueError):
            fnp.transpose(y, (0, 1, 2))
        return fnp.pad(y, 1, edge)

    def described(jaxpr: Any) -> Any:
        for eqn in jaxpr.eqns:
            yield eqn.primitive.name, describe(eqn.source)
            for inner in subjaxprs(eqn.params):
                yield from described(inner)

    found = list(described(funcgrad.make_jaxpr(f)(fnp.ones((2, 3))).jaxpr))
    assert all("y = fnp.mean" in line for name, line in found if name in ("reduce_sum", "div"))
    assert any("vector.at[0].set" in line for name, line in found if name.startswith("scatter"))
    assert context.source is None

"""Calls by the short way: the same results as by the long one, and donated memory used again."""

import gc
import pickle
import sys
import threading
import time
import weakref
from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax, tree
from funcgrad.control.leaves import OtherStructure, reader
from funcgrad.kernels.runtime import outputs

Pair = namedtuple("Pair", "first second")


def array(*shape, dtype=np.float32):
    return fnp.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype))


TREES = [
    ((1, 2),),
    ({"b": 1, "a": [2, (3, None)]}, 4),
    (Pair({"x": 1}, [2]), []),
    ({("tuple", "key"): 1}, {3: 2, 1: 4}),
    ([[], {}, None],),
]


@pytest.mark.parametrize("x", TREES, ids=str)
def test_a_reader_gives_the_leaves_of_its_structure(x):
    leaves, treedef = tree.flatten(x)
    assert reader(treedef)(x) == tuple(leaves)


@pytest.mark.parametrize(
    "other",
    [
        ({"a": 1},),
        ({"a": 1, "b": [2, 3], "c": 0},),
        ({"a": 1, "b": (2, 3)},),
        ({"a": 1, "b": [2, 3, 4]},),
        ({"a": 1, "q": [2, 3]},),
        (OrderedDict(a=1, b=[2, 3]),),
        ([1, [2, 3]],),
        (7,),
        ({"a": 1, "b": [2, 3]}, 1),
    ],
    ids=str,
)
def test_a_reader_refuses_other_structures(other):
    read = reader(tree.structure(({"a": 1, "b": [2, 3]},)))
    with pytest.raises((OtherStructure, LookupError)):
        read(other)


def test_nodes_without_subscripts_have_no_reader():
    assert reader(tree.structure((OrderedDict(a=1),))) is None


def test_calls_of_many_signatures_in_turn():
    f = fg.jit(lambda x, y=None: x * 2 if y is None else x + y["k"])
    a, b, c = array(3), array(4), array(3, dtype=np.int32)
    for _ in range(3):
        for x in (a, b, c):
            out = f(x)
            assert out.dtype == x.dtype
            np.testing.assert_array_equal(out, np.asarray(x) * 2)
            np.testing.assert_array_equal(f(x, {"k": x}), np.asarray(x) * 2)
            np.testing.assert_array_equal(f(x, y={"k": x}), np.asarray(x) * 2)


def test_positional_and_keyword_trees_of_one_shape_are_apart():
    f = fg.jit(lambda x, k: x[0] - k if isinstance(x, tuple) else x - k["k"] * 10)
    a, b = array(2) + 5, array(2)
    for _ in range(3):
        np.testing.assert_array_equal(f((a,), k=b), [5, 5])
        np.testing.assert_array_equal(f(a, {"k": b}), [5, -4])


def test_leaves_that_are_no_arrays_take_the_long_way():
    f = fg.jit(lambda t: t["a"] + t["b"])
    one = array(2)
    for b in (one, 1.0, np.ones(2, np.float32), one, 3, one):
        np.testing.assert_array_equal(f({"a": one, "b": b}), np.arange(2) + np.asarray(b))
    with pytest.raises(TypeError, match="str"):
        f({"a": one, "b": "text"})


def test_views_are_made_contiguous_once():
    f = fg.jit(lambda x: x + 1)
    x = array(3, 4).T
    f(x), f(x)
    assert np.asarray(x).flags.c_contiguous
    np.testing.assert_array_equal(f(x), np.arange(12).reshape(3, 4).T + 1)


def test_results_are_read_only():
    f = fg.jit(lambda x: x + 1)
    for _ in range(3):
        assert not np.asarray(f(array(3))).flags.writeable
    big = fg.jit(lambda x: x @ x)
    for _ in range(3):
        assert not np.asarray(big(array(300, 300))).flags.writeable


def test_options_of_tracing_are_looked_at():
    f = fg.jit(lambda x: x + 1)
    x = array(3)
    f(x), f(x)
    with fg.disable_jit():
        traced = []
        g = fg.jit(lambda x: traced.append(type(x)) or x)
        g(x), g(x)
        assert len(traced) == 2
    with fg.enable_x64(True):
        assert f(fnp.ones(3, np.float64)).dtype == np.float64
    assert f(x).dtype == np.float32


def test_inside_a_transform_the_short_way_is_left():
    f = fg.jit(lambda x: fnp.sin(x))
    x = fnp.asarray(1.0)
    f(x), f(x)
    assert float(fg.grad(lambda y: f(y) * f(x))(x)) == pytest.approx(
        np.cos(1) * np.sin(1), rel=1e-5
    )


def test_no_arguments():
    f = fg.jit(lambda: fnp.arange(3))
    for _ in range(3):
        np.testing.assert_array_equal(f(), [0, 1, 2])


def test_keys_come_back_as_keys():
    f = fg.jit(lambda key: fg.random.split(key))
    key = fg.random.key(3)
    first = f(key)
    for _ in range(3):
        np.testing.assert_array_equal(fg.random.key_data(f(key)), fg.random.key_data(first))


RESULTS = {
    "scalar": lambda x: x[0],
    "empty": lambda x: x[:0],
    "bfloat16": lambda x: x.astype(fnp.bfloat16).reshape(-1, 1, 1),
    "bool": lambda x: x > 1,
    "complex": lambda x: x + 2j,
    "weak": lambda x: 3.0 * (x.sum() > 2),
    "keys": lambda x: fg.random.split(fg.random.key(1), 2),
    "tree": lambda x: {"a": x + 1, "b": [x.sum(), (x > 1,)]},
}


# Of a short program, of one that lets go of the GIL, and of one with large results.
SIZES = [3, 100_003, 600_001]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fun", RESULTS.values(), ids=RESULTS)
def test_results_are_the_same_by_both_ways(fun, size):
    f = fg.jit(fun)
    x = array(size)
    first, later = f(x), f(x)
    assert f._known._last.in_line
    assert tree.structure(first) == tree.structure(later)
    for a, b in zip(tree.leaves(first), tree.leaves(later), strict=True):
        assert type(a) is type(b)
        assert a.aval is b.aval
        assert not b.numpy().flags.writeable and b.numpy().flags.c_contiguous
        assert (b.numpy().shape, b.numpy().dtype) == (a.numpy().shape, a.numpy().dtype)
        assert a.tobytes() == b.tobytes()
        if a.dtype.kind in "fib":
            again = pickle.loads(pickle.dumps(b))
            np.testing.assert_array_equal(again, a)


@pytest.mark.parametrize("size", SIZES)
def test_results_and_arguments_are_let_go_of(size):
    f = fg.jit(lambda x, y=0: {"a": x * 2, "b": x.sum() + y})
    x, other = array(size), array(size + 1)
    f(x), f(other)

    def held():
        last = f._known._last
        objects = (fg.Array, type(x), np.ndarray, x.dtype, *last.avals, *last.out_avals)
        objects += (x, other, x.numpy(), other.numpy())
        return [sys.getrefcount(k) for k in objects]

    for args in ((x,), (x, 1.0), (other,), (x,)):  # the program of the call before does not fit
        f(*args)
    before = held()
    for _ in range(200 if size < 1000 else 20):
        f(other), f(x)
    kept = f(x)["a"]
    died = weakref.ref(kept)
    del kept
    assert died() is None
    assert all(b <= a + 5 for a, b in zip(before, held(), strict=True))


def test_results_take_part_in_the_collection_of_cycles():
    f = fg.jit(lambda x: x + 1)
    f(array(3))
    out = f(array(3))
    assert gc.is_tracked(out) == gc.is_tracked(fg.core.array.Array(np.ones(1)))
    for _ in range(3000):  # more than the collector's threshold, while results are made
        kept = [f(array(3)) for _ in range(2)]
        kept.append(kept)
    np.testing.assert_array_equal(kept[0], [1, 2, 3])


def beside(f, x, what):
    """The result of f(x), and what another thread got of what(), begun a while after the call."""
    found = []
    start = time.perf_counter()
    f(x)
    taken = time.perf_counter() - start

    def later():
        time.sleep(taken / 4)
        found.append((what(), time.perf_counter()))

    thread = threading.Thread(target=later)
    thread.start()
    out = f(x)
    end = time.perf_counter()
    thread.join()
    ((value, at),) = found
    return out, value, at < end


def long_fold():
    """A program of some tenths of a second."""
    f = fg.jit(lambda x: lax.fori_loop(0, 3_000_000, lambda _, y: lax.sin(y) + x, x))
    f(array(8))
    return f


def test_other_threads_of_python_go_on_while_a_program_runs():
    f = long_fold()
    assert any(beside(f, array(8), lambda: None)[2] for _ in range(5))


def test_memory_of_an_argument_that_is_deleted_while_a_program_reads_it_stays_until_then():
    f, meanwhile = long_fold(), False
    wanted = np.asarray(f(array(8)))
    for _ in range(5):
        x = array(8) * 1
        memory = weakref.ref(x.numpy())

        def delete(x=x, memory=memory):
            x.delete()
            return memory() is not None

        out, lived, meanwhile = beside(f, x, delete)
        np.testing.assert_array_equal(out, wanted)
        assert memory() is None
        if meanwhile:
            assert lived
            break
    assert meanwhile


def test_where_there_is_no_memory_for_results_arguments_are_let_go_of(monkeypatch):
    none_left, make = [], outputs.empty

    def empty(*args):
        if none_left:
            raise MemoryError
        return make(*args)

    monkeypatch.setattr(outputs, "empty", empty)
    f = fg.jit(lambda x: x + 1)
    x = array(1 << 19)
    f(x), f(x)
    memory = x.numpy()
    before = sys.getrefcount(memory)
    none_left.append(True)
    for _ in range(3):
        with pytest.raises(MemoryError, match="2.0 MiB for its results"):
            f(x)
    after = sys.getrefcount(memory)
    assert after == before
    none_left.clear()
    np.testing.assert_array_equal(f(x), np.arange(1 << 19) + 1)


@pytest.mark.parametrize("size", SIZES)
def test_numpy_arrays_of_twice_the_bits_are_converted_whatever_their_size(size):
    f = fg.jit(lambda x, n: x * n)
    x = np.arange(size) / 3
    for _ in range(3):
        np.testing.assert_array_equal(f(x, 2), x.astype(np.float32) * 2)


# Donation.


@pytest.mark.parametrize("shape", [(8,), (300, 200), (1100, 300)], ids=str)
def test_donated_memory_is_written_in_place(shape):
    step = fg.jit(lambda p, g: p - 0.5 * g, donate_argnums=0)
    p, g = array(*shape) * 1, fnp.ones(shape)
    for k in range(4):
        before, old = p.unsafe_buffer_pointer(), p
        p = step(p, g)
        assert p.unsafe_buffer_pointer() == before
        assert old.is_deleted()
        np.testing.assert_array_equal(np.ravel(p)[:3], np.arange(3) - 0.5 * (k + 1))


@pytest.mark.parametrize("shape", [(8,), (300, 200), (1100, 300)], ids=str)
@pytest.mark.parametrize(
    "hold",
    [
        np.asarray,
        lambda x: np.asarray(x)[1:2],
        lambda x: memoryview(np.asarray(x)),
        lambda x: x.reshape(-1, 2),
        lambda x: x[1:],
        lambda x: np.from_dlpack(x),
    ],
    ids=["whole", "view", "buffer", "reshaped", "slice", "dlpack"],
)
def test_memory_that_somebody_holds_is_left_alone(shape, hold):
    step = fg.jit(lambda p, g: p - g, donate_argnums=0)
    p, g = array(*shape) * 1, fnp.ones(shape)
    p = step(step(p, g), g)
    held = hold(p)
    before = np.array(held)
    step(p, g)
    np.testing.assert_array_equal(np.asarray(held), before)


def test_memory_read_after_it_would_be_written_is_left_alone():
    f = fg.jit(lambda p: (p + 1, p[::-1] * 2), donate_argnums=0)
    for shape in ((9,), (400, 300)):
        for _ in range(3):
            a, b = f(array(*shape))
            np.testing.assert_array_equal(a, np.asarray(array(*shape)) + 1)
            np.testing.assert_array_equal(b, np.asarray(array(*shape))[::-1] * 2)


def test_an_argument_given_twice_is_not_overwritten():
    f = fg.jit(lambda p, q: (p + 1, p[::-1] + q), donate_argnums=0)
    for shape in ((9,), (400, 300)):
        for _ in range(3):
            p = array(*shape)
            a, b = f(p, p)
            np.testing.assert_array_equal(a, np.asarray(array(*shape)) + 1)
            want = np.asarray(array(*shape))
            np.testing.assert_array_equal(b, want[::-1] + want)


def test_a_whole_optimizer_step_in_place():
    from funcgrad import optim

    optimizer = optim.adam(1e-2)
    params = {"w": array(200, 300) * 1, "b": array(300) * 1}
    state = fg.jit(optimizer.init)(params)
    grads = tree.map(fnp.ones_like, params)

    def update(params, state, grads):
        updates, state = optimizer.update(grads, state, params)
        return optim.apply_updates(params, updates), state

    wanted = update(*update(*update(params, state, grads), grads), grads)
    step = fg.jit(update, donate_argnums=(0, 1))
    params, state = step(params, state, grads)
    for _ in range(2):
        before = [x.unsafe_buffer_pointer() for x in tree.leaves((params, state))]
        params, state = step(params, state, grads)
        after = [x.unsafe_buffer_pointer() for x in tree.leaves((params, state))]
        assert before == after
    tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), (params, state), wanted)


def test_donation_by_name():
    step = fg.jit(lambda x, state: x + state["s"], donate_argnames="state")
    for _ in range(3):
        state = {"s": array(5) * 1}
        np.testing.assert_array_equal(step(array(5), state=state), np.arange(5) * 2)
        assert state["s"].is_deleted()


def test_a_donated_array_is_refused_the_second_time():
    step = fg.jit(lambda x: x + 1, donate_argnums=0)
    x = array(5) * 1
    step(x)
    with pytest.raises(RuntimeError, match="deleted"):
        step(x)


def test_threads_that_call_one_function():
    f = fg.jit(lambda t: {"a": t["a"] * 2, "b": lax.sin(t["b"])})
    wrong = []

    def call(k):
        given = {"a": fnp.full((7,), k, np.float32), "b": fnp.zeros(k + 1)}
        for _ in range(300):
            out = f(given)
            if float(out["a"][0]) != 2 * k or out["b"].shape != (k + 1,):
                wrong.append(k)

    threads = [threading.Thread(target=call, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_doubles_are_converted_in_silence_by_several_threads_at_once():
    """What float32 has no room for becomes infinite, and nobody is warned."""
    double = fg.jit(lambda x: x * 2)
    x = np.array([1e300, -1e300, 1e-300, 0.5, np.nan])
    expected = np.array([np.inf, -np.inf, 0.0, 1.0, np.nan], np.float32)
    double(x)
    found = []

    def work():
        found.extend(np.asarray(double(x)) for _ in range(200))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == 800
    for one in found:
        np.testing.assert_array_equal(one, expected)
    with np.errstate(over="raise"):
        np.testing.assert_array_equal(double(x), expected)


def test_texts_in_the_place_of_numbers_are_refused():
    double = fg.jit(lambda x: x * 2)
    double(np.zeros(3))
    double(np.zeros(3))
    for wrong in (np.array(["a", "b", "c"]), np.array([None] * 3)):
        with pytest.raises(TypeError):
            double(wrong)

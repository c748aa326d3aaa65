"""Pytrees: each function against `jax.tree` and `jax.tree_util`, and the words of the errors."""

from __future__ import annotations

import collections
import dataclasses
import functools
from typing import Any, NamedTuple

import pytest

from funcgrad import tree, tree_util

try:
    import jax
except ImportError:  # the peer is an extra: funcgrad[bench]
    jax = None

LIBRARIES = (tree_util,) if jax is None else (tree_util, jax.tree_util)
# These ask whether JAX gives the same; what ours gives is asserted without it in the other tests.
needs_jax = pytest.mark.skipif(jax is None, reason="compares with the peer: funcgrad[bench]")


class Point(NamedTuple):
    x: Any
    y: Any


class Pair:
    """A node without keys."""

    def __init__(self, left: Any, right: Any, tag: str = "") -> None:
        self.left, self.right, self.tag = left, right, tag


def _flatten_pair(pair: Pair) -> Any:
    return (pair.left, pair.right), pair.tag


def _unflatten_pair(tag: str, children: Any) -> Pair:
    return Pair(*children, tag)


@dataclasses.dataclass
class Layer:
    w: Any
    b: Any
    name: str = dataclasses.field(default="", metadata={"static": True})


for library in LIBRARIES:
    library.register_pytree_node(Pair, _flatten_pair, _unflatten_pair)
    library.register_dataclass(Layer)

TREES: dict[str, Any] = {
    "leaf": 1,
    "none": None,
    "empty": ((), [], {}, None),
    "nested": {"b": [1, (2, None)], "a": {"z": 3, "y": Point(4, [5])}},
    "ordered": collections.OrderedDict(b=1, a=(2, 3)),
    "defaultdict": collections.defaultdict(list, b=1, a=2),
    "custom": [Pair(1, {"k": 2}, "t"), Layer(3, [4, 5], "dense")],
    "integer keys": {3: 1, 1: [2]},
}
every_tree = pytest.mark.parametrize("x", TREES.values(), ids=TREES.keys())


@every_tree
@needs_jax
def test_leaves_are_those_of_jax(x: Any) -> None:
    assert tree.leaves(x) == jax.tree.leaves(x)
    found, treedef = tree.flatten(x)
    assert found == jax.tree.leaves(x)
    assert treedef == tree.structure(x)
    assert tree.leaves(tree.unflatten(treedef, found)) == found
    assert treedef.num_leaves == len(found)


@every_tree
@needs_jax
def test_paths_are_those_of_jax(x: Any) -> None:
    ours = [(tree_util.keystr(p), leaf) for p, leaf in tree.leaves_with_path(x)]
    theirs = [(jax.tree_util.keystr(p), leaf) for p, leaf in jax.tree.leaves_with_path(x)]
    assert ours == theirs
    simple = [
        (library.keystr(p, simple=True, separator="/"))
        for library in LIBRARIES
        for p, _ in library.tree_leaves_with_path(x)
    ]
    assert simple[: len(ours)] == simple[len(ours) :]


@every_tree
@needs_jax
def test_map_keeps_the_structure(x: Any) -> None:
    doubled = tree.map(lambda a, b: a + b, x, x)
    assert tree.structure(doubled) == tree.structure(x)
    assert tree.leaves(doubled) == [2 * leaf for leaf in tree.leaves(x)]
    assert tree.leaves(tree.map(str, x)) == jax.tree.leaves(jax.tree.map(str, x))


@every_tree
@needs_jax
def test_is_leaf_may_take_the_path(x: Any) -> None:
    def stop(path: Any, _: Any) -> bool:
        return len(path) == 1

    ours, treedef = tree.flatten_with_path(x, stop, is_leaf_takes_path=True)
    theirs, _ = jax.tree.flatten_with_path(x, stop, is_leaf_takes_path=True)
    assert [(tree_util.keystr(p), v) for p, v in ours] == [
        (jax.tree_util.keystr(p), v) for p, v in theirs
    ]
    assert tree.leaves(tree.unflatten(treedef, range(len(ours)))) == list(range(len(ours)))


def test_is_leaf() -> None:
    x = [1, (2, 3), None]
    assert tree.leaves(x, lambda a: isinstance(a, tuple)) == [1, (2, 3)]
    assert tree.leaves(x, is_leaf=lambda a: a is None) == [1, 2, 3, None]
    assert tree.map(lambda a: a, x, is_leaf=lambda a: a is None) == x


def test_map_takes_trees_that_go_on_below_its_leaves() -> None:
    assert tree.map(lambda a, b: (a, b), [1, 2], [[3], {"a": 4}]) == [(1, [3]), (2, {"a": 4})]


def test_map_with_path() -> None:
    x = {"a": [1, 2], "b": 3}
    found = tree.map_with_path(lambda p, a, b: tree.keystr(p) + str(a + b), x, x)
    assert found == {"a": ["['a'][0]2", "['a'][1]4"], "b": "['b']6"}


def test_structures_of_dicts_do_not_depend_on_their_order() -> None:
    assert tree.structure({"a": 1, "b": 2}) == tree.structure({"b": 1, "a": 2})
    assert tree.structure({"a": 1}) != tree.structure(collections.OrderedDict(a=1))
    assert hash(tree.structure({"a": [1]})) == hash(tree.structure({"a": [2]}))


def test_static_data_belong_to_the_structure() -> None:
    assert tree.structure(Pair(1, 2, "s")) != tree.structure(Pair(1, 2, "t"))
    assert tree.structure(Pair(1, 2, "s")) == tree.structure(Pair(3, 4, "s"))


def test_reductions() -> None:
    x = {"a": [1, 2], "b": 3}
    assert tree.reduce(lambda a, b: a - b, x) == -4
    assert tree.reduce(lambda a, b: a - b, x, 10) == 4
    assert tree.reduce(lambda a, b: (a, b), [1, None], None) == (None, 1)
    assert tree.reduce_associative(lambda a, b: a + b, x) == 6
    assert tree.reduce_associative(lambda a, b: a + b, [], identity=0) == 0
    assert tree.all([1, (True, None)])
    assert not tree.all([1, (0, None)])
    with pytest.raises(TypeError):
        tree.reduce(lambda a, b: a + b, [])
    with pytest.raises(TypeError, match="needs an identity"):
        tree.reduce_associative(lambda a, b: a + b, None)


def test_transpose() -> None:
    x = [{"a": 1, "b": (2, 3)}, {"a": 4, "b": (5, 6)}]
    expected = {"a": [1, 4], "b": ([2, 5], [3, 6])}
    outer, inner = tree.structure([0, 0]), tree.structure(x[0])
    assert tree.transpose(outer, inner, x) == expected
    assert tree.transpose(outer, None, x) == expected
    with pytest.raises(TypeError, match="is not a tree of structure"):
        tree.transpose(outer, tree.structure((0, 0)), x)


def test_broadcast() -> None:
    full = {"a": [1, (2, 3)], "b": 4}
    assert tree.broadcast({"a": 0, "b": 5}, full) == {"a": [0, (0, 0)], "b": 5}
    assert tree.flatten_prefix({"a": None, "b": 5}, full) == [None, None, None, 5]
    assert tree.flatten_prefix(None, full) == [None] * 4
    assert tree.flatten_prefix((0, None), (None, 1)) == [None]


# Errors


def test_map_tells_where_the_trees_differ() -> None:
    with pytest.raises(ValueError, match=r"At \['a'\]\[1\] one has a tuple, the other a leaf"):
        tree.map(lambda *_: 0, {"a": [1, (2,)]}, {"a": [1, 2]})
    with pytest.raises(ValueError, match=r"At \['a'\]\[1\] one has a tuple, the other a leaf\."):
        tree.map(lambda *_: 0, {"a": [1, (2,)]}, {"a": [[1], 2]})


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ([1, 2], [1, 2, 3], "At the root one has 2 children, the other 3."),
        ({"k": 1}, {"l": 1}, "At the root the keys are ['k'] and ['l']."),
        (Point(1, [2]), Point(1, (2,)), "At .y one has a list, the other a tuple."),
        ([Pair(1, [2])], [Pair(1, 2)], "At [0][<flat index 1>] one has a list, the other a leaf."),
        (Layer(1, None), Layer(1, 2), "At .b one has None, the other a leaf."),
        ((1, (2,)), (1, (2,)), "They have the same structure."),
    ],
)
def test_structure_difference(a: Any, b: Any, words: str) -> None:
    assert tree.structure_difference(tree.structure(a), tree.structure(b)) == words


def test_structure_difference_of_static_data() -> None:
    words = tree.structure_difference(
        tree.structure([Pair(1, 2, "s")]), tree.structure([Pair(1, 2, "t")])
    )
    assert words.startswith("At [0] the static data differ: ")
    assert "'s'" in words
    assert "'t'" in words


def test_prefix_error_tells_the_place() -> None:
    with pytest.raises(ValueError, match=r"is not a prefix.*At \[1\] one has 2 children, the"):
        tree.flatten_prefix(([0], (0, 1)), ([[1, 2]], (1, 2, 3)))


def test_unflatten_counts_the_leaves() -> None:
    with pytest.raises(ValueError, match="Too few leaves"):
        tree.unflatten(tree.structure((1, 2)), [1])


# tree_util


@needs_jax
def test_treedefs() -> None:
    treedef = tree.structure([(1, 2), 3])
    assert tree_util.treedef_children(treedef) == [tree.structure((1, 2)), tree.structure(3)]
    assert tree_util.treedef_tuple(treedef.children()) == tree.structure(((1, 2), 3))
    for x in (1, None, (), [1]):
        ours = tree_util.treedef_is_leaf(tree.structure(x))
        assert ours == jax.tree_util.treedef_is_leaf(jax.tree.structure(x))


@needs_jax
def test_nodes_and_leaves() -> None:
    assert tree_util.all_leaves([1, "a"])
    assert not tree_util.all_leaves([1, [2]])
    for kind in (dict, Point, Pair, Layer, int, str, type(None)):
        assert tree_util.is_tree_node(kind) == jax.tree_util.is_tree_node(kind)
    for x in ({"a": 1}, [1], Point(1, 2), Pair(1, 2, "t"), None):
        ours, theirs = tree_util.flatten_one_level(x), jax.tree_util.flatten_one_level(x)
        assert list(ours[0]) == list(theirs[0])
        assert ours[1] == theirs[1]
    assert tree_util.flatten_one_level_with_keys({"a": 1})[0] == [(tree_util.DictKey("a"), 1)]
    with pytest.raises(ValueError, match="leaf"):
        tree_util.flatten_one_level(3)


def test_registering_by_methods() -> None:
    @tree_util.register_pytree_node_class
    class Box:
        def __init__(self, value: Any) -> None:
            self.value = value

        def tree_flatten(self) -> Any:
            return (self.value,), None

        @classmethod
        def tree_unflatten(cls, _: Any, children: Any) -> Any:
            return cls(*children)

    @tree_util.register_pytree_with_keys_class
    class Named(Box):
        def tree_flatten_with_keys(self) -> Any:
            return ((tree_util.GetAttrKey("value"), self.value),), None

    assert tree.map(lambda a: a + 1, Box(1)).value == 2
    assert tree.map(lambda a: a + 1, Named(1)).value == 2
    assert [tree.keystr(p) for p, _ in tree.leaves_with_path([Box(1), Named([2])])] == [
        "[0][<flat index 0>]",
        "[1].value[0]",
    ]
    with pytest.raises(ValueError, match="already registered"):
        tree_util.register_pytree_node_class(Box)


def test_a_mapping_class_without_keys_has_flat_indices() -> None:
    class Bag(dict[str, Any]):
        pass

    tree_util.register_pytree_node(Bag, lambda b: (list(b.values()), tuple(b)), lambda *_: Bag())
    assert tree.keystr(tree.leaves_with_path(Bag(a=1))[0][0]) == "[<flat index 0>]"


def test_a_namedtuple_class_may_have_a_rule_of_its_own() -> None:
    class Tagged(NamedTuple):
        value: Any
        tag: str

    tree_util.register_pytree_node(
        Tagged, lambda t: ((t.value,), t.tag), lambda tag, c: Tagged(*c, tag)
    )
    assert tree.leaves(Tagged(1, "t")) == [1]


def test_dataclass_with_static_fields() -> None:
    @tree_util.register_dataclass
    @dataclasses.dataclass
    class Scale:
        factor: Any
        unit: str = tree.static(default="m")

    mapped = tree.map(lambda a: a * 2, Scale(3))
    assert mapped == Scale(6, "m")
    assert tree.keystr(tree.leaves_with_path(Scale(3))[0][0]) == ".factor"


def test_dataclass_fields_are_checked() -> None:
    @dataclasses.dataclass
    class Wrong:
        a: Any
        b: Any = 0

    with pytest.raises(ValueError, match=r"fields of .*Wrong.* are \['a', 'b'\].*name \['a'\]"):
        tree_util.register_dataclass(Wrong, ["a"], [])
    with pytest.raises(ValueError, match=r"\['a'\] are in data_fields and in meta_fields"):
        tree_util.register_dataclass(Wrong, ["a", "b"], ["a"])
    with pytest.raises(TypeError, match="give both"):
        tree_util.register_dataclass(Wrong, ["a"])
    with pytest.raises(TypeError, match="is no dataclass"):
        tree_util.register_dataclass(int)
    tree_util.register_dataclass(Wrong, ["a"], [], drop_fields=["b"])
    assert tree.leaves(Wrong(1, 2)) == [1]


def test_static_classes_have_no_leaves() -> None:
    @tree_util.register_static
    class Mode(str):
        __slots__ = ()

    assert tree.leaves([Mode("a"), 1]) == [1]
    assert tree.structure(Mode("a")) == tree.structure(Mode("a"))
    assert tree.structure(Mode("a")) != tree.structure(Mode("b"))
    words = tree.structure_difference(tree.structure([Mode("a")]), tree.structure([Mode("b")]))
    assert words.startswith("At [0] the static data differ")


@needs_jax
def test_partial() -> None:
    def add(*args: int, scale: int = 1) -> int:
        return sum(args) * scale

    bound = tree_util.Partial(add, 1, scale=2)
    assert bound(3) == 8
    assert tree.map(lambda a: 10 * a, bound)(3) == 13 * 20
    ours = [tree_util.keystr(p) for p, _ in tree.leaves_with_path(bound)]
    theirs = jax.tree.leaves_with_path(jax.tree_util.Partial(add, 1, scale=2))
    assert ours == [jax.tree_util.keystr(p) for p, _ in theirs]
    assert tree.structure(bound) == tree.structure(tree_util.Partial(add, 5, scale=6))


def test_partial_of_a_partial_keeps_its_arguments_static() -> None:
    inner = functools.partial(max, 1)
    outer = tree_util.Partial(inner, 2)
    assert tree.leaves(outer) == [2]
    assert outer(0) == 2
    assert tree.structure(outer) == tree.structure(tree_util.Partial(inner, 7))
    nested = tree_util.Partial(tree_util.Partial(max, 1), 2)
    assert tree.leaves(nested) == [2]
    assert tree.map(lambda a: a + 1, nested)(0) == 3

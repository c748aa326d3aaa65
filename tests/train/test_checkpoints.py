"""Checkpoints: the same bits back, atomic, and refused with a reason where they are not whole."""

from __future__ import annotations

import contextlib
import json
import math
import os
import pickle
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn, optim, train, tree

safetensors = pytest.importorskip("safetensors", reason="checkpoints are its files")
LEAVES = {
    "f32": fnp.array([[1.5, -0.0], [np.nan, np.inf]]),
    "scalar": fnp.float32(2.5),
    "weak": fnp.asarray(3.0),
    "bf16": fnp.array([1.0, 2.0, 3.0], fnp.bfloat16),
    "f8": np.array([[1, 2]], ml_dtypes.float8_e4m3fn),
    "complex": np.array(1 + 2j, np.complex64),
    "f64": np.arange(6.0).reshape(2, 3).T,
    "big": np.arange(3, dtype=">i4"),
    "bool": fnp.array([True, False]),
    "empty": fnp.zeros((0, 3)),
    "key": fg.random.key(5),
    "keys": fg.random.split(fg.random.key(1), 3),
    "numpy": np.int16(-3),
    "python": [True, -7, 2**70, 0.1, math.inf, "text"],
    "none": None,
}


def bits(x: Any) -> Any:
    if isinstance(x, bool | int | float | str):
        return type(x), x
    if hasattr(x, "aval"):
        weak = x.aval.weak_type
        x = fg.random.key_data(x) if fg.dtypes.issubdtype(x.dtype, fg.dtypes.prng_key) else x
        return "Array", weak, x.dtype.name, x.shape, np.asarray(x).tobytes()
    return "numpy", x.dtype.name, x.shape, np.asarray(x).astype(x.dtype.newbyteorder("=")).tobytes()


@pytest.mark.parametrize("name", sorted(LEAVES))
def test_every_leaf_comes_back_bit_by_bit(name: str, tmp_path: Path) -> None:
    leaf = {"x": [LEAVES[name]]}
    train.save(tmp_path / "a", leaf)
    back = train.load(tmp_path / "a", leaf)
    assert tree.structure(back) == tree.structure(leaf)
    assert [bits(x) for x in tree.leaves(back)] == [bits(x) for x in tree.leaves(leaf)]


def test_a_bare_array_is_a_tree(tmp_path: Path) -> None:
    train.save(tmp_path / "a", fnp.arange(3))
    assert train.load(tmp_path / "a", fnp.arange(3)).tolist() == [0, 1, 2]


def model() -> Any:
    layer = nn.serial(nn.dense(4), nn.batch_norm(), nn.dropout(0.5), nn.dense(2))
    params, state = layer.init(fg.random.key(0), fnp.zeros((8, 3)))
    return params, state, optim.adam(0.1).init(params)


def test_a_network_and_its_optimizer_by_shapes_and_by_paths(tmp_path: Path) -> None:
    values = model()
    train.save(tmp_path / "a", values)
    shapes = fg.eval_shape(lambda: model())
    back = train.load(tmp_path / "a", shapes)
    assert tree.structure(back) == tree.structure(values)
    assert [bits(x) for x in tree.leaves(back)] == [bits(x) for x in tree.leaves(values)]
    flat = train.load(tmp_path / "a")
    named = {tree.keystr(path): bits(x) for path, x in tree.leaves_with_path(values)}
    assert {name: bits(x) for name, x in flat.items()} == named


def test_other_programs_read_the_weights(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    train.save(tmp_path / "a", {"w": fnp.arange(3.0)})
    assert load_file(tmp_path / "a")["['w']"].tolist() == [0, 1, 2]


TREE = {"w": fnp.ones((2, 3)), "b": fnp.zeros(3)}
OTHERS = [
    ({"w": TREE["w"]}, r"none not in it, \['b'\] not asked for"),
    ({**TREE, "c": fnp.zeros(1)}, r"\['c'\] not in it, none not asked for"),
    ({**TREE, "b": fnp.zeros(4)}, r"\['b'\] is float32\[3\] in it, and float32\[4\] is needed"),
    ({**TREE, "b": fnp.zeros(3, fnp.int32)}, r"and int32\[3\] is needed"),
    ({**TREE, "b": 1.0}, "a Python float is needed"),
    ({**TREE, "b": "s"}, "a Python str is needed"),
    ({**TREE, "b": fg.random.split(fg.random.key(0), 3)}, r"and key\[3\] is needed"),
]


@pytest.mark.parametrize(("like", "reason"), OTHERS)
def test_another_tree_is_refused(like: Any, reason: str, tmp_path: Path) -> None:
    train.save(tmp_path / "a", TREE)
    with pytest.raises(train.CheckpointError, match=reason):
        train.load(tmp_path / "a", like)


def test_every_truncation_and_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    train.save(tmp_path / "a", {"w": fnp.arange(4.0), "n": 3})
    whole = (tmp_path / "a").read_bytes()
    bad = tmp_path / "bad"
    damaged = [whole[:n] for n in range(0, len(whole), 7)] + [whole + b"\0"]
    for place in range(0, len(whole), 3):
        flipped = bytearray(whole)
        flipped[place] ^= 4
        damaged.append(bytes(flipped))
    good = {name: bits(x) for name, x in train.load(tmp_path / "a").items()}
    for content in damaged:
        bad.write_bytes(content)
        found = None
        with contextlib.suppress(train.CheckpointError):
            found = train.load(bad)
        # A bit of the header's spaces or spelling may mean nothing; no other value comes out.
        if found is not None:
            assert {name: bits(x) for name, x in found.items()} == good
            assert len(content) == len(whole)
        assert bad.read_bytes() == content


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    foreign = tmp_path / "foreign"
    save_file({"w": np.zeros(3, np.float32)}, foreign)
    with pytest.raises(train.CheckpointError, match="did not write"):
        train.load(foreign)
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(train.CheckpointError, match="no safetensors file"):
        train.load(tmp_path / "a.npy")
    with pytest.raises(FileNotFoundError):
        train.load(tmp_path / "absent")


class Bomb:
    def __reduce__(self) -> Any:
        return os.mkdir, ("executed",)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_loading_executes_nothing(
    protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bomb").write_bytes(pickle.dumps(Bomb(), protocol))
    with pytest.raises(train.CheckpointError):
        train.load("bomb")
    notes = json.dumps({"w": {"shape": [1], "dtype": "object"}})
    metadata = {"format": "funcgrad checkpoint 1", "leaves": notes, "sha256": ""}
    content = pickle.dumps(Bomb(), protocol).ljust(256, b"\0")
    spec = safetensors.TensorSpec(
        dtype="uint8",
        shape=(256,),
        data_ptr=np.frombuffer(content, np.uint8).ctypes.data,
        data_len=256,
    )
    Path("crafted").write_bytes(safetensors.serialize({"w": spec}, metadata=metadata))
    with pytest.raises(train.CheckpointError, match="unknown dtype object"):
        train.load("crafted")
    assert not Path("executed").exists()


@pytest.mark.parametrize("leaf", [object(), lambda x: x, b"bytes", np.array([object()])])
def test_what_is_no_array_is_not_saved(leaf: Any, tmp_path: Path) -> None:
    train.save(tmp_path / "a", TREE)
    with pytest.raises(TypeError, match=r"\['x'\]"):
        train.save(tmp_path / "a", {"x": leaf})
    assert train.load(tmp_path / "a", TREE).keys() == TREE.keys()


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_failing_write_keeps_the_old_checkpoint(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train.save(tmp_path / "a", TREE)
    before = (tmp_path / "a").read_bytes()

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, broken, full)
    with pytest.raises(OSError, match="No space left"):
        train.save(tmp_path / "a", {"w": fnp.zeros(9)})
    assert (tmp_path / "a").read_bytes() == before
    assert os.listdir(tmp_path) == ["a"]


def test_a_folder_keeps_the_last_few(tmp_path: Path) -> None:
    folder = train.Checkpoints(tmp_path / "run", keep=2)
    assert folder.steps == []
    with pytest.raises(train.CheckpointError, match="no checkpoints in"):
        folder.restore(TREE)
    folder.folder.mkdir()
    (folder.folder / ".step-00000005.safetensors.tmp").write_bytes(b"half")
    (folder.folder / "notes.txt").write_text("mine")
    for step in (5, 10, 15):
        folder.save(step, {"n": step})
    assert folder.steps == [10, 15]
    assert len(os.listdir(folder.folder)) == 3
    assert folder.restore({"n": 0}) == (15, {"n": 15})
    assert folder.restore({"n": 0}, step=10) == (10, {"n": 10})
    with pytest.raises(train.CheckpointError, match=r"of step 7 in .*\[10, 15\]"):
        folder.restore({"n": 0}, step=7)


def test_a_damaged_last_checkpoint_is_refused_and_the_one_before_named(tmp_path: Path) -> None:
    folder = train.Checkpoints(tmp_path)
    for step in (5, 10):
        folder.save(step, TREE)
    folder.path(10).write_bytes(folder.path(10).read_bytes()[:-1])
    with pytest.raises(train.CheckpointError, match=r"truncated.*[\s\S]*steps \[5\] besides"):
        folder.restore(TREE)
    assert folder.steps == [5, 10]
    folder.path(10).unlink()
    assert folder.restore(TREE)[0] == 5

"""Order, resumption and prefetching of batches, and the sources on disk."""

from __future__ import annotations

import gc
import io
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import data, tree

ROWS = 23


def images_and_labels() -> tuple[Any, Any]:
    labels = np.arange(ROWS, dtype=np.int32) % 3
    images = np.arange(ROWS * 20, dtype=np.uint8).reshape(ROWS, 4, 5, 1)
    return images, labels


def in_memory(folder: Any) -> Any:
    return data.arrays(images_and_labels())


def in_images(folder: Any) -> Any:
    image = pytest.importorskip("PIL.Image", reason="reads image folders")
    for i, (pixels, label) in enumerate(zip(*images_and_labels(), strict=True)):
        place = folder / "images" / f"class{label}"
        place.mkdir(parents=True, exist_ok=True)
        image.fromarray(pixels[..., 0]).save(place / f"{i:03d}.png")
    (folder / "images" / "class0" / "notes.txt").write_text("no image")
    return data.image_folder(folder / "images", mode="L")


def in_hdf5(folder: Any) -> Any:
    h5py = pytest.importorskip("h5py", reason="reads HDF5")
    with h5py.File(folder / "a.h5", "w") as file:
        file["in/images"], file["labels"] = images_and_labels()
    return data.hdf5(folder / "a.h5", ("in/images", "labels"))


def in_lmdb(folder: Any) -> Any:
    lmdb = pytest.importorskip("lmdb", reason="reads LMDB")
    with lmdb.open(str(folder / "db"), map_size=2**24) as env, env.begin(write=True) as file:
        for i, (image, label) in enumerate(zip(*images_and_labels(), strict=True)):
            value = io.BytesIO()
            np.savez(value, image=image, label=label)
            file.put(f"{i:05d}".encode(), value.getvalue())
    return data.lmdb(folder / "db")


SOURCES = [in_memory, in_images, in_hdf5, in_lmdb]
every_source = pytest.mark.parametrize("make", SOURCES)


def same(a: Any, b: Any) -> bool:
    pairs = zip(tree.leaves(a), tree.leaves(b), strict=True)
    return all(np.array_equal(np.asarray(x), np.asarray(y)) for x, y in pairs)


@every_source
def test_a_source_gives_the_rows_asked_for(make: Any, tmp_path: Any) -> None:
    source = make(tmp_path)
    images, labels = images_and_labels()
    if make is in_images:  # in order of the classes
        order = np.argsort(labels, kind="stable")
        images, labels = images[order], labels[order]
        assert source.classes == ["class0", "class1", "class2"]
    rows = np.array([7, 2, 19, 3])
    got = tree.leaves(source.take(rows))
    assert len(source) == ROWS
    assert same(got, [images[rows], labels[rows]])
    assert [x.dtype for x in got] == [np.uint8, np.int32]


@every_source
@pytest.mark.parametrize("prefetch", [0, 3])
def test_a_source_goes_on_from_any_step(make: Any, prefetch: int, tmp_path: Any) -> None:
    source = make(tmp_path)

    def new() -> data.Batches:
        return data.batches(source, 5, seed=3, epochs=3, prefetch=prefetch)

    whole, states = [], []
    run = new()
    states.append(run.state)
    for batch in run:
        whole.append(batch)
        states.append(run.state)
    assert len(whole) == 3 * (ROWS // 5)
    assert states[-1] == {"epoch": 3, "position": 0, "seed": 3}
    for step in (0, 1, 3, 4, 9, 12):
        rest = new()
        rest.restore(states[step])
        assert rest.state == states[step]
        later = list(rest)
        assert len(later) == len(whole) - step
        assert all(same(a, b) for a, b in zip(later, whole[step:], strict=True))


def test_an_epoch_gives_each_row_once_and_epochs_differ() -> None:
    run = data.batches(np.arange(ROWS), 5, epochs=4, drop_last=False)
    rows = np.concatenate(list(run)).reshape(4, ROWS)
    assert (np.sort(rows, axis=1) == np.arange(ROWS)).all()
    assert len({tuple(epoch) for epoch in rows}) == 4


def test_the_order_is_the_same_on_every_machine() -> None:
    """Written down: whoever changes it breaks the resumption of every run under way."""
    first = next(data.batches(np.arange(10), 10, seed=7))
    assert first.tolist() == [6, 3, 4, 9, 0, 2, 8, 7, 5, 1]


def test_every_row_comes_first_equally_often() -> None:
    firsts = [next(data.batches(np.arange(6), 1, seed=s, prefetch=0))[0] for s in range(1200)]
    assert np.all(abs(np.bincount(firsts) - 200) < 5 * np.sqrt(200))


def test_the_key_of_a_transform_depends_on_the_place_alone() -> None:
    def noise(key: Any, batch: Any) -> Any:
        return np.asarray(fg.random.uniform(key, (2,)))

    whole = list(data.batches(np.arange(8), 2, epochs=2, transform=noise))
    assert len({x.tobytes() for x in whole}) == 8
    later = data.batches(np.arange(8), 2, epochs=2, transform=noise, prefetch=0)
    later.restore({"epoch": 1, "position": 2, "seed": 0})
    assert same(list(later), whole[5:])


def test_a_transform_sees_the_settings_of_the_caller() -> None:
    with fg.enable_x64(True):
        run = data.batches(np.arange(4.0), 2, transform=lambda key, x: fnp.asarray(x))
        assert next(run).dtype == np.float64
        run.close()


class Broken(data.Source):
    def __init__(self) -> None:
        self.healthy = False

    def __len__(self) -> int:
        return 10

    def take(self, rows: Any) -> Any:
        if 6 in rows and not self.healthy:
            raise OSError("the disk of row 6")
        return rows


@pytest.mark.parametrize("prefetch", [0, 1, 4])
def test_an_error_of_the_source_reaches_the_caller_at_its_batch(prefetch: int) -> None:
    source = Broken()
    run = data.batches(source, 2, shuffle=False, prefetch=prefetch)
    assert [next(run).tolist() for _ in range(3)] == [[0, 1], [2, 3], [4, 5]]
    for _ in range(2):  # no batch is left out by trying again
        with pytest.raises(OSError, match="the disk of row 6") as caught:
            next(run)
        assert any(entry.name == "take" for entry in caught.traceback)
    source.healthy = True
    assert next(run).tolist() == [6, 7]
    run.close()


def threads() -> int:
    return sum(t.name == "funcgrad.data" for t in threading.enumerate())


def test_the_thread_ends_with_its_iterator() -> None:
    before = threads()
    runs = [data.batches(np.arange(10), 2) for _ in range(3)]
    for run in runs:
        next(run)
    assert threads() == before + 3
    runs[0].close()
    del run, runs[1]
    gc.collect()
    assert threads() == before + 1
    del runs
    gc.collect()
    assert threads() == before


def test_the_thread_reads_ahead_but_not_further_than_told() -> None:
    taken: list[int] = []

    class Counting(data.Source):
        def __len__(self) -> int:
            return 100

        def take(self, rows: Any) -> Any:
            taken.append(int(rows[0]))
            return rows

    run = data.batches(Counting(), 1, shuffle=False, prefetch=3)
    next(run)
    deadline = time.monotonic() + 5
    while len(taken) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert taken == [0, 1, 2, 3, 4]  # one given out, three waiting, one in hand
    assert run.state["position"] == 1
    run.close()


def test_a_process_ends_in_the_middle_of_reading() -> None:
    code = (
        "import numpy as np; from funcgrad import data; "
        "run = data.batches(np.arange(1000), 2); next(run); print('end')"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "end\n", "")


BAD = [
    (lambda: data.arrays({"a": np.zeros(3), "b": np.zeros(4)}), r"'a'.*3.*'b'.*4"),
    (lambda: data.arrays(3.0), "leading axis"),
    (lambda: data.arrays({}), "no array"),
    (lambda: data.batches(np.zeros(3), 4), "batch of 4 rows out of 3"),
    (lambda: data.batches(np.zeros(3), 0), "batch of 0 rows"),
    (lambda: data.batches(np.zeros(3), 1, seed=-1), "seed=-1"),
    (lambda: data.batches(np.zeros(0), 1, drop_last=False), "0 rows"),
    (lambda: data.batches(np.zeros(3), 1).restore({"epoch": 1}), "no state"),
    (
        lambda: data.batches(np.zeros(3), 1).restore({"epoch": 0, "position": 0, "seed": 1}),
        "seed 0",
    ),
    (
        lambda: data.batches(np.zeros(3), 1).restore({"epoch": 0, "position": 4, "seed": 0}),
        "3 rows",
    ),
]


@pytest.mark.parametrize(("call", "text"), BAD)
def test_what_cannot_be_batched_is_refused(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()


def test_damaged_and_missing_files_are_named(tmp_path: Any) -> None:
    (tmp_path / "bad.h5").write_bytes(b"no such thing")
    with pytest.raises(ValueError, match=r"bad\.h5 is no HDF5 file"):
        data.hdf5(tmp_path / "bad.h5", "x")
    for call in (lambda p: data.hdf5(p, "x"), data.image_folder):
        with pytest.raises(FileNotFoundError, match="there is no"):
            call(tmp_path / "absent")
    with pytest.raises(ValueError, match="absent cannot be read as a database"):
        data.lmdb(tmp_path / "absent")
    with pytest.raises(ValueError, match="no image in the folders"):
        data.image_folder(tmp_path)
    source = in_hdf5(tmp_path)
    source.close()
    with pytest.raises(ValueError, match="Name datasets of the file"):
        data.hdf5(tmp_path / "a.h5", ("in/images", "nothing"))


def test_a_damaged_image_is_named(tmp_path: Any) -> None:
    source = in_images(tmp_path)
    source.paths[4].write_bytes(source.paths[4].read_bytes()[:40])
    with pytest.raises(ValueError, match=f"{source.paths[4].name} cannot be read as an image"):
        list(data.batches(source, 1, epochs=1))


def test_images_of_different_sizes_need_a_size(tmp_path: Any) -> None:
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "a").mkdir()
    for i, size in enumerate([(3, 4), (6, 8)]):
        image.new("RGB", size, (10 * i, 20, 30)).save(tmp_path / "a" / f"{i}.png")
    with pytest.raises(ValueError, match=r"1\.png \(8, 6, 3\)"):
        data.image_folder(tmp_path).take(np.arange(2))
    images, _ = data.image_folder(tmp_path, size=(5, 7)).take(np.arange(2))
    assert images.shape == (2, 5, 7, 3)
    assert (images[1] == [10, 20, 30]).all()


def test_pickles_in_a_database_are_refused(tmp_path: Any) -> None:
    lmdb = pytest.importorskip("lmdb")
    value = io.BytesIO()
    np.savez(value, x=np.array([{"a": 1}], dtype=object))
    with lmdb.open(str(tmp_path / "db"), map_size=2**20) as env, env.begin(write=True) as file:
        file.put(b"k", value.getvalue())
    with pytest.raises(ValueError, match=r"key b'k' cannot be decoded.*allow_pickle"):
        data.lmdb(tmp_path / "db").take(np.array([0]))

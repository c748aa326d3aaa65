"""Sources on disk: folders of images, HDF5, LMDB. In: a path. Out: a `Source`.

The libraries that read a format are loaded by the first source of it. Nothing of a file is ever
executed: arrays of Python objects are refused.
"""

from __future__ import annotations

import importlib
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import tree
from ..core.sources import user_line
from .sources import Source

StrPath = str | os.PathLike[str]
_suffixes = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}


def _library(name: str, purpose: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{purpose} needs {name.partition('.')[0]}: pip install 'funcgrad[data]'"
        ) from error


class ImageFolder(Source):
    """Images in one folder for each class; a row is (image u8[h, w, c], number of its class).

    `classes` are the names of the folders in the order of their numbers, `paths` the files.
    """

    def __init__(self, folder: StrPath, size: tuple[int, int] | None, mode: str) -> None:
        self._open = _library("PIL.Image", "data.image_folder").open
        self._size, self._mode = size, mode
        root = Path(folder)
        if not root.is_dir():
            raise FileNotFoundError(f"data.image_folder: there is no folder {root}.")
        folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
        found = [(path, i) for i, one in enumerate(folders) for path in _images(one)]
        if not found:
            raise ValueError(
                f"data.image_folder: no image in the folders of {root}.\n  {user_line()}\n"
                f"  Images lie in one folder for each class, with suffixes {sorted(_suffixes)}."
            )
        self.classes = [one.name for one in folders]
        self.paths = [path for path, _ in found]
        self._labels = np.array([i for _, i in found], np.int32)

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, rows: np.ndarray[Any, Any]) -> tuple[Any, Any]:
        images = [self._read(self.paths[int(i)]) for i in rows]
        for i, image in zip(rows, images, strict=True):
            if image.shape != images[0].shape:
                raise ValueError(
                    f"data.image_folder: {self.paths[rows[0]]} has shape {images[0].shape} and "
                    f"{self.paths[i]} {image.shape}.\n  Give a size: all are brought to it."
                )
        return np.stack(images), self._labels[rows]

    def _read(self, path: Path) -> np.ndarray[Any, Any]:
        try:
            with self._open(path) as file:
                image = file.convert(self._mode)
                if self._size is not None:
                    image = image.resize(self._size[::-1])
                pixels = np.asarray(image)
        except (OSError, SyntaxError, ValueError) as error:
            raise ValueError(
                f"data.image_folder: {path} cannot be read as an image: {error}"
            ) from error
        return pixels[..., None] if pixels.ndim == 2 else pixels


def _images(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in _suffixes and p.is_file())


def image_folder(
    folder: StrPath, *, size: tuple[int, int] | None = None, mode: str = "RGB"
) -> ImageFolder:
    """Images of a folder with one folder for each class.

    Args:
        size: (height, width) that images are resized to; by default they must have one size.
        mode: Pillow's name of the kind of pixel: "RGB" for 3 channels, "L" for 1 of grey.
    Returns:
        A source of (images u8[n, h, w, c], labels i32[n]); classes are numbered by name.
    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: no images; while reading, a damaged image or images of different sizes.
    """
    return ImageFolder(folder, size, mode)


class Hdf5(Source):
    """Rows of datasets of an HDF5 file, read when they are asked for."""

    def __init__(self, path: StrPath, names: Any) -> None:
        library = _library("h5py", "data.hdf5")
        try:
            self._file = library.File(path, "r")
        except FileNotFoundError:
            raise FileNotFoundError(f"data.hdf5: there is no file {os.fspath(path)}.") from None
        except OSError as error:
            raise ValueError(
                f"data.hdf5: {os.fspath(path)} is no HDF5 file or is damaged: {error}"
            ) from error
        leaves, self._treedef = tree.flatten(names)
        known = self._file
        self._sets = [
            known[name] for name in leaves if isinstance(known.get(name), library.Dataset)
        ]
        lengths = {each.name: each.shape[0] if each.shape else None for each in self._sets}
        one_length = len(set(lengths.values())) == 1 and None not in lengths.values()
        if len(self._sets) < len(leaves) or not one_length:
            self._file.close()
            raise ValueError(
                f"data.hdf5: {names!r} of {os.fspath(path)} are datasets of lengths {lengths}.\n"
                f"  {user_line()}\n  Name datasets of the file that have one length."
            )

    def __len__(self) -> int:
        return len(self._sets[0])

    def take(self, rows: np.ndarray[Any, Any]) -> Any:
        # HDF5 reads rows in increasing order only.
        sorted_rows, places = np.unique(rows, return_inverse=True)
        return tree.unflatten(self._treedef, [each[sorted_rows][places] for each in self._sets])

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def hdf5(path: StrPath, names: Any) -> Hdf5:
    """Rows of datasets of an HDF5 file.

    Args:
        names: a pytree of names, such as ("images", "labels"); batches have its structure.
    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no HDF5 file, a name that is not in it, datasets of different lengths.
    """
    return Hdf5(path, names)


class Lmdb(Source):
    """Examples of an LMDB database in the order of their keys, each decoded by a function."""

    def __init__(self, path: StrPath, decode: Callable[[bytes], Any]) -> None:
        self._decode = decode
        library = _library("lmdb", "data.lmdb")
        place = os.fspath(path)
        try:
            self._file = library.open(
                place, subdir=os.path.isdir(place), readonly=True, create=False, lock=False
            )
            with self._file.begin() as transaction:
                self.keys: Sequence[bytes] = list(transaction.cursor().iternext(values=False))
        except library.Error as error:
            raise ValueError(f"data.lmdb: {place} cannot be read as a database: {error}") from error

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: np.ndarray[Any, Any]) -> Any:
        with self._file.begin() as transaction:
            examples = [self._example(transaction, self.keys[int(i)]) for i in rows]
        return tree.map(lambda *leaves: np.stack(leaves), *examples)

    def _example(self, transaction: Any, key: bytes) -> Any:
        value = transaction.get(key)
        try:
            return self._decode(value)
        except Exception as error:
            raise ValueError(
                f"data.lmdb: the example of key {key!r} cannot be decoded: {error}\n"
                "  Give the function that decodes the values of this database as decode=."
            ) from error

    def close(self) -> None:
        """Close the database."""
        self._file.close()


def _npz(value: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(value), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def lmdb(path: StrPath, decode: Callable[[bytes], Any] = _npz) -> Lmdb:
    """Examples of an LMDB database, in the order of their keys.

    Args:
        decode: from the bytes of a value to a pytree of arrays, of the same shapes for all; by
            default the values are what `np.savez` writes, and an example is a dict.
    Raises:
        ValueError: no database; while reading, a value that cannot be decoded.
    """
    return Lmdb(path, decode)

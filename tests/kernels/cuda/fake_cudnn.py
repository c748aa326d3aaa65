"""cuDNN's frontend without a GPU: every argument is checked, convolutions are NumPy's.

Names and the order of calls are those of nvidia-cudnn-frontend 1.14 to 1.32; `test_cudnn.py`
compares them with the package where it is installed. What cuDNN leaves undefined is an error here:
layouts that it only guesses, addresses that are less aligned than it was told, memory that is too
small, graphs built while a stream records.
"""

from enum import Enum
from itertools import product
from math import prod

import ml_dtypes
import numpy as np

data_type = Enum("data_type", ["FLOAT", "DOUBLE", "HALF", "BFLOAT16", "NOT_SET"])
heur_mode = Enum("heur_mode", ["A", "B", "FALLBACK", "OPENSOURCE"])
numerical_note = Enum(
    "numerical_note",
    ["TENSOR_CORE", "DOWN_CONVERT_INPUTS", "REDUCED_PRECISION_REDUCTION", "FFT",
     "NONDETERMINISTIC", "WINOGRAD", "WINOGRAD_TILE_4x4", "WINOGRAD_TILE_6x6",
     "WINOGRAD_TILE_13x13", "STRICT_NAN_PROP"],
)  # fmt: skip
DTYPES = {
    data_type.FLOAT: np.dtype(np.float32),
    data_type.DOUBLE: np.dtype(np.float64),
    data_type.HALF: np.dtype(np.float16),
    data_type.BFLOAT16: np.dtype(ml_dtypes.bfloat16),
}
STEPS = ["made", "validated", "lowered", "planned", "supported", "built"]


class cudnnGraphNotSupportedError(Exception):
    pass


def packed(extents, order):
    """Strides of memory without gaps whose axes lie in an order, the outermost first."""
    strides, size = [0] * len(extents), 1
    for axis in reversed(order):
        strides[axis] = size
        size *= extents[axis]
    return strides


def layouts(extents):
    rank = len(extents)
    return {
        "first": packed(extents, range(rank)),
        "last": packed(extents, [0, *range(2, rank), 1]),
    }


class Tensor:
    def __init__(self, graph, kind=None, dim=None, stride=None, uid=None):
        self.graph, self.kind, self.dim, self.stride, self.uid = graph, kind, dim, stride, uid
        self.output = False

    def set_output(self, output):
        self.output = output
        return self

    def set_uid(self, uid):
        assert type(uid) is int
        self.uid = uid
        return self

    def set_data_type(self, kind):
        assert kind in DTYPES
        self.kind = kind
        return self

    def set_dim(self, dim):
        assert type(dim) is list
        self.dim = dim
        return self

    def set_stride(self, stride):
        assert type(stride) is list
        self.stride = stride
        return self

    @property
    def bytes(self):
        return prod(self.dim) * DTYPES[self.kind].itemsize


class Graph:
    """Attributes: `way`, `operands`, `result`, `numbers`: the one operation."""

    def __init__(self, fake, io_data_type, intermediate_data_type, compute_data_type, handle):
        assert handle in fake.streams and io_data_type in DTYPES
        assert compute_data_type == intermediate_data_type
        wide = io_data_type == data_type.DOUBLE
        assert compute_data_type == (data_type.DOUBLE if wide else data_type.FLOAT)
        self.fake, self.io, self.compute = fake, io_data_type, compute_data_type
        self.handle, self.device = handle, fake.driver.current
        assert fake.streams[handle][0] == self.device
        self.state, self.way, self.barred, self.limit = "made", None, set(), None

    def _to(self, before, after):
        assert self.state == before, f"{after} after {self.state}"
        assert self.fake.driver.recording is None, "a graph is built while a stream records"
        self.state = after

    def tensor(self, *, dim, stride, data_type, uid, name):
        assert type(dim) is type(stride) is list and type(uid) is int and type(name) is str
        assert all(type(n) is int and n > 0 for n in (*dim, *stride)) and data_type == self.io
        return Tensor(self, data_type, dim, stride, uid)

    def _operation(self, way, given, numbers):
        assert self.way is None and self.state == "made"
        for operand in given:
            assert operand.graph is self
        assert numbers.pop("compute_data_type") == self.compute
        self.way, self.operands, self.numbers = way, given, numbers
        self.result = Tensor(self)
        return self.result

    def conv_fprop(self, *, image, weight, **numbers):
        return self._operation("out", (image, weight), numbers)

    def conv_dgrad(self, *, loss, filter, **numbers):
        return self._operation("image", (loss, filter), numbers)

    def conv_wgrad(self, *, image, loss, **numbers):
        return self._operation("kernel", (image, loss), numbers)

    @property
    def tensors(self):
        """Image, kernel and out."""
        a, b = self.operands
        return {
            "out": (a, b, self.result), "image": (self.result, b, a), "kernel": (a, self.result, b)
        }[self.way]  # fmt: skip

    def validate(self):
        self._to("made", "validated")
        assert self.result.output and self.result.kind in DTYPES
        narrow = {data_type.HALF, data_type.BFLOAT16}
        assert self.result.kind in (self.io, *([data_type.FLOAT] if self.io in narrow else []))
        image, kernel, out = self.tensors
        assert len({t.uid for t in (image, kernel, out)}) == 3
        rank = len(image.dim)
        assert rank in (4, 5) and len(kernel.dim) == len(out.dim) == rank
        known = [{n for n, s in layouts(t.dim).items() if s == t.stride} for t in self.tensors]
        assert set.intersection(*known), "cuDNN documents tensors of one order of axes"
        names = {"pre_padding", "post_padding", "stride", "dilation"}
        assert set(self.numbers) == names
        for values in self.numbers.values():
            assert type(values) is list and all(type(n) is int for n in values)
            assert len(values) == rank - 2
        assert all(n >= 0 for x in ("pre_padding", "post_padding") for n in self.numbers[x])
        assert all(n > 0 for x in ("stride", "dilation") for n in self.numbers[x])
        groups, rest = divmod(image.dim[1], kernel.dim[1])
        assert not rest and kernel.dim[0] % groups == 0
        assert (image.dim[0], kernel.dim[0]) == (out.dim[0], out.dim[1])
        for k, (before, after, stride, dilation) in enumerate(self.axes()):
            window = (kernel.dim[2 + k] - 1) * dilation + 1
            places = (image.dim[2 + k] + before + after - window) // stride + 1
            assert places == out.dim[2 + k]

    def axes(self):
        n = self.numbers
        return zip(n["pre_padding"], n["post_padding"], n["stride"], n["dilation"], strict=True)

    def build_operation_graph(self):
        self._to("validated", "lowered")

    def create_execution_plans(self, modes):
        self._to("lowered", "planned")
        assert modes[0] is heur_mode.A and heur_mode.FALLBACK in modes
        self.fake.asked += 1

    def deselect_numeric_notes(self, notes):
        assert self.state == "planned" and all(type(n) is numerical_note for n in notes)
        self.barred |= {n.name for n in notes}

    def deselect_workspace_greater_than(self, size):
        assert self.state == "planned" and type(size) is int
        self.limit = size

    def check_support(self):
        self._to("planned", "supported")
        self.room = self.fake.room(self)
        if self.room is None or self.room > self.limit:
            raise cudnnGraphNotSupportedError("no plan is left")

    def build_plans(self):
        self._to("supported", "built")

    def get_workspace_size(self):
        assert self.state == "built"
        return self.room

    def execute(self, given, workspace, *, handle):
        fake, driver = self.fake, self.fake.driver
        device, stream = fake.streams[handle]
        assert self.state == "built" and handle is self.handle and stream is not None
        assert device == driver.current and {driver.device_of(a) for a in given.values()} == {
            device
        }
        assert type(workspace) is int and set(given) == {t.uid for t in self.tensors}
        assert all(type(a) is int and a % 16 == 0 for a in (*given.values(), workspace))
        assert driver.at(workspace, self.room).size == self.room
        for tensor in self.tensors:
            assert driver.at(given[tensor.uid], tensor.bytes).size == tensor.bytes

        def work():
            # What was there before is no more.
            driver.at(workspace, self.room)[:] = 0xA5
            self._do([self._view(t, given[t.uid]) for t in self.tensors])

        driver.put(work, stream)
        fake.calls.append(self)
        driver.log.append(("convolve", self.way))

    def _view(self, tensor, address):
        kind = DTYPES[tensor.kind]
        flat = self.fake.driver.at(address, tensor.bytes).view(kind)
        steps = [s * kind.itemsize for s in tensor.stride]
        return np.lib.stride_tricks.as_strided(flat, tensor.dim, steps)

    def _do(self, views):
        wide = DTYPES[self.compute]
        image, kernel, out = (v.astype(wide) for v in views)
        space, numbers = image.shape[2:], list(self.axes())
        padded = np.zeros((*image.shape[:2], *(
            n + before + after for n, (before, after, _, _) in zip(space, numbers, strict=True)
        )), wide)  # fmt: skip
        inner = tuple(slice(b, b + n) for n, (b, *_) in zip(space, numbers, strict=True))
        result = self.tensors.index(self.result)
        if self.way != "image":
            padded[(..., *inner)] = image
        views[result][...] = 0
        total = np.zeros(views[result].shape, wide)
        groups = image.shape[1] // kernel.shape[1]
        for taps in product(*(range(n) for n in kernel.shape[2:])):
            seen = tuple(
                slice(t * d, t * d + (n - 1) * s + 1, s)
                for t, n, (_, _, s, d) in zip(taps, out.shape[2:], numbers, strict=True)
            )
            for g in range(groups):
                ins = slice(g * kernel.shape[1], (g + 1) * kernel.shape[1])
                size = kernel.shape[0] // groups
                outs = slice(g * size, (g + 1) * size)
                part, w = padded[(slice(None), ins, *seen)], kernel[(outs, slice(None), *taps)]
                if self.way == "out":
                    total[:, outs] += np.einsum("nc...,kc->nk...", part, w)
                elif self.way == "image":
                    part += np.einsum("nk...,kc->nc...", out[:, outs], w)
                else:
                    rest = [0, *range(2, part.ndim)]
                    found = np.tensordot(out[:, outs], part, (rest, rest))
                    total[(outs, slice(None), *taps)] = found
        views[result][...] = padded[(..., *inner)] if self.way == "image" else total


class FakeCudnn:
    """The module. Attributes: `calls`: graphs that ran; `asked`: how often for plans."""

    data_type, heur_mode, numerical_note = data_type, heur_mode, numerical_note
    cudnnGraphNotSupportedError = cudnnGraphNotSupportedError  # noqa: N815 - the package's own name

    def __init__(self, driver):
        self.driver = driver
        # Of each handle the device, and the stream once it is set.
        self.streams = {}
        self.calls = []
        self.asked = 0
        # Given a graph whose plans were filtered: the bytes that it works in, or None.
        self.room = lambda graph: 4096

    def create_handle(self):
        assert self.driver.recording is None
        handle = object()
        self.streams[handle] = self.driver.current, None
        return handle

    def set_stream(self, handle, stream):
        assert type(stream) is int
        self.streams[handle] = self.streams[handle][0], stream

    def pygraph(self, **options):
        return Graph(self, **options)

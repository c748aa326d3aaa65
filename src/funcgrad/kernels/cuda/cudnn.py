"""The only file that knows cuDNN, through NVIDIA's frontend (`nvidia-cudnn-frontend`).

In: a convolution as cuDNN takes them, and addresses. Out: work in a stream. The one idea: a graph
of one operation and the plan that cuDNN proposes for it are made once for each convolution, when a
program is made, so what cuDNN does not take has another kernel. Nothing is imported before that.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module, util
from typing import Any, NamedTuple

from .adapter import toolkit

PACKAGE = "nvidia-cudnn-frontend"
# The library, for each version of CUDA.
LIBRARIES = "nvidia-cudnn-cu13 nvidia-cudnn-cu12"
# The most memory that a plan may ask for while it runs: images in another order, parts of sums.
MOST_ROOM = 256 << 20
# Where tensors begin: the frontend tells cuDNN that all addresses are multiples of it.
ALIGNMENT = 16
# cuDNN's names of dtypes.
DTYPES = {"float32": "FLOAT", "float64": "DOUBLE", "float16": "HALF", "bfloat16": "BFLOAT16"}
# What no plan may do. Winograd's and Fourier's ways round more, and carry a NaN or an infinity to
# results that do not see it.
_NEVER = (
    "DOWN_CONVERT_INPUTS",
    "REDUCED_PRECISION_REDUCTION",
    "WINOGRAD",
    "WINOGRAD_TILE_4x4",
    "WINOGRAD_TILE_6x6",
    "WINOGRAD_TILE_13x13",
    "FFT",
)
IMAGE, KERNEL, OUT = 1, 2, 3


class Tensor(NamedTuple):
    """How an operand lies: extents and strides of (batch, feature, space) in elements."""

    extents: tuple[int, ...]
    strides: tuple[int, ...]


class Convolution(NamedTuple):
    """out = image * kernel, or one of its gradients.

    Attributes:
        way: what is computed: "out"; "image", of out and kernel; or "kernel", of image and out.
        given, result: dtypes; `tf32`: whether float32 may be rounded to 19 bits before products.
        kernel: (output feature, feature, space); its features are those of one group.
        strides, before, after, dilation: one entry a spatial axis, of the convolution that `out`
            is of; `before` and `after`: zeros around the image.
        in_order: whether sums must be added in one order.
    """

    way: str
    given: str
    result: str
    tf32: bool
    image: Tensor
    kernel: Tensor
    out: Tensor
    strides: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    dilation: tuple[int, ...]
    in_order: bool = True


class _Plan(NamedTuple):
    """A graph with the plan that was built for it, and the bytes that it works in."""

    graph: Any
    room: int


def available() -> bool:
    """Whether the frontend is installed."""
    try:
        return util.find_spec("cudnn") is not None
    except (ImportError, ValueError):
        return False


def remedy() -> str:
    """The line that brings it."""
    return f"pip install 'funcgrad[cudnn{12 if toolkit() == 12 else 13}]'"


def note(asked: bool, why: str) -> str:
    """What is said of a convolution that kernels of our own do.

    Args:
        asked: whether cuDNN could have been asked for it.
        why: what it does not take, where that is known before.
    """
    if why:
        return f"our own kernel: cuDNN does not take it, {why}"
    if not available():
        return f"our own kernel: cuDNN needs {PACKAGE}: {remedy()}"
    if asked:
        return "our own kernel: cuDNN does not take this convolution here"
    return "our own kernel: on a device cuDNN does it"


class Cudnn:
    """cuDNN on the device that is current when it is made."""

    def __init__(self) -> None:
        self._cudnn: Any = import_module("cudnn")
        self._handle: Any = self._cudnn.create_handle()
        self._stream: int | None = None
        self._plans: dict[Convolution, _Plan | None] = {}

    def room(self, convolution: Convolution) -> int | None:
        """The bytes it works in; None where cuDNN has no plan for it."""
        plan = self._plan(convolution)
        return None if plan is None else plan.room

    def convolve(
        self, convolution: Convolution, addresses: Sequence[int], workspace: int, stream: int
    ) -> None:
        """Put a convolution into a stream.

        Args:
            addresses: of what is read, in the order (image, kernel, out), then of the result.
        Raises:
            RuntimeError: cuDNN has no plan for it, or an address is not as aligned as plans need.
        """
        plan = self._plan(convolution)
        if plan is None or any(a % ALIGNMENT for a in (*addresses, workspace)):
            raise RuntimeError(f"cuDNN has no plan for {convolution} at {addresses}.")
        if self._stream != stream:
            self._cudnn.set_stream(self._handle, stream)
            self._stream = stream
        given = dict(zip(roles(convolution.way), addresses, strict=True))
        plan.graph.execute(given, workspace, handle=self._handle)

    def _plan(self, convolution: Convolution) -> _Plan | None:
        """How a convolution is done; None where cuDNN has no plan."""
        if convolution not in self._plans:
            graph = self._graph(convolution)
            try:
                self._build(graph, convolution)
                self._plans[convolution] = _Plan(graph, graph.get_workspace_size())
            except self._cudnn.cudnnGraphNotSupportedError:
                self._plans[convolution] = None
        return self._plans[convolution]

    def _graph(self, c: Convolution) -> Any:
        """The operation, its operands numbered by role."""
        kinds = self._cudnn.data_type
        compute = kinds.DOUBLE if c.given == "float64" else kinds.FLOAT
        graph = self._cudnn.pygraph(
            io_data_type=getattr(kinds, DTYPES[c.given]),
            intermediate_data_type=compute,
            compute_data_type=compute,
            handle=self._handle,
        )
        *given, result = roles(c.way)
        tensors = {IMAGE: c.image, KERNEL: c.kernel, OUT: c.out}
        kind = getattr(kinds, DTYPES[c.given])
        operands = [
            graph.tensor(
                dim=[*tensors[role].extents],
                stride=[*tensors[role].strides],
                data_type=kind,
                uid=role,
                name=f"operand{role}",
            )
            for role in given
        ]
        operation, names = {
            "out": (graph.conv_fprop, ("image", "weight")),
            "image": (graph.conv_dgrad, ("loss", "filter")),
            "kernel": (graph.conv_wgrad, ("image", "loss")),
        }[c.way]
        made = operation(
            **dict(zip(names, operands, strict=True)),
            pre_padding=[*c.before],
            post_padding=[*c.after],
            stride=[*c.strides],
            dilation=[*c.dilation],
            compute_data_type=compute,
        )
        made.set_output(True).set_uid(result).set_data_type(getattr(kinds, DTYPES[c.result]))
        # Of a gradient, the extents do not follow from those of what is read.
        made.set_dim([*tensors[result].extents]).set_stride([*tensors[result].strides])
        return graph

    def _build(self, graph: Any, c: Convolution) -> None:
        """Let cuDNN propose plans, and build the first that does nothing that it must not.

        Raises:
            cudnnGraphNotSupportedError: there is none.
        """
        notes, modes = self._cudnn.numerical_note, self._cudnn.heur_mode
        barred = [*_NEVER, *(["NONDETERMINISTIC"] if c.in_order else [])]
        # Of float32, tensor cores multiply 19 bits.
        barred += ["TENSOR_CORE"] if c.given == "float32" and not c.tf32 else []
        graph.validate()
        graph.build_operation_graph()
        graph.create_execution_plans([modes.A, modes.B, modes.FALLBACK])
        graph.deselect_numeric_notes([getattr(notes, name) for name in barred])
        graph.deselect_workspace_greater_than(MOST_ROOM)
        graph.check_support()
        graph.build_plans()


def roles(way: str) -> tuple[int, int, int]:
    """Of both operands and of the result, which tensor of a convolution it is."""
    return {
        "out": (IMAGE, KERNEL, OUT),
        "image": (OUT, KERNEL, IMAGE),
        "kernel": (IMAGE, OUT, KERNEL),
    }[way]

"""The only file that knows cuBLASLt, through the bindings of nvmath-python.

In: a product of matrices as cuBLASLt takes them, and addresses. Out: work in a stream. The one
idea: descriptions and the algorithm that cuBLASLt proposes are made once for each product and
alignment of its addresses; the workspace belongs to who calls. A product is asked about when a
program is made, so what it does not take has another kernel. Nothing is imported before that.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module, util
from typing import Any, NamedTuple

import numpy as np

from .adapter import remedy

PACKAGE = "nvmath-python"
# What NVIDIA recommends for its newest GPUs.
WORKSPACE = 32 << 20
# No algorithm moves more bytes at once; what is known of addresses beyond that is of no use.
MOST_ALIGNED = 16
_NOT_SUPPORTED = 15
# CUDA's numbers of dtypes, and cuBLAS's of the arithmetic that products are added up in.
DTYPES = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 14}
COMPUTE_32F, COMPUTE_64F, COMPUTE_TF32 = 68, 70, 77
OPERATIONS = {False: 0, True: 1}


class Matmul(NamedTuple):
    """D = op(A) · op(B), then an epilogue: matrices lie column after column.

    Attributes:
        given, result: dtypes; `tf32`: whether float32 may be rounded to 19 bits before products.
        m, n, k: D has m rows and n columns.
        transposed: whether op transposes, of A and of B.
        leads: elements between columns in memory, of A, B and D.
        times, strides: how many products, and elements between the matrices of one and the next.
        epilogue: a name of cuBLASLt's, such as RELU_BIAS; a bias is added to each column of D, or
            becomes the sum of the columns (BGRAD), or of A or of B over k (BGRADA, BGRADB).
        aligned: what divides the bytes from the beginning of memory to each of A, B and D.
    """

    given: str
    result: str
    tf32: bool
    m: int
    n: int
    k: int
    transposed: tuple[bool, bool]
    leads: tuple[int, int, int]
    times: int
    strides: tuple[int, int, int]
    epilogue: str = "DEFAULT"
    aligned: int = MOST_ALIGNED

    @property
    def biased(self) -> bool:
        """Whether there is a bias, or a place for its gradient."""
        return self.epilogue.endswith(("BIAS", "BGRAD", "BGRADA", "BGRADB"))

    @property
    def keeps(self) -> bool:
        """Whether there is a matrix beside the result, for the gradient, as large as it."""
        return "_AUX" in self.epilogue or self.epilogue.startswith(("DGELU", "DRELU"))

    @property
    def kept_lead(self) -> int:
        """Elements between columns of that matrix; those of ReLU's slope are bits."""
        return mask_lead(self.m) if self.epilogue.startswith("DRELU") else self.m


def mask_lead(elements: int) -> int:
    """Bits from one row of a mask to the next: so many elements, in whole parts of 16 bytes."""
    return -(-elements // 128) * 128


class _Plan(NamedTuple):
    """What cuBLASLt needs to know of a product; `found` holds the algorithm it proposed."""

    operation: int
    layouts: tuple[int, int, int]
    found: Any


def available() -> bool:
    """Whether the bindings are installed."""
    try:
        return util.find_spec("nvmath") is not None
    except (ImportError, ValueError):
        return False


def note(asked: bool) -> str:
    """What is said of products that a kernel of our own does.

    Args:
        asked: whether cuBLASLt could have been asked for them.
    """
    if asked:
        return "our own kernel: cuBLASLt does not take this product here"
    if available():
        return "our own kernel: on a device cuBLASLt does it"
    return f"our own kernel: cuBLASLt needs {PACKAGE}: {remedy()}"


class CublasLt:
    """cuBLASLt on the device that is current when it is made."""

    def __init__(self) -> None:
        self._lt: Any = import_module("nvmath.bindings.cublasLt")
        self._handle: int = self._lt.create()
        self._plans: dict[tuple[Matmul, int, int, int], _Plan | None] = {}
        self._scalars = {t: (np.ones(1, t), np.zeros(1, t)) for t in (np.float32, np.float64)}

    def multiply(
        self, product: Matmul, addresses: Sequence[int], workspace: int, stream: int
    ) -> None:
        """Put a product into a stream.

        Args:
            addresses: of A, B, D, of the bias, and of the matrix beside, where there are such.
        Raises:
            RuntimeError: cuBLASLt has no algorithm for it.
        """
        a, b, d, *beside = addresses
        bias = beside[:1] if product.biased else []
        kept = beside[len(bias) :]
        places = alignment_of(a, b, d), alignment_of(*bias), alignment_of(*kept)
        plan = self._plan(product, *places)
        if plan is None:
            raise RuntimeError(f"cuBLASLt has no algorithm for {product} at {addresses}.")
        self._beside(product, plan.operation, *bias, *kept)
        one, zero = self._scalars[np.float64 if product.given == "float64" else np.float32]
        layout = plan.layouts
        self._lt.matmul(
            *(self._handle, plan.operation, one.ctypes.data, a, layout[0], b, layout[1]),
            *(zero.ctypes.data, d, layout[2], d, layout[2], plan.found.ptr),
            *(workspace, WORKSPACE, stream),
        )

    def takes(self, product: Matmul) -> bool:
        """Whether there is an algorithm for it, at addresses of results and arguments."""
        return self._plan(product, product.aligned, MOST_ALIGNED, MOST_ALIGNED) is not None

    def _beside(self, product: Matmul, operation: int, *addresses: int) -> None:
        """Where the bias and the matrix beside the result are, of those that there are."""
        names: Any = self._lt.MatmulDescAttribute
        pointers = [names.BIAS_POINTER] * product.biased
        pointers += [names.EPILOGUE_AUX_POINTER] * product.keeps
        for pointer, address in zip(pointers, addresses, strict=True):
            self._describe(operation, pointer, np.array([address], np.int64))

    def _describe(self, operation: int, attribute: int, value: np.ndarray[Any, Any]) -> None:
        data = value.ctypes.data
        self._lt.matmul_desc_set_attribute(operation, int(attribute), data, value.nbytes)

    def _plan(self, product: Matmul, alignment: int, of_bias: int, of_kept: int) -> _Plan | None:
        """How a product is done; None where cuBLASLt has no algorithm."""
        key = product, alignment, of_bias, of_kept
        if key not in self._plans:
            operation = self._operation(product)
            # The proposal goes by the alignment of these addresses; nothing is read there.
            self._beside(
                product, operation, *[of_bias] * product.biased, *[of_kept] * product.keeps
            )
            layouts = self._layouts(product)
            best = self._heuristic(operation, layouts, alignment)
            self._plans[key] = None if best is None else _Plan(operation, layouts, best)
        return self._plans[key]

    def _operation(self, product: Matmul) -> int:
        """What is computed, and in which arithmetic."""
        names: Any = self._lt.MatmulDescAttribute
        wide = product.given == "float64"
        compute = COMPUTE_64F if wide else COMPUTE_TF32 if product.tf32 else COMPUTE_32F
        scale = DTYPES["float64" if wide else "float32"]
        operation: int = self._lt.matmul_desc_create(compute, scale)
        for name, transposed in zip(("TRANSA", "TRANSB"), product.transposed, strict=True):
            value = np.array([OPERATIONS[transposed]], np.int32)
            self._describe(operation, getattr(names, name), value)
        epilogue = np.array([getattr(self._lt.Epilogue, product.epilogue)], np.uint32)
        self._describe(operation, names.EPILOGUE, epilogue)
        if product.biased:
            kind = np.array([DTYPES[product.result]], np.int32)
            self._describe(operation, names.BIAS_DATA_TYPE, kind)
        if product.keeps:
            self._describe(
                operation, names.EPILOGUE_AUX_LD, np.array([product.kept_lead], np.int64)
            )
        return operation

    def _layouts(self, product: Matmul) -> tuple[int, int, int]:
        """How the matrices lie."""
        p, (of_a, of_b) = product, product.transposed
        shapes = (
            (p.given, (p.k, p.m) if of_a else (p.m, p.k)),
            (p.given, (p.n, p.k) if of_b else (p.k, p.n)),
            (p.result, (p.m, p.n)),
        )
        made: list[int] = []
        for (dtype, (rows, columns)), lead, stride in zip(shapes, p.leads, p.strides, strict=True):
            layout: int = self._lt.matrix_layout_create(DTYPES[dtype], rows, columns, lead)
            if p.times > 1:
                names: Any = self._lt.MatrixLayoutAttribute
                for name, value in (
                    (names.BATCH_COUNT, np.array([p.times], np.int32)),
                    (names.STRIDED_BATCH_OFFSET, np.array([stride], np.int64)),
                ):
                    data = value.ctypes.data
                    self._lt.matrix_layout_set_attribute(layout, int(name), data, value.nbytes)
            made.append(layout)
        return made[0], made[1], made[2]

    def _heuristic(self, operation: int, layouts: tuple[int, int, int], alignment: int) -> Any:
        """The algorithm that cuBLASLt proposes, for so much workspace and addresses like these.

        None where it has none.
        """
        lt = self._lt
        names = lt.MatmulPreferenceAttribute
        preference: int = lt.matmul_preference_create()
        limits = [(names.MAX_WORKSPACE_BYTES, np.array([WORKSPACE], np.uint64))]
        limits += [
            (getattr(names, f"MIN_ALIGNMENT_{x}_BYTES"), np.array([alignment], np.uint32))
            for x in "ABCD"
        ]
        for name, value in limits:
            data = value.ctypes.data
            lt.matmul_preference_set_attribute(preference, int(name), data, value.nbytes)
        found = lt.MatmulHeuristicResult(1)
        count = np.zeros(1, np.int32)
        a, b, d = layouts
        results = found.ptr, count.ctypes.data
        try:
            lt.matmul_algo_get_heuristic(
                self._handle, operation, a, b, d, d, preference, 1, *results
            )
        except lt.cuBLASLtError as error:
            if error.status != _NOT_SUPPORTED:
                raise
            return None
        finally:
            lt.matmul_preference_destroy(preference)
        return found if count[0] else None


def alignment_of(*addresses: int) -> int:
    """The largest power of two, up to what algorithms ask for, that divides all addresses."""
    both = MOST_ALIGNED
    for address in addresses:
        both |= address
    return both & -both

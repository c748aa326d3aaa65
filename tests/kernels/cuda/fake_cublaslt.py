"""cuBLASLt's bindings without a GPU: every argument is checked, products are NumPy's.

Names and numbers are those of nvmath.bindings.cublasLt 1.0; `test_matmuls.py` compares them with
the package where it is installed.
"""

import ctypes
from enum import IntEnum

import ml_dtypes
import numpy as np

DTYPES = {0: np.float32, 1: np.float64, 2: np.float16, 14: ml_dtypes.bfloat16}
RESULT = np.dtype(
    [
        ("algo", [("data_", "<u8", (8,))]),
        ("workspace_size", "<u8"),
        ("state", "<i4"),
        ("waves_count", "<f4"),
        ("reserved", "<i4", (4,)),
    ]
)


class MatmulDescAttribute(IntEnum):
    TRANSA = 3
    TRANSB = 4
    EPILOGUE = 7
    BIAS_POINTER = 8
    EPILOGUE_AUX_POINTER = 11
    EPILOGUE_AUX_LD = 12
    BIAS_DATA_TYPE = 26


class Epilogue(IntEnum):
    DEFAULT = 1
    RELU = 2
    BIAS = 4
    RELU_BIAS = 6
    DRELU = 136
    DRELU_BGRAD = 152
    GELU = 32
    GELU_BIAS = 36
    GELU_AUX = 160
    GELU_AUX_BIAS = 164
    DGELU = 192
    DGELU_BGRAD = 208
    BGRADA = 256
    BGRADB = 512


class MatrixLayoutAttribute(IntEnum):
    BATCH_COUNT = 5
    STRIDED_BATCH_OFFSET = 6


class MatmulPreferenceAttribute(IntEnum):
    MAX_WORKSPACE_BYTES = 1
    MIN_ALIGNMENT_A_BYTES = 5
    MIN_ALIGNMENT_B_BYTES = 6
    MIN_ALIGNMENT_C_BYTES = 7
    MIN_ALIGNMENT_D_BYTES = 8


# What has an address of a bias, which is read or gets sums.
SUMS_OR_BIAS = ("BIAS", "BGRAD", "BGRADA", "BGRADB")
SIZES = {"TRANSA": 4, "TRANSB": 4, "EPILOGUE": 4, "BIAS_POINTER": 8, "BIAS_DATA_TYPE": 4}
SIZES |= {"EPILOGUE_AUX_POINTER": 8, "EPILOGUE_AUX_LD": 8}
SIZES |= {"BATCH_COUNT": 4, "STRIDED_BATCH_OFFSET": 8, "MAX_WORKSPACE_BYTES": 8}
SIZES |= {f"MIN_ALIGNMENT_{x}_BYTES": 4 for x in "ABCD"}


class CuBLASLtError(Exception):
    def __init__(self, status):
        super().__init__(f"status {status}")
        self.status = status


class MatmulHeuristicResult:
    def __init__(self, size=1):
        self.array = np.zeros(size, RESULT)
        self.ptr = self.array.ctypes.data


def read(address, size):
    return int.from_bytes(ctypes.string_at(address, size), "little")


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def slope_of_gelu(x):
    u = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))
    inner = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
    return 0.5 * (1 + u) + 0.5 * x * (1 - u**2) * inner


class FakeCublasLt:
    """Attributes: `calls`: what was multiplied; `asked`: how often for an algorithm."""

    MatmulDescAttribute = MatmulDescAttribute
    Epilogue = Epilogue
    MatrixLayoutAttribute = MatrixLayoutAttribute
    MatmulPreferenceAttribute = MatmulPreferenceAttribute
    MatmulHeuristicResult = MatmulHeuristicResult
    cuBLASLtError = CuBLASLtError  # noqa: N815 - the binding's own name

    def __init__(self, driver):
        self.driver = driver
        self.things = {}
        self.calls = []
        self.asked = 0
        # Given what is computed and the least alignment: whether there is an algorithm.
        self.knows = lambda operation, alignment: True

    def _new(self, kind, **facts):
        number = 1000 + len(self.things)
        self.things[number] = {"kind": kind, **facts}
        return number

    def _set(self, kind, enum, number, attribute, address, size):
        thing = self.things[number]
        name = enum(attribute).name
        assert thing["kind"] == kind and type(attribute) is int and size == SIZES[name], name
        thing[name] = read(address, size)

    def create(self):
        return self._new("handle")

    def matmul_desc_create(self, compute, scale):
        assert (compute, scale) in ((68, 0), (77, 0), (70, 1))
        return self._new("operation", compute=compute, scale=scale)

    def matmul_desc_set_attribute(self, *given):
        self._set("operation", MatmulDescAttribute, *given)

    def matrix_layout_create(self, dtype, rows, columns, lead):
        assert lead >= rows > 0 and columns > 0
        return self._new("layout", dtype=dtype, rows=rows, columns=columns, lead=lead)

    def matrix_layout_set_attribute(self, *given):
        self._set("layout", MatrixLayoutAttribute, *given)

    def matmul_preference_create(self):
        return self._new("preference")

    def matmul_preference_set_attribute(self, *given):
        self._set("preference", MatmulPreferenceAttribute, *given)

    def matmul_preference_destroy(self, number):
        assert self.things[number].pop("kind") == "preference"

    def matmul_algo_get_heuristic(self, handle, operation, a, b, c, d, preference, n, out, count):
        kinds = [self.things[x]["kind"] for x in (handle, operation, a, b, c, d, preference)]
        assert kinds == ["handle", "operation", *["layout"] * 4, "preference"] and n == 1
        assert self.driver.recording is None, "cuBLASLt is asked while a stream records"
        self.asked += 1
        wanted, o = dict(self.things[preference]), self.things[operation]
        if Epilogue(o["EPILOGUE"]).name.endswith(SUMS_OR_BIAS):
            # The address counts by its alignment only.
            wanted["BIAS_ALIGNMENT"] = o["BIAS_POINTER"] & -o["BIAS_POINTER"]
        if "EPILOGUE_AUX_LD" in o:
            rows = self.things[d]["rows"]
            # Of ReLU the matrix has a bit for each element.
            least = 128 if "RELU" in Epilogue(o["EPILOGUE"]).name else 8
            assert o["EPILOGUE_AUX_LD"] >= rows and o["EPILOGUE_AUX_LD"] % least == 0
            wanted["AUX_ALIGNMENT"] = o["EPILOGUE_AUX_POINTER"] & -o["EPILOGUE_AUX_POINTER"]
        known = self.knows(o, wanted["MIN_ALIGNMENT_A_BYTES"])
        if known is None:
            raise CuBLASLtError(15)
        ctypes.memset(out, 7, 64)
        ctypes.c_int32.from_address(count).value = int(known)
        o.setdefault("algorithms", {})[out] = wanted

    def matmul(self, handle, operation, alpha, a, of_a, b, of_b, beta, c, of_c, d, of_d, algo,
               workspace, size, stream):  # fmt: skip
        o = dict(self.things[operation])
        wanted = o["algorithms"][algo]
        assert stream == 100 and c == d and of_c == of_d
        assert size <= wanted["MAX_WORKSPACE_BYTES"] and workspace % 256 == 0
        assert self.driver.at(workspace, size).size == size
        for name, address in zip("ABCD", (a, b, c, d), strict=True):
            assert address % wanted[f"MIN_ALIGNMENT_{name}_BYTES"] == 0
        assert o.get("BIAS_POINTER", 0) % wanted.get("BIAS_ALIGNMENT", 1) == 0
        assert o.get("EPILOGUE_AUX_POINTER", 0) % wanted.get("AUX_ALIGNMENT", 1) == 0
        assert ("EPILOGUE_AUX_LD" in o) == ("EPILOGUE_AUX_POINTER" in o)
        kind = np.float64 if o["scale"] == 1 else np.float32
        scalars = [np.frombuffer(ctypes.string_at(x, np.dtype(kind).itemsize), kind)[0]
                   for x in (alpha, beta)]  # fmt: skip
        assert scalars == [1, 0]
        layouts = [dict(self.things[x]) for x in (of_a, of_b, of_d)]
        self.calls.append((o, layouts))
        self.driver.put(lambda: self._do(o, layouts, (a, b, d)), stream)
        self.driver.log.append(("matmul", Epilogue(o["EPILOGUE"]).name))

    def matrix(self, layout, address, at):
        """A matrix, column after column, as a view of the device's memory."""
        dtype = np.dtype(DTYPES[layout["dtype"]])
        offset = at * layout.get("STRIDED_BATCH_OFFSET", 0) * dtype.itemsize
        count = (layout["columns"] - 1) * layout["lead"] + layout["rows"]
        flat = self.driver.at(address + offset, count * dtype.itemsize).view(dtype)
        steps = dtype.itemsize, layout["lead"] * dtype.itemsize
        return np.lib.stride_tricks.as_strided(flat, (layout["rows"], layout["columns"]), steps)

    def bits(self, o, shape):
        """The mask of a matrix: element i of a column is bit i % 8 of byte i // 8."""
        (rows, columns), pitch = shape, o["EPILOGUE_AUX_LD"] // 8
        held = self.driver.at(o["EPILOGUE_AUX_POINTER"], (columns - 1) * pitch + -(-rows // 8))
        steps = np.lib.stride_tricks.as_strided(held, (columns, -(-rows // 8)), (pitch, 1))
        return np.unpackbits(steps, axis=1, count=rows, bitorder="little").T.astype(bool)

    def _do(self, o, layouts, addresses):
        counts = {layout.get("BATCH_COUNT", 1) for layout in layouts}
        assert len(counts) == 1
        wide = np.float64 if o["scale"] == 1 else np.float32
        for at in range(counts.pop()):
            a, b, d = (self.matrix(x, p, at) for x, p in zip(layouts, addresses, strict=True))
            a, b = (x.T if o[f"TRANS{n}"] else x for n, x in (("A", a), ("B", b)))
            assert a.shape == (d.shape[0], b.shape[0]) and b.shape[1] == d.shape[1]
            assert a.dtype == b.dtype
            found = a.astype(wide) @ b.astype(wide)
            name = Epilogue(o["EPILOGUE"]).name
            if name.endswith("BIAS"):
                kind = np.dtype(DTYPES[o["BIAS_DATA_TYPE"]])
                size = d.shape[0] * kind.itemsize
                found = found + self.driver.at(o["BIAS_POINTER"], size).view(kind)[:, None]
            if name.startswith("RELU"):
                found = np.maximum(found, 0)
            if name.startswith("DRELU"):
                found = np.where(self.bits(o, d.shape), found, 0)
            elif "EPILOGUE_AUX_LD" in o:
                beside = {**layouts[2], "lead": o["EPILOGUE_AUX_LD"]}
                kept = self.matrix(beside, o["EPILOGUE_AUX_POINTER"], 0)
                if name.startswith("GELU"):
                    kept[...] = found.astype(kept.dtype)
                else:
                    found = found * slope_of_gelu(kept.astype(wide))
            if name.startswith("GELU"):
                found = gelu(found)
            d[...] = found.astype(d.dtype)
            if "BGRAD" in name:
                kind = np.dtype(DTYPES[o["BIAS_DATA_TYPE"]])
                # Of D by rows, of A over the contraction, of B too.
                of = {"BGRADA": a.astype(wide), "BGRADB": b.astype(wide).T}.get(name, found)
                sums = self.driver.at(o["BIAS_POINTER"], len(of) * kind.itemsize).view(kind)
                assert kind == d.dtype and len(sums) == d.shape[name == "BGRADB"]
                sums[...] = of.sum(1).astype(kind)

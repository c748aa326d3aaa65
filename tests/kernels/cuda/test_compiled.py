"""Kernels compile for GPUs that are not here, and take no more of them than they should."""

import ctypes
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax, nn
from funcgrad.config import config, enable_x64
from funcgrad.kernels.cuda import adapter, cublaslt, cudnn, nccl
from funcgrad.kernels.cuda.limits import most_shared

needs_extra = pytest.mark.skipif(
    bool(adapter.missing()), reason=f"compiling for a GPU needs {adapter.remedy()}"
)
# Our own compiler needs no numba-cuda; only what compares the two does.
needs_numba = pytest.mark.skipif(
    bool(adapter.missing(adapter.NUMBA)),
    reason="the other compiler, numba.cuda, is not installed: funcgrad[cuda13]",
)
DTYPES = ("float32", "float64", "bfloat16", "int32")
TARGETS = ("sm_80", "sm_90")


def softmax(x):
    e = fnp.exp((x - x.max(-1, keepdims=True)).astype(np.float32))
    return e / e.sum(-1, keepdims=True)


TEMPLATES = {
    "map": lambda x: x * x + x,
    "rows": softmax,
    "chunks": lambda x: x.sum(),
    "column": lambda x: x.sum(0),
    "transposition": lambda x: x.T + x.T,
    "cumulative": lambda x: fnp.cumsum(x, 1),
    "long cumulative": lambda x: fnp.cumsum(x.reshape(-1)),
    "gather": lambda x: x[np.arange(7) * 3],
    "scatter": lambda x: x.at[np.arange(40) % 7].add(1),
    "many updates": lambda x: x.at[np.arange(3000) % 200].add(x[0]),
    "updates of places that differ": lambda x: x.at[np.arange(90)].add(1, unique_indices=True),
    "running columns": lambda x: fnp.cumsum(x, 0),
    "argmax": lambda x: fnp.argmax(x, 1),
    "sort": lambda x: fnp.sort(x),
    "top": lambda x: fg.lax.top_k(x, 3),
    "long sort": lambda x: fnp.argsort(x.reshape(-1)),
    "random": lambda x: x + fg.random.bits(fg.random.key(1), x.shape).astype(x.dtype),
}


@pytest.fixture(autouse=True)
def without_store():
    """Every kernel is compiled."""
    before = config.read("cache")
    config.update("cache", False)
    yield
    config.update("cache", before)


def compiled(f, target, dtype="float32", shape=(200, 640)):
    x = np.ones(shape, fnp.bfloat16 if dtype == "bfloat16" else dtype)
    with enable_x64():
        return fg.jit(f).lower(x).compile(target=target)


@needs_extra
@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_compile(template, dtype, target):
    made = compiled(TEMPLATES[template], target, dtype)
    assert made.kernels and not made.refusals
    for kernel in made.kernels:
        assert kernel.cubin.code.startswith(b"\x7fELF")
        assert f".target {target}" in kernel.ptx
        assert not kernel.spills, kernel
        if kernel.kind == "map":
            assert kernel.registers <= 64, kernel


@needs_extra
@pytest.mark.parametrize("dtype", [*DTYPES, "float16"])
def test_maps_move_128_bits(dtype):
    (kernel,) = compiled(TEMPLATES["map"], "sm_90", dtype).kernels
    for what in ("ld", "st"):
        assert re.search(rf"{what}\.global\.v(4\.[fub]32|2\.[fub]64)", kernel.ptx), kernel.ptx
        assert re.search(rf"{what}\.global\.[fbu]", kernel.ptx)  # one by one, where unaligned


@needs_extra
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", [*DTYPES, "float16"])
def test_long_running_folds_move_128_bits_and_leave_room_for_blocks(dtype, target):
    made = compiled(lambda x: lax.cumsum(x, axis=1, reverse=True), target, dtype, (2, 64_000))
    scan = made.kernels[-1]
    assert scan.kind == "scan" and not scan.spills and ".local" not in scan.ptx
    # There, five blocks of 256 threads on a multiprocessor.
    assert target != "sm_90" or scan.registers <= 48
    for what in ("ld", "st"):
        assert re.search(rf"{what}\.global\.v(4\.[fub]32|2\.[fub]64)", scan.ptx), scan.ptx
        assert f"{what}.relaxed.gpu.global.u64" in scan.ptx
    assert "atom.add.relaxed.gpu.global.u64" in scan.ptx


@needs_extra
@pytest.mark.parametrize(("width", "dtype", "target"), [
    (1024, "float32", "sm_90"), (1024, "float32", "sm_80"), (8192, "bfloat16", "sm_90"),
    (65536, "float32", "sm_90"), (65536, "float32", "sm_80"), (65536, "float64", "sm_90"),
])  # fmt: skip
def test_rows_are_kept_in_registers_and_in_shared_memory(width, dtype, target):
    made = compiled(softmax, target, dtype, (200, width))
    (kernel,) = made.kernels
    assert not kernel.spills and ".local" not in kernel.ptx, kernel
    # What memory has to be asked for is in no cubin, and a GPU of sm_90 keeps 1 KiB of a block.
    assert kernel.cubin.shared <= 2 << 10 and kernel.shared <= most_shared(target) + (1 << 10)
    assert (kernel.shared > 64 << 10) == (width == 65536)
    assert ("extern .shared" in kernel.ptx) == (width == 65536)
    assert kernel.registers <= 128
    for what in ("ld", "st"):
        assert re.search(rf"{what}\.global\.v(4\.[fub]32|2\.[fub]64)", kernel.ptx), kernel.ptx


@needs_extra
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", [*DTYPES, "float16"])
@pytest.mark.parametrize("template", ["rows", "argmax", "chunks"])
def test_parts_of_long_rows_move_128_bits_and_leave_room_for_blocks(template, dtype, target):
    parts = [
        kernel
        for kernel in compiled(TEMPLATES[template], target, dtype, (2, 1 << 20)).kernels
        if kernel.kind == "chunks"
    ]
    assert len(parts) == (3 if template == "rows" else 1)
    for kernel in parts:
        # Four blocks of 256 threads on a multiprocessor.
        assert not kernel.spills and ".local" not in kernel.ptx and kernel.registers <= 64, kernel
        assert re.search(r"ld\.global\.v(4\.[fub]32|2\.[fub]64)", kernel.ptx), kernel.ptx
        assert kernel.grid[0] >= 256


PRODUCTS = {
    "tiles of 32": (lambda x: x @ x.T, (200, 64)),
    "parts": (lambda x: x.T @ x, (4000, 40)),
    "tiles of 64": (lambda x: x @ x.T, (1000, 64)),
    "tiles of 128": (lambda x: x @ x.T, (2000, 64)),
}


@needs_extra
@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("product", PRODUCTS)
def test_products_keep_their_sums_in_registers(product, dtype, target):
    f, shape = PRODUCTS[product]
    made = compiled(f, target, dtype, shape)
    assert made.kernels[0].kind == "product" and not made.refusals
    assert (dtype == "bfloat16") == ("mma.sync.aligned.m16n8k16" in made.kernels[0].ptx)
    for kernel in made.kernels:
        assert not kernel.spills and ".local" not in kernel.ptx, kernel
        assert kernel.registers <= 255 and kernel.cubin.shared <= 48 << 10


@needs_extra
@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("product", PRODUCTS)
def test_products_of_rounded_float32_keep_their_sums_in_registers(product, target):
    f, shape = PRODUCTS[product]
    with fg.default_matmul_precision("tensorfloat32"):
        made = compiled(f, target, "float32", shape)
    assert "mma.sync.aligned.m16n8k8.row.col.f32.tf32" in made.kernels[0].ptx
    assert "cvt.rna.tf32.f32" in made.kernels[0].ptx
    for kernel in made.kernels:
        assert not kernel.spills and ".local" not in kernel.ptx, kernel
        assert kernel.registers <= 255 and kernel.cubin.shared <= 48 << 10


@needs_extra
@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "target"), [("float32", "sm_80"), ("bfloat16", "sm_90")])
def test_convolutions_keep_their_sums_in_registers(dtype, target):
    dtype = fnp.bfloat16 if dtype == "bfloat16" else dtype
    x, w = np.ones((8, 30, 30, 32), dtype), np.ones((3, 3, 32, 64), dtype)

    def loss(x, w):
        y = fg.lax.conv_general_dilated(
            x, w, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return (y * y).astype(np.float32).sum()

    made = fg.jit(fg.grad(loss, (0, 1))).lower(x, w).compile(target=target)
    kernels = [k for k in made.kernels if k.name.startswith("convolution")]
    assert len(kernels) >= 6
    for kernel in kernels:
        assert not kernel.spills and ".local" not in kernel.ptx, kernel


@needs_extra
@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "heads", "dtype", "target"),
    [
        (64, 4, "float32", "sm_80"),
        (256, 4, "float32", "sm_90"),
        (64, 4, "float16", "sm_90"),
        (64, 66, "float16", "sm_90"),
        (96, 66, "bfloat16", "sm_80"),
        (112, 66, "bfloat16", "sm_90"),
        (128, 66, "bfloat16", "sm_80"),
        (112, 66, "float16", "sm_90"),
        (128, 66, "float16", "sm_90"),
        (200, 66, "float16", "sm_80"),
        (256, 66, "bfloat16", "sm_90"),
        (64, 66, "bfloat16", "sm_80"),
        (128, 4, "bfloat16", "sm_80"),
        (128, 66, "bfloat16", "sm_90"),
    ],
)
def test_attention_keeps_its_sums_in_registers(width, heads, dtype, target):
    x = np.ones((2, 256, heads, width), fnp.bfloat16 if dtype == "bfloat16" else dtype)

    def loss(q, k, v):
        out = nn.dot_product_attention(q, k, v, is_causal=dtype == "bfloat16")
        return out.astype(np.float32).sum()

    made = fg.jit(fg.value_and_grad(loss, (0, 1, 2))).lower(x, x, x).compile(target=target)
    kernels = [k for k in made.kernels if k.kind == "attention"]
    assert len(kernels) == 4
    for kernel in kernels:
        assert not kernel.spills and ".local" not in kernel.ptx, kernel
        assert kernel.registers <= 255
        # A GPU of sm_90 keeps 1 KiB of each block for itself.
        assert kernel.cubin.shared <= 49 << 10 and kernel.shared - 1024 <= most_shared(target)
        by_cores = dtype != "float32" and not kernel.name.endswith("known")
        for instruction in ("mma.sync.aligned.m16n8k16", "ldmatrix.sync", "cp.async.cg"):
            assert (instruction in kernel.ptx) == by_cores


@needs_extra
@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "target"), [("float32", "sm_90"), ("bfloat16", "sm_80")])
def test_attention_of_parts_of_a_product_keeps_its_sums_in_registers(dtype, target):
    kind = fnp.bfloat16 if dtype == "bfloat16" else dtype
    x, w = np.ones((2, 256, 256), kind), np.ones((256, 768), kind)

    def loss(x, w):
        p = (x @ w).reshape(2, 256, 3, 4, 64)
        y = nn.dot_product_attention(p[:, :, 0], p[:, :, 1], p[:, :, 2], is_causal=True)
        return y.astype(np.float32).sum()

    made = fg.jit(fg.value_and_grad(loss, (0, 1))).lower(x, w).compile(target=target)
    kernels = [k for k in made.kernels if k.kind == "attention"]
    assert len(kernels) == 4
    for kernel in kernels:
        assert not kernel.spills and ".local" not in kernel.ptx, kernel
        by_cores = dtype != "float32" and not kernel.name.endswith("known")
        for instruction in ("mma.sync.aligned.m16n8k16", "ldmatrix.sync", "cp.async.cg"):
            assert (instruction in kernel.ptx) == by_cores


@needs_extra
def test_kernels_that_differ_in_names_alone_are_compiled_once(monkeypatch):
    made = []
    assembly = adapter._assembly
    monkeypatch.setattr(adapter, "_assembly", lambda *given: made.append(1) or assembly(*given))

    def f(x):
        for _ in range(3):
            x = fnp.cumsum(x, 1)
        return x

    kernels = compiled(f, "sm_90").kernels
    assert len(kernels) == 3 and len(made) == 1
    assert len({k.name for k in kernels}) == 3 and len({k.cubin.entry for k in kernels}) == 1


# What of a kernel's instructions tells how floats are rounded.
ROUNDED = re.compile(
    r"\t((?:add|sub|mul|fma|div|sqrt|min|max|cvt|ex2|abs|neg)[.\w]*\.f(?:16|32|64))"
)


@needs_extra
@needs_numba
@pytest.mark.slow
@pytest.mark.parametrize(
    ("template", "dtype"),
    [("map", "float32"), ("map", "bfloat16"), ("rows", "float32"), ("column", "float64"),
     ("cumulative", "float32"), ("many updates", "float32"), ("sort", "float32")],
)  # fmt: skip
def test_numba_cuda_makes_the_same_of_a_text(template, dtype):
    ours = compiled(TEMPLATES[template], "sm_90", dtype).kernels
    config.update("lowering", "source")
    try:
        theirs = compiled(TEMPLATES[template], "sm_90", dtype).kernels
    finally:
        config.update("lowering", "fast")
    for own, other in zip(ours, theirs, strict=True):
        assert own.source == other.source
        assert set(ROUNDED.findall(own.ptx)) == set(ROUNDED.findall(other.ptx))
        assert own.cubin.shared == other.cubin.shared
        assert own.registers <= other.registers + 16


@needs_extra
def test_a_compiled_program_can_be_read_and_not_called():
    made = compiled(lambda x: nn.softmax(lax.linalg.schur(x[:, :200])[0]), "sm_90")
    (refusal,) = made.refusals
    assert refusal.name == "schur" and "no loop over elements" in refusal.why
    assert "test_compiled.py" in refusal.where
    assert "warp_add_float32" in made.source and ".entry" in made.as_text()
    page = made.explain()
    assert "not on the GPU yet: it is no loop over elements" in page
    assert "registers, 0 bytes spilled" in page
    with pytest.raises(RuntimeError, match="no device runs it"):
        made(np.ones((200, 640), np.float32))


@needs_extra
def test_cubins_are_found_on_disk(tmp_path):
    code = """
import sys, numpy as np, funcgrad as fg
made = fg.jit(lambda x: x + 1).lower(np.ones(9, np.float32)).compile(target="sm_80")
assert made.kernels[0].cubin.code[:4] == b"\\x7fELF" and made.kernels[0].registers
print("numba" in sys.modules, made.kernels[0])
"""
    told = []
    for _ in range(2):
        env = {"FUNCGRAD_CACHE_DIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
        run = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
        )
        told.append(run.stdout.split(" ", 1))
    assert [t[0] for t in told] == ["False", "False"] and told[0][1] == told[1][1]


@pytest.mark.parametrize("target", ["sm_75", "gpu", "sm_9", ""])
def test_targets_that_are_none(target):
    with pytest.raises(ValueError, match="sm_80"):
        fg.jit(fnp.sin).lower(1.0).compile(target=target)


def test_without_the_extra_one_sentence_and_the_remedy(monkeypatch):
    monkeypatch.setattr(adapter, "PACKAGES", {"no_such_module": "numba-cuda"})
    with pytest.raises(ModuleNotFoundError) as caught:
        fg.jit(fnp.sin).lower(1.0).compile(target="sm_90")
    assert str(caught.value) == (
        "Compiling for a GPU needs numba-cuda, which this Python does not have. "
        "Install it: pip install 'funcgrad[cuda13]'"
    )


def test_few_files_know_what_is_not_ours():
    folder = Path(adapter.__file__).parents[2]
    named = {
        str(file.relative_to(folder))
        for file in folder.rglob("*.py")
        if re.search(
            r"import_module\(.(numba\.cuda|cuda|nvidia|numba_cuda)[.\"']", file.read_text()
        )
    }
    # One for libNVVM and nvJitLink, one for numba.cuda, one for the driver.
    assert named == {f"kernels/cuda/{n}.py" for n in ("adapter", "with_numba", "runtime/driver")}


def test_nothing_of_cuda_is_loaded_for_the_cpu():
    code = """
import sys, numpy as np, funcgrad as fg
fg.jit(lambda x: x + 1)(np.ones(9, np.float32))
loaded = [m for m in sys.modules if m.split(".")[0] in ("cuda", "nvidia", "numba_cuda", "numba")]
assert not loaded, loaded
assert not [m for m in sys.modules if m.startswith("funcgrad.kernels.cuda")]
"""
    env = {"PYTHONPATH": ":".join(sys.path), "FUNCGRAD_CACHE": "0"}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)


def test_doctor_says_what_mends_it(capsys, monkeypatch):
    from funcgrad.__main__ import main
    from funcgrad.kernels.cuda import doctor

    monkeypatch.setattr(adapter, "VERSIONED", ("no-such-package",))
    monkeypatch.setattr(doctor, "_LIBRARY", "libno_such_driver.so.1")
    monkeypatch.setattr(nccl, "PACKAGE", "no-such-nccl")
    monkeypatch.setattr(cudnn, "PACKAGE", "no-such-frontend")
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert re.search(r"no-such-package +missing: no kernel can be compiled", told)
    assert "mended by: pip install 'funcgrad[cuda13]'" in told
    assert "driver" in told and "/dev/nvidia0" in told
    assert "nvmath-python" in told and "from 580 on for CUDA 13" in told
    assert re.search(
        r"no-such-nccl +missing: .*\n +mended by: pip install 'funcgrad\[nccl13\]'", told
    )
    assert re.search(r"no-such-frontend +missing: .*\n +mended by: .*'funcgrad\[cudnn13\]'", told)
    # What is missing is of the version of CUDA of what is there.
    with monkeypatch.context() as patch:
        patch.setattr(adapter, "toolkit", lambda: 12)
        patch.setattr(nccl, "toolkit", lambda: 12)
        patch.setattr(cudnn, "toolkit", lambda: 12)
        assert main(["doctor"]) == 1
        told = capsys.readouterr().out
        for extra in ("cuda12", "nccl12", "cudnn12"):
            assert f"'funcgrad[{extra}]'" in told
        assert "from 525 on for CUDA 12" in told and "13]" not in told
    monkeypatch.setattr(cublaslt, "PACKAGE", "numpy")
    monkeypatch.setattr(nccl, "PACKAGE", "numpy")
    monkeypatch.setattr(cudnn, "PACKAGE", "numpy")
    monkeypatch.setattr(cudnn, "LIBRARIES", "no-such-library")
    main(["doctor"])
    assert re.search(r"no-such-library +no package: only a libcudnn", capsys.readouterr().out)
    monkeypatch.setattr(cudnn, "LIBRARIES", "no-such-library numpy")
    monkeypatch.setattr(adapter, "VERSIONED", ("numpy",))
    monkeypatch.setattr(adapter, "NUMBA", {"numpy": "numpy"})
    monkeypatch.setattr(adapter, "missing", lambda: [])
    monkeypatch.setattr(doctor, "ask", lambda: doctor.Found(13000, ("NVIDIA H200",)))
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    assert "missing" not in told and "of CUDA 13.0" in told and "NVIDIA H200" in told
    for found, words in (
        (doctor.Found(12080, ("NVIDIA A100",)), "of CUDA 12.8, too old for packages of CUDA 13"),
        (doctor.Found(13000, (), "no CUDA-capable device"), "none (no CUDA-capable device)"),
    ):
        monkeypatch.setattr(doctor, "ask", lambda found=found: found)
        assert main(["doctor"]) == 1
        assert words in capsys.readouterr().out


def test_a_toolkit_that_is_no_package_will_do(tmp_path, monkeypatch, capsys):
    from funcgrad.__main__ import main

    monkeypatch.setattr(adapter, "_found", lambda module: module == "cuda.bindings")
    monkeypatch.setattr(adapter, "version_of", lambda packages: None)
    for name in adapter.TOOLKIT_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert adapter.missing() == ["nvidia-nvvm"] and adapter.libdevice() is None
    main(["doctor"])
    assert re.search(r"nvidia-nvvm +missing", capsys.readouterr().out)
    file = tmp_path / "nvvm" / "libdevice" / "libdevice.10.bc"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"bitcode")
    monkeypatch.setattr(adapter, "USUAL_TOOLKIT", str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match=rf"export CUDA_HOME={tmp_path}, the CUDA toolk"):
        adapter.require()
    main(["doctor"])
    assert f"mended by: export CUDA_HOME={tmp_path}" in capsys.readouterr().out
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert adapter.missing() == [] and adapter.libdevice() == file
    main(["doctor"])
    assert re.search(rf"nvidia-nvvm +of the toolkit that {file}", capsys.readouterr().out)


def test_doctor_asks_the_driver_that_the_loader_finds(tmp_path, monkeypatch):
    from funcgrad.kernels.cuda import doctor

    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler makes a library that answers as a driver does")
    source = tmp_path / "driver.c"
    source.write_text(
        "#include <string.h>\n"
        "static int code;\n"
        "int cuDriverGetVersion(int *v) { *v = 13010; return 0; }\n"
        "int cuInit(unsigned flags) { return code; }\n"
        "int cuDeviceGetCount(int *n) { *n = 2; return 0; }\n"
        "int cuDeviceGet(int *d, int k) { *d = k; return 0; }\n"
        'int cuDeviceGetName(char *n, int size, int d) { strcpy(n, d ? "B" : "A"); return 0; }\n'
        'int cuGetErrorString(int e, const char **s) { *s = "no device"; return 0; }\n'
        "void fail(void) { code = 100; }\n"
    )
    library = tmp_path / "libdriver.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    monkeypatch.setattr(doctor, "_LIBRARY", str(library))
    assert doctor.ask() == (13010, ("A", "B"), "")
    ctypes.CDLL(str(library)).fail()
    assert doctor.ask() == (13010, (), "no device")

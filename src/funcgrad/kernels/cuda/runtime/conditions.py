"""Kernels that tell a graph which way to go: the one thing said in NVIDIA's assembly language.

In: an address where kernels before left a byte or an integer. Out: the number of a conditional
node is set. numba.cuda has no name for `cudaGraphSetConditional`, which the driver provides.

Source: https://docs.nvidia.com/cuda/cuda-c-programming-guide/#conditional-graph-nodes
"""

from __future__ import annotations

_HEAD = """.version 7.0
.target sm_80
.address_size 64

.extern .func cudaGraphSetConditional
(
    .param .b64 cudaGraphSetConditional_param_0,
    .param .b32 cudaGraphSetConditional_param_1
);
"""

_SET = """    {
    .param .b64 handle;
    st.param.b64 [handle], %rd0;
    .param .b32 value;
    st.param.b32 [value], %r0;
    call.uni cudaGraphSetConditional, (handle, value);
    }
    ret;
}
"""


def _entry(name: str, count: int, body: str) -> str:
    params = ",\n".join(f"    .param .u64 {name}_{k}" for k in range(count))
    loads = "".join(f"    ld.param.u64 %rd{k}, [{name}_{k}];\n" for k in range(count))
    return (
        f".visible .entry {name}(\n{params}\n)\n{{\n"
        "    .reg .b64 %rd<8>;\n    .reg .b32 %r<4>;\n    .reg .pred %p<4>;\n"
        f"{loads}    cvta.to.global.u64 %rd1, %rd1;\n{body}{_SET}"
    )


# The node's number, where the byte is.
WHILE = "fg_decide_while"
# The node's number, where the integer is, which case the node stands for, and the last case.
CASES = {1: "fg_decide_case_1", 4: "fg_decide_case_4", 8: "fg_decide_case_8"}
_LOADS = {1: "ld.global.s8", 4: "ld.global.s32", 8: "ld.global.s64"}


def _case(size: int) -> str:
    return f"""    {_LOADS[size]} %rd4, [%rd1];
    max.s64 %rd4, %rd4, 0;
    min.s64 %rd4, %rd4, %rd3;
    setp.eq.s64 %p0, %rd4, %rd2;
    selp.u32 %r0, 1, 0, %p0;
"""


TEXT = "\n".join(
    [
        _HEAD,
        _entry(
            WHILE,
            2,
            "    ld.global.u8 %r1, [%rd1];\n    setp.ne.u32 %p0, %r1, 0;\n"
            "    selp.u32 %r0, 1, 0, %p0;\n",
        ),
        *(_entry(name, 4, _case(size)) for size, name in CASES.items()),
    ]
)

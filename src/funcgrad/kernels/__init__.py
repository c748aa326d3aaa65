"""Stages of the compiler: jaxpr to running code.

To be read in the order of a compile. `pipeline` calls the stages; the rest are their parts:

1. what an eqn computes: `lowering`, over `items`, `rules`, `storage`; with `views`, `products`,
   `sums`, `contract`, `libraries`; of branches and loops `choices`, `elements`, `turns`,
   `recurrence`, `counters`; of complex numbers `parts`.
2. which values need memory, and how they lie there: `dying`, `inlining`, `layouts`.
3. which values are computed together: `fuse`.
4. loops: `schedule`, in `phases`; `running` and `scattering` for folds in order and for scatters;
   made better by `collapse`, `unroll`, `stretches`, `tiles`, `sharing`; made kernels, which threads
   share, by `cutting` and `chunks`.
5. steps in order, with those of loops and branches inside: `program`, `chains`; and which of them
   change values where they lie: `in_place`.
6. memory: `memory`, checked with all before it by `checking`.
7. text: `emit/`. Kernels written by hand are in `library/`, for GPUs in `cuda/`.
8. machine code that is called: `executables`, `linking`, `custom`, `room`, over `runtime/`.

Beside the way: programs of earlier processes are found by `warm` and `canonical`; people read what
`printing`, `notes`, `costs`, `explain`, `debugging` and `profiled` make of the stages.
"""

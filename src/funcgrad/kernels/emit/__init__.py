"""From loop nests to text: LLVM IR, Numba source, and the maths both share."""

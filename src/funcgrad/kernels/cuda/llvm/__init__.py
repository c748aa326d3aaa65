"""A compiler of the kernels' own texts: restricted Python comes in, LLVM's language goes out."""

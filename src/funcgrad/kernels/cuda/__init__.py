"""Kernels for NVIDIA GPUs: the loop nests of `schedule` as numba.cuda source (0008-gpu.md)."""

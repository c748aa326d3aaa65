"""Running kernels on a GPU: its driver, its memory, and programs as commands."""

"""What compiled programs run on: LLVM, threads, C symbols and the store of compiled code."""

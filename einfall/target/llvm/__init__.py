"""The CPU target: LLVM IR text, compiled in process."""

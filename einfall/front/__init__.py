"""What users write: ranks, expressions and kernels, traced into cascades."""

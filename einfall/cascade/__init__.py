"""Language 1: what to compute, an interned graph of expressions over named ranks."""

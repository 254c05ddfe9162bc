"""Networks trained by our own kernels: sixteen images a vector, bfloat16 where the processor multiplies it."""

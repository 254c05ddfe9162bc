"""The CUDA path: torch layers on a device, each step replayed from one graph."""

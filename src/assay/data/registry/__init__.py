"""Data sets and weights known by name: where they come from, how they are verified and unpacked."""

"""Runs a file's code in a process of its own, where ``fit`` records and returns at once."""

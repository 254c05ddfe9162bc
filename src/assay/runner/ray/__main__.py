"""Starts a bridge: the address, and the folder for logs or nothing."""

import sys

from .process import serve

if __name__ == "__main__":
    serve(*sys.argv[1:3])

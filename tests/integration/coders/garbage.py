"""Prints bytes."""

import os
import sys

sys.stdout.buffer.write(os.urandom(5000) + b"\x00\xff\n{]\n")

"""Leaves processes behind that hold its output open."""

import os
import time

import honest

for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        time.sleep(1000)
        os._exit(0)
honest.main()

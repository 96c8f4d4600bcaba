"""Leaves a fifo in the worktree, on which a careless reader would wait for ever."""

import os

import honest


def implement(asked):
    os.mkfifo(asked["worktree"] + "/clerk/wait.py")


honest.main(implement)

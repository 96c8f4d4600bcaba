"""Leaves a symbolic link to the host in the worktree."""

import os

import honest


def implement(asked):
    os.symlink("/etc/shadow", asked["worktree"] + "/clerk/notes.py")


honest.main(implement)

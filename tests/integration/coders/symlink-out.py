"""Hands over a symbolic link in place of its candidates."""

import os

import honest


def implement(asked):
    os.symlink("/proc/1/environ", asked["out"] + "/candidates.jsonl")


honest.main(implement)

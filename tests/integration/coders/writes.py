"""Tries to change what it may only read."""

import honest


def attempt(asked):
    paths = [asked["evidence"] + "/batch.json", "/coder/writes.py"]
    if asked["role"] != "implement":
        paths.append(asked["worktree"] + "/clerkd.py")
    for path in paths:
        try:
            open(path, "a").close()
        except OSError:
            continue
        raise RuntimeError(path + " could be written")


honest.main(attempt, locate=attempt, plan=attempt, plan_review=attempt)

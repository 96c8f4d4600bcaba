"""Changes what the operator protects."""

import honest


def implement(asked):
    with open(asked["worktree"] + "/clerkd.py", "a") as file:
        file.write("# mine\n")


honest.main(implement)

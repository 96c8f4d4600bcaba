"""Writes a gigabyte of candidates, as far as there is room."""

import honest


def implement(asked):
    try:
        with open(asked["out"] + "/candidates.jsonl", "w") as file:
            for _ in range(1 << 14):
                file.write("x" * (1 << 16))
    except OSError:
        pass


honest.main(implement)

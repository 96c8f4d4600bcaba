"""Proposes changes of files that are not the source's."""

import json

import honest


def implement(asked):
    with open(asked["out"] + "/candidates.jsonl", "w") as file:
        for path in ["../../../etc/passwd", "/etc/passwd", ".git/hooks/post-checkout", "clerk/../../x"]:
            edit = {"path": path, "start": 1, "end": 1, "lines": ["x"]}
            file.write(json.dumps({"id": path, "edits": [edit]}) + "\n")


honest.main(implement)

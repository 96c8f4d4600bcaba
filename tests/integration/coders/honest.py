"""What a coding agent answers when it has nothing to hide; each of the others here does one thing differently."""

import json
import os
import sys


def request():
    return json.load(sys.stdin)


def tasks(evidence):
    return sorted(name[:-5] for name in os.listdir(os.path.join(evidence, "tasks")))


def answer(asked):
    answers = {
        "locate": {"places": [{"file": "clerkd.py", "line": 1}], "summary": "there"},
        "plan": {
            "summary": "mend it",
            "files": ["clerkd.py"],
            "tasks": {task: "like all others" for task in tasks(asked["evidence"])},
        },
        "plan-review": {"decision": "APPROVE", "why": "fine"},
        "implement": {"summary": "done"},
        "code-review": {"decision": "APPROVE", "why": "fine"},
    }
    return {"status": "ok", **answers[asked["role"]]}


def say(answered):
    print(json.dumps(answered), flush=True)


def main(implement=None, **roles):
    """Answers; a role that is given is called with the request and may give another answer."""
    asked = request()
    act = roles.get(asked["role"].replace("-", "_")) or (implement if asked["role"] == "implement" else None)
    say((act(asked) if act else None) or answer(asked))

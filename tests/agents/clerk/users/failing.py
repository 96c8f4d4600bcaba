"""Reads the clerk's sessions and prints what its users complained about, one task a line.

    python3 failing.py STATE

A task: {"turns":[{"user","session","text"}, ...],"turn":N,"expected":TEXT,"reply":TEXT|null}.  The
turns are those of the session up to the one whose answer was wrong, complaints among them.
"""

import json
import os
import sys

COMPLAINT = "That is wrong. I expected: "


def lines(path):
    with open(path, encoding="utf-8") as file:
        return sorted((json.loads(line) for line in file), key=lambda line: line["seq"])


def tasks(session):
    turns = []
    reply = None
    for line in session:
        if line["type"] == "user":
            if line["text"].startswith(COMPLAINT):
                yield {
                    "turns": list(turns),
                    "turn": len(turns) - 1,
                    "expected": line["text"].removeprefix(COMPLAINT),
                    "reply": reply,
                }
            turns.append({name: line[name] for name in ("user", "session", "text")})
            reply = None
        elif line["type"] == "assistant" and "tool_calls" not in line:
            reply = line["text"]


def main():
    directory = os.path.join(sys.argv[1], "sessions")
    for name in sorted(os.listdir(directory)):
        for task in tasks(lines(os.path.join(directory, name))):
            print(json.dumps(task, ensure_ascii=False))


if __name__ == "__main__":
    main()

"""Sessions: a transcript on disk, and the part of it that the model is shown.

A transcript is appended to as a turn goes on, so that what was said survives whatever happens to
the process.  Only turns that came to a reply become part of the history.
"""

import json
import os
import threading
import time

from clerk.errors import RequestError

WINDOW = 16
KEPT_SESSIONS = 512


class Session:
    """The history of one session, and the lock that gives it one turn at a time."""

    def __init__(self, user, name):
        self.user = user
        self.name = name
        self.history = []
        self.holders = 0
        self.lock = threading.Lock()

    def window(self):
        """The newest messages; never the results of a call without the call."""
        start = max(0, len(self.history) - WINDOW)
        while start < len(self.history) and self.history[start]["role"] == "tool":
            start += 1
        return self.history[start:]


class Turn:
    """One user message and what came of it."""

    def __init__(self, session, transcript, text):
        self._session = session
        self._transcript = transcript
        self.messages = [{"role": "user", "content": text}]
        self._write("user", text)

    def add_assistant(self, message):
        calls = message.get("tool_calls") or []
        text = message.get("content") or ""
        if calls:
            listed = [
                {
                    "id": call["id"],
                    "name": call["function"]["name"],
                    "arguments": call["function"]["arguments"],
                }
                for call in calls
            ]
            self.messages.append({"role": "assistant", "content": text, "tool_calls": calls})
            self._write("assistant", text, tool_calls=listed)
        else:
            self.messages.append({"role": "assistant", "content": text})
            self._write("assistant", text)

    def add_result(self, call_id, name, content):
        self.messages.append({"role": "tool", "tool_call_id": call_id, "content": content})
        self._write("tool", content, call_id=call_id, name=name, result=content)

    def finish(self):
        self._session.history.extend(self.messages)

    def fail(self, error):
        self._write("error", error)

    def _write(self, kind, text, **more):
        self._transcript.append(self._session, {"type": kind, "text": text, **more})


class Sessions:
    """All sessions below one directory: a JSONL file each."""

    def __init__(self, directory, sequence):
        self._directory = directory
        self._sequence = sequence
        self._open = {}
        self._lock = threading.Lock()
        os.makedirs(directory, exist_ok=True)

    def hold(self, user, name):
        """The session of that name, which stays open until it is released."""
        with self._lock:
            session = self._open.get(name)
            if session is None:
                session = self._load(user, name)
                self._shrink()
                self._open[name] = session
            if session.user != user:
                raise RequestError(403, "the session belongs to somebody else")
            session.holders += 1
            return session

    def release(self, session):
        with self._lock:
            session.holders -= 1

    def begin(self, session, text):
        return Turn(session, self, text)

    def append(self, session, fields):
        line = {
            "v": 1,
            "seq": self._sequence.take(),
            "ts": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "user": session.user,
            "session": session.name,
            **fields,
        }
        data = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        fd = os.open(self._path(session.name), flags, 0o644)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)

    def __len__(self):
        return len(self._open)

    def _path(self, name):
        return f"{self._directory}/{name}.jsonl"

    def _shrink(self):
        """Forget the sessions that were opened first; their files bring them back."""
        for name in list(self._open):
            if len(self._open) < KEPT_SESSIONS:
                break
            if self._open[name].holders == 0:
                del self._open[name]

    def _load(self, user, name):
        session = Session(user, name)
        turn = []
        for line in self._lines(name):
            session.user = line["user"]
            kind = line["type"]
            if kind == "user":
                turn = [{"role": "user", "content": line["text"]}]
            elif kind == "tool":
                turn.append(
                    {"role": "tool", "tool_call_id": line["call_id"], "content": line["result"]}
                )
            elif kind == "assistant" and "tool_calls" in line:
                calls = [
                    {
                        "id": call["id"],
                        "type": "function",
                        "function": {"name": call["name"], "arguments": call["arguments"]},
                    }
                    for call in line["tool_calls"]
                ]
                turn.append({"role": "assistant", "content": line["text"], "tool_calls": calls})
            elif kind == "assistant":
                turn.append({"role": "assistant", "content": line["text"]})
                session.history.extend(turn)
        return session

    def _lines(self, name):
        """The transcript's lines; a last one that was cut off is ended and left out."""
        try:
            with open(self._path(name), "rb+") as file:
                data = file.read()
                if data and not data.endswith(b"\n"):
                    file.write(b"\n")
        except FileNotFoundError:
            return
        for line in data.split(b"\n"):
            try:
                yield json.loads(line)
            except ValueError:
                continue

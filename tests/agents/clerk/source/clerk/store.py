"""Small durable things: files that are replaced whole, and two counters."""

import json
import os
import threading


def replace(path, data):
    """Replace the file at `path` by `data`; a reader sees the old content or the new."""
    temporary = f"{path}.{threading.get_ident()}.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
    os.rename(temporary, path)


class Shelf:
    """One JSON document a name, each in a file of its own."""

    def __init__(self, directory):
        self._directory = directory
        self._lock = threading.Lock()
        os.makedirs(directory, exist_ok=True)

    def load(self, name, empty):
        try:
            with open(self._path(name), "rb") as file:
                return json.loads(file.read())
        except FileNotFoundError:
            return empty

    def save(self, name, document):
        replace(self._path(name), json.dumps(document).encode())

    def locked(self):
        """Hold this around a load, a change and the save of it."""
        return self._lock

    def _path(self, name):
        return f"{self._directory}/{name}.json"


class Counter:
    """A number that only grows and survives a restart."""

    def __init__(self, path):
        self._path = path
        self._lock = threading.Lock()
        try:
            with open(path, "rb") as file:
                self.value = int(file.read())
        except FileNotFoundError:
            self.value = 0

    def increment(self):
        with self._lock:
            self.value += 1
            replace(self._path, b"%d\n" % self.value)


class Sequence:
    """Numbers that are never given twice, also not after a crash: they are reserved in blocks."""

    BLOCK = 256

    def __init__(self, path):
        self._path = path
        self._lock = threading.Lock()
        try:
            with open(path, "rb") as file:
                self._next = int(file.read())
        except FileNotFoundError:
            self._next = 1
        self._reserved = self._next

    def take(self):
        with self._lock:
            if self._next == self._reserved:
                self._reserved += self.BLOCK
                replace(self._path, b"%d\n" % self._reserved)
            number = self._next
            self._next += 1
            return number

"""The HTTP server: a listener, a thread a connection, and an orderly end."""

import json
import os
import re
import select
import signal
import socket
import sys
import threading
import time

from clerk import http
from clerk.errors import ModelError, RequestError

BACKLOG = 128
CONNECTIONS = 40
SLOT_WAIT = 0.05
READ_TIMEOUT = 5.0
LAST_REPLIES = 0.8
TEXT_LIMIT = 16 * 1024
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}")


class Server:
    """Listens from the moment it is made; `serve` returns after SIGTERM or SIGINT."""

    def __init__(self, port, application):
        self._application = application
        self._threads = set()
        self._slots = threading.Semaphore(CONNECTIONS)
        self._wake, wake_writer = os.pipe()
        os.set_blocking(wake_writer, False)
        signal.set_wakeup_fd(wake_writer)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", port))
        self._listener.listen(BACKLOG)
        self._listener.setblocking(False)

    def serve(self):
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        poll.register(self._listener, select.POLLIN)
        while self._wake not in (fd for fd, _ in poll.poll()):
            self._accept()
        self._listener.close()
        self._finish()

    def _accept(self):
        """Take one connection; when there are enough of them the others wait in the backlog."""
        if not self._slots.acquire(timeout=SLOT_WAIT):
            return
        try:
            connection, _ = self._listener.accept()
        except OSError:
            self._slots.release()
            return
        thread = threading.Thread(target=self._serve_one, args=(connection,), daemon=True)
        self._threads.add(thread)
        thread.start()

    def _finish(self):
        """Let the requests that have begun come to their end."""
        deadline = time.monotonic() + LAST_REPLIES
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))

    def _serve_one(self, connection):
        try:
            with connection:
                connection.settimeout(READ_TIMEOUT)
                http.respond(connection, *self._answer(connection))
        except OSError:
            pass
        finally:
            self._slots.release()
            self._threads.discard(threading.current_thread())

    def _answer(self, connection):
        try:
            first, _, body = http.read_message(connection)
        except http.ProtocolError as error:
            return 400, {"error": str(error)}
        try:
            words = first.split(" ")
            if len(words) != 3:
                raise RequestError(400, "the request line cannot be read")
            return self._application.answer(words[0], words[1], body)
        except RequestError as error:
            return error.status, {"error": str(error)}
        except ModelError as error:
            return 502, {"error": str(error)}
        except Exception as error:
            print(f"clerk: {error!r}", file=sys.stderr)
            return 500, {"error": "internal error"}


class Application:
    """What each path answers."""

    def __init__(self, config, loop, counter, sessions):
        self._config = config
        self._loop = loop
        self._counter = counter
        self._sessions = sessions

    def answer(self, method, path, body):
        if method == "POST" and path == "/v1/messages":
            return self._message(body)
        if method == "GET" and path == "/healthz":
            return 200, self._status("ok")
        if method == "GET" and path == "/readyz":
            return self._ready()
        if method == "GET" and path == "/stats":
            return 200, {"counter": self._counter.value, "sessions": len(self._sessions)}
        raise RequestError(404, "there is nothing here")

    def _message(self, body):
        user, session, text = self._fields(body)
        try:
            return 200, {"reply": self._loop.handle(user, session, text)}
        finally:
            self._counter.increment()

    def _ready(self):
        if not os.access(self._config.state, os.R_OK | os.W_OK | os.X_OK):
            return 503, self._status("the state cannot be written")
        return 200, self._status("ready")

    def _status(self, status):
        return {
            "status": status,
            "generation": self._config.generation,
            "nonce": self._config.nonce,
        }

    @staticmethod
    def _fields(body):
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise RequestError(400, "the body must be a JSON object")
        fields = [document.get(name) for name in ("user", "session", "text")]
        if not all(isinstance(field, str) and field for field in fields):
            raise RequestError(400, "user, session and text are needed, as strings")
        user, session, text = fields
        if NAME.fullmatch(user) is None or NAME.fullmatch(session) is None:
            raise RequestError(400, "user and session are names of letters, digits, _ . and -")
        if len(text) > TEXT_LIMIT:
            raise RequestError(413, "the text is too long")
        return fields

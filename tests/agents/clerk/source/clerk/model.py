"""The client of the model: an OpenAI-compatible chat/completions endpoint."""

import json
import time

from clerk import http
from clerk.errors import ModelError

ATTEMPTS = 3
TIMEOUT = 10.0
PAUSE = 0.004


class Model:
    def __init__(self, url, name="clerk-1"):
        host, _, self._path = url.removeprefix("http://").partition("/")
        host, _, port = host.partition(":")
        self._address = (host, int(port or "80"))
        self._name = name

    def complete(self, messages, tools):
        """Send the conversation; returns the assistant's message."""
        request = {"model": self._name, "messages": messages, "tools": tools}
        problem = "no attempt was made"
        for attempt in range(ATTEMPTS):
            if attempt > 0:
                time.sleep(PAUSE * attempt)
            try:
                status, body = http.post(
                    self._address,
                    f"/{self._path}/chat/completions",
                    request,
                    {"X-Stainless-Retry-Count": attempt},
                    TIMEOUT,
                )
            except (OSError, http.ProtocolError) as error:
                problem = str(error)
                continue
            if status >= 500 or status == 429:
                problem = f"the model answered {status}"
                continue
            return self._message(status, body)
        raise ModelError(f"no answer from the model: {problem}")

    @staticmethod
    def _message(status, body):
        try:
            answer = json.loads(body)
            if status != 200:
                raise ModelError(f"the model refused: {answer['error']['message']}")
            return answer["choices"][0]["message"]
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise ModelError("the model's answer cannot be read") from error

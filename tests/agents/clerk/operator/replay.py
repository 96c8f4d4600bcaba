"""The operator's replay driver: the model and the users of one recorded session, in one process.

It shares nothing with the agent but the network.  It serves the model on the port of
CLERK_MODEL_URL, waits until the agent accepts on CLERK_PORT, says the turns of MOSS_TASK in their
order and leaves DIRECTORY MOSS_OUT/transcript.json:
{"version":1,"turns":[{"session","text","reply":STRING|null,"status":INT|null,"error":null|STRING}]}
It ends with 0 when it got through the turns, whatever the answers were.  There is no time limit
but the one for each turn (MOSS_TURN_TIMEOUT, seconds): whoever starts it sets the other.
"""

import json
import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import model
import wire

POLL = 0.002


def await_agent(port):
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(POLL)


def say(port, turn, timeout):
    """Returns (reply, status, error)."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
            wire.send(connection, "POST /v1/messages HTTP/1.1", turn)
            first, _, body = wire.receive(connection)
        status = wire.status_of(first)
        document = json.loads(body)
        if status == 200:
            return str(document["reply"]), status, None
        return None, status, str(document.get("error", "no reason given"))
    except (wire.WireError, ValueError, KeyError, TypeError, AttributeError) as error:
        return None, None, f"the answer cannot be read: {error!r}"


def replay(port, turns, timeout):
    told = []
    refused = 0
    for turn in turns:
        reply = status = None
        if refused >= 2:
            error = "not said: the agent is gone"
        else:
            try:
                reply, status, error = say(port, turn, timeout)
                refused = 0
            except TimeoutError:
                error = f"no answer within {timeout:g} s"
            except OSError as problem:
                error = str(problem)
                refused += 1 if isinstance(problem, ConnectionRefusedError) else 0
        told.append(
            {
                "session": turn["session"],
                "text": turn["text"],
                "reply": reply,
                "status": status,
                "error": error,
            }
        )
    return {"version": 1, "turns": told}


def write(directory, document):
    temporary = f"{directory}/transcript.json.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False)
    os.rename(temporary, f"{directory}/transcript.json")


def main():
    environment = os.environ
    with open(environment.get("MOSS_TASK", "/moss/task.json"), encoding="utf-8") as file:
        task = json.load(file)
    turns = [{name: turn[name] for name in ("user", "session", "text")} for turn in task["turns"]]
    port = int(environment["CLERK_PORT"])
    model_port = int(environment["CLERK_MODEL_URL"].rsplit(":", 1)[1].split("/", 1)[0])
    listener = wire.listen(model_port)
    threading.Thread(target=model.serve, args=(listener,), daemon=True).start()
    await_agent(port)
    transcript = replay(port, turns, float(environment.get("MOSS_TURN_TIMEOUT", "5")))
    write(environment.get("MOSS_OUT", "/moss/out"), transcript)
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)

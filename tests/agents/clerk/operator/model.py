"""A language model by rules: POST /v1/chat/completions, answered from the conversation alone.

It keeps nothing between requests, so whatever a harness loses, reorders, cuts or mixes up in what
it sends shows in the answers.  The last user message is taken sentence by sentence (rules.py says
what the sentences mean); a sentence that begins with "Then" waits for the results before it.
A conversation that the real interface would refuse is refused with 400, and one in thirteen is
answered 503 at the first attempt (header X-Stainless-Retry-Count absent or 0).

    python3 model.py --port P
"""

import json
import sys
import threading
import zlib

import rules
import wire

BUSY_ONE_IN = 13


class Refused(Exception):
    """The conversation is malformed."""


def check(messages):
    """Hold the conversation against the rules that the real interface has for it."""
    if not isinstance(messages, list) or not messages:
        raise Refused("'messages' must be a non-empty array")
    open_calls = []
    for index, message in enumerate(messages):
        role = message.get("role")
        where = f"messages[{index}]"
        if role == "tool":
            if message.get("tool_call_id") not in open_calls:
                raise Refused(f"{where}: a 'tool' message must answer a preceding tool call")
            open_calls.remove(message["tool_call_id"])
        elif open_calls:
            raise Refused(f"{where}: no 'tool' message answers {', '.join(open_calls)}")
        elif role == "assistant":
            open_calls = [call["id"] for call in message.get("tool_calls") or []]
        elif role not in ("system", "user"):
            raise Refused(f"{where}: unknown role {role!r}")
        if not isinstance(message.get("content", ""), str):
            raise Refused(f"{where}: 'content' must be a string")
    if open_calls:
        raise Refused(f"no 'tool' message answers {', '.join(open_calls)}")
    if messages[-1]["role"] not in ("user", "tool"):
        raise Refused("the last message must be of the user or of a tool")


def complete(request, first_attempt):
    """Returns (HTTP status, document)."""
    try:
        messages = request["messages"]
        check(messages)
        tools = request.get("tools") or []
        offered = {tool["function"]["name"] for tool in tools}
        if request.get("tool_choice") == "none":
            offered = set()
        mark = zlib.crc32(json.dumps(messages, sort_keys=True).encode())
        if first_attempt and mark % BUSY_ONE_IN == 0:
            return 503, problem("the model is overloaded", "server_error")
        text, calls = rules.answer(messages, offered)
    except Refused as error:
        return 400, problem(str(error), "invalid_request_error")
    except (KeyError, TypeError, AttributeError) as error:
        return 400, problem(f"the request cannot be read: {error!r}", "invalid_request_error")
    return 200, completion(request, mark, text, calls)


def problem(message, kind):
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def completion(request, mark, text, calls):
    message = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [
            {
                "id": f"call_{mark:08x}{number:02}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)},
            }
            for number, (name, arguments) in enumerate(calls)
        ]
    said = len(text or "") // 4 + 16 * len(calls)
    heard = sum(len(each.get("content") or "") for each in request["messages"]) // 4
    return {
        "id": f"chatcmpl-{mark:08x}",
        "object": "chat.completion",
        "created": 0,
        "model": request.get("model", "clerk-1"),
        "choices": [
            {
                "index": 0,
                "message": message,
                "finish_reason": "tool_calls" if calls else "stop",
            }
        ],
        "usage": {
            "prompt_tokens": heard,
            "completion_tokens": said,
            "total_tokens": heard + said,
        },
    }


def serve_one(connection):
    try:
        with connection:
            connection.settimeout(10)
            first, headers, body = wire.receive(connection)
            if not first.startswith("POST /v1/chat/completions "):
                status, document = 404, problem("unknown path", "invalid_request_error")
            else:
                retry_count = headers.get("x-stainless-retry-count", "0")
                try:
                    request = json.loads(body)
                except ValueError:
                    request = None
                first_attempt = not retry_count.isdigit() or int(retry_count) == 0
                status, document = complete(request, first_attempt)
            wire.send(connection, f"HTTP/1.1 {status} Answer", document)
    except (OSError, wire.WireError):
        pass


def serve(listener):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve_one, args=(connection,), daemon=True).start()


def main(arguments):
    if len(arguments) != 2 or arguments[0] != "--port":
        print("usage: model.py --port P", file=sys.stderr)
        return 2
    serve(wire.listen(int(arguments[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

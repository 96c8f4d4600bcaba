"""From the model's tool calls to their results."""

import json
import sys
import time

from clerk import hooks
from clerk.errors import ToolError, TransientError
from clerk.tools import Outcome

ATTEMPTS = 3
PAUSE = 0.002


class Call:
    """One call of a tool, on its way."""

    __slots__ = ("id", "tool", "arguments")

    def __init__(self, call_id, tool, arguments):
        self.id = call_id
        self.tool = tool
        self.arguments = arguments


class Router:
    def __init__(self, toolbox):
        self._toolbox = toolbox
        self._tools = toolbox.tools
        self.schemas = [tool.schema for tool in self._tools.values()]

    def run_all(self, calls, context):
        """Run the calls of one assistant turn, those that change something first.

        Yields (call id, tool's name, result) in the order in which the model asked.
        """
        results = {}
        for call in sorted(calls, key=self._reads):
            results[call["id"]] = self._run(call, context)
        for call in calls:
            yield call["id"], call["function"]["name"], results.get(call["id"], "")

    def _reads(self, call):
        tool = self._tools.get(call["function"]["name"])
        return tool is not None and tool.reads

    def _run(self, call, context):
        try:
            outcome = self._attempt(self._prepare(call, context), context)
        except ToolError as error:
            outcome = Outcome(str(error), failed=True)
        hooks.run_after(outcome, context)
        return f"error: {outcome.text}" if outcome.failed else outcome.text

    def _prepare(self, call, context):
        name = call["function"]["name"]
        if name not in self._tools:
            raise ToolError(f"there is no tool {name}")
        try:
            arguments = json.loads(call["function"]["arguments"])
        except ValueError:
            arguments = None
        if not isinstance(arguments, dict):
            raise ToolError("the arguments are not a JSON object")
        prepared = Call(call["id"], self._tools[name], arguments)
        hooks.run_before(prepared, context)
        prepared.tool.check(prepared.arguments)
        return prepared

    def _attempt(self, call, context):
        """Call the tool, again when it could not just now: an order's key makes that safe."""
        arguments = dict(call.arguments)
        if call.tool.name == "order":
            arguments["key"] = f"{context.session}/{call.id}"
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return call.tool.function(context, **arguments)
            except TransientError as error:
                problem = error
                time.sleep(PAUSE * attempt)
            except ToolError:
                raise
            except Exception as error:
                print(f"clerk: {call.tool.name}: {error!r}", file=sys.stderr)
                raise ToolError("the tool is broken") from error
        raise ToolError(f"given up: {problem}")

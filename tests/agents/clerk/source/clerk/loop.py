"""The loop: show the model the conversation, do what it asks for, until it replies."""

from clerk.errors import ModelError
from clerk.tools import Context

MAX_ROUNDS = 8

SYSTEM = (
    "You are Clerk, the assistant at the front desk. "
    "You are talking to {user}. Answer from the results of the tools."
)


class Loop:
    def __init__(self, model, router, sessions, toolbox):
        self._model = model
        self._router = router
        self._sessions = sessions
        self._toolbox = toolbox

    def handle(self, user, name, text):
        """Answer one message; raises ModelError when there is no answer."""
        session = self._sessions.hold(user, name)
        try:
            with session.lock:
                turn = self._sessions.begin(session, text)
                try:
                    reply = self._converse(session, turn)
                except Exception as error:
                    turn.fail(str(error))
                    raise
                turn.finish()
                return reply
        finally:
            self._sessions.release(session)

    def _converse(self, session, turn):
        for _ in range(MAX_ROUNDS):
            message = self._model.complete(
                self._conversation(session, turn), self._router.schemas
            )
            turn.add_assistant(message)
            calls = message.get("tool_calls")
            if not calls:
                return message["content"]
            for result in self._router.run_all(calls, self._context(session)):
                turn.add_result(*result)
        raise ModelError("the request takes too many rounds")

    def _conversation(self, session, turn):
        system = {"role": "system", "content": SYSTEM.format(user=session.user)}
        return [system] + session.window() + turn.messages

    def _context(self, session):
        settings = self._toolbox.settings.of(session.name)
        return Context(session.user, session.name, settings, self._toolbox.audit)

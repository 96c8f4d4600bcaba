"""What can go wrong, by who has to know."""


class ToolError(Exception):
    """A tool refused: the model is told why and answers the user."""


class TransientError(Exception):
    """A tool could not do its work just now: the same call may be tried again."""


class ModelError(Exception):
    """The model gave no usable answer: the user gets an error."""


class RequestError(Exception):
    """The request cannot be served; carries the HTTP status to answer with."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status

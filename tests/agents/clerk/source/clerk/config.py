"""Settings, all from the environment."""

import os


class Config:
    """What one process of the clerk needs to know."""

    __slots__ = ("port", "model_url", "state", "generation", "nonce")

    def __init__(self, port, model_url, state, generation="", nonce=""):
        self.port = port
        self.model_url = model_url
        self.state = state
        self.generation = generation
        self.nonce = nonce

    @classmethod
    def from_environment(cls, environment=os.environ):
        return cls(
            port=int(environment.get("CLERK_PORT", "8080")),
            model_url=environment.get("CLERK_MODEL_URL", "http://127.0.0.1:8081/v1"),
            state=environment.get("CLERK_STATE", "state"),
            generation=environment.get("MOSS_GENERATION", ""),
            nonce=environment.get("MOSS_NONCE", ""),
        )

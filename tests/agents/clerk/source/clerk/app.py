"""Puts the parts together."""

import os

from clerk.config import Config
from clerk.loop import Loop
from clerk.model import Model
from clerk.router import Router
from clerk.server import Application, Server
from clerk.sessions import Sessions
from clerk.store import Counter, Sequence
from clerk.tools import Toolbox


def main():
    config = Config.from_environment()
    os.makedirs(config.state, exist_ok=True)
    counter = Counter(f"{config.state}/counter")
    sequence = Sequence(f"{config.state}/sequence")
    sessions = Sessions(f"{config.state}/sessions", sequence)
    toolbox = Toolbox(config.state)
    loop = Loop(Model(config.model_url), Router(toolbox), sessions, toolbox)
    Server(config.port, Application(config, loop, counter, sessions)).serve()
    return 0

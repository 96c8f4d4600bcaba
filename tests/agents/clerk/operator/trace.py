"""Runs a Python program and notes every line of it that is executed, in all its threads.

    python3 trace.py PREFIX OUTFILE -- PROGRAM [ARGUMENT...]

A line of the output is "path:line", relative to PREFIX, written once and at once: what was
executed before a kill is there.
"""

import os
import sys
import threading


def tracer(prefix, fd):
    seen = set()
    paths = {}

    def relative(name):
        path = os.path.abspath(name)
        return path[len(prefix) :] if path.startswith(prefix) else None

    def local(frame, event, argument):
        if event == "line":
            place = (frame.f_code.co_filename, frame.f_lineno)
            if place not in seen:
                seen.add(place)
                os.write(fd, f"{paths[place[0]]}:{place[1]}\n".encode())
        return local

    def call(frame, event, argument):
        name = frame.f_code.co_filename
        if name not in paths:
            paths[name] = relative(name)
        return local if paths[name] is not None else None

    return call


def main():
    prefix = os.path.abspath(sys.argv[1]) + "/"
    separator = sys.argv.index("--")
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    fd = os.open(sys.argv[2], flags, 0o644)
    sys.argv = sys.argv[separator + 1 :]
    program = os.path.abspath(sys.argv[0])
    sys.path[0] = os.path.dirname(program)
    with open(program, "rb") as file:
        code = compile(file.read(), program, "exec")
    module = type(sys)("__main__")
    module.__file__ = program
    sys.modules["__main__"] = module
    trace = tracer(prefix, fd)
    threading.settrace(trace)
    sys.settrace(trace)
    exec(code, module.__dict__)


if __name__ == "__main__":
    main()

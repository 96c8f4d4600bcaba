#!/usr/bin/python3
"""Connects to the servers of zoo.py, steadily, one connection after the other at each.

    connect.py OUT STATE KIND…

A KIND that is not one of zoo.py's says where: NAME=/path or NAME=@name of a UNIX socket, NAME=port. Once a KIND has answered, what comes of each connection is counted: OUT is, all the time, {"KIND": {"MODE": answers of this mode…, "refused": …, "cut": …}}. Refused is one
that could not be made; cut, one that was and got no answer. STATE is the directory of the state, where any_port leaves its port
and state_path its socket.
"""

import json
import os
import socket
import sys
import threading
import time

OUT, STATE = sys.argv[1:3]
ELSEWHERE = dict(arg.split("=") for arg in sys.argv[3:] if "=" in arg)
KINDS = [arg.split("=")[0] for arg in sys.argv[3:]]
TCP = {
    "threading_http": 8001, "asyncio_ipv6": 8002, "asyncio_dual_stack": 8003, "prefork": 8004, "group": 8005,
    "mptcp": 8006, "late_listeners": 8007, "epoll": 8008, "client_first": 8009, "late": 8010, "busybox": 8011,
    "node": 8012, "node_cluster": 8013,
}  # fmt: skip
counts = {kind: {"refused": 0, "cut": 0} for kind in KINDS}


def connect(kind):
    place = ELSEWHERE.get(kind, "")
    if kind in ("abstract", "packets"):
        place = f"@{kind}"
    if kind == "state_path":
        place = f"{STATE}/{kind}"
    if place.startswith(("@", "/")):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET if kind.startswith("packets") else socket.SOCK_STREAM)
        where = place.replace("@", "\0", 1)
    else:
        s = socket.socket(socket.AF_INET6 if kind == "asyncio_ipv6" else socket.AF_INET)
        port = int(place) if place else TCP[kind] if kind in TCP else int(open(f"{STATE}/port").read())
        where = ("::1" if kind == "asyncio_ipv6" else "127.0.0.1", port)
    s.settimeout(30)
    try:
        s.connect(where)
    except OSError:
        s.close()
        raise
    return s


def ask(s):
    with s:
        try:
            s.sendall(b"GET /index.html HTTP/1.0\r\n\r\n")
            data = b""
            while part := s.recv(4096):
                data += part
                if s.type == socket.SOCK_SEQPACKET:
                    break
            return data.decode()
        except OSError:
            return ""


def load(kind):
    count, answered = counts[kind], False
    while True:
        try:
            s = connect(kind)
        except (OSError, ValueError):
            count["refused"] += answered
        else:
            text = ask(s)
            at = text.find(f"{kind} ")
            if at >= 0:
                answered = True
                mode = text[at + len(kind) + 1 :].split("\n")[0]
                count[mode] = count.get(mode, 0) + 1
            else:
                count["cut"] += answered
        time.sleep(0.05)


for kind in KINDS:
    threading.Thread(target=load, args=(kind,), daemon=True).start()
while True:
    with open(f"{OUT}.new", "w") as f:
        json.dump(counts, f)
    os.rename(f"{OUT}.new", OUT)
    time.sleep(0.1)

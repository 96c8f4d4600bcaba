#!/usr/bin/python3
"""An agent for the tests of held sockets: does what servers seldom do, and writes to /state/checks what came of it, a line for each run.

A run is right when each of its checks says "ok", in the first one, in which nothing is held, as in those after, in which all is.
"""

import errno
import fcntl
import json
import os
import select
import socket
import subprocess
import sys
import threading

MPTCP = 262
RUN = sum(1 for _ in open("/state/checks")) if os.path.exists("/state/checks") else 0
kept = []  # what has to stay open


def tcp(port, host="127.0.0.1", family=socket.AF_INET, reuse=True):
    s = socket.socket(family)
    s.settimeout(5)
    if reuse:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((host, port))
    kept.append(s)
    return s


def listener(port, host="127.0.0.1", family=socket.AF_INET):
    s = tcp(port, host, family)
    s.listen(16)
    return s


def reach(server, to=None):
    """A connection to it arrives at it, at no other."""
    client = socket.socket(server.family, server.type)
    client.settimeout(5)
    client.connect(to or server.getsockname())
    client.sendall(b"x")
    conn, _ = server.accept()
    conn.settimeout(5)
    assert conn.recv(1) == b"x"
    conn.close()
    client.close()


def refused(expected, function, *args):
    try:
        function(*args)
    except OSError as e:
        assert e.errno == expected, e
    else:
        raise AssertionError("it was not refused")


def double_bind():
    first = listener(9001)
    refused(errno.EADDRINUSE, tcp, 9001)
    refused(errno.EADDRINUSE, tcp, 9001, "0.0.0.0")
    reach(first)


def closed_and_bound_anew():
    listener(9002).close()
    again = listener(9002)
    reach(again)


def bound_client():
    """Its port is one at which this program listened in its last run, if it was the first."""
    server = listener(9003)
    client = tcp(9004, reuse=False) if RUN == 0 else tcp(0, reuse=False)
    client.connect(("127.0.0.1", 9003))
    assert client.getsockname() != ("127.0.0.1", 0)
    server.accept()[0].close()  # closes first: the client's port is free at once
    assert client.recv(1) == b""
    client.close()


def bound_only():
    first = tcp(9005, reuse=False)
    refused(errno.EADDRINUSE, tcp, 9005, "127.0.0.1", socket.AF_INET, False)
    first.close()
    tcp(9005, reuse=False)


def flags():
    s = socket.socket()
    s.setblocking(False)
    s.set_inheritable(RUN % 2 == 0)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    s.bind(("127.0.0.1", 9006))
    assert s.getsockname() == ("127.0.0.1", 9006)
    s.listen(3)
    kept.append(s)
    assert fcntl.fcntl(s, fcntl.F_GETFL) & os.O_NONBLOCK
    assert s.get_inheritable() == (RUN % 2 == 0)
    refused(errno.EAGAIN, s.accept)
    assert s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 131072


def blocking_after_non_blocking():
    s = socket.socket()
    s.setblocking(RUN % 2 == 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", 9007))
    s.listen()
    kept.append(s)
    assert bool(fcntl.fcntl(s, fcntl.F_GETFL) & os.O_NONBLOCK) == (RUN % 2 == 0)


def epoll_before_bind():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ep = select.epoll()
    ep.register(s, select.EPOLLIN)
    s.bind(("127.0.0.1", 9008))
    s.listen()
    kept.append((s, ep))
    client = socket.create_connection(("127.0.0.1", 9008), timeout=5)
    ready = [fd for fd, event in ep.poll(5) if event & select.EPOLLIN]
    assert ready == [s.fileno()], ready
    s.accept()[0].close()
    client.close()
    ep.modify(s, select.EPOLLIN | select.EPOLLET)  # it is known by its number
    ep.unregister(s)


def families():
    s = socket.socket(socket.AF_INET6)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind(("::", 9009))
    s.listen()
    kept.append(s)
    other = listener(9009, "0.0.0.0")
    reach(s, ("::1", 9009))
    reach(other, ("127.0.0.1", 9009))


def change_of_address():
    where = ["0.0.0.0", "127.0.0.1"][RUN % 2]
    reach(listener(9010, where), ("127.0.0.1", 9010))


def change_of_family():
    if RUN % 2 == 0:
        reach(listener(9011, "0.0.0.0"), ("127.0.0.1", 9011))
    else:
        s = socket.create_server(("::", 9011), family=socket.AF_INET6, dualstack_ipv6=True)
        kept.append(s)
        client = socket.create_connection(("127.0.0.1", 9011), timeout=5)
        s.settimeout(5)
        s.accept()[0].close()
        client.close()


def names():
    for type in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
        s = socket.socket(socket.AF_UNIX, type)
        s.settimeout(5)
        s.bind("\0odd")
        s.listen()
        kept.append(s)
        reach(s)
    refused(errno.EADDRINUSE, socket.socket(socket.AF_UNIX).bind, "\0odd")


def paths():
    """Of the root, which each run has anew, and of the state, where they are held: also where the path is not unlinked first."""
    os.umask(0o027)
    for path in ("/tmp/odd.sock", "/state/odd.sock", "/state/left.sock"):
        if os.path.exists(path) and "left" not in path:
            os.unlink(path)
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(5)
        s.bind(path)
        assert os.stat(path).st_mode & 0o777 == 0o750
        os.chmod(path, 0o700)
        s.listen()
        kept.append(s)
        assert s.getsockname() == path
        reach(s)
        refused(errno.EADDRINUSE, socket.socket(socket.AF_UNIX).bind, path)
    os.umask(0o022)


def udp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 9001))
    kept.append(s)


def privileged_port():
    refused(errno.EACCES, tcp, 80)


def unbound():
    """listen(2) binds by itself, and so does accept find who comes."""
    s = socket.socket()
    s.settimeout(5)
    s.listen()
    kept.append(s)
    port = s.getsockname()[1]
    reach(s, ("127.0.0.1", port))
    path = "/state/unbound"
    if os.path.exists(path):
        assert int(open(path).read()) == port
    with open(path, "w") as f:
        f.write(str(port))


def backlog():
    s = listener(9012)
    with open("/proc/net/tcp") as f:
        assert any(line.split()[1].endswith(f":{9012:04X}") for line in list(f)[1:])
    queue = [socket.create_connection(("127.0.0.1", 9012), timeout=5) for _ in range(16)]
    for client in queue:
        s.accept()[0].close()
        client.close()


def restless_numbers():
    """Another thread changes what the number stands for, all the time: this program may be hurt, nobody else."""
    other = socket.socket()
    stop = threading.Event()

    def change(number):
        while not stop.is_set():
            os.dup2(other.fileno(), number)

    for port in range(9020, 9040):
        s = socket.socket()
        thread = threading.Thread(target=change, args=(s.fileno(),))
        stop.clear()
        thread.start()
        for call in (lambda: s.bind(("127.0.0.1", port)), s.listen):
            try:
                call()
            except OSError:
                pass
        stop.set()
        thread.join()
        s.close()
    other.close()


CHECKS = [
    double_bind, closed_and_bound_anew, bound_client, bound_only, flags, blocking_after_non_blocking, epoll_before_bind,
    families, change_of_address, change_of_family, names, paths, udp, privileged_port, unbound, backlog,
    restless_numbers,
]  # fmt: skip

server = subprocess.Popen(["/usr/bin/python3", "-S", "-E", "/opt/server.py"])
results = {}
for check in CHECKS:
    try:
        check()
        results[check.__name__] = "ok"
    except Exception as e:
        results[check.__name__] = f"line {e.__traceback__.tb_next.tb_lineno if e.__traceback__.tb_next else 0}: {e!r}"
with open("/state/checks", "a") as f:
    f.write(json.dumps(results) + "\n")
sys.exit(server.wait())

"""A disk that writes down what happens to it: one file, served through /dev/fuse, to be mounted with -o loop.

    disk = Disk(IMAGE, LOG)     the image itself is never changed
    disk.attach(node)           an ordinary file, which is the disk from now on
    disk.mark(line)             into the log, when everything that was answered before is in it
    disk.detach()               when it is not mounted any more
    read(LOG)                   yields (kind, offset, bytes): W a write, F a flush, M a line

A write that the disk has answered before it was asked to flush is behind that flush; the loop device makes a flush of each write that is to be durable by itself
(FUA). Messages are those of linux/fuse.h. Needs no module: /dev/fuse and a loop device are all.

The disk is served by a process that does nothing else, and nobody but it has its end of the connection: whoever is killed, the kernel fails what waits for the
disk. (A process that waited in mount(2) for itself would wait for ever, and every other user of loop devices with it.)
"""

import ctypes
import errno
import mmap
import os
import select
import socket
import stat
import struct
import subprocess

LIBC = ctypes.CDLL(None, use_errno=True)
MS_NOSUID, MS_NODEV = 2, 4
MAX_WRITE = 1 << 20
HEADER = struct.Struct("<cQI")
# Opcodes
FORGET, GETATTR, SETATTR, OPEN, READ, WRITE, RELEASE, FSYNC, FLUSH, INIT, INTERRUPT, DESTROY, BATCH_FORGET, FALLOCATE = (
    2, 3, 4, 14, 15, 16, 18, 20, 25, 26, 36, 38, 42, 43,
)  # fmt: skip
INIT_FLAGS = 1 << 0 | 1 << 5 | 1 << 15 | 1 << 22  # ASYNC_READ, BIG_WRITES, ASYNC_DIO, MAX_PAGES
FOPEN_DIRECT_IO = 1


def mount(source, target, filesystem, flags=0, options=""):
    if LIBC.mount(source.encode(), target.encode(), filesystem.encode(), flags, options.encode()) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def read(path):
    with open(path, "rb") as log:
        while header := log.read(HEADER.size):
            kind, offset, length = HEADER.unpack(header)
            yield kind, offset, log.read(length)


class Disk:
    def __init__(self, image, log):
        self.image, self.log = image, log

    def attach(self, node):
        self.node = node
        with open(node, "w", encoding="ascii"):
            pass
        fuse = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={fuse},rootmode=100000,user_id=0,group_id=0,max_read={MAX_WRITE}"
        mount("disk", node, "fuse", MS_NOSUID | MS_NODEV, options)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.server = os.fork()
        if self.server == 0:
            self.control.close()
            try:
                Server(self.image, self.log, fuse, theirs).run()
            finally:
                os._exit(0)
        os.close(fuse)
        theirs.close()

    def mark(self, line):
        text = line.encode()
        self.control.sendall(HEADER.pack(b"M", 0, len(text)) + text)
        if not self.control.recv(1):
            raise OSError(errno.EPIPE, "the disk is gone")

    def detach(self):
        subprocess.run(["umount", "--lazy", self.node], check=True)
        self.control.close()
        os.waitpid(self.server, 0)


class Server:
    """Until the other end of `control` is closed."""

    def __init__(self, image, log, fuse, control):
        self.fuse = fuse
        self.answers, self.lines = control, control.makefile("rb")
        self.log = open(log, "wb")
        with open(image, "rb") as file:
            self.size = os.fstat(file.fileno()).st_size
            self.bytes = mmap.mmap(file.fileno(), self.size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)

    def run(self):
        poll = select.poll()
        poll.register(self.fuse, select.POLLIN)
        poll.register(self.answers, select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if self.fuse in ready and not self.serve():
                poll.unregister(self.fuse)  # unmounted
            if self.answers.fileno() in ready and not self.mark():
                break
        self.log.close()

    def note(self, kind, offset=0, data=b""):
        self.log.write(HEADER.pack(kind, offset, len(data)) + data)

    def mark(self):
        header = self.lines.read(HEADER.size)
        if not header:
            return False
        kind, offset, length = HEADER.unpack(header)
        self.note(kind, offset, self.lines.read(length))
        self.answers.sendall(b".")
        return True

    def serve(self):
        try:
            message = os.read(self.fuse, MAX_WRITE + mmap.PAGESIZE)
        except OSError as e:
            return e.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN)
        _, opcode, unique = struct.unpack_from("<IIQ", message)
        if opcode in (FORGET, BATCH_FORGET, INTERRUPT):
            return True
        try:
            error, body = 0, self.answer(opcode, message)
        except OSError as e:
            error, body = -e.errno, b""
        try:
            os.write(self.fuse, struct.pack("<IiQ", 16 + len(body), error, unique) + body)
        except FileNotFoundError:
            pass  # nobody waits for it any more
        return True

    def attributes(self):
        return struct.pack(
            "<QII QQQQQQIII IIIIIII",
            1, 0, 0,
            1, self.size, self.size // 512, 0, 0, 0, 0, 0, 0,
            stat.S_IFREG | 0o600, 1, 0, 0, 0, 4096, 0,
        )  # fmt: skip

    def answer(self, opcode, message):
        if opcode == INIT:
            pages = MAX_WRITE // mmap.PAGESIZE
            return struct.pack("<IIIIHHIIHHI28x", 7, 31, MAX_WRITE, INIT_FLAGS, 16, 12, MAX_WRITE, 1, pages, 0, 0)
        if opcode in (GETATTR, SETATTR):
            return self.attributes()
        if opcode == OPEN:
            return struct.pack("<QII", 1, FOPEN_DIRECT_IO, 0)
        if opcode == READ:
            offset, size = struct.unpack_from("<QI", message, 48)
            return self.bytes[offset : offset + size]
        if opcode == WRITE:
            offset, size = struct.unpack_from("<QI", message, 48)
            data = message[80 : 80 + size]
            self.bytes[offset : offset + size] = data
            self.note(b"W", offset, data)
            return struct.pack("<II", size, 0)
        if opcode == FSYNC:
            self.note(b"F")
            return b""
        if opcode in (FLUSH, RELEASE, DESTROY):
            return b""
        raise OSError(errno.EOPNOTSUPP if opcode == FALLOCATE else errno.ENOSYS, "")

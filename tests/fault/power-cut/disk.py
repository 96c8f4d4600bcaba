"""A disk of our own: one file, served through /dev/fuse to a loop device, that sees each write and each flush and can forget what was written.

    disk = Disk(path_of_an_image)           the image itself is never changed
    disk.attach(node)                       an ordinary file, where it is mounted; disk.device is the loop device on it
    disk.on_write, disk.on_flush            what is called for each, before it is answered
    disk.forget()                           back to what the image holds, while the device is not in use
    disk.detach()

A write that the disk has answered before it was asked to flush is behind that flush; the loop device makes a flush of each write that is to be durable by itself
(FUA). Messages are those of linux/fuse.h. Needs no module: /dev/fuse and a loop device are all.
"""

import ctypes
import errno
import mmap
import os
import stat
import struct
import subprocess
import threading

LIBC = ctypes.CDLL(None, use_errno=True)
MS_NOSUID, MS_NODEV, MNT_DETACH = 2, 4, 2
MAX_WRITE = 1 << 20
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


def unmount(target, flags=0):
    if LIBC.umount2(target.encode(), flags) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


class Disk:
    def __init__(self, image):
        self.size = os.stat(image).st_size
        with open(image, "rb") as file:
            self.bytes = mmap.mmap(file.fileno(), self.size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
        self.on_write = self.on_flush = lambda *args: None
        self.device = None

    def forget(self):
        self.bytes.madvise(mmap.MADV_DONTNEED)

    def attach(self, node):
        self.node = node
        self.fuse = os.open("/dev/fuse", os.O_RDWR)
        with open(node, "w", encoding="ascii"):
            pass
        options = f"fd={self.fuse},rootmode=100000,user_id=0,group_id=0,max_read={MAX_WRITE}"
        mount("disk", node, "fuse", MS_NOSUID | MS_NODEV, options)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        found = subprocess.run(["losetup", "--find", "--show", node], check=True, capture_output=True, text=True)
        self.device = found.stdout.strip()

    def detach(self):
        if self.device:
            subprocess.run(["losetup", "--detach", self.device], check=True)
        unmount(self.node, MNT_DETACH)
        self.thread.join()
        os.close(self.fuse)

    def serve(self):
        while True:
            try:
                message = os.read(self.fuse, MAX_WRITE + mmap.PAGESIZE)
            except OSError as e:
                if e.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                    continue
                return  # unmounted
            _, opcode, unique = struct.unpack_from("<IIQ", message)
            if opcode in (FORGET, BATCH_FORGET, INTERRUPT):
                continue
            try:
                error, body = 0, self.answer(opcode, message)
            except OSError as e:
                error, body = -e.errno, b""
            try:
                os.write(self.fuse, struct.pack("<IiQ", 16 + len(body), error, unique) + body)
            except FileNotFoundError:
                pass  # nobody waits for it any more

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
            self.on_write(offset, data)
            return struct.pack("<II", size, 0)
        if opcode == FSYNC:
            self.on_flush()
            return b""
        if opcode in (FLUSH, RELEASE, DESTROY):
            return b""
        raise OSError(errno.EOPNOTSUPP if opcode == FALLOCATE else errno.ENOSYS, "")

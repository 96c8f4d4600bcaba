#!/usr/bin/python3
"""Serves an image as a disk and writes down what happens to it, until its standard input ends.

    record.py IMAGE NODE LOG URL

Prints the loop device. The lines of the standard input go into the log, where they stand among the writes ("noted" is printed for each); so does each counter that URL answers, before the
next is asked for: "A 17". The image stays as it is. LOG: records "<cQI": kind, offset, length, then that many bytes; W a write, F a flush, M a line.
"""

import http.client
import json
import struct
import sys
import threading
import urllib.request

from disk import Disk


def main():
    image, node, path, url = sys.argv[1:]
    lock = threading.Lock()
    over = threading.Event()
    with open(path, "wb") as log:

        def put(kind, offset=0, data=b""):
            with lock:
                log.write(struct.pack("<cQI", kind, offset, len(data)) + data)

        def ask():
            while not over.wait(0.02):
                try:
                    with urllib.request.urlopen(url, timeout=5) as answer:
                        put(b"M", data=b"A %d" % json.load(answer)["counter"])
                except (OSError, ValueError, http.client.HTTPException):
                    pass  # nobody serves yet, or any more, or the answer was cut off: it promises nothing

        disk = Disk(image)
        disk.on_write = lambda offset, data: put(b"W", offset, data)
        disk.on_flush = lambda: put(b"F")
        disk.attach(node)
        client = threading.Thread(target=ask)
        client.start()
        try:
            print(disk.device, flush=True)
            for line in sys.stdin:
                put(b"M", data=line.strip().encode())
                print("noted", flush=True)
        finally:
            over.set()
            client.join()
            disk.detach()


main()

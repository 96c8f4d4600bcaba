#!/usr/bin/python3
"""Serves an image as a disk and writes down what happens to it, until its standard input ends.

    record.py IMAGE NODE LOG URL

Prints "ready", then NODE can be mounted with -o loop. The lines of the standard input go into the log, where they stand among the writes ("noted" is printed for
each); so does each record that URL answers to have written, before the next is asked for: "A 17 GENERATION". The image stays as it is. disk.py says what a log is.
"""

import http.client
import json
import sys
import threading
import urllib.request

from disk import Disk


def main():
    image, node, path, url = sys.argv[1:]
    lock = threading.Lock()
    over = threading.Event()
    disk = Disk(image, path)

    def mark(line):
        with lock:
            disk.mark(line)

    def ask():
        while not over.wait(0.05):
            try:
                with urllib.request.urlopen(url, timeout=5) as response:
                    answer = json.load(response)
                mark(f"A {answer['number']} {answer['generation']}")
            except (OSError, ValueError, http.client.HTTPException):
                pass  # nobody serves yet, or any more, or the answer was cut off: it promises nothing

    disk.attach(node)
    client = threading.Thread(target=ask)
    client.start()
    try:
        print("ready", flush=True)
        for line in sys.stdin:
            mark(line.strip())
            print("noted", flush=True)
    finally:
        over.set()
        client.join()
        disk.detach()


main()

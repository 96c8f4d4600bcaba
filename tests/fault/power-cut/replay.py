#!/usr/bin/python3
"""Cuts the power: rebuilds the disks that a recording may have left behind, mounts each, and looks at the store on it.

    replay.py IMAGE LOG DIRECTORY --filesystem F --agent NAME --url URL [--cuts N] [--every K] [--recover K] [--seed S] [--lie]

At each flush the disk holds what was written before the last flush, and of what was written since: nothing, or (N times) some blocks of 4 KiB, drawn by S.
Each Kth of these images is made, as a file of its own; on each that has another head than the one before, and on each Kth (--recover), the shim is started too, and
recovers. --lie: the disk that ignores flushes, of whose whole history one block in ten is missing. DIRECTORY is scratch, its `mnt` is where the store is mounted.
Prints each fault, then the numbers; exit status 1 if there was a fault.

What must hold on every image: it can be mounted; head.json is valid and names one current generation, one of those that may be it by then; the
generations that head.json names are there with their layers, whose content is what their names say; so are their epochs, each with all of
the ballast that the first one had, and one whole sequence of records; each record that a client was told of is in one of them; swaps.jsonl has at most one record a swap.
After a recovery: the agent writes, and no record is lost, the state is STEADY, each swap of the past has exactly one record, and nothing is left over.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import time
import urllib.request

from disk import read

BLOCK = 4096
BUILD = os.environ["MOSS_BUILD"]


class Fault(Exception):
    pass


def need(holds, what):
    if not holds:
        raise Fault(what)


def command(*args):
    done = subprocess.run(args, capture_output=True, text=True, timeout=120)
    need(done.returncode == 0, f"{' '.join(args)}: {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def program(name, *args):
    return command(f"{BUILD}/{name}", *args)


def tree(path):
    """A digest of the files below path."""
    digest = hashlib.sha256()
    for name in sorted(os.listdir(path)):
        with open(f"{path}/{name}", "rb") as file:
            digest.update(f"{name}:".encode() + hashlib.sha256(file.read()).digest())
    return digest.hexdigest()


class Store:
    """What must hold of the store, at the place in the log that has been reached."""

    def __init__(self, path, options):
        self.path = path
        self.agent = options.agent
        self.url = options.url
        self.directory = f"{path}/agents/{self.agent}"
        self.told = []  # (number, generation) of each record that a client knows of
        self.current = None  # the generations that may be it; None: any
        self.started = False  # a head was durable
        self.ballast = None
        self.verified = set()  # layers of before the recording: read again only where the agent is started

    def before(self):
        self.ballast = tree(f"{self.directory}/epochs/0/ballast")
        self.verified = set(os.listdir(f"{self.path}/layers/sha256"))

    def mark(self, line):
        word, *rest = line.split()
        if word == "A":
            self.told.append((int(rest[0]), rest[1]))
        elif word == "current":
            self.current = rest
            self.started = True

    def head(self):
        try:
            with open(f"{self.directory}/head.json", encoding="utf-8") as file:
                head = json.load(file)
        except FileNotFoundError:
            need(not self.started, "head.json is gone")
            return {"seq": -1, "txid": 0, "state": "none"}
        return max([head, *(block for block in self.journal() if block["after"] == head["sha256"])], key=lambda h: h["seq"])

    def journal(self):
        """The blocks that are whole."""
        try:
            with open(f"{self.directory}/head.journal", "rb") as file:
                blocks = [file.read(BLOCK), file.read(BLOCK)]
        except FileNotFoundError:
            return
        for block in blocks:
            try:
                head = json.loads(block)
            except ValueError:
                continue
            rest = {k: v for k, v in head.items() if k != "sha256"}
            text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            if hashlib.sha256(text.encode()).hexdigest() == head.get("sha256"):
                yield head

    def state(self, epoch):
        """The generations that have written the records of this epoch, in order."""
        path = f"{self.directory}/epochs/{epoch}"
        need(os.path.isdir(path), f"epoch {epoch} is missing")
        need(tree(f"{path}/ballast") == self.ballast, f"the ballast in epoch {epoch} is not whole")
        try:
            with open(f"{path}/records", encoding="ascii") as file:
                lines = [line.split() for line in file.read().splitlines()]
        except FileNotFoundError:
            return []
        need([line[0] for line in lines] == [str(i + 1) for i in range(len(lines))], f"epoch {epoch} is not one whole sequence")
        return [line[1] for line in lines]

    def records(self):
        try:
            with open(f"{self.directory}/swaps.jsonl", encoding="utf-8") as file:
                lines = file.read().split("\n")
        except FileNotFoundError:
            return []
        return [json.loads(line)["txid"] for line in lines[:-1]]

    def check(self):
        listed = json.loads(program("moss-shim", "generations", self.agent, "--json"))
        current = [g["generation"] for g in listed if g["role"] == "current"]
        need(len(current) == 1, f"there are {len(current)} current generations")
        need(self.current is None or current[0] in self.current, f"{current[0]} is current")
        head = self.head()
        sides = [head.get("cur"), head.get("fallback"), *head.get("aside", [])]
        # A candidate has its epoch from TRYING on; the one before is kept while it may be needed.
        if head["state"] == "TRYING":
            sides.append(head["cand"])
        if head["state"] == "SERVING":
            sides.append(head["prev"])
        states = [self.state(side["epoch"]) for side in sides if side] or [self.state(0)]
        for number, generation in self.told:
            need(any(generation in state[number - 1 : number] for state in states), f"record {number} of {generation[:8]} is lost")
        for generation in {g["generation"] for g in listed}:
            with open(f"{self.path}/generations/{generation}.json", encoding="utf-8") as file:
                layers = json.load(file)["layers"]
            for layer in layers:
                if layer not in self.verified:
                    program("moss-runtime", "layer", "verify", layer)
        records = self.records()
        need(len(set(records)) == len(records), f"swaps.jsonl has {records}")
        return head

    def recover(self):
        self.verified, verified = set(), self.verified
        self.check()
        self.verified = verified
        program("moss-shim", "start", self.agent)
        try:
            status = json.loads(program("moss-shim", "status", self.agent, "--json"))
            need(status["state"] == "STEADY" and status["ready"], f"it has come back as {status['state']}")
            with urllib.request.urlopen(self.url, timeout=10) as answer:
                need("number" in json.load(answer), "it does not write")
            past = self.check()["txid"]
            records = self.records()
            need(sorted(records) == list(range(1, past + 1)), f"{past} swaps and the records {records}")
        finally:
            program("moss-shim", "stop", self.agent)
        left = set(os.listdir(f"{self.path}/tmp")) | {n for n in os.listdir(f"{self.directory}/epochs") if not n.isdigit()}
        need(not left, f"left over: {left}")


def blocks(offset, data):
    """A write in the pieces that the disk writes as a whole."""
    at = 0
    while at < len(data):
        n = min(len(data) - at, BLOCK - (offset + at) % BLOCK)
        yield offset + at, data[at : at + n]
        at += n


def subset(pending, chance, n):
    if n == 0:  # cut off somewhere
        return pending[: chance.randrange(1, len(pending))]
    if n == 1:  # in any order
        return [piece for piece in pending if chance.random() < 0.5]
    lost = chance.randrange(len(pending))  # one comes too late
    return pending[:lost] + pending[lost + 1 :]


def images(log, stable, options, mark):
    """Yields the name of each image, and what is to be written over `stable` for it."""
    chance = random.Random(options.seed)
    pending = []
    flush = 0
    for kind, offset, data in log:
        if kind == b"M":
            # What was said to the outside binds the images from the next flush on, and those with less that are made of the writes behind it.
            mark(data.decode())
        elif kind == b"W":
            pending.extend(blocks(offset, data))
        elif pending:
            flush += 1
            if options.lie:
                yield f"flush {flush}", [piece for piece in pending if chance.random() < 0.9]
                continue
            if len(pending) > 1:
                for n in range(options.cuts):
                    yield f"before flush {flush}, cut {n}", subset(pending, chance, n % 3)
            for at, piece in pending:
                os.pwrite(stable, piece, at)
            pending = []
            yield f"flush {flush}", []


class Walk:
    def __init__(self, options):
        self.options = options
        self.mnt, self.stable, self.cut = (f"{options.directory}/{name}" for name in ("mnt", "stable.img", "cut.img"))
        self.store = Store(self.mnt, options)
        self.numbers = dict.fromkeys(("images", "mounted", "recovered", "faults"), 0)
        self.last = None  # head

    def mounted(self, pieces, look):
        command("cp", "--sparse=always", self.stable, self.cut)
        with open(self.cut, "r+b", buffering=0) as disk:
            for at, piece in pieces:
                os.pwrite(disk.fileno(), piece, at)
        command("mount", "-t", self.options.filesystem, "-o", self.options.options, self.cut, self.mnt)
        try:
            look()
        finally:
            self.unmount()
            os.unlink(self.cut)
            if self.options.filesystem == "btrfs":  # it refuses an older image of the same one at another loop device
                command("btrfs", "device", "scan", "--forget")

    def unmount(self):
        """The shim, which has said that it stops, and its mounts end a moment later."""
        end = time.monotonic() + 20
        while (done := subprocess.run(["umount", self.mnt], capture_output=True, text=True, check=False)).returncode != 0:
            if time.monotonic() > end:
                sys.exit(done.stderr)
            time.sleep(0.02)

    def look(self):
        head = self.store.check()
        self.numbers["mounted"] += 1
        if head["seq"] != self.last or self.numbers["mounted"] % self.options.recover == 0:
            self.last = head["seq"]
            self.store.recover()
            self.numbers["recovered"] += 1

    def image(self, name, pieces):
        self.numbers["images"] += 1
        try:
            self.mounted(pieces, self.look)
        except (Fault, OSError, ValueError, KeyError) as e:
            self.numbers["faults"] += 1
            print(f"{name}: {type(e).__name__}: {e}", flush=True)

    def all(self):
        command("cp", "--sparse=always", self.options.image, self.stable)
        self.mounted([], self.store.before)
        with open(self.stable, "r+b", buffering=0) as stable:
            for i, (name, pieces) in enumerate(images(read(self.options.log), stable.fileno(), self.options, self.store.mark)):
                if i % self.options.every == 0:
                    self.image(name, pieces)
        print(", ".join(f"{n} {what}" for what, n in self.numbers.items()))
        return 1 if self.numbers["faults"] else 0


def main():
    parser = argparse.ArgumentParser()
    for name in ("image", "log", "directory"):
        parser.add_argument(name)
    for name in ("filesystem", "options", "agent", "url"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--cuts", type=int, default=3)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--recover", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lie", action="store_true")
    return Walk(parser.parse_args()).all()


if __name__ == "__main__":
    sys.exit(main())

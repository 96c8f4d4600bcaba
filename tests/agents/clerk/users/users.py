"""Users of the clerk: they talk to it, know what they must be told, and say so when they are not.

    python3 users.py --url http://127.0.0.1:PORT --seed N --report FILE
        [--sessions K | --until-file F | --seconds S]   how long (default: 30 scenarios)
        [--rate R]        requests a second over all, 0 for as fast as it goes (default 20)
        [--threads T]     scenarios at the same time (default 4)
        [--scenarios A,B] draw from these only; "all" stands for all but "wish", which is the default;
                          what is named twice is drawn twice as often
        [--verbose]       one line a second to stderr

Scenarios come in shuffled rounds, so each is met before one is met twice.  A seed stands for one
set of users: a state should meet it once.  Beside them a keeper comes back all the time, to see
that what it stored at the start is still known and that the clerk's counter never goes back.

The report: {"version":1,"seed","requests","answered","replies","bad","refused","reset","timeouts",
"scenarios":{NAME:{"sessions","requests","bad"}},"latency_p50_ms","latency_p99_ms","latency_max_ms",
"memory_ok","settings_ok","history_ok","counter_ok","counter","bad_answers":[first 20]}.  "bad"
counts answers that were not what the scenario demands, errors among them; "replies" the messages answered with
200; "reset" connections that ended without an answer.  The exit status is 0 also with bad ones.

SIGUSR1 ends a phase: what was found in it goes to FILE.1, FILE.2, ..., and counting begins anew.
"""

import argparse
import json
import os
import random
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "operator"))

import scenarios
import wire
from script import Script, does

TIMEOUT = 60.0
SHOWN = 20
KEEPER_PAUSE = 0.25
AFTER_FAILURE = 0.05


class Tally:
    """What happened, from all threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self._clear()

    def _clear(self):
        self.counts = dict.fromkeys(
            ("requests", "answered", "replies", "bad", "refused", "reset", "timeouts"), 0
        )
        self.scenarios = {}
        self.latencies = []
        self.bad_answers = []

    def add(self, name, amount=1):
        with self.lock:
            self.counts[name] += amount

    def of_scenario(self, scenario, name):
        with self.lock:
            entry = self.scenarios.setdefault(scenario, {"sessions": 0, "requests": 0, "bad": 0})
            entry[name] += 1

    def bad(self, scenario, turn, answer):
        self.add("bad")
        self.of_scenario(scenario, "bad")
        with self.lock:
            if len(self.bad_answers) < SHOWN:
                self.bad_answers.append(
                    {
                        "scenario": scenario,
                        "session": turn.session,
                        "text": turn.text,
                        "expected": turn.expected,
                        "answer": answer,
                    }
                )

    def report(self, clear=False):
        """What was counted since the beginning, or since the last report that cleared it."""
        with self.lock:
            try:
                return self._report()
            finally:
                if clear:
                    self._clear()

    def _report(self):
        ordered = sorted(self.latencies)
        return {
            "version": 1,
            **self.counts,
            "scenarios": self.scenarios,
            "latency_p50_ms": percentile(ordered, 50),
            "latency_p99_ms": percentile(ordered, 99),
            "latency_max_ms": percentile(ordered, 100),
            "bad_answers": self.bad_answers,
        }


def percentile(ordered, percent):
    if not ordered:
        return None
    return round(1000 * ordered[min(len(ordered) - 1, len(ordered) * percent // 100)], 3)


class Pace:
    """Spreads requests over time; 0 means at once."""

    def __init__(self, rate):
        self._gap = 1 / rate if rate > 0 else 0
        self._next = time.monotonic()
        self._lock = threading.Lock()

    def wait(self, stop):
        with self._lock:
            now = time.monotonic()
            mine = max(now, self._next)
            self._next = mine + self._gap
        if mine > now:
            stop.wait(mine - now)


class Client:
    """One connection a request, and an account of how it ended."""

    def __init__(self, port, tally, pace, stop):
        self._port = port
        self._tally = tally
        self._pace = pace
        self._stop = stop

    def request(self, first, document=None):
        """Returns (status, document), or None when there was no answer."""
        self._pace.wait(self._stop)
        self._tally.add("requests")
        begin = time.monotonic()
        try:
            with socket.create_connection(("127.0.0.1", self._port), TIMEOUT) as connection:
                wire.send(connection, first, document)
                line, _, body = wire.receive(connection)
            answer = wire.status_of(line), json.loads(body)
        except ConnectionRefusedError:
            return self._lost("refused")
        except TimeoutError:
            return self._lost("timeouts")
        except (OSError, wire.WireError, ValueError):
            return self._lost("reset")
        with self._tally.lock:
            self._tally.counts["answered"] += 1
            self._tally.latencies.append(time.monotonic() - begin)
        return answer

    def say(self, user, session, text):
        """The reply or error as a text, or None when there was no answer."""
        message = {"user": user, "session": session, "text": text}
        answer = self.request("POST /v1/messages HTTP/1.1", message)
        if answer is None:
            return None
        status, document = answer
        if status == 200:
            self._tally.add("replies")
            return str(document.get("reply"))
        return f"{status} {document.get('error')}"

    def _lost(self, how):
        self._tally.add(how)
        self._stop.wait(AFTER_FAILURE)


class Deck:
    """Numbers scenarios and deals them in shuffled rounds, from the seed alone."""

    def __init__(self, seed, names, limit):
        self._seed = seed
        self._names = names
        self._limit = limit
        self._dealt = 0
        self._order = []
        self._lock = threading.Lock()

    def deal(self):
        """Returns (name, script), or None when enough were dealt."""
        with self._lock:
            if self._limit is not None and self._dealt >= self._limit:
                return None
            round_number, place = divmod(self._dealt, len(self._names))
            if place == 0:
                self._order = list(self._names)
                random.Random(f"{self._seed}/{round_number}").shuffle(self._order)
            number = self._dealt
            self._dealt += 1
            name = self._order[place]
        script = Script(random.Random(f"{self._seed}:{number}"), f"{self._seed}x{number}")
        {**scenarios.DRAWN, **scenarios.ON_REQUEST}[name](script)
        return name, script


def play(name, script, client, tally, stop):
    """One scenario.  Without an answer the user gives up; at a wrong one they complain."""
    tally.of_scenario(name, "sessions")
    for turn in script.turns:
        if stop.is_set():
            return
        tally.of_scenario(name, "requests")
        answer = client.say(turn.user, turn.session, turn.text)
        if answer is None:
            return
        if turn.expected in answer:
            continue
        tally.bad(name, turn, answer)
        complaint = f"That is wrong. I expected: {turn.expected}"
        if client.say(turn.user, turn.session, complaint) is None or script.fragile:
            return


class Keeper:
    """A user who stays: one fact, one setting, one long session, and an eye on the counter."""

    KEPT = ("memory_ok", "settings_ok", "history_ok", "counter_ok")

    def __init__(self, seed, client, stop):
        self._name = f"keeper-{seed}"
        self._fact = f"{random.Random(seed).randrange(10**6):06}"
        self._client = client
        self._stop = stop
        self._last = None
        self.found = dict.fromkeys(self.KEPT, True)
        self.counter = 0

    def run(self):
        self._expects("memory_ok", does(f"Remember that my locker is {self._fact}", f"locker is {self._fact}"))
        self._expects("settings_ok", does("Use 3 as my decimals", "decimals is 3 in this session"))
        while not self._stop.is_set():
            self._expects("memory_ok", does("What is my locker", self._fact))
            self._expects("settings_ok", does("Convert 2 mi to km", "3.219 km"))
            self._repeats()
            self._counts()
            self._stop.wait(KEEPER_PAUSE)

    def _say(self, text):
        answer = self._client.say(self._name, self._name, text)
        self._last = text if answer is not None else None
        return answer

    def _expects(self, what, pair):
        answer = self._say(pair[0])
        if answer is not None and pair[1] not in answer:
            self.found[what] = False

    def _repeats(self):
        last = self._last
        answer = self._say("Repeat my last message?")
        if answer is not None and last is not None and f'"{last}"' not in answer:
            self.found["history_ok"] = False

    def _counts(self):
        answer = self._client.request("GET /stats HTTP/1.1")
        if answer is None:
            return
        counter = answer[1].get("counter")
        if not isinstance(counter, int) or counter < self.counter:
            self.found["counter_ok"] = False
        else:
            self.counter = counter


def write_report(path, document):
    temporary = f"{path}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, indent=1)
        file.write("\n")
    os.rename(temporary, path)


def arguments():
    parser = argparse.ArgumentParser(description="users of the clerk")
    parser.add_argument("--url", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--report", required=True)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--sessions", type=int)
    length.add_argument("--until-file")
    length.add_argument("--seconds", type=float)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--scenarios", default="all")
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args()
    given.names = []
    for name in given.scenarios.split(","):
        if name == "all":
            given.names += scenarios.DRAWN
        elif name in scenarios.DRAWN or name in scenarios.ON_REQUEST:
            given.names.append(name)
        else:
            parser.error(f"no scenario is called {name}")
    if given.sessions is None and not given.until_file and given.seconds is None:
        given.sessions = 30
    return given


def account(given, tally, keeper, clear=False):
    report = {**tally.report(clear), **keeper.found, "counter": keeper.counter, "seed": given.seed}
    if clear:
        keeper.found = dict.fromkeys(keeper.KEPT, True)
    return report


def watch(given, workers, stop, tally, phase, mark):
    """Until the time is up, the file is there, the work is done, or somebody says so."""
    begin = said = time.monotonic()
    phases = 0
    while not stop.is_set() and any(worker.is_alive() for worker in workers):
        stop.wait(0.05)
        now = time.monotonic()
        if mark.is_set():
            mark.clear()
            phases += 1
            write_report(f"{given.report}.{phases}", phase())
        if given.seconds is not None and now - begin >= given.seconds:
            stop.set()
        if given.until_file and os.path.exists(given.until_file):
            stop.set()
        if given.verbose and now - said >= 1:
            said = now
            print(json.dumps(tally.counts), file=sys.stderr)


def main():
    given = arguments()
    stop = threading.Event()
    mark = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    tally = Tally()
    port = int(given.url.rstrip("/").rsplit(":", 1)[1])
    client = Client(port, tally, Pace(given.rate), stop)
    deck = Deck(given.seed, given.names, given.sessions)
    keeper = Keeper(given.seed, client, stop)

    def work():
        while not stop.is_set():
            dealt = deck.deal()
            if dealt is None:
                return
            play(*dealt, client, tally, stop)

    workers = [threading.Thread(target=work) for _ in range(given.threads)]
    watcher = threading.Thread(target=keeper.run)
    signal.signal(signal.SIGUSR1, lambda *_: mark.set())
    for thread in [*workers, watcher]:
        thread.start()
    watch(given, workers, stop, tally, lambda: account(given, tally, keeper, clear=True), mark)
    for worker in workers:
        worker.join()
    stop.set()
    watcher.join()
    write_report(given.report, account(given, tally, keeper))
    return 0


if __name__ == "__main__":
    sys.exit(main())

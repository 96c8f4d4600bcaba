"""What a user keeps at the desk: facts to remember, a calendar, and settings of a session."""

import re

from clerk.errors import ToolError

TIME = re.compile(r"(\d{1,2}):(\d{2})")
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Memory:
    """Facts about a user, by name; they outlive the session they were told in."""

    def __init__(self, shelf):
        self._shelf = shelf

    def remember(self, user, key, value):
        with self._shelf.locked():
            facts = self._shelf.load(user, {})
            known = facts.get(key)
            facts[key] = value
            self._shelf.save(user, facts)
        return f"{key} was {known}, is now {value}" if known else f"{key} is {value}"

    def recall(self, user, key):
        facts = self._shelf.load(user, {})
        if key not in facts:
            raise ToolError(f"nothing is known as {key}")
        return facts[key]

    def forget(self, user, key):
        with self._shelf.locked():
            facts = self._shelf.load(user, {})
            if key not in facts:
                raise ToolError(f"nothing is known as {key}")
            del facts[key]
            self._shelf.save(user, facts)
        return f"{key} is forgotten"


class Calendar:
    """Entries of a user, by date."""

    def __init__(self, shelf):
        self._shelf = shelf

    def add(self, user, date, time, title):
        minutes = self._minutes(time)
        if DATE.fullmatch(date) is None:
            raise ToolError(f"{date} is not a date")
        with self._shelf.locked():
            dates = self._shelf.load(user, {})
            dates.setdefault(date, []).append([minutes, title])
            self._shelf.save(user, dates)
        return f"{title} is on {date} at {self._clock(minutes)}"

    def list(self, user, date):
        entries = self._shelf.load(user, {}).get(date, [])
        if not entries:
            return f"nothing is planned on {date}"
        return ", ".join(f"{self._clock(minutes)} {title}" for minutes, title in sorted(entries))

    @staticmethod
    def _minutes(time):
        match = TIME.fullmatch(time)
        if match is None or int(match.group(1)) > 23 or int(match.group(2)) > 59:
            raise ToolError(f"{time} is not a time")
        return 60 * int(match.group(1)) + int(match.group(2))

    @staticmethod
    def _clock(minutes):
        return f"{minutes // 60}:{minutes % 60:02}"


class Settings:
    """What a user chose for one session; the tools take it where the call says nothing."""

    CHOICES = {"decimals": ("0", "1", "2", "3", "4"), "currency": ("EUR", "USD", "GBP")}

    def __init__(self, shelf):
        self._shelf = shelf

    def choose(self, session, name, value):
        if value not in self.CHOICES.get(name, ()):
            raise ToolError(f"{value} cannot be chosen as {name}")
        with self._shelf.locked():
            chosen = self._shelf.load(session, {})
            chosen[name] = value
            self._shelf.save(session, chosen)
        return f"{name} is {value} in this session"

    def of(self, session):
        return self._shelf.load(session, {})


class Audit:
    """The calls of each session, newest last."""

    KEPT = 20

    def __init__(self, shelf):
        self._shelf = shelf

    def record(self, session, tool, arguments):
        shown = " ".join(f"{name}={arguments[name]}" for name in sorted(arguments))
        with self._shelf.locked():
            entries = self._shelf.load(session, [])
            entries.append(f"{tool} {shown}".rstrip())
            self._shelf.save(session, entries[-self.KEPT :])

    def last(self, session, count):
        entries = self._shelf.load(session, [])
        return ", then ".join(entries[-count:]) or "nothing was done yet"

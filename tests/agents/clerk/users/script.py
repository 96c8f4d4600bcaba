"""How a scenario is written down: turns, and for each the exact text that the answer must contain.

Nothing here looks at the clerk or at its model: what must come out is worked out a second time.
"""

NAMES = ("ada", "bo", "cyd", "dee", "eli", "fay", "gus", "hal", "ida", "jon", "kim", "lou")


class Turn:
    __slots__ = ("user", "session", "text", "expected")

    def __init__(self, user, session, text, expected):
        self.user = user
        self.session = session
        self.text = text
        self.expected = expected


class Script:
    """The turns of one scenario.

    `rng` gives its parameters, `tag` makes its names its own.  A fragile scenario counts messages:
    it ends at the first wrong answer, because a correction would change what is right after it.
    """

    def __init__(self, rng, tag):
        self.rng = rng
        self.tag = tag
        self.turns = []
        self.fragile = False
        self.user = self.person()
        self.session = self.place(self.user)

    def person(self):
        used = {turn.user for turn in self.turns}
        while True:
            user = f"{self.rng.choice(NAMES)}-{self.tag}"
            if user not in used:
                return user

    def place(self, user, letter="a"):
        return f"{user}-{letter}"

    def say(self, *parts, user=None, session=None):
        """One turn of parts, each (what is typed, what must be answered)."""
        user = user or self.user
        text = " ".join(typed for typed, _ in parts)
        expected = " ".join(answer for _, answer in parts)
        self.turns.append(Turn(user, session or self.session, text, expected))

    def thing(self, word="item"):
        return f"{word}{self.rng.randrange(100, 1000)}"


def checked(text):
    """A text with its check sum: what a receipt and a refusal look like."""
    total = 0
    for byte in text.encode("utf-8"):
        total = (total + byte) & 0xFF
    return f"{text} [{total >> 4:x}{total & 15:x}]"


def decimal(units, places=2):
    """A whole number of 10^-places as people write it: 1250 -> 12.5."""
    sign = "-" if units < 0 else ""
    whole, rest = divmod(abs(units), 10**places)
    tail = str(rest).zfill(places).rstrip("0") if places else ""
    return f"{sign}{whole}.{tail}" if tail else f"{sign}{whole}"


def cents(amount, currency="EUR"):
    whole, rest = divmod(amount, 100)
    return f"{whole}.{rest:02d} {currency}"


def lead(sentence, word):
    return f"{word} {sentence[0].lower()}{sentence[1:]}" if word else sentence


def does(sentence, result, word=""):
    """A sentence that asks for a tool, and the result that must be told."""
    end = "?" if sentence.startswith("What") else "."
    return lead(sentence, word) + end, f'{sentence}: "{result}".'


def fails(sentence, reason, word=""):
    end = "?" if sentence.startswith("What") else "."
    return lead(sentence, word) + end, f'{sentence} failed: "{checked(reason)}".'


def asks(question, answer):
    """A question that is answered from the conversation."""
    return question + "?", answer


def tells(sentence):
    return sentence + ".", f'I have noted "{sentence}".'

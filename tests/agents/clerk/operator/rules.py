"""What the model makes of a conversation: which tools to call, and what to say.

A sentence of the last user message is one of
 * a request for a tool (REQUESTS): the model calls it and tells the result, found by its call's id;
 * a question about the conversation (QUESTIONS): answered from the messages it was sent;
 * anything else: it is noted.
"Also ..." is done with the sentence before, "Then ..." after the results are there; "that" in it is
the number in the last result.
"""

import re

SENTENCE_END = re.compile(r"(?<=[.?!])\s+(?=[A-Z])")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
CORRECTION = "That is wrong."


def number(text):
    value = float(text)
    return int(value) if value == int(value) else value


# Pattern of the sentence, name of the tool, names of the arguments, which of them are numbers.
REQUESTS = [
    (re.compile(pattern), tool, names, numbers)
    for pattern, tool, names, numbers in (
        (r"Remember that my (.+?) is (.+)", "remember", ("key", "value"), ()),
        (r"What is my (.+)", "recall", ("key",), ()),
        (r"Forget my (.+)", "forget", ("key",), ()),
        (r"Calculate (.+)", "calculate", ("expression",), ()),
        (r"Convert (\S+) (\S+) to (\S+)", "convert", ("amount", "unit", "to"), ("amount",)),
        (r"Convert (\S+) (\S+)", "convert", ("amount", "unit"), ("amount",)),
        (r"What does (\S+) cost in (\S+)", "price", ("item", "currency"), ()),
        (r"What does (\S+) cost", "price", ("item",), ()),
        (
            r"Set the price of (\S+) to (\S+) (\S+)",
            "set_price",
            ("item", "amount", "currency"),
            ("amount",),
        ),
        (r"Reset the price of (\S+)", "reset_price", ("item",), ()),
        (
            r"Order (\S+) of (\S+) in (\S+)",
            "order",
            ("quantity", "item", "currency"),
            ("quantity",),
        ),
        (r"Order (\S+) of (\S+)", "order", ("quantity", "item"), ("quantity",)),
        (r"List my orders", "list_orders", (), ()),
        (
            r"Ask what (\S+) kg to (.+) costs in (\S+)",
            "quote_parcel",
            ("weight", "place", "currency"),
            ("weight",),
        ),
        (r"Ask what (\S+) kg to (.+) costs", "quote_parcel", ("weight", "place"), ("weight",)),
        (r"Plan (.+) on (\S+) at (\S+)", "add_entry", ("title", "date", "time"), ()),
        (r"What is planned on (\S+)", "list_entries", ("date",), ()),
        (r"Use (\S+) as my (\S+)", "choose", ("value", "name"), ()),
        (r"What were your last (\d+) steps", "activity", ("count",), ("count",)),
        (r"What was your last step", "activity", (), ()),
    )
]
QUESTIONS = {
    "What was the first thing I told you": "first",
    "Repeat my last message": "previous",
    "What did I say my name is": "name",
    "How many messages of mine can you see": "count",
    "How many results can you see": "results",
    "What was the last result": "result",
    "Who are you": "identity",
}


class Sentence:
    """One sentence: as it is told back, and the tool call it asks for, if it does."""

    def __init__(self, text):
        self.text = text
        self.call = None
        for pattern, tool, names, numbers in REQUESTS:
            match = pattern.fullmatch(text)
            if match is not None and text not in QUESTIONS:
                self.call = (tool, dict(zip(names, match.groups())), numbers)
                return

    def arguments(self, that):
        _, arguments, numbers = self.call
        filled = {
            name: re.sub(r"\bthat\b", that, value) if that else value
            for name, value in arguments.items()
        }
        for name in numbers:
            if NUMBER.fullmatch(filled[name]):
                filled[name] = number(filled[name])
        return filled


def stages(text):
    """The sentences, in groups that are done one after the other."""
    groups = [[]]
    for part in SENTENCE_END.split(text.strip()):
        part = part.rstrip(".?!")
        first, _, rest = part.partition(" ")
        if first in ("Then", "Also") and rest:
            part = rest[0].upper() + rest[1:]
        if first == "Then" and groups[-1]:
            groups.append([])
        groups[-1].append(Sentence(part))
    return groups


def answer(messages, offered):
    """Returns (text, []) or (None, [(tool, arguments), ...])."""
    last = max(index for index, each in enumerate(messages) if each["role"] == "user")
    text = messages[last]["content"]
    if text.startswith(CORRECTION):
        return "I am sorry. I will keep that in mind.", []
    groups = [group for group in stages(text)]
    calling = [group for group in groups if any(each.call for each in group)]
    rounds = rounds_after(messages, last)
    if offered and len(rounds) < len(calling):
        that = last_number(rounds)
        group = calling[len(rounds)]
        return None, [(each.call[0], each.arguments(that)) for each in group if each.call]
    return tell(messages, last, groups, rounds), []


def rounds_after(messages, last):
    """The results of each assistant turn since the user's message, in the order of its calls."""
    rounds = []
    results = {
        each["tool_call_id"]: each["content"] for each in messages[last:] if each["role"] == "tool"
    }
    for each in messages[last:]:
        if each["role"] == "assistant" and each.get("tool_calls"):
            rounds.append([results[call["id"]] for call in each["tool_calls"]])
    return rounds


def last_number(rounds):
    if not rounds:
        return None
    found = NUMBER.search(rounds[-1][-1])
    return found.group() if found else None


def tell(messages, last, groups, rounds):
    parts = []
    done = 0
    for group in groups:
        results = []
        if any(each.call for each in group):
            results = list(rounds[done]) if done < len(rounds) else []
            done += 1
        for each in group:
            if each.call:
                parts.append(told(each.text, results.pop(0) if results else ""))
            else:
                parts.append(said(messages, last, each.text))
    return " ".join(parts)


def told(sentence, result):
    if not result:
        return f'I have no result for "{sentence}".'
    if result.startswith("error: "):
        return f'{sentence} failed: "{result.removeprefix("error: ")}".'
    return f'{sentence}: "{result}".'


def said(messages, last, sentence):
    mine = [
        each["content"]
        for each in messages[: last + 1]
        if each["role"] == "user" and not each["content"].startswith(CORRECTION)
    ]
    results = [each["content"] for each in messages[:last] if each["role"] == "tool"]
    question = QUESTIONS.get(sentence)
    if question == "first":
        return f'The first thing you told me was "{mine[0]}".'
    if question == "previous":
        return f'Your last message was "{mine[-2]}".' if len(mine) > 1 else "There is no other."
    if question == "name":
        names = [re.search(r"\bMy name is ([^.?!]+)", each) for each in mine]
        names = [each.group(1) for each in names if each]
        return f'Your name is "{names[-1]}".' if names else "You did not tell me your name."
    if question == "count":
        return f"I can see {len(mine)} of your messages."
    if question == "results":
        return f"I can see {len(results)} earlier results."
    if question == "result":
        return f'The last result was "{results[-1]}".' if results else "There is no result yet."
    if question == "identity":
        return identity(messages)
    return f'I have noted "{sentence}".'


def identity(messages):
    for each in messages:
        if each["role"] == "system":
            words = each["content"].split(". ")
            return f'My instructions begin with "{words[0]}. {words[1]}".'
    return "I have no instructions."

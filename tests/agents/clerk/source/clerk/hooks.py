"""Hooks around every tool call, in the order in which they are listed.

A hook before the call gets the call and changes its arguments; one after it gets the outcome and
changes its value or text.  The order is part of the meaning: what is written down has to be
redacted before, and what is signed must not change afterwards.
"""

import re

from clerk.units import symbol

CARD = re.compile(r"\b(?:\d[ -]?){12,15}\d\b")


def mask(text):
    return CARD.sub(lambda match: "card ending " + match.group()[-4:], text)


def trim(call, context):
    for name, value in call.arguments.items():
        if isinstance(value, str):
            call.arguments[name] = value.strip().strip('"').strip()


def defaults(call, context):
    chosen = {name: context.settings[name] for name in call.tool.takes(context.settings)}
    call.arguments = {**call.tool.defaults, **chosen, **call.arguments}


def units(call, context):
    for name in ("unit", "to"):
        if name in call.arguments:
            call.arguments[name] = symbol(call.arguments[name])


def redact(call, context):
    for name, value in call.arguments.items():
        if isinstance(value, str):
            call.arguments[name] = mask(value)


def audit(call, context):
    if call.tool.audited:
        context.audit.record(context.session, call.tool.name, call.arguments)


def rounding(outcome, context):
    if isinstance(outcome.value, float):
        decimals = int(context.settings.get("decimals", "2"))
        text = f"{outcome.value:.{decimals}f}"
        outcome.text = text.rstrip("0").rstrip(".") if "." in text else text


def label(outcome, context):
    if outcome.unit:
        outcome.text = f"{outcome.text} {outcome.unit}"


def sign(outcome, context):
    """A check sum over what must not be altered: receipts, and what goes wrong."""
    if outcome.receipt or outcome.failed:
        check = sum(outcome.text.encode()) % 256
        outcome.text = f"{outcome.text} [{check:02x}]"


BEFORE = (trim, defaults, units, redact, audit)
AFTER = (rounding, label, sign)


def run_before(call, context):
    for hook in BEFORE:
        hook(call, context)


def run_after(outcome, context):
    for hook in AFTER:
        hook(outcome, context)

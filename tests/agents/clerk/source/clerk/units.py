"""Units of measure: what they are called, and how many base units each is."""

from clerk.errors import ToolError

UNITS = {
    "mm": ("length", 0.001),
    "cm": ("length", 0.01),
    "m": ("length", 1.0),
    "km": ("length", 1000.0),
    "in": ("length", 0.0254),
    "ft": ("length", 0.3048),
    "mi": ("length", 1609.344),
    "g": ("mass", 0.001),
    "kg": ("mass", 1.0),
    "t": ("mass", 1000.0),
    "lb": ("mass", 0.45359237),
    "s": ("time", 1.0),
    "min": ("time", 60.0),
    "h": ("time", 3600.0),
    "d": ("time", 86400.0),
}

NAMES = {
    "millimetre": "mm",
    "centimetre": "cm",
    "metre": "m",
    "kilometre": "km",
    "inch": "in",
    "foot": "ft",
    "feet": "ft",
    "mile": "mi",
    "gram": "g",
    "kilogram": "kg",
    "kilo": "kg",
    "tonne": "t",
    "pound": "lb",
    "second": "s",
    "minute": "min",
    "hour": "h",
    "day": "d",
}


def symbol(name):
    """The symbol of a unit that may have been written out, in the plural or in capitals."""
    lower = name.lower()
    singular = lower.removesuffix("s") if len(lower) > 2 else lower
    return NAMES.get(lower) or NAMES.get(singular) or lower


def convert(amount, source, target):
    for unit in (source, target):
        if unit not in UNITS:
            raise ToolError(f"no unit is called {unit}")
    kind, factor = UNITS[source]
    target_kind, target_factor = UNITS[target]
    if kind != target_kind:
        raise ToolError(f"{source} is a {kind}, {target} is a {target_kind}")
    return amount * factor / target_factor

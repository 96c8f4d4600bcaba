"""The tools, as the model sees them and as the router calls them."""

from clerk import units
from clerk.arithmetic import evaluate
from clerk.desk import Audit, Calendar, Memory, Settings
from clerk.errors import ToolError
from clerk.shop import Courier, Orders, Prices, Till
from clerk.store import Shelf


class Outcome:
    """What came of a call: a text, or a number with its unit; hooks make a text of that."""

    __slots__ = ("text", "value", "unit", "receipt", "failed")

    def __init__(self, text="", value=None, unit="", receipt=False, failed=False):
        self.text = text
        self.value = value
        self.unit = unit
        self.receipt = receipt
        self.failed = failed


class Context:
    """Who calls, and where."""

    __slots__ = ("user", "session", "settings", "audit")

    def __init__(self, user, session, settings, audit):
        self.user = user
        self.session = session
        self.settings = settings
        self.audit = audit


class Tool:
    """A function with a schema.  `reads` marks one that changes nothing."""

    def __init__(self, function, about, parameters, defaults=None, reads=False, audited=True):
        self.name = function.__name__
        self.function = function
        self.parameters = parameters
        self.defaults = defaults or {}
        self.reads = reads
        self.audited = audited
        required = [name for name in parameters if name not in self.defaults]
        self.schema = {
            "type": "function",
            "function": {
                "name": self.name,
                "description": about,
                "parameters": {
                    "type": "object",
                    "properties": {name: {"type": kind} for name, kind in parameters.items()},
                    "required": required,
                },
            },
        }

    def takes(self, names):
        return [name for name in names if name in self.parameters]

    def check(self, arguments):
        for name, kind in self.parameters.items():
            if name not in arguments:
                raise ToolError(f"{name} is missing")
            wanted = str if kind == "string" else (int, float)
            if not isinstance(arguments[name], wanted):
                raise ToolError(f"{name} must be a {kind}")
        for name in arguments:
            if name not in self.parameters:
                raise ToolError(f"{name} is not known here")


class Toolbox:
    """All tools over one state directory."""

    def __init__(self, state):
        prices = Prices(Shelf(f"{state}/prices"))
        self.memory = Memory(Shelf(f"{state}/memory"))
        self.calendar = Calendar(Shelf(f"{state}/calendar"))
        self.settings = Settings(Shelf(f"{state}/settings"))
        self.audit = Audit(Shelf(f"{state}/audit"))
        self.prices = prices
        self.orders = Orders(Shelf(f"{state}/orders"), prices, Till())
        self.courier = Courier()
        self.tools = {tool.name: tool for tool in self._list()}

    def _list(self):
        text, number = "string", "number"
        euro = {"currency": "EUR"}
        return [
            Tool(self.remember, "Keep a fact.", {"key": text, "value": text}),
            Tool(self.recall, "Look a fact up.", {"key": text}, reads=True),
            Tool(self.forget, "Drop a fact.", {"key": text}),
            Tool(self.calculate, "Do arithmetic.", {"expression": text}, reads=True),
            Tool(
                self.convert,
                "Convert between units.",
                {"amount": number, "unit": text, "to": text},
                defaults={"to": "metres"},
                reads=True,
            ),
            Tool(
                self.price,
                "Say what an item costs.",
                {"item": text, "currency": text},
                defaults=euro,
                reads=True,
            ),
            Tool(
                self.set_price,
                "Change what an item costs.",
                {"item": text, "amount": number, "currency": text},
                defaults=euro,
            ),
            Tool(self.reset_price, "Return to the catalogue's price.", {"item": text}),
            Tool(
                self.order,
                "Order and charge.",
                {"item": text, "quantity": number, "currency": text},
                defaults=euro,
            ),
            Tool(self.list_orders, "List the orders.", {}, reads=True),
            Tool(
                self.quote_parcel,
                "Ask the courier for a quote.",
                {"place": text, "weight": number, "currency": text},
                defaults=euro,
                reads=True,
            ),
            Tool(self.add_entry, "Note an entry.", {"date": text, "time": text, "title": text}),
            Tool(self.list_entries, "List a day's entries.", {"date": text}, reads=True),
            Tool(self.choose, "Choose a setting.", {"name": text, "value": text}),
            Tool(
                self.activity,
                "Say what was done in this session.",
                {"count": number},
                defaults={"count": 1},
                reads=True,
                audited=False,
            ),
        ]

    def remember(self, context, key, value):
        return Outcome(self.memory.remember(context.user, key, value))

    def recall(self, context, key):
        return Outcome(self.memory.recall(context.user, key))

    def forget(self, context, key):
        return Outcome(self.memory.forget(context.user, key))

    def calculate(self, context, expression):
        return Outcome(value=evaluate(expression))

    def convert(self, context, amount, unit, to):
        return Outcome(value=units.convert(float(amount), unit, to), unit=to)

    def price(self, context, item, currency):
        cents = self.prices.price(context.user, item, currency)
        return Outcome(f"{cents // 100}.{cents % 100:02}", unit=currency)

    def set_price(self, context, item, amount, currency):
        cents = round(100 * amount)
        return Outcome(self.prices.set(context.user, item, cents, currency))

    def reset_price(self, context, item):
        return Outcome(self.prices.reset(context.user, item))

    def order(self, context, item, quantity, currency, key):
        text = self.orders.place(context.user, key, item, quantity, currency)
        return Outcome(text, receipt=True)

    def list_orders(self, context):
        return Outcome(self.orders.list(context.user))

    def quote_parcel(self, context, place, weight, currency):
        return Outcome(self.courier.quote(place, weight, currency), receipt=True)

    def add_entry(self, context, date, time, title):
        return Outcome(self.calendar.add(context.user, date, time, title))

    def list_entries(self, context, date):
        return Outcome(self.calendar.list(context.user, date))

    def choose(self, context, name, value):
        return Outcome(self.settings.choose(context.session, name, value))

    def activity(self, context, count):
        return Outcome(self.audit.last(context.session, count))

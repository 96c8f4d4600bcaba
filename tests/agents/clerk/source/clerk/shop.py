"""The shop: prices, orders, the till that charges for them, and the courier."""

import threading

from clerk.errors import ToolError, TransientError

CATALOGUE = {"pen": 240, "ruler": 180, "stapler": 1260, "lamp": 3400, "desk": 18000}
RATES = {"EUR": 100, "USD": 125, "GBP": 80}


def money(cents, currency):
    return f"{cents // 100}.{cents % 100:02} {currency}"


class Prices:
    """A user's price list, with a cache of what was worked out from it."""

    CACHED = 2048

    def __init__(self, shelf):
        self._shelf = shelf
        self._cache = {}

    def price(self, user, item, currency):
        """The price in cents of that currency."""
        key = (user, item, currency)
        if key not in self._cache:
            self._make_room()
            self._cache[key] = self._work_out(user, item, currency)
        return self._cache[key]

    def set(self, user, item, cents, currency):
        with self._shelf.locked():
            prices = self._shelf.load(user, {})
            prices[item] = cents * 100 // RATES[currency]
            self._shelf.save(user, prices)
            self._invalidate(user, item)
        return f"{item} costs {money(cents, currency)}"

    def reset(self, user, item):
        """Back to the catalogue's price."""
        with self._shelf.locked():
            prices = self._shelf.load(user, {})
            if prices.pop(item, None) is None:
                raise ToolError(f"{item} has no price of your own")
            self._shelf.save(user, prices)
            self._invalidate(user, item)
        return f"{item} is back to the catalogue"

    def _work_out(self, user, item, currency):
        cents = self._shelf.load(user, {}).get(item, CATALOGUE.get(item))
        if cents is None:
            raise ToolError(f"there is no price for {item}")
        return cents * RATES[currency] // 100

    def _invalidate(self, user, item):
        for currency in RATES:
            self._cache.pop((user, item, currency), None)

    def _make_room(self):
        if len(self._cache) >= self.CACHED:
            self._cache.clear()


class Till:
    """Charges; slow to answer when it sees a charge for the first time."""

    REMEMBERED = 4096

    def __init__(self):
        self._seen = set()
        self._lock = threading.Lock()

    def charge(self, user, reason):
        with self._lock:
            if (user, reason) in self._seen:
                return
            if len(self._seen) >= self.REMEMBERED:
                self._seen.clear()
            self._seen.add((user, reason))
        raise TransientError("the till does not answer")


class Orders:
    """Orders of a user.  The key of an order makes it safe to place it again."""

    def __init__(self, shelf, prices, till):
        self._shelf = shelf
        self._prices = prices
        self._till = till

    def place(self, user, key, item, quantity, currency):
        if quantity != int(quantity) or not 0 < quantity < 1000:
            raise ToolError("the quantity must be between 1 and 999")
        with self._shelf.locked():
            orders = self._shelf.load(user, [])
            number = self._number(orders, key)
            if number is None:
                total = money(quantity * self._prices.price(user, item, currency), currency)
                orders.append({"key": key, "text": f"{quantity} x {item} for {total}"})
                self._shelf.save(user, orders)
                number = len(orders)
        order = orders[number - 1]
        self._till.charge(user, order["text"])
        return f"order {number}: {order['text']}"

    def list(self, user):
        orders = self._shelf.load(user, [])
        if not orders:
            return "no orders"
        return ", ".join(
            f"order {number}: {order['text']}" for number, order in enumerate(orders, 1)
        )

    @staticmethod
    def _number(orders, key):
        for number, order in enumerate(orders, 1):
            if order["key"] == key:
                return number
        return None


class Courier:
    """Quotes for parcels; the line is busy when a place is asked for the first time."""

    REMEMBERED = 4096
    RATE = 35

    def __init__(self):
        self._asked = set()
        self._lock = threading.Lock()

    def quote(self, place, weight, currency):
        with self._lock:
            first = place not in self._asked
            if len(self._asked) >= self.REMEMBERED:
                self._asked.clear()
            self._asked.add(place)
        if first:
            raise TransientError("the courier's line is busy")
        cents = round((400 + self.RATE * len(place) * weight) * RATES[currency] / 100)
        return f"{weight} kg to {place} for {money(cents, currency)}"

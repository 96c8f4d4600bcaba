"""The scenarios: what users of the clerk do.  Each fills a Script; see script.py."""

from script import asks, cents, checked, decimal, does, fails, tells

PLACES = ("Oslo", "Lima", "Malmö", "Zürich", "Quito", "Łódź", "Cork", "Porto")
COLOURS = ("teal", "plum", "ochre", "ivory", "amber", "coral", "khaki", "mauve")
THINGS = ("The blue van is parked outside", "The printer on floor two hums", "Lunch was late")
PRICES = {"pen": 240, "ruler": 180, "stapler": 1260, "lamp": 3400, "desk": 18000}
SHARE = {"EUR": 100, "USD": 125, "GBP": 80}


def two(rng, choices):
    return rng.sample(choices, 2)


def in_currency(euro_cents, currency):
    return euro_cents * SHARE[currency] // 100


def planned(title, date, time):
    return does(f"Plan {title} on {date} at {time}", f"{title} is on {date} at {time}")


def priced(item, price):
    return does(f"Set the price of {item} to {cents(price)}", f"{item} costs {cents(price)}")


def memory_kept(s):
    first, second = two(s.rng, COLOURS)
    s.say(does(f"Remember that my colour is {first}", f"colour is {first}"))
    s.say(does("What is my colour", first))
    s.say(does(f"Remember that my colour is {second}", f"colour was {first}, is now {second}"))
    s.say(does("What is my colour", second))
    s.say(does("Forget my colour", "colour is forgotten"))
    s.say(fails("What is my colour", "nothing is known as colour"))


def memory_many(s):
    keys = [f"{key}{s.rng.randrange(10)}" for key in ("boat", "dog", "street", "shoe")]
    values = [f"{s.rng.choice(COLOURS)} {s.rng.randrange(1000)}" for _ in keys]
    stored = [
        does(f"Remember that my {key} is {value}", f"{key} is {value}")
        for key, value in zip(keys, values)
    ]
    s.say(stored[0], stored[1])
    s.say(stored[2], stored[3])
    s.say(*(does(f"What is my {key}", value) for key, value in zip(keys, values)))
    s.say(does(f"Forget my {keys[1]}", f"{keys[1]} is forgotten"))
    s.say(
        does(f"What is my {keys[3]}", values[3]),
        fails(f"What is my {keys[1]}", f"nothing is known as {keys[1]}", "Also"),
    )


def memory_across_sessions(s):
    colour = s.rng.choice(COLOURS)
    later = s.place(s.user, "b")
    s.say(does(f"Remember that my door is {colour}", f"door is {colour}"))
    s.say(tells("I come back tomorrow"))
    s.say(does("What is my door", colour), session=later)
    s.say(does("Remember that my lock is new", "lock is new"), session=later)
    s.say(does("What is my lock", "new"))


def sessions_apart(s):
    later = s.place(s.user, "b")
    first = f"My name is Max {s.rng.randrange(100)}"
    s.say(tells(first))
    s.say(does("Use 3 as my decimals", "decimals is 3 in this session"))
    s.say(tells("This is another matter"), session=later)
    s.say(
        asks("What did I say my name is", "You did not tell me your name."),
        asks(
            "What was the first thing I told you",
            'The first thing you told me was "This is another matter.".',
        ),
        session=later,
    )
    s.say(does("Convert 2 mi to km", "3.22 km"), session=later)
    s.say(does("Convert 2 mi to km", "3.219 km"))
    s.say(asks("What did I say my name is", f'Your name is "{first.removeprefix("My name is ")}".'))


def interleaved(s):
    other = s.person()
    while other == s.user:
        other = s.person()
    there = s.place(other)
    first, second = two(s.rng, COLOURS)
    name = f"Kay {s.rng.randrange(100)}"
    s.say(tells(f"My name is {name}"))
    s.say(tells("I am somebody else"), user=other, session=there)
    s.say(does(f"Remember that my hat is {first}", f"hat is {first}"))
    s.say(does(f"Remember that my hat is {second}", f"hat is {second}"), user=other, session=there)
    s.say(
        does("What is my hat", first),
        asks("What did I say my name is", f'Your name is "{name}".'),
    )
    s.say(
        does("What is my hat", second),
        asks("What did I say my name is", "You did not tell me your name."),
        user=other,
        session=there,
    )
    s.say(
        asks(
            "What was the first thing I told you",
            'The first thing you told me was "I am somebody else.".',
        ),
        user=other,
        session=there,
    )


def arithmetic(s):
    a, b, c = (s.rng.randrange(2, 60) for _ in range(3))
    s.say(does(f"Calculate {a} * {b} - {c}", str(a * b - c)))
    s.say(does(f"Calculate ({a} + {b}) * {c}", str((a + b) * c)))
    s.say(
        does(f"Calculate {a} / 4", decimal(a * 25)),
        does(f"Calculate -{b} + {a}", str(a - b), "Also"),
    )
    s.say(does(f"Calculate {a}.5 - {b}.25", decimal((a - b) * 100 + 25)))


def several_calls(s):
    a, b, c = (s.rng.randrange(10, 99) for _ in range(3))
    s.say(
        does(f"Calculate {a} + {b}", str(a + b)),
        does(f"Calculate {b} + {c}", str(b + c), "Also"),
        does(f"Calculate {c} * {a}", str(c * a), "Also"),
    )
    s.say(
        does(f"Convert {a} m to cm", f"{a * 100} cm"),
        does("What does lamp cost", "34.00 EUR", "Also"),
    )
    s.say(asks("How many results can you see", "I can see 5 earlier results."))


def many_calls(s):
    a = s.rng.randrange(10, 99)
    date = f"2027-03-{s.rng.randrange(10, 29)}"
    colour = s.rng.choice(COLOURS)
    s.say(
        does(f"Remember that my pot is {colour}", f"pot is {colour}"),
        does(f"Calculate {a} * 3", str(a * 3)),
        does("What does ruler cost in USD", "2.25 USD"),
        planned("tea", date, "16:00"),
        fails(f"Calculate {a} / 0", "division by zero"),
        does(f"Convert {a} kg to g", f"{a * 1000} g"),
        does("List my orders", "no orders"),
    )
    s.say(does("What is my pot", colour), does(f"What is planned on {date}", "16:00 tea"))


def writes_first(s):
    first, second = two(s.rng, COLOURS)
    a = s.rng.randrange(2, 50)
    s.say(
        does("What is my bag", first),
        does(f"Remember that my bag is {first}", f"bag is {first}", "Also"),
    )
    s.say(
        does(f"Calculate {a} + 1", str(a + 1)),
        does("What is my bag", second, "Also"),
        does(f"Remember that my bag is {second}", f"bag was {first}, is now {second}", "Also"),
    )


def orders_among_reads(s):
    quantity = s.rng.randrange(2, 20)
    text = f"order 1: {quantity} x ruler for {cents(180 * quantity)}"
    s.say(
        does("What does ruler cost", "1.80 EUR"),
        does(f"Order {quantity} of ruler", checked(text), "Also"),
        does("List my orders", text, "Also"),
    )
    s.say(does("List my orders", text), does("Calculate 6 * 7", "42", "Also"))


def chain(s):
    a = s.rng.randrange(3, 30)
    s.say(
        does(f"Calculate {a} * 4", str(4 * a)),
        does("Convert that kg to g", f"{4000 * a} g", "Then"),
        does("Calculate that / 8", str(500 * a), "Then"),
    )
    s.say(
        does(f"Convert {a} h to min", f"{60 * a} min"),
        does("Calculate that + 15", str(60 * a + 15), "Then"),
        does("Remember that my shift is long", "shift is long", "Then"),
        does("What is my shift", "long", "Then"),
    )


def long_chain(s):
    value = start = s.rng.randrange(2, 40)
    parts = [does(f"Calculate {start} + 1", str(start + 1))]
    value += 1
    for _ in range(6):
        step = s.rng.randrange(2, 9)
        value += step
        parts.append(does(f"Calculate that + {step}", str(value), "Then"))
    s.say(*parts)
    s.say(asks("What was the last result", f'The last result was "{value}".'))


def longer_chain(s):
    a = s.rng.randrange(2, 9)
    s.say(
        does(f"Calculate {a} * 10", str(a * 10)),
        does("Convert that km to m", f"{a * 10000} m", "Then"),
        does("Convert that m to cm", f"{a * 1000000} cm", "Then"),
        does("Calculate that / 1000", str(a * 1000), "Then"),
        does("Convert that g to kg", f"{a} kg", "Then"),
        does("Calculate that - 1", str(a - 1), "Then"),
        does("List my orders", "no orders", "Then"),
    )


def window_count(s):
    s.fragile = True
    told = s.rng.randrange(9, 12)
    for number in range(told):
        s.say(tells(f"{s.rng.choice(THINGS)} {number}"))
    s.say(asks("How many messages of mine can you see", "I can see 9 of your messages."))


def window_first(s):
    s.fragile = True
    told = s.rng.randrange(9, 12)
    said = [f"{s.rng.choice(THINGS)} {number}" for number in range(told)]
    for sentence in said:
        s.say(tells(sentence))
    first = said[told - 8]
    s.say(
        asks("What was the first thing I told you", f'The first thing you told me was "{first}.".')
    )


def window_of_calls(s):
    """Turns of one call are four messages each; what is cut within one starts after its results."""
    s.fragile = True
    for _ in range(3):
        s.say(tells(s.rng.choice(THINGS)))
    numbers = [s.rng.randrange(10, 99) for _ in range(5)]
    for number in numbers:
        s.say(does(f"Calculate {number} + {number}", str(2 * number)))
    s.say(
        asks("How many results can you see", "I can see 4 earlier results."),
        asks("What was the last result", f'The last result was "{2 * numbers[-1]}".'),
    )


def window_cuts_calls(s):
    """Three results in one turn: the window begins among them, so none of them is shown."""
    s.fragile = True
    a = s.rng.randrange(10, 99)
    s.say(
        does(f"Calculate {a} + 1", str(a + 1)),
        does(f"Calculate {a} + 2", str(a + 2), "Also"),
        does(f"Calculate {a} + 3", str(a + 3), "Also"),
    )
    for _ in range(7):
        s.say(tells(s.rng.choice(THINGS)))
    s.say(asks("How many results can you see", "I can see 0 earlier results."))


def identity_kept(s):
    identity = f"You are Clerk, the assistant at the front desk. You are talking to {s.user}"
    for number in range(s.rng.randrange(9, 11)):
        s.say(tells(f"{s.rng.choice(THINGS)} {number}"))
    s.say(asks("Who are you", f'My instructions begin with "{identity}".'))


def identity_early(s):
    identity = f"You are Clerk, the assistant at the front desk. You are talking to {s.user}"
    a = s.rng.randrange(10, 99)
    s.say(asks("Who are you", f'My instructions begin with "{identity}".'))
    s.say(does(f"Calculate {a} - 3", str(a - 3)))
    s.say(asks("What was the last result", f'The last result was "{a - 3}".'))
    s.say(asks("Who are you", f'My instructions begin with "{identity}".'))


def long_acquaintance(s):
    """What lies beyond the window is gone; who is talked to is not."""
    identity = f"You are Clerk, the assistant at the front desk. You are talking to {s.user}"
    s.say(tells("My name is Vi"))
    for number in range(9):
        s.say(tells(f"{s.rng.choice(THINGS)} {number}"))
    s.say(
        asks("What did I say my name is", "You did not tell me your name."),
        asks("Who are you", f'My instructions begin with "{identity}".'),
    )


def history(s):
    name = f"Rae {s.rng.randrange(100)}"
    a = s.rng.randrange(10, 99)
    s.say(tells(f"My name is {name}"))
    s.say(does(f"Calculate {a} + 9", str(a + 9)))
    s.say(asks("Repeat my last message", f'Your last message was "Calculate {a} + 9.".'))
    s.say(asks("What did I say my name is", f'Your name is "{name}".'))
    s.say(
        asks(
            "What was the first thing I told you",
            f'The first thing you told me was "My name is {name}.".',
        ),
        asks("What was the last result", f'The last result was "{a + 9}".'),
    )


def price_change(s):
    item = s.thing("mug")
    before, after = (20 * s.rng.randrange(10, 90) for _ in range(2))
    s.say(fails(f"What does {item} cost", f"there is no price for {item}"))
    for price in (before, after):
        s.say(priced(item, price))
        s.say(does(f"What does {item} cost", cents(price)))
    order = f"order 1: 2 x {item} for {cents(2 * after)}"
    s.say(does(f"Order 2 of {item}", checked(order)))


def price_of_catalogue(s):
    item = s.rng.choice(sorted(PRICES))
    special = 20 * s.rng.randrange(1, 60)
    s.say(does(f"What does {item} cost", cents(PRICES[item])))
    s.say(priced(item, special))
    s.say(
        does(f"What does {item} cost", cents(special)),
        does(
            f"What does {item} cost in GBP", cents(in_currency(special, "GBP"), "GBP"), "Also"
        ),
    )
    s.say(does(f"Reset the price of {item}", f"{item} is back to the catalogue"))
    s.say(does(f"What does {item} cost", cents(PRICES[item])))


def currencies(s):
    item = s.rng.choice(sorted(PRICES))
    order = s.rng.sample(sorted(SHARE), 3)
    for currency in order:
        price = cents(in_currency(PRICES[item], currency), currency)
        s.say(does(f"What does {item} cost in {currency}", price))
    s.say(
        *(
            does(f"What does {item} cost in {each}", cents(in_currency(PRICES[item], each), each))
            for each in order
        )
    )


def currency_chosen(s):
    item = s.rng.choice(sorted(PRICES))
    mine, other = s.rng.sample(("USD", "GBP"), 2)
    price = {each: cents(in_currency(PRICES[item], each), each) for each in (mine, other)}
    s.say(does(f"Use {mine} as my currency", f"currency is {mine} in this session"))
    s.say(does(f"What does {item} cost", price[mine]))
    s.say(does(f"What does {item} cost in {other}", price[other]))
    total = cents(3 * in_currency(PRICES[item], other), other)
    s.say(does(f"Order 3 of {item} in {other}", checked(f"order 1: 3 x {item} for {total}")))
    s.say(fails("Use XYZ as my currency", "XYZ cannot be chosen as currency"))


def currency_of_session(s):
    item = s.rng.choice(sorted(PRICES))
    later = s.place(s.user, "b")
    s.say(does("Use USD as my currency", "currency is USD in this session"))
    s.say(does(f"What does {item} cost", cents(PRICES[item])), session=later)
    s.say(does(f"What does {item} cost", cents(in_currency(PRICES[item], "USD"), "USD")))


def decimals_chosen(s):
    a = s.rng.randrange(2, 9)
    s.say(does(f"Convert {a} mi to km", f"{decimal((1609344 * a + 5000) // 10000)} km"))
    s.say(does("Use 4 as my decimals", "decimals is 4 in this session"))
    s.say(does(f"Convert {a} mi to km", f"{decimal((1609344 * a + 50) // 100, 4)} km"))
    s.say(does("Use 0 as my decimals", "decimals is 0 in this session"))
    s.say(does("Calculate 22 / 7", "3"), does("Calculate 20 / 3", "7", "Also"))


def one_order(s):
    item = s.rng.choice(sorted(PRICES))
    quantity = s.rng.randrange(2, 90)
    text = f"order 1: {quantity} x {item} for {cents(quantity * PRICES[item])}"
    s.say(does("List my orders", "no orders"))
    s.say(does(f"Order {quantity} of {item}", checked(text)))
    s.say(does("List my orders", text))


def many_orders(s):
    texts = []
    for number, item in enumerate(s.rng.sample(sorted(PRICES), 4), 1):
        quantity = s.rng.randrange(2, 90)
        texts.append(f"order {number}: {quantity} x {item} for {cents(quantity * PRICES[item])}")
        s.say(does(f"Order {quantity} of {item}", checked(texts[-1])))
    s.say(does("List my orders", ", ".join(texts)))


def order_twice(s):
    """The same words twice are two orders."""
    item = s.rng.choice(sorted(PRICES))
    text = f"5 x {item} for {cents(5 * PRICES[item])}"
    s.say(does(f"Order 5 of {item}", checked(f"order 1: {text}")))
    s.say(does(f"Order 5 of {item}", checked(f"order 2: {text}")))
    s.say(fails(f"Order 5000 of {item}", "the quantity must be between 1 and 999"))
    s.say(does("List my orders", f"order 1: {text}, order 2: {text}"))


def refusals(s):
    a = s.rng.randrange(2, 90)
    word = f"zorb{s.rng.randrange(100)}"
    s.say(fails(f"Calculate {a} / 0", "division by zero"))
    s.say(fails(f"Convert {a} kg to m", "kg is a mass, m is a length"))
    s.say(fails(f"Convert {a} {word} to km", f"no unit is called {word}"))
    s.say(
        fails(f"What is my {word}", f"nothing is known as {word}"),
        fails(f"Reset the price of {word}", f"{word} has no price of your own", "Also"),
        does(f"Calculate {a} + 2", str(a + 2), "Also"),
    )
    late = f"{s.rng.randrange(24, 60)}:00"
    s.say(fails(f"Plan tea on 2027-05-05 at {late}", f"{late} is not a time"))


def courier_abroad(s):
    place = s.rng.choice(PLACES)
    weight = 4 * s.rng.randrange(1, 30)
    price = 400 + 35 * len(place) * weight
    abroad = f"{weight} kg to {place} for {cents(in_currency(price, 'GBP'), 'GBP')}"
    home = f"{weight} kg to {place} for {cents(price)}"
    s.say(does("Use GBP as my currency", "currency is GBP in this session"))
    s.say(does(f"Ask what {weight} kg to {place} costs", checked(abroad)))
    s.say(does(f"Ask what {weight} kg to {place} costs in EUR", checked(home)))


def courier(s):
    first, second = two(s.rng, PLACES)
    weight = s.rng.randrange(1, 30)

    def quote(place, currency):
        price = in_currency(400 + 35 * len(place) * weight, currency)
        return checked(f"{weight} kg to {place} for {cents(price, currency)}")

    weight *= 4
    s.say(does(f"Ask what {weight} kg to {first} costs", quote(first, "EUR")))
    s.say(
        does(f"Ask what {weight} kg to {second} costs", quote(second, "EUR")),
        does(f"Ask what {weight} kg to {first} costs in USD", quote(first, "USD"), "Also"),
    )


def card_hidden(s):
    digits = "".join(str(s.rng.randrange(10)) for _ in range(16))
    card = " ".join(digits[i : i + 4] for i in range(0, 16, 4))
    hidden = f"card ending {digits[-4:]}"
    typed = f"Remember that my card is {card}"
    s.say((typed + ".", f'{typed}: "card is {hidden}".'))
    s.say(does("What was your last step", f"remember key=card value={hidden}"))
    s.say(does("What is my card", hidden))
    s.say(fails(f"Forget my {digits}", f"nothing is known as {hidden}"))
    s.say(does("What were your last 2 steps", f"recall key=card, then forget key={hidden}"))


def card_planned(s):
    digits = "".join(str(s.rng.randrange(10)) for _ in range(16))
    hidden = f"card ending {digits[-4:]}"
    date = f"2027-08-{s.rng.randrange(10, 29)}"
    typed = f"Plan block {digits} on {date} at 9:00"
    s.say((typed + ".", f'{typed}: "block {hidden} is on {date} at 9:00".'))
    s.say(
        does(
            "What was your last step", f"add_entry date={date} time=9:00 title=block {hidden}"
        ),
        does(f"What is planned on {date}", f"9:00 block {hidden}", "Also"),
    )


def steps(s):
    a = s.rng.randrange(10, 99)
    s.say(does("What was your last step", "nothing was done yet"))
    s.say(does(f"Convert {a} Kilometres", f"{a * 1000} m"))
    s.say(does("What was your last step", f"convert amount={a} to=m unit=km"))
    s.say(does("What does pen cost", "2.40 EUR"), does("Calculate 1 + 1", "2", "Also"))
    s.say(
        does(
            "What were your last 3 steps",
            f"convert amount={a} to=m unit=km, then price currency=EUR item=pen, "
            "then calculate expression=1 + 1",
        )
    )


def units_spelled(s):
    a = s.rng.randrange(2, 90)
    s.say(does(f"Convert {a} kilometres", f"{a * 1000} m"))
    s.say(does(f"Convert {a} hours to minutes", f"{a * 60} min"))
    s.say(
        does(f"Convert {a} tonnes to kg", f"{a * 1000} kg"),
        does("Convert 10 feet to Metres", "3.05 m", "Also"),
    )


def quoted(s):
    words = f'"carpe diem {s.rng.randrange(100)}"'
    bare = words.strip('"')
    typed = f"Remember that my motto is {words}"
    s.say((typed + ".", f'{typed}: "motto is {bare}".'))
    s.say(does("What is my motto", bare))
    steps_taken = f"remember key=motto value={bare}, then recall key=motto"
    s.say(does("What were your last 2 steps", steps_taken))


def calendar(s):
    date = f"2027-0{s.rng.randrange(1, 10)}-1{s.rng.randrange(10)}"
    early, late = s.rng.randrange(7, 10), s.rng.randrange(10, 20)
    s.say(planned("lunch", date, f"{late}:30"))
    s.say(planned("yoga", date, f"{early}:15"), planned("audit", date, f"{late}:05"))
    s.say(
        does(f"What is planned on {date}", f"{early}:15 yoga, {late}:05 audit, {late}:30 lunch")
    )


def calendar_empty(s):
    day = s.rng.randrange(10, 27)
    s.say(does(f"What is planned on 2027-06-{day}", f"nothing is planned on 2027-06-{day}"))
    s.say(planned("dinner", f"2027-06-{day}", "19:00"), planned("sowing", f"2027-06-{day}", "8:00"))
    s.say(
        does(f"What is planned on 2027-06-{day}", "8:00 sowing, 19:00 dinner"),
        does(f"What is planned on 2027-07-{day}", f"nothing is planned on 2027-07-{day}", "Also"),
    )


def other_scripts(s):
    value = s.rng.choice(("grün-weiß", "синий", "青い車", "🍋 żółty", "أزرق"))
    typed = f"Remember that my fähre is {value}"
    s.say((typed + ".", f'{typed}: "fähre is {value}".'))
    s.say(does("What is my fähre", value))
    s.say(tells(f"Ça va, {value}"))
    s.say(asks("Repeat my last message", f'Your last message was "Ça va, {value}.".'))


def wish(s):
    """The clerk rounds small lengths down to nothing; a user may well ask for better."""
    a = s.rng.randrange(1, 5)
    s.say(does("Convert 2 km to m", "2000 m"))
    s.say(does(f"Convert {a} mm to m", f"0.00{a} m"))
    s.say(does("Convert 5 km to mi", "3.11 mi"))


DRAWN = {
    scenario.__name__: scenario
    for scenario in (
        memory_kept,
        memory_many,
        memory_across_sessions,
        sessions_apart,
        interleaved,
        arithmetic,
        several_calls,
        many_calls,
        writes_first,
        orders_among_reads,
        chain,
        long_chain,
        longer_chain,
        window_count,
        window_first,
        window_of_calls,
        window_cuts_calls,
        identity_kept,
        identity_early,
        long_acquaintance,
        history,
        price_change,
        price_of_catalogue,
        currencies,
        currency_chosen,
        currency_of_session,
        decimals_chosen,
        one_order,
        many_orders,
        order_twice,
        refusals,
        courier_abroad,
        courier,
        card_hidden,
        card_planned,
        steps,
        units_spelled,
        quoted,
        calendar,
        calendar_empty,
        other_scripts,
    )
}
ON_REQUEST = {"wish": wish}

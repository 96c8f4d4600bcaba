"""Arithmetic on what a user typed: + - * / and parentheses over decimal numbers."""

import re

from clerk.errors import ToolError

TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|([-+*/()]))")
LONGEST = 200


def evaluate(expression):
    if len(expression) > LONGEST:
        raise ToolError("the expression is too long")
    tokens = _tokens(expression)
    value = _sum(tokens)
    if tokens:
        raise ToolError(f"unexpected {tokens[0]}")
    return value


def _tokens(expression):
    tokens = []
    position = 0
    expression = expression.rstrip()
    while position < len(expression):
        match = TOKEN.match(expression, position)
        if match is None:
            raise ToolError(f"unexpected {expression[position]}")
        tokens.append(match.group(1) or match.group(2))
        position = match.end()
    return tokens


def _sum(tokens):
    value = _product(tokens)
    while tokens and tokens[0] in "+-":
        if tokens.pop(0) == "+":
            value += _product(tokens)
        else:
            value -= _product(tokens)
    return value


def _product(tokens):
    value = _factor(tokens)
    while tokens and tokens[0] in "*/":
        if tokens.pop(0) == "*":
            value *= _factor(tokens)
        else:
            divisor = _factor(tokens)
            if divisor == 0:
                raise ToolError("division by zero")
            value /= divisor
    return value


def _factor(tokens):
    if not tokens:
        raise ToolError("the expression is incomplete")
    token = tokens.pop(0)
    if token == "-":
        return -_factor(tokens)
    if token == "(":
        value = _sum(tokens)
        if not tokens or tokens.pop(0) != ")":
            raise ToolError("a parenthesis is not closed")
        return value
    if token in "+*/)":
        raise ToolError(f"unexpected {token}")
    return float(token)

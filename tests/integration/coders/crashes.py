"""Ends with an exception."""

raise RuntimeError("no model today")

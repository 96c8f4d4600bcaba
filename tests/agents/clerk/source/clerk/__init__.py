"""Clerk: an office assistant that answers messages with a language model and a handful of tools."""

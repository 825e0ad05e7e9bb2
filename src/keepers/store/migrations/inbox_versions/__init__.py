"""Revisions of the inbox, which is a file of its own on SQLite."""

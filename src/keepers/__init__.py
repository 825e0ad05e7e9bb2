"""Keepers: events in, every customer's stage out, the right next message, measured."""

__version__ = "0.1.0"

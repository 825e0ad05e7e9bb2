"""Typed tables over events, and the answers computed from them."""

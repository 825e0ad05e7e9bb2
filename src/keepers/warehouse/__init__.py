"""Typed tables over events, and the answers asked of them."""

"""Lifecycle as code: load, check, plan, apply."""

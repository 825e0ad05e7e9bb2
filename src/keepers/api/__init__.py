"""HTTP: parse, call, present."""

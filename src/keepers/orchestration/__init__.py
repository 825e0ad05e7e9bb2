"""The only loops: identify, load, evaluate, tick."""

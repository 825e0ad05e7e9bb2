"""Computed traits: inputs, fit, predict."""

"""Journeys set in motion: who enters, who moves, what follows."""

"""Reports: stages, moves, journeys, profiles, explanations."""

"""WHAT NEXT, pure: how journeys are defined, entered and moved through."""

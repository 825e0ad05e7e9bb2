"""WHAT NEXT, pure: how journeys are written, entered and moved through, and what may be sent."""

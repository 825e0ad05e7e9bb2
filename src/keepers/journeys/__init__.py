"""WHAT NEXT, pure. Arrives with journeys and messages."""

"""Templates, e-mail bodies and signed links. Arrives with journeys and messages."""

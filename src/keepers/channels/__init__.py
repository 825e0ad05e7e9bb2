"""One file per channel. Arrives with journeys and messages."""

"""The server of a workspace and its loops: ticks, delivery, bounces."""

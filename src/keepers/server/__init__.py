"""A workspace at work: the server, the ticker beside it, and the turns their threads take."""

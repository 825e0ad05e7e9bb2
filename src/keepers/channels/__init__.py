"""How messages leave: one file per channel, and the providers that report what became of them."""

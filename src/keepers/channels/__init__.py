"""How messages leave: one file per channel, and the providers that report on sent e-mail."""

"""Templates, e-mail bodies and signed links: what a message says to one customer."""

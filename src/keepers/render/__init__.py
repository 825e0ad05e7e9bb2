"""Templates, e-mail bodies and signed links."""

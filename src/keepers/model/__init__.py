"""Nouns: frozen structs and the rules that need nothing but themselves. No I/O."""

"""One file per journey step."""

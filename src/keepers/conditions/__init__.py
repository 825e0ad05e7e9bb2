"""WHO: conditions, segments and lifecycles as expressions. No connection is held here."""

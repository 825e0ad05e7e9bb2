"""The operational store: SQL, one module per noun."""

"""Files into events and traits: a mapping, a reader per format, and chunks written set-wise to the warehouse."""

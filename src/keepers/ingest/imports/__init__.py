"""Imports of files: a mapping, a reader per format, and chunks written as sets to the warehouse."""

"""Takes back what ticks did ahead of the present: runs, messages, rows of the log, answers."""

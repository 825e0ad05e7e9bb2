"""What is counted: stages, moves, flow."""

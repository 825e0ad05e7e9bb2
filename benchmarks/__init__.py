"""What Keepers' speed is measured by: each figure beside its yardstick, in the same run."""

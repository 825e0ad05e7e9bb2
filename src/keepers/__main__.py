"""`python -m keepers`."""

from keepers.cli.main import main

if __name__ == "__main__":
    main()

"""`keepers` and `python -m keepers`."""

from keepers.cli import interrupts


def run() -> None:
    """Loads the command and runs it; Ctrl-C prints a sentence from the start."""
    interrupts.watch()
    from keepers.cli.main import main

    main()


if __name__ == "__main__":
    run()

"""Runs the `keepers` command as a user would, in a process of its own."""

from __future__ import annotations

import subprocess
import sys


def keepers_command() -> list[str]:
    """The command line's entry point by the running interpreter, installed or not."""
    return [sys.executable, "-c", "from keepers.cli.main import main; main()"]


def keepers(*arguments: str, timeout_s: float = 900) -> str:
    """What the command prints. Raises RuntimeError with its complaint when it fails."""
    done = subprocess.run([*keepers_command(), *arguments], capture_output=True, text=True, timeout=timeout_s)
    if done.returncode:
        raise RuntimeError(f"keepers {' '.join(arguments)} failed ({done.returncode}): {done.stderr}{done.stdout}")
    return done.stdout

"""Whether a folder can be written to, in one sentence wherever it is answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from keepers.app.workspace.files.disk_probe import DiskProbe, require_writable
from keepers.model.errors import UserError, problem


def test_it_is_said_by_path_or_by_what_the_place_is_called(tmp_path: Path) -> None:
    assert DiskProbe(tmp_path).why_not_writable() is None
    require_writable(tmp_path)
    gone = tmp_path / "gone"
    expected = "cannot be written to: No such file or directory. Make room, or make it writable."
    assert str(DiskProbe(gone).why_not_writable()) == f"{gone} {expected}"
    # Those who may not know the path: /ready asks nobody who they are.
    assert (
        str(DiskProbe(gone, problem("The disk of the store")).why_not_writable()) == f"The disk of the store {expected}"
    )
    with pytest.raises(UserError, match="gone cannot be written to"):
        require_writable(gone)

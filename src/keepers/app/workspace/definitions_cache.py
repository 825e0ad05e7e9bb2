"""The active playbook and its standing queries, read again when something was applied or numbered since."""

from __future__ import annotations

from collections.abc import Callable

from keepers.evaluation.active_queries import ActiveQueries
from keepers.playbook.active_playbook import ActivePlaybook
from keepers.store import definitions
from keepers.store.database import Store
from keepers.warehouse.database import Warehouse

Loaded = tuple[ActivePlaybook, ActiveQueries]


class DefinitionsCache:
    """Threads may share it: two that find it stale at once both read, and one result stays."""

    def __init__(self, store: Store, warehouse: Warehouse, load: Callable[[], Loaded]) -> None:
        self._store = store
        self._warehouse = warehouse
        self._load = load
        self._known: tuple[tuple[int, str], Loaded] | None = None

    def current(self) -> Loaded:
        with self._store.read() as connection:
            version = definitions.newest_version(connection)
        rows = self._warehouse.cursor().execute(
            "SELECT list(query_id ORDER BY query_id)::VARCHAR FROM standing_queries WHERE is_active"
        )
        stamp = (version, str((rows.fetchone() or ("",))[0]))
        known = self._known
        if known is None or known[0] != stamp:
            known = self._known = (stamp, self._load())
        return known[1]

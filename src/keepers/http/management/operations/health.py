"""How the workspace is doing, over HTTP: watermarks, lag, the last tick."""

from __future__ import annotations

from litestar import Controller, get

from keepers.app.operations.health import Health, health_of
from keepers.http.common.parameters import AtDesk
from keepers.http.common.problems import answers
from keepers.http.management import examples_customers as examples


class System(Controller):
    path = "/health"
    tags = ["health"]

    @get(summary="Watermarks and lag", responses=answers(Health, examples.HEALTH, 400), sync_to_thread=True)
    def health(self, desk: AtDesk) -> Health:
        return health_of(desk)

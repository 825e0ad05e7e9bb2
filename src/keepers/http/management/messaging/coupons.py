"""Coupon pools over HTTP: what is left, and adding codes."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Controller, get, post
from litestar.openapi.spec import Example
from litestar.params import PathParameter

from keepers.app.messaging.coupons import CodesAdded, CodesBody, Pool, PoolList
from keepers.http.common.bodies import body, read
from keepers.http.common.parameters import AtDesk, LocaleParameter, json_body_guard
from keepers.http.common.problems import answers
from keepers.http.management import examples_sending as examples

PoolId = Annotated[str, PathParameter(description="The pool's id.", examples=[Example(value="gift")])]


class Coupons(Controller):
    path = "/coupons"
    tags = ["messages"]

    @get(
        summary="What is left in each pool of codes",
        responses=answers(PoolList, examples.POOL_LIST, 400),
        sync_to_thread=True,
    )
    def list_pools(self, desk: AtDesk, locale: LocaleParameter = "en") -> PoolList:
        return PoolList(msgspec.convert(desk.look("coupons", {"locale": locale}), list[Pool]))

    @post(
        "/{pool:str}",
        summary="Add codes to a pool",
        description="Those it has already are left out.",
        responses=answers(CodesAdded, examples.CODES_ADDED, 400, 404, 413, 415, 422),
        status_code=200,
        guards=[json_body_guard],
        sync_to_thread=True,
    )
    def add(
        self,
        desk: AtDesk,
        pool: PoolId,
        data: Annotated[Any, body(CodesBody, "Codes.", {"codes": ["SPRING-7F3K"], "expires": "2026-12-31"})],
    ) -> CodesAdded:
        wanted = read(data, CodesBody)
        asked = {"pool": pool, "codes": list(wanted.codes), "expires": wanted.expires or None}
        return msgspec.convert(desk.run("import-coupons", asked), CodesAdded)

"""Problems of a running server in the language that the caller asks for, with what they are about filled in."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from serving import Serving


@pytest.fixture(scope="module")
def api(running: Serving) -> Iterator[httpx.Client]:
    with running.api() as client:
        yield client


UNKNOWN_SEGMENT = {
    "en": "There is no segment “lapsed_vi” in force.",
    "ru": "Нет действующего сегмента «lapsed_vi».",
    "pl": "Nie ma obowiązującego segmentu „lapsed_vi”.",
    "zh": "没有生效中的分群“lapsed_vi”。",
    "it": "Non c’è un segmento “lapsed_vi” in vigore.",
}


@pytest.mark.parametrize("locale", UNKNOWN_SEGMENT)
def test_what_is_not_there_is_named_in_the_language_of_the_header(api: httpx.Client, locale: str) -> None:
    answer = api.get("/segments/lapsed_vi", headers={"Accept-Language": f"{locale};q=0.9, fr"})
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"
    assert answer.json()["detail"].startswith(UNKNOWN_SEGMENT[locale])


def test_the_parameter_comes_before_the_header(api: httpx.Client) -> None:
    answer = api.get("/profiles/nobody", params={"locale": "it"}, headers={"Accept-Language": "ru"})
    assert answer.json()["detail"] == "Nessun profilo è noto come “nobody”."


def test_without_a_language_it_is_english(api: httpx.Client) -> None:
    answer = api.get("/profiles/nobody", headers={"Accept-Language": "tlh"})
    assert answer.json()["detail"] == "No profile is known as “nobody”."


def test_what_is_wrong_with_the_request_itself_is_translated(api: httpx.Client) -> None:
    headers = {"Accept-Language": "pl"}
    unknown = api.get("/segments", params={"colour": "red"}, headers=headers)
    assert unknown.status_code == 400
    assert unknown.json()["detail"].startswith("Nie ma tu parametru „colour”. Znane: ")
    no_json = api.post("/audience/count", content="x", headers={**headers, "Content-Type": "text/plain"})
    assert (no_json.status_code, no_json.json()["code"]) == (415, "media_type")
    assert no_json.json()["detail"] == "Wyślij treść żądania jako application/json."
    nowhere = api.get("/nothing/here", headers=headers)
    assert nowhere.json()["detail"].startswith("Pod tym adresem nic nie ma.")


def test_who_may_not_is_told_in_their_language(api: httpx.Client) -> None:
    headers = {"Accept-Language": "zh", "Authorization": "Bearer km_wrong"}
    answer = api.get("/segments", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == 'Bearer realm="keepers"'
    assert answer.json()["detail"].startswith("该密钥未知。请发送 `Authorization: Bearer km_…`")


def test_a_definition_of_the_wrong_kind_is_described_in_their_language(api: httpx.Client) -> None:
    answer = api.post(
        "/audience/count", json={"did": "Order Completed", "count": "many"}, headers={"Accept-Language": "ru"}
    )
    assert answer.status_code == 422
    assert answer.json()["field"] == "count"
    assert answer.json()["detail"].startswith("поле count: ")


def test_forms_of_sites_get_problems_in_the_visitor_s_language(running: Serving) -> None:
    form = {"email": "ann@example.com", "topic": "newsletter"}
    answer = httpx.post(
        f"{running.address}/v1/subscribe", json=form, headers={"Accept-Language": "it"}, trust_env=False
    )
    assert answer.status_code == 401
    assert answer.json()["detail"] == ("Invia una chiave di scrittura, come `writeKey` o con l’autenticazione Basic.")

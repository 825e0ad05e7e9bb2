"""The rules of machine traffic, row by row, and that running them again gives the same."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepers.delivery.machine_rules import (
    BURST,
    GMAIL_PREFETCH_AGENT,
    Rule,
    classify,
    known_network,
)
from keepers.store.messages.engagement_requests import EngagementRow

SENT = datetime(2026, 6, 1, 12)
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
CHROME = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/125.0.0.0 Safari/537.36"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.4.1 Mobile/15E148 Safari/604.1"
)
GOOGLE_IMAGE_PROXY = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
YAHOO_PROXY = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
OUTLOOK = (
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; .NET4.0C; .NET4.0E; "
    "Microsoft Outlook 16.0.5095; ms-office; MSOffice 16)"
)
PERSON = ""


def opened(agent: str = CHROME, after_s: float = 3600, network: str = "") -> EngagementRow:
    return EngagementRow(1, SENT + timedelta(seconds=after_s), "", agent, "", "GET", network=network)


def clicked(
    url: str = "/a", after_s: float = 3600, agent: str = CHROME, method: str = "GET", network: str = ""
) -> EngagementRow:
    return EngagementRow(1, SENT + timedelta(seconds=after_s), url, agent, "", method, network=network)


def alone(request: EngagementRow, links: int = 5) -> Rule:
    return classify(request, [], links)


def classify_all(requests: list[EngagementRow], links: int) -> list[Rule]:
    return [classify(request, requests, links) for request in requests]


@pytest.mark.parametrize(
    "agent",
    [
        CHROME,
        IPHONE,
        OUTLOOK,
        GOOGLE_IMAGE_PROXY,
        YAHOO_PROXY,
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
        "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.10.1",
        "Dalvik/2.1.0 (Linux; U; Android 9; SM-G965U Build/PPR1.180610.011)",
        "Outlook-iOS/709.2226530.prod.iphone (3.24.1)",
    ],
)
def test_an_open_by_a_mail_program_or_a_proxy_that_waits_for_it_is_a_persons(agent: str) -> None:
    assert alone(opened(agent)) == PERSON


def test_apples_privacy_proxy_by_its_bare_agent_is_a_machine() -> None:
    assert alone(opened("Mozilla/5.0")) == "apple_privacy"
    assert alone(opened(" Mozilla/5.0 ")) == "apple_privacy"


@pytest.mark.parametrize("ip", ["17.58.97.1", "2620:149:af0::10", "2a01:b740:a42::1"])
def test_an_open_from_apples_own_network_is_a_machine_and_a_click_is_not(ip: str) -> None:
    assert alone(opened(IPHONE, network=known_network(ip))) == "apple_privacy"
    assert alone(clicked(agent=IPHONE, network=known_network(ip))) == PERSON


@pytest.mark.parametrize("ip", ["192.0.2.7", "2001:db8::1", "", "not an address", "17.1"])
def test_other_networks_mean_nothing(ip: str) -> None:
    assert known_network(ip) == ""


def test_gmails_prefetch_is_a_machine_and_only_word_for_word() -> None:
    assert alone(opened(GMAIL_PREFETCH_AGENT)) == "gmail_prefetch"
    assert alone(opened(GMAIL_PREFETCH_AGENT.removesuffix(" Mozilla/5.0"))) == PERSON


@pytest.mark.parametrize("method", ["HEAD", "head", "OPTIONS"])
def test_a_request_without_reading_is_a_machine(method: str) -> None:
    assert alone(clicked(method=method)) == "method"
    assert alone(opened()._replace(method=method)) == "method"


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0",
        "BarracudaCentral/1.0",
        "Barracuda Sentinel (EE)",
        "Mimecast-URL-Protect/1.0",
        "Mozilla/5.0 (compatible; proofpoint)",
        "Mozilla/5.0 (Windows NT 10.0) Symantec MessageLabs",
        "CiscoSecureEmail",
        "Microsoft Office Existence Discovery",
        "Mozilla/4.0 (compatible; ms-office; MSOffice 16)",
        OUTLOOK,
        GOOGLE_IMAGE_PROXY,
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
        f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/100.0.4896.88 Safari/537.36",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "facebookexternalhit/1.1",
        "TelegramBot (like TwitterBot)",
        "WhatsApp/2.23.20.0",
        "python-requests/2.32.3",
        "Python/3.11 aiohttp/3.9.5",
        "curl/8.5.0",
        "Go-http-client/1.1",
        "Java/17.0.2",
        "okhttp/4.12.0",
        "axios/1.7.2",
        "node",
        "ClamAV/0.101.5 (OS: linux-gnu, ARCH: x86_64, CPU: x86_64)",
        f"Mozilla/5.0 (Windows NT 6.1) {WEBKIT} Chrome/21.0.1180.89 Safari/537.1; 360Spider",
        "Mozilla/5.0 (compatible; CensysInspect/1.1; +https://about.censys.io/)",
    ],
)
def test_a_click_by_a_known_scanner_or_program_is_a_machine(agent: str) -> None:
    assert alone(clicked(agent=agent)) == "agent"


@pytest.mark.parametrize(
    "agent",
    [
        CHROME,
        IPHONE,
        f"Mozilla/5.0 (Linux; Android 6.0; CUBOT MAX) {WEBKIT} Chrome/72.0 Mobile Safari/537.36",
        f"Mozilla/5.0 (Linux; Android 8.0.0; CUBOT_P20) {WEBKIT} Chrome/70.0 Mobile Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 "
        "Instagram 300.0.0.29.110",
        f"Mozilla/5.0 (Linux; Android 13; SM-S901B; wv) {WEBKIT} Version/4.0 "
        "Chrome/118.0.0.0 Mobile DuckDuckGo/5 Safari/537.36",
        f"Mozilla/5.0 (X11; CrOS x86_64 13904.66.0) {WEBKIT} Chrome/91.0 Safari/537.36",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:126.0) Gecko/20100101 Firefox/126.0",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 13_3_1 like Mac OS X) AppleWebKit/605.1.15 baiduboxapp/11.20 NABar/1.0",
        f"Mozilla/5.0 (Linux; U; Android 2.3.5; HTC Wildfire S A510e) {WEBKIT} Version/4.0 Mobile Safari/533.1",
        "Opera/9.80 (J2ME/MIDP; Opera Mini/7.1.32052/29.3709; U; en) Presto/2.8.119 Version/11.10",
        f"Mozilla/5.0 (Linux; Android 10; NodeX Build/1) {WEBKIT} Chrome/85.0 Mobile Safari/537.36",
    ],
)
def test_a_click_by_a_browser_is_a_persons(agent: str) -> None:
    assert alone(clicked(agent=agent)) == PERSON


def test_a_click_without_any_agent_is_a_machine_and_an_open_is_not() -> None:
    assert alone(clicked(agent=" ")) == "no_agent"
    assert alone(opened("")) == PERSON


def test_what_a_provider_calls_a_machines_is_one() -> None:
    assert alone(opened()._replace(is_reported_machine=True)) == "said"


@pytest.mark.parametrize(
    ("clicks", "links", "is_machine"),
    [
        ([("/a", 60), ("/b", 61), ("/c", 62), ("/d", 63), ("/e", 64)], 5, True),
        ([("/a", 60), ("/b", 65), ("/c", 70)], 5, True),
        ([("/a", 60), ("/b", 65), ("/c", 70.1)], 5, False),
        ([("/a", 60), ("/b", 61), ("/c", 62)], 6, False),
        ([("/a", 60), ("/b", 61), ("/c", 62)], 20, False),
        ([("/a", 60), ("/b", 61)], 3, False),
        ([("/a", 60), ("/b", 61)], 2, True),
        ([("/a", 60), ("/b", 75)], 2, False),
        ([("/a", 60), ("/a", 61), ("/a", 62), ("/a", 63)], 5, False),
        ([("/a", 60)], 1, False),
        ([("/a", 60), ("/b", 66), ("/c", 72), ("/d", 78), ("/e", 84)], 5, False),
    ],
)
def test_most_links_within_ten_seconds_are_a_machines(
    clicks: list[tuple[str, float]], links: int, is_machine: bool
) -> None:
    requests = [clicked(url, after_s) for url, after_s in clicks]
    assert set(classify_all(requests, links)) == {"most_links" if is_machine else PERSON}


def test_a_person_who_clicks_later_than_the_scanner_is_a_person() -> None:
    scanner = [clicked(f"/{n}", 2 + n / 10) for n in range(5)]
    person = clicked("/1", 600)
    assert classify(person, scanner, 5) == PERSON
    assert classify_all([*scanner, person], 5) == ["most_links"] * 5 + [PERSON]


def test_opens_do_not_count_among_the_links() -> None:
    assert classify(opened(), [clicked(f"/{n}", 3600) for n in range(5)], 5) == PERSON


@pytest.mark.parametrize("after_s", [-60, 0, 1.4])
def test_speed_alone_decides_nothing(after_s: float) -> None:
    assert alone(clicked(after_s=after_s)) == alone(opened(after_s=after_s)) == PERSON


REQUESTS = st.lists(
    st.builds(
        clicked,
        st.sampled_from(["/a", "/b", "/c", "/d"]),
        st.integers(0, 60),
        st.sampled_from([CHROME, "curl/8", ""]),
    ),
    max_size=8,
)


@given(REQUESTS, st.integers(1, 6), st.randoms(use_true_random=False))
def test_order_and_repetition_change_no_verdict(requests: list[EngagementRow], links: int, random: object) -> None:
    verdicts = dict(zip(requests, classify_all(requests, links), strict=True))
    shuffled = sorted(requests, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert dict(zip(shuffled, classify_all(shuffled, links), strict=True)) == verdicts
    for request, verdict in verdicts.items():
        assert classify(request, [*requests, *requests], links) == verdict


@given(REQUESTS, st.integers(1, 6))
def test_a_verdict_is_settled_once_the_burst_has_passed(requests: list[EngagementRow], links: int) -> None:
    final = classify_all(requests, links)
    for request, verdict in zip(requests, final, strict=True):
        known = [h for h in requests if h.at <= request.at + BURST]
        assert classify(request, known, links) == verdict

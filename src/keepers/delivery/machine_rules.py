"""Tells machines' opens and clicks from people's: pure rules over what was recorded, which may be rerun later.

Privacy proxies load every image whether or not anybody looks, and gateways follow links before delivery. Prefetching
and fetching on behalf of a person differ (wordtothewise.com/2024/08/prefetches-and-proxies): Gmail's image proxy loads
when a person opens, so its opens count. Speed alone decides nothing: mail may be delayed in the record and not on the
way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import Literal

from keepers.store.messages.engagement_requests import EngagementRow

Rule = Literal["", "method", "said", "no_agent", "agent", "apple_privacy", "gmail_prefetch", "most_links"]
"""by what a machine was recognised; empty for a person"""
BURST = timedelta(seconds=10)
"""within which most links of one message are clicked by machines only; before it has passed a click is not settled"""

APPLE_PRIVACY_AGENT = "Mozilla/5.0"
"""all that Apple's Mail Privacy Protection says of itself"""
GMAIL_PREFETCH_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
)
"""what Gmail loads images with ahead of the person, while a session is open"""
_PERSONS_PROXIES = re.compile(r"GoogleImageProxy|YahooMailProxy|via ggpht\.com", re.IGNORECASE)
"""load images when a person opens; they never click"""
_APPLE = tuple(map(ip_network, ("17.0.0.0/8", "2403:300::/32", "2620:149::/32", "2a01:b740::/32")))
"""Apple's own networks. Its partners' egress addresses change often and are not listed here."""

_SCANNERS = (
    "barracuda", "mimecast", "proofpoint", "urldefense", "safelinks", "messagelabs", "symantec", "ironport",
    "ciscosecureemail", "fortiguard", "fortimail", "fortinet", "trend ?micro", r"\btmes\b", "sophos", "fireeye",
    "trellix", "mcafee", "forcepoint", "websense", "cloudmark", r"\bvade", "checkpoint", "check point", "avanan",
    "hornetsecurity", "spamtitan", "spamhaus", "zscaler", "paloalto", "bitdefender", "kaspersky", r"\beset\b",
    "f-secure", "withsecure", "clamav", "virustotal", "urlscan", "phishtank", "netcraft", "google-safety",
    "google-read-aloud", "googleother", "appengine-google", "apis-google", "feedfetcher", "office existence discovery",
    "office protocol discovery", "bingpreview", "skypeuripreview", "facebookexternalhit", "facebookcatalog",
    "meta-external", "whatsapp/", "linkexpanding", "slack-imgproxy", "embedly", "flipboardproxy", "chrome-lighthouse",
    "ia_archiver", "archive\\.org",
)  # fmt: skip
"""gateways, antivirus and previews, which name themselves"""
_PROGRAMS = (
    "python", "curl", "wget", "java", "go-http", "okhttp", "axios", "node", "undici", "got", "ruby", "perl", "php",
    "libwww", "lwp", "apache-http", "httpie", "httpx", "http-?client", "aiohttp", "guzzle", "postman", "insomnia",
    "restsharp", "winhttp", "powershell", "dotnet", "jakarta", "scrapy", "nutch", "urlgrabber", "typhoeus", "faraday",
)  # fmt: skip
"""libraries and tools, at the beginning"""
_WORDS = (
    r"(?<!cu)bots?(?![a-z])", r"bot[/-]", "crawl", "spider", "scann", "slurp", "headless", "phantomjs", "puppeteer",
    "playwright", "selenium", "webdriver", "link ?(?:check|preview|validat|expand)", r"\bpreview", "fetcher",
    "monitoring", "health ?-?check", "archiver", r"https?://", r"[a-z0-9.-]+@[a-z0-9-]+\.[a-z]",
)  # fmt: skip
"""words in the agents of programs; browsers name no web or mail address. CUBOT makes telephones."""
_MACHINES = re.compile("|".join([*_SCANNERS, *_WORDS, rf"^(?:{'|'.join(_PROGRAMS)})\b"]), re.IGNORECASE)
_ONLY_CLICKS = re.compile(r"ms-?office|microsoft office", re.IGNORECASE)
"""Outlook shows images itself, a person's open; links it hands to a browser, so a click by Office is its own check"""


def known_network(ip: str) -> str:
    """`apple` for an address of Apple's own, else empty; stored with the request when the address is not."""
    try:
        address = ip_address(ip)
    except ValueError:
        return ""
    return "apple" if any(address.version == net.version and address in net for net in _APPLE) else ""


def classify(request: EngagementRow, others: Sequence[EngagementRow], links_in_message: int) -> Rule:
    """The rule by which a machine made a request; empty for a person's.

    `others` are the message's requests known by now, in any order, with or without this one; `links_in_message`
    counts its different links. The same requests always give the same rule; with later ones it may change, for
    clicks within `BURST`.
    """
    return _alone(request) or _among(request, others, links_in_message)


def _alone(request: EngagementRow) -> Rule:
    """What a single request reveals."""
    agent = request.user_agent.strip()
    if request.method.upper() not in ("GET", "POST"):
        return "method"
    if request.is_reported_machine:
        return "said"
    if agent == GMAIL_PREFETCH_AGENT:
        return "gmail_prefetch"
    if not request.is_click:
        if _PERSONS_PROXIES.search(agent):
            return ""
        if agent == APPLE_PRIVACY_AGENT or request.network == "apple":
            return "apple_privacy"
        return "agent" if _MACHINES.search(agent) else ""
    if not agent:
        return "no_agent"
    by_agent = agent == APPLE_PRIVACY_AGENT or _PERSONS_PROXIES.search(agent) or _ONLY_CLICKS.search(agent)
    return "agent" if by_agent or _MACHINES.search(agent) else ""


def _among(request: EngagementRow, others: Sequence[EngagementRow], links_in_message: int) -> Rule:
    """What a click reveals together with others: most links were clicked about the same time."""
    if not request.is_click:
        return ""
    clicked = len(_burst(request, others))
    # Two of three may be a slip of the finger and a second try: most means three or more, or both of two.
    is_enough = clicked >= 3 or clicked == links_in_message == 2
    return "most_links" if is_enough and clicked * 2 > links_in_message else ""


def _burst(request: EngagementRow, others: Sequence[EngagementRow]) -> set[str]:
    """The most different links clicked in any span of `BURST` that holds this click."""
    if not request.is_click:
        return set()
    near = [o for o in (*others, request) if o.is_click and abs(o.at - request.at) <= BURST]
    starts = {o.at for o in near if o.at <= request.at}
    return max(({o.url for o in near if start <= o.at <= start + BURST} for start in starts), key=len, default=set())

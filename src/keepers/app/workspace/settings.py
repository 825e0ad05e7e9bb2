"""`keepers.toml`: the settings of a workspace. Environment variables `KEEPERS_<SECTION>_<NAME>` win over it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import time, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from keepers.model.errors import NotFoundError, UserError, nearest, problem, problem_as_written, shown
from keepers.model.json_text import Limits
from keepers.model.moments import parse_instant, parse_zone

FILE = "keepers.toml"
TEST_CLOCK = "KEEPERS_TEST_CLOCK"
"""environment variable that moves the clock, for tests; in no file, so that no workspace has it by itself"""
TEST_CLOCK_EXAMPLE = "2026-03-02T10:00:00Z@2026-11-26T01:00:00Z"
FREE = ("channels", "providers")
"""sections whose own sections are checked by what they set up"""
_MOST = 2**31 - 1
_MOST_PER_SECOND = 100_000
RANGES: dict[str, tuple[float, float]] = {
    "warehouse.threads": (0, 1024),
    "server.port": (0, 65_535),
    "server.tick_every": (0.05, 3600),
    "server.proxies": (0, 100),
    "server.max_upload_bytes": (1, 2**50),
    "server.longest_jump_days": (1, 3650),
    "server.header_seconds": (1, 600),
    "server.max_header_bytes": (4096, 1_048_576),
    "server.body_seconds": (1, 3600),
    "server.max_connections": (16, 100_000),
    "server.max_connections_per_address": (4, 100_000),
    "collect.max_event_bytes": (1024, 104_857_600),
    "collect.max_batch_bytes": (1024, 104_857_600),
    "collect.max_waiting": (1, 1_000_000),
    "limits.network_per_minute": (0, _MOST),
    "limits.visitor_per_minute": (0, _MOST),
    "limits.key_per_minute": (0, _MOST),
    "limits.forms_per_hour": (0, _MOST),
    "sending.concurrency": (1, 10_000),
    "sending.keep_copies_days": (1, 36_500),
    "bounces.listen_port": (0, 65_535),
    "bounces.imap_port": (1, 65_535),
    "bounces.every": (1, 86_400),
    "audit.keep_days": (1, 36_500),
    # Caps and bounces look back so far.
    "retention.recipients_days": (7, 36_500),
    "retention.messages_days": (60, 36_500),
    "retention.run_history_days": (30, 36_500),
    "retention.events_days": (30, 36_500),
    "retention.rejects_days": (1, 36_500),
}
"""numbers: section and name, least and largest value"""


OR_ZERO = frozenset(place for place in RANGES if place.startswith("retention."))
"""numbers that may be 0 too: kept for good"""


class WorkspaceSettings(Struct, frozen=True, forbid_unknown_fields=True):
    name: str = "My shop"
    """Shown on pages."""
    zone: str = "UTC"
    """IANA time zone of times written without one, and of customers whose own is not known."""


class StoreSettings(Struct, frozen=True, forbid_unknown_fields=True):
    url: str = "data"
    """The operational store: a folder (SQLite) relative to the workspace, or postgresql://user:password@host/db."""


class WarehouseSettings(Struct, frozen=True, forbid_unknown_fields=True):
    path: str = "data/warehouse.duckdb"
    """The warehouse's DuckDB file, relative to the workspace."""
    memory: str = ""
    """DuckDB's memory limit, such as 4GB; empty leaves DuckDB's own (80 % of the machine's)."""
    threads: int = 0
    """DuckDB's threads; 0 is one per core."""


class ServerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    host: str = "127.0.0.1"
    """Address `keepers serve` listens on. Put a TLS proxy in front before opening it to the world."""
    port: int = 8787
    """Port `keepers serve` listens on."""
    tick_every: float = 1.0
    """Seconds between ticks when nothing arrives; what arrives is ticked at once."""
    longest_jump_days: int = 7
    """How many days the clock may be ahead of the last tick, from where nothing shows that time passed. Beyond, ticks
    wait for `keepers tick --allow-jump`: a clock that is wrong must not move everybody into the future."""
    page: Literal["on", "off"] = "on"
    """Whether there is a status page at /. Signing in takes the link that `keepers open` prints, or a secret key that
    may read."""
    proxies: int = 0
    """How many proxies of your own are in front of the server; that many last entries of X-Forwarded-For are used."""
    max_upload_bytes: int = 1_073_741_824
    """Largest file POST /api/v1/imports takes, in bytes."""
    header_seconds: float = 10.0
    """Seconds a client has for the address and header fields of a request; then 408."""
    max_header_bytes: int = 65_536
    """Largest address and header fields of a request, in bytes; past it 431."""
    body_seconds: float = 30.0
    """Seconds a client has for a body, and one more for each 500 bytes; none may be silent longer; then 408."""
    max_connections: int = 1000
    """Most open connections. For a new one beyond, one is closed that keeps the server waiting: of the address with
    most connections the one that does so longest; when all are being answered, the new one gets 503."""
    max_connections_per_address: int = 200
    """The same for each address (IPv6: each /64); not asked with `proxies`, where all have the proxy's."""


class CollectSettings(Struct, frozen=True, forbid_unknown_fields=True):
    max_event_bytes: int = 32_768
    """Largest single event, in bytes."""
    max_batch_bytes: int = 512_000
    """Largest batch, in bytes, after decompression."""
    max_waiting: int = 10_000
    """Requests waiting for the disk before further ones are answered 429."""

    @property
    def limits(self) -> Limits:
        """Limits of event intake; the sequencer applies the same."""
        return Limits(event_bytes=self.max_event_bytes, batch_bytes=self.max_batch_bytes)


class LimitSettings(Struct, frozen=True, forbid_unknown_fields=True):
    network_per_minute: int = 30_000
    """Requests and events, refused ones too, that one network address may send by public keys and to public pages, a
    minute; 1,024 bytes count as an event. IPv6 networks are counted by /64, and each /48 may four times as much. 0 for
    any number, here and below."""
    visitor_per_minute: int = 600
    """Events of one visitor or customer by public keys, a minute. A batch with more of one visitor is answered 413."""
    key_per_minute: int = 600_000
    """Events by one public key, a minute. Past it those networks (IPv6: /48) are refused that sent more than their
    share of it."""
    forms_per_hour: int = 20
    """Subscribe forms from one network address, an hour; counted as above."""


class CompanySettings(Struct, frozen=True, forbid_unknown_fields=True):
    name: str = ""
    """The name messages are signed with; the workspace's name by default."""
    address: str = ""
    """Postal address at the bottom of marketing e-mails, which the law of most countries requires."""
    url: str = ""
    """The shop's own site."""
    link_hosts: tuple[str, ...] = ()
    """Hosts that links, pictures and addresses made of a customer's or an event's data may lead to, as
    ["dhl.com", "cdn.example"], those below them too. The hosts of `url` and of the public address, and whatever a
    template writes out itself, are always allowed."""


class PublicSettings(Struct, frozen=True, forbid_unknown_fields=True):
    url: str = ""
    """Where customers reach this server (https://mail.shop.example): links, preferences and unsubscribing lead there.
    Empty for the address `keepers serve` listens on, which works only for trials on the same machine."""


class SendingSettings(Struct, frozen=True, forbid_unknown_fields=True):
    enabled: bool = True
    """Whether `keepers serve` sends what is queued; `keepers deliver` does it apart."""
    per_second: dict[str, float] = field(default_factory=dict)
    """Most messages a second by channel, as {email = 50}; none given, none kept."""
    concurrency: int = 32
    """Messages of a channel on their way at once, in one worker."""
    locale: str = "en"
    """Locale of customers whose own is not known."""
    keep_copies_days: int = 396
    """How long the exact copy each customer got is kept, in days (13 months)."""


class BounceSettings(Struct, frozen=True, forbid_unknown_fields=True):
    listen_host: str = "127.0.0.1"
    """Address `keepers serve` takes bounces on by SMTP: where the bounce domain's MX, or a mail server, leads."""
    listen_port: int = 0
    """Port of the same, usually 25 or 2525; 0 for none."""
    maildir: str = ""
    """A Maildir that mail to the bounce domain is put into, relative to the workspace."""
    mbox: str = ""
    """An mbox file that mail to the bounce domain is put into, relative to the workspace."""
    imap_host: str = ""
    """An IMAP server with a mailbox for the bounce domain; empty for none."""
    imap_port: int = 993
    """Its port: TLS from the first byte."""
    imap_user: str = ""
    """User name there."""
    imap_password: str = ""
    """Password. Better given as KEEPERS_BOUNCES_IMAP_PASSWORD than in the file."""
    imap_folder: str = "INBOX"
    """The folder that is read."""
    imap_move_to: str = ""
    """A folder what was read is moved to; empty to leave it, marked as seen."""
    imap_ca_file: str = ""
    """Certificates to trust (PEM) in place of the system's, relative to the workspace."""
    every: float = 60.0
    """Seconds between readings of the Maildir, the mbox file and the IMAP folder."""


class AuditSettings(Struct, frozen=True, forbid_unknown_fields=True):
    keep_days: int = 400
    """How long the audit log keeps who changed what, in days."""


class RetentionSettings(Struct, frozen=True, forbid_unknown_fields=True):
    recipients_days: int = 30
    """How long messages keep the plain address they went to, in days after they were decided on: retries and bounces
    need it. Then its keyed hash takes its place, by which links and bounces still work. 0 for good, here and below."""
    messages_days: int = 1095
    """How long messages are kept, with history, opens and clicks (3 years). Reports keep their counts; what a run of a
    customer was sent, and links in older messages, are gone. Copies: sending.keep_copies_days."""
    run_history_days: int = 730
    """How long the steps of ended runs are kept, and what set them off (2 years). Reports keep their counts."""
    events_days: int = 0
    """How long the JSON of events is kept, as it was sent. Stages, segments, typed tables and traits made of it stay;
    `rebuild` and properties without a column of their own reach back only so far."""
    rejects_days: int = 30
    """How long rejected rows of imports and mail that was set aside are kept."""


class UpkeepSettings(Struct, frozen=True, forbid_unknown_fields=True):
    at: str = "03:40"
    """When `keepers serve` does the day's upkeep, in the workspace's zone: an hour at which little happens."""


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    workspace: WorkspaceSettings = field(default_factory=WorkspaceSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    server: ServerSettings = field(default_factory=ServerSettings)
    collect: CollectSettings = field(default_factory=CollectSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    company: CompanySettings = field(default_factory=CompanySettings)
    public: PublicSettings = field(default_factory=PublicSettings)
    sending: SendingSettings = field(default_factory=SendingSettings)
    bounces: BounceSettings = field(default_factory=BounceSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    upkeep: UpkeepSettings = field(default_factory=UpkeepSettings)
    channels: dict[str, dict[str, Any]] = field(default_factory=dict)
    """`[channels.email]` and so on: read by each channel's own settings"""
    providers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """`[providers.ses]` and so on: how each provider's webhook is known to be theirs"""


def sections() -> dict[str, type[Struct]]:
    """Section name → its struct, for the reference."""
    return {f.name: f.type for f in msgspec.structs.fields(Settings) if f.name not in FREE}


def load_settings(folder: Path, environment: Mapping[str, str]) -> Settings:
    """Reads `keepers.toml` of a workspace. Raises NotFoundError without one and UserError for a wrong value."""
    path = folder / FILE
    if not path.is_file():
        raise NotFoundError(
            problem(
                "There is no workspace at {folder} (no {file}). Make one with `keepers init {folder}`, or "
                "name another with -w or KEEPERS_WORKSPACE.",
                folder=folder,
                file=FILE,
            )
        )
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(
            problem("{path} is not readable TOML: {error}.", path=path, error=error), code="settings"
        ) from None
    _check_names(data, path)
    for section, values in environment_settings(environment).items():
        held = data.setdefault(section, {})
        for name, value in values.items():
            held[name] = held.get(name, {}) | value if section in FREE else value
    try:
        settings = msgspec.convert(data, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise UserError(problem_as_written(f"{path}: {error}."), code="settings") from None
    parse_zone(settings.workspace.zone)
    for place, (least, most) in RANGES.items():
        section, _, name = place.partition(".")
        value = getattr(getattr(settings, section), name)
        if least <= value <= most or (value == 0 and place in OR_ZERO):
            continue
        if place in OR_ZERO:
            wrong = problem(
                "{path}: {place} is {value:,}; it must lie between {least:,} and {most:,}, or be 0.",
                path=path,
                place=place,
                value=value,
                least=least,
                most=most,
            )
        else:
            wrong = problem(
                "{path}: {place} is {value:,}; it must lie between {least:,} and {most:,}.",
                path=path,
                place=place,
                value=value,
                least=least,
                most=most,
            )
        raise UserError(wrong, code="settings")
    for channel, rate in settings.sending.per_second.items():
        if not 0 <= rate <= _MOST_PER_SECOND:
            raise UserError(
                problem(
                    "{path}: sending.per_second of {channel} is {rate:,}; it must lie between 0 and {most:,}.",
                    path=path,
                    channel=shown(channel),
                    rate=rate,
                    most=_MOST_PER_SECOND,
                ),
                code="settings",
            )
    try:
        time.fromisoformat(settings.upkeep.at)
    except ValueError:
        raise UserError(
            problem("{path}: upkeep.at must be a time of day such as 03:40.", path=path),
            code="settings",
        ) from None
    return settings


def parse_test_clock(text: str) -> timedelta:
    """How far `INSTANT@REAL` moves the clock: it shows INSTANT when it really is REAL, and runs on from there.

    Both are ISO 8601; processes with the same value agree on the time. Raises UserError when it cannot be read.
    """
    shown, mark, real = text.partition("@")
    try:
        if not mark:
            raise UserError(problem("There is no “@” in it."))
        return parse_instant(shown) - parse_instant(real)
    except UserError as error:
        raise UserError(
            problem(
                "{variable} is “{text}”. {error} Write what the clock shows, @, and when it really is so: "
                "{example}. Outside tests leave the variable out.",
                variable=TEST_CLOCK,
                text=text,
                error=error.message,
                example=TEST_CLOCK_EXAMPLE,
            ),
            code="settings",
        ) from None


def environment_settings(environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Section → what environment variables say of it, as `keepers.toml` would have it.

    `KEEPERS_CHANNELS_EMAIL_PASSWORD` and the like: their names are checked by the channel or provider itself.
    """
    found: dict[str, dict[str, Any]] = {}
    for section, struct in sections().items():
        for one in msgspec.structs.fields(struct):
            value = environment.get(f"KEEPERS_{section.upper()}_{one.name.upper()}")
            if value is not None:
                found.setdefault(section, {})[one.name] = value
    for name, value in environment.items():
        section, _, rest = name.removeprefix("KEEPERS_").lower().partition("_")
        if name.startswith("KEEPERS_") and section in FREE:
            from keepers.channels.registry import CHANNELS  # every channel is loaded by it, and few are set up here

            which = next((c for c in CHANNELS if rest.startswith(f"{c}_")), rest.partition("_")[0])
            found.setdefault(section, {}).setdefault(which, {})[rest.removeprefix(f"{which}_")] = value
    return found


def _check_names(data: dict[str, Any], path: Path) -> None:
    known = sections()
    for section, values in data.items():
        if section in FREE:
            continue
        if section not in known:
            raise UserError(
                problem(
                    "{path}: there is no section [{section}].",
                    near=nearest(section, [*known, *FREE]),
                    path=path,
                    section=section,
                ),
                code="settings",
            )
        names = [f.name for f in msgspec.structs.fields(known[section])]
        for name in values if isinstance(values, dict) else ():
            if name not in names:
                raise UserError(
                    problem(
                        "{path}: [{section}] has no “{name}”.",
                        near=nearest(name, names),
                        path=path,
                        section=section,
                        name=name,
                    ),
                    code="settings",
                )


def initial_toml(name: str, zone: str) -> str:
    """The file `keepers init` writes: what is usually changed, and where to find the rest."""
    return (
        "# A Keepers workspace. Every setting is described in docs/reference/settings.md.\n"
        f"[workspace]\nname = {msgspec.json.encode(name).decode()}\nzone = {msgspec.json.encode(zone).decode()}\n"
    )


def with_store(text: str, url: str) -> str:
    """A `keepers.toml` whose store is at `url`, otherwise as it was.

    Raises UserError where its section [store] is not written plainly.
    """
    line = f"url = {msgspec.json.encode(url).decode()}"
    lines = text.splitlines()
    begins = next((n for n, one in enumerate(lines) if one.strip() == "[store]"), len(lines))
    if begins == len(lines):
        lines += ["", "[store]"]
        begins += 1
    ends = next((n for n in range(begins + 1, len(lines)) if lines[n].startswith("[")), len(lines))
    kept = [one for one in lines[begins + 1 : ends] if one.partition("=")[0].strip() != "url"]
    made = "\n".join([*lines[: begins + 1], line, *kept, *lines[ends:]]) + "\n"
    try:
        is_there = tomllib.loads(made)["store"]["url"] == url
    except (tomllib.TOMLDecodeError, KeyError, TypeError):
        is_there = False
    if not is_there:
        raise UserError(
            problem(
                "The store's address could not be written into {file}. Write its section [store] with a line of its "
                "own for url.",
                file=FILE,
            ),
            code="settings",
        )
    return made

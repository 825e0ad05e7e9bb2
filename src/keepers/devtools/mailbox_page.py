"""The mailbox's page: what arrived, searched and read, without scripts; a mail's HTML is shut into a sandbox."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, quote, urlsplit

from keepers.devtools.mailbox_folder import MailboxFolder, Received
from keepers.model.errors import UserError

_PER_PAGE = 50
_VIEWS = {"html": "HTML", "text": "Text", "headers": "Headers", "raw": "Raw"}
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'; base-uri 'none'"
_MAIL_POLICY = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#667085;--line:#e4e7ec;--back:#f6f7f9;--card:#fff;--accent:#2f6f5e}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#98a2b3;--line:#2c3440;--back:#12161c;--card:#1a2029;
--accent:#6fc2a9}}
*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
header{display:flex;flex-wrap:wrap;gap:12px 20px;align-items:center;padding:18px 24px;
border-bottom:1px solid var(--line);background:var(--card)}
h1{font-size:18px;margin:0}h1 a{color:inherit;text-decoration:none}
header span{color:var(--soft)}form{margin-left:auto;display:flex;gap:8px}
input{font:inherit;padding:7px 12px;border:1px solid var(--line);border-radius:8px;background:var(--back);color:inherit;
width:min(300px,60vw)}button{font:inherit;padding:7px 14px;border:0;border-radius:8px;background:var(--accent);
color:#fff;cursor:pointer}@media(prefers-color-scheme:dark){button{color:#10231d}}
main{max-width:1100px;margin:24px auto;padding:0 16px}.card{background:var(--card);border:1px solid var(--line);
border-radius:12px;overflow:hidden}.scroll{overflow-x:auto}
table{width:100%;border-collapse:collapse}th{text-align:left;font-weight:500;color:var(--soft);font-size:13px}
th,td{padding:10px 16px;border-bottom:1px solid var(--line);vertical-align:top}tr:last-child td{border-bottom:0}
tbody tr:hover{background:var(--back)}td.time{white-space:nowrap;color:var(--soft);font-variant-numeric:tabular-nums}
td{overflow-wrap:anywhere}td a{color:inherit;text-decoration:none;font-weight:600}td a:hover{text-decoration:underline}
.empty{padding:60px 24px;text-align:center;color:var(--soft)}nav{display:flex;gap:6px;padding:12px 16px;flex-wrap:wrap;
border-bottom:1px solid var(--line)}nav a{padding:6px 14px;border-radius:8px;color:inherit;text-decoration:none}
nav a[aria-current]{background:var(--accent);color:#fff}nav .right{margin-left:auto}
@media(prefers-color-scheme:dark){nav a[aria-current]{color:#10231d}}
a:focus-visible,button:focus-visible,input:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 16px;margin:0;padding:16px 20px;
border-bottom:1px solid var(--line)}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
h2{margin:0;padding:18px 20px 0;font-size:20px;overflow-wrap:anywhere}
pre{margin:0;padding:20px;white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.55 ui-monospace,monospace}
iframe{display:block;width:100%;height:75vh;border:0;background:#fff}.pages{display:flex;gap:16px;
justify-content:center;padding:18px}.pages a,.note a{color:var(--accent)}.note{padding:10px 20px;color:var(--soft);
font-size:13px;margin:0}
@media(max-width:720px){thead{display:none}tr,td{display:block}tr{padding:10px 0;border-bottom:1px solid var(--line)}
td{border:0;padding:1px 16px}form{margin-left:0;width:100%}input{flex:1;width:auto}}
"""


class MailboxPage:
    """Serves the page in a thread of its own."""

    def __init__(self, folder: MailboxFolder, host: str, port: int) -> None:
        """Port 0 takes a free one."""
        self._folder = folder
        self._host = host
        self._port = port
        self._server: ThreadingHTTPServer | None = None
        self._thread: Thread | None = None

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/"

    def start(self) -> None:
        """Raises UserError when the port cannot be opened."""
        folder = self._folder

        class Handler(_Handler):
            mails = folder

        try:
            self._server = ThreadingHTTPServer((self._host, self._port), Handler)
        except OSError as error:
            raise UserError(f"No page can be served on {self._host}:{self._port}: {error}.", code="settings") from None
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), name="mailbox page", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._server and self._thread:
            self._server.shutdown()
            self._thread.join(20)
            self._server.server_close()
            self._server = self._thread = None


class _Handler(BaseHTTPRequestHandler):
    mails: MailboxFolder
    server_version = "Keepers"
    sys_version = ""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/":
            self._respond(_list(self.mails, query))
            return
        match = re.fullmatch(r"/(\d{1,12})(/html|/raw)?", parts.path)
        mail = self.mails.message(int(match.group(1))) if match else None
        if match is None or mail is None:
            self._respond(_page("Not here", '<p class="card empty">There is no such message.</p>'), status=404)
            return
        data = self.mails.path(mail.id).read_bytes()
        if match.group(2) == "/raw":
            self._respond_bytes(data, "text/plain; charset=utf-8", _PAGE_POLICY)
        elif match.group(2) == "/html":
            images = "; img-src http: https: data:" if query.get("images") else "; img-src data:"
            self._respond_bytes(_html_of(data).encode(), "text/html; charset=utf-8", _MAIL_POLICY + images)
        else:
            self._respond(_message(mail, data, query))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Requests are not logged, to keep the terminal clear."""

    def _respond(self, text: str, status: int = 200) -> None:
        self._respond_bytes(text.encode(), "text/html; charset=utf-8", _PAGE_POLICY, status)

    def _respond_bytes(self, data: bytes, kind: str, content_policy: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Security-Policy", content_policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(data)


def _page(title: str, body: str, search: str = "", remark: str = "") -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} · Keepers mailbox</title><style>{_STYLE}</style></head><body>"
        f'<header><h1><a href="/">Keepers mailbox</a></h1><span>{escape(remark)}</span>'
        f'<form action="/" role="search"><input type="search" name="q" value="{escape(search)}" '
        'aria-label="Search sender, recipient, subject" placeholder="Sender, recipient, subject">'
        f"<button>Search</button></form></header><main>{body}</main></body></html>"
    )


def _list(mails: MailboxFolder, query: dict[str, str]) -> str:
    search = query.get("q", "")[:200]
    number = int(query["page"]) if re.fullmatch(r"\d{1,6}", query.get("page", "")) else 1
    number = max(number, 1)
    count = mails.count(search)
    found = mails.messages(search, limit=_PER_PAGE, offset=(number - 1) * _PER_PAGE)
    remark = f"{count:,} {'message' if count == 1 else 'messages'}" + (" found" if search else "")
    if not found:
        words = "Nothing matches." if search else "Nothing has arrived yet. Reload after something was sent."
        return _page("Messages", f'<p class="card empty">{words}</p>', search, remark)
    rows = "".join(
        f'<tr><td class="time">{m.at:%Y-%m-%d %H:%M:%S}</td><td>{escape(m.sender)}</td><td>{escape(m.recipient)}</td>'
        f'<td><a href="/{m.id}">{escape(m.subject) or "(no subject)"}</a></td></tr>'
        for m in found
    )
    table = (
        '<div class="card scroll"><table><thead><tr><th scope="col">Time (UTC)</th><th scope="col">From</th>'
        f'<th scope="col">To</th><th scope="col">Subject</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )
    return _page("Messages", table + _pages(search, number, count), search, remark)


def _pages(search: str, number: int, count: int) -> str:
    base = f"/?q={quote(search)}&amp;page=" if search else "/?page="
    links = []
    if number > 1:
        links.append(f'<a href="{base}{number - 1}" rel="prev">Newer</a>')
    if number * _PER_PAGE < count:
        links.append(f'<a href="{base}{number + 1}" rel="next">Older</a>')
    return f'<div class="pages">{"".join(links)}</div>' if links else ""


def _message(mail: Received, data: bytes, query: dict[str, str]) -> str:
    message = _parsed(data)
    html, text = _body_of(message, "html"), _body_of(message, "plain")
    view = query.get("view", "")
    if view not in _VIEWS or (view == "html" and not html):
        view = "html" if html else "text"
    tabs = "".join(
        f'<a href="/{mail.id}?view={name}"{" aria-current=page" if name == view else ""}>{label}</a>'
        for name, label in _VIEWS.items()
        if name != "html" or html
    )
    images = bool(query.get("images"))
    if view == "html":
        shown = (
            f'<iframe sandbox="allow-popups allow-popups-to-escape-sandbox" title="The message" '
            f'src="/{mail.id}/html{"?images=1" if images else ""}"></iframe>'
        )
        if not images:
            shown = (
                '<p class="note">Remote images are not loaded: they would count as an open. '
                f'<a href="/{mail.id}?images=1">Load them</a></p>{shown}'
            )
    elif view == "text":
        shown = f"<pre>{escape(text) or '(no text part)'}</pre>"
    else:
        raw = data.partition(b"\r\n\r\n")[0] if view == "headers" else data
        shown = f"<pre>{escape(raw.decode('utf-8', 'replace'))}</pre>"
    facts = (
        ("From", mail.sender),
        ("To", mail.recipient),
        ("Return path", mail.return_path),
        ("Arrived", f"{mail.at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Size", f"{mail.size:,} bytes"),
        *(("Attachment", name) for name in _attachments(message)),
    )
    entries = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts if value)
    card = (
        f'<article class="card"><h2>{escape(mail.subject) or "(no subject)"}</h2><dl>{entries}</dl>'
        f'<nav aria-label="View">{tabs}<a class="right" href="/{mail.id}/raw">As a file</a></nav>{shown}</article>'
    )
    return _page(mail.subject or "Message", card)


def _parsed(data: bytes) -> EmailMessage:
    message = message_from_bytes(data, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def _body_of(message: EmailMessage, kind: str) -> str:
    try:
        part = message.get_body((kind,))
        return str(part.get_content()) if part else ""
    except (LookupError, ValueError, KeyError, AttributeError):
        return ""


def _attachments(message: EmailMessage) -> list[str]:
    try:
        return [part.get_filename() or part.get_content_type() for part in message.iter_attachments()]
    except (LookupError, ValueError, KeyError, AttributeError):
        return []


def _html_of(data: bytes) -> str:
    """The HTML part, its links opening in a tab of their own, because the sandbox cannot leave the frame."""
    html = _body_of(_parsed(data), "html")
    with_base, found = re.subn(r"(<head\b[^<>]*>)", r'\1<base target="_blank">', html, count=1, flags=re.I)
    return with_base if found else html

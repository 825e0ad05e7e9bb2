"""The texts mail servers really use, by the reason that they state."""

from __future__ import annotations

import re

from keepers.channels.email.reply_codes import Reason


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


# In this order: reasons about the sender or the moment come before those that suppress the address, because a wrong
# suppression loses a customer, while a wrong address bounces again.
WORDS: tuple[tuple[Reason, re.Pattern[str]], ...] = (
    (
        "system",
        _words(
            r"child process of|transport returned|command (?:died|failed|returned)|exit (?:status|code)\b",
            r"no such file|pipe to \||\bexecvp?e?\b",
            r"(?:could|can)(?:n't| ?not) (?:create|open|lock|write|append|execute|run|chdir)\b|\block file\b",
            r"(?:procmail|maildrop|local delivery|pipe)\b.{0,80}(?:fail|error|deni|timeout)",
        ),
    ),
    (
        "full",
        _words(
            r"(?:mail|in) ?box (?:is |was |has |for )?(?:full|over|exceeded|size limit)",
            r"(?:over|exceed\w*|beyond|out of) (?:\S+ ){0,5}(?:disk )?quota",
            r"over ?quota",
            r"quota (?:is |has been )?(?:exceed|full|limit|violation|over)",
            r"(?:insufficient|not enough|no|out of) (?:\S+ )?(?:storage|disk space|space left)",
            r"exceed\w* (?:\S+ ){0,3}(?:storage|mailbox|disk)",
            r"(?:storage|mailbox) (?:size )?(?:limit|quota|allocation)",
            r"mailfolder is full|mail file has reached|user is out of space|too much mail data",
            r"postfach (?:ist )?(?:voll|überfüllt)|bo[iî]te (?:aux lettres )?(?:est )?pleine|casella (?:è |e' )?piena",
            r"skrzynka (?:jest )?(?:pełna|przepełniona)|ящик (?:получателя )?(?:переполнен|заполнен)|buz[oó]n lleno",
            r"邮箱(?:已满|空间不足)|メールボックス.{0,10}(?:一杯|いっぱい)",
        ),
    ),
    (
        "too_big",
        _words(
            r"message (?:size |length )(?:\S+ ){0,2}(?:exceed|too)",
            r"(?:message|mail|email) (?:is )?too (?:big|large|long)",
            r"exceeds (?:\S+ ){0,3}(?:maximum|fixed|administrative|size)",
            r"maximum (?:message|allowed) size",
        ),
    ),
    (
        "authentication",
        _words(
            r"\bspf\b",
            r"\bdkim\b",
            r"\bdmarc\b",
            r"(?:ptr|reverse dns|rdns|reverse (?:hostname|lookup|mapping|address))",
            r"unauthenticated|authentication[- ]required|sender address verif|sender verify failed",
            r"cannot find your (?:reverse )?hostname|can't find valid mx for sender",
            r"domain of sender address .{0,80}(?:not exist|not resolve)",
            r"(?:sender|from)\S* .{0,40}(?:domain (?:is invalid|not found|does not exist)|not a valid domain)",
            r"unresolvable (?:sender|address)|purported responsible|after mail from:",
        ),
    ),
    (
        "spam",
        _words(
            r"\bspam(?!haus|cop)|\bjunk|\buce\b|bulk mail|unsolicited|content (?:filter|reject|restriction)",
            r"mail rejete|als spam|uznana za spam|признано спамом|垃圾邮件|content denied",
            r"\bvirus|malware|phish|trojan|infected",
        ),
    ),
    (
        "blocked",
        _words(
            r"block(?:ed|list| list)|blacklist|black list|\brbl\b|dnsbl|spamhaus|reputation|banned",
            r"client host .{0,60}(?:rejected|refused)|access (?:denied|from ip)|no access from mail server",
            r"ip (?:address )?.{0,40}(?:refused|rejected|not allowed|dynamic)|dynamic ip|open relay",
            r"(?:use|using) (?:the )?(?:smtp|mail) (?:server|relay) of your isp",
            r"sender (?:address )?(?:rejected|denied|blocked)|from (?:address|domain) .{0,30}(?:rejected|denied)",
            r"(?:poor|bad) reputation|administrative prohibition|only accepts? mail from|not accept\w* (?:mail )?from",
        ),
    ),
    (
        "policy",
        _words(r"not permitted|prohibited|polic(?:y|ies)|security|restricted|not authori[sz]ed|unauthori[sz]ed"),
    ),
    (
        "rate",
        _words(
            r"too many (?:\S+ ){0,3}(?:connection|session|message|recipient|concurrent|mails|error|invalid|hop)",
            r"(?:rate|connection|message) (?:limit|frequency)|throttl|greylist|graylist|grey-list|try again later",
            r"exceeded (?:\S+ ){0,4}(?:per (?:minute|hour|day)|rate)|resources? temporarily|slow down",
        ),
    ),
    (
        "inactive",
        _words(
            r"(?:account|mailbox|user|recipient|address)\S* (?:\S+ ){0,5}(?:disabled|suspended|inactive|deactivated)",
            r"(?:disabled|suspended|inactive|deactivated) (?:user|account|mailbox|recipient)",
            r"(?:account|mailbox) (?:\S+ ){0,3}(?:locked|expired|frozen|on hold)|temporarily (?:disabled|suspended)",
        ),
    ),
    (
        "relay",
        _words(r"relay(?:ing)? (?:\S+ )?(?:denied|prohibited|not|access)|unable to relay|not .{0,30}\brelay"),
    ),
    (
        "no_mail",
        _words(
            r"(?:does|do|did|will|is|are)(?: not|n't) (?:\S+ )?accept(?:ing)? (?:any |network |e?)?(?:mail|messages)",
            r"not accepting network messages|null ?mx|no mail exchanger|nullmx",
            r"no mx (?:record|host)|name service error .{0,80}type=mx|mx .{0,40}points? to",
        ),
    ),
    ("network", _words(r"(?:not found|look-?up|resolv\w*|\bdns|\bmx)\b.{0,60}\b(?:try again|temporar)")),
    (
        "unknown_host",
        _words(
            r"(?:host|domain|server)(?: name)?(?: \S+)? (?:is )?(?:not found|unknown|not known)",
            r"(?:unknown|no such|invalid|bad|illegal|unrouteable|unroutable|nonexistent) (?:mail )?(?:host|domain)",
            r"domain (?:\S+ )?(?:does not|doesn't|not) exist|domain must resolve|no route to (?:host )?domain",
            r"(?:name or domain|domain name|hostname)\S* (?:\S+ ){0,3}(?:not found|invalid|could not)",
            r"name or service not known|nxdomain|no dns data|couldn't find any host|cannot find (?:\S+ )?domain",
            r"unrouteable (?:mail )?(?:address|domain)|all relevant mx records point to non-existent",
            r"domain is not reachable|host or domain name not found",
            r"address\S* (?:\S+ )?domain not found|dns (?:lookup failure|error)",
        ),
    ),
    (
        "moved",
        _words(
            r"(?:user|account|mailbox|recipient|address)(?: \S+)? (?:has |have )?(?:moved|been changed|changed to)",
            r"has been replaced by|no longer (?:here|on server)|left the (?:company|organi[sz]ation)",
        ),
    ),
    (
        "unknown_user",
        _words(
            r"(?:no|unknown|invalid|bad|illegal|unrecogni[sz]ed) (?:such )?(?:local |e?-?mail |rcpt )?"
            r"(?:user|recipient|mailbox|address|account|person|alias|addressee|customer)",
            r"(?:user|recipient|mailbox|address|account|alias|addressee|person)(?: name)?(?: \S+){0,3}? "
            r"(?:is )?(?:unknown|not found|invalid|unavailable|not (?:valid|known|listed|recogni[sz]ed|here|local|a "
            r"|exist|available))",
            r"(?:do|does|did)(?: not|n't) (?:exist|have (?:a|an) .{0,40}(?:account|mailbox))",
            r"(?:user|recipient|mailbox|address|account)\S* .{0,60}(?:does|do|did)(?:n't| not) exist",
            r"not (?:a )?(?:known|registered|valid|existing) (?:user|recipient|mailbox|address|gateway user|account)",
            r"no (?:mailbox|one|such|user|account|valid recipient)\b|unknown (?:\S+ )?user",
            r"nobody (?:here )?by that name",
            r"(?:mailbox|recipient|user)(?:notfound| not found|unknown)|isn't (?:a )?\S*known|not our customer",
            r"recipient (?:name )?(?:\S+ )?(?:is )?not recogni[sz]ed|not listed in|doesn't have an? \S+ account",
            r"(?:undeliverable|unknown|invalid|deleted|terminated|discontinued|closed) (?:address|account|mailbox)",
            r"(?:account|mailbox|user) (?:\S+ ){0,3}(?:deleted|terminated|discontinued|closed|removed)",
            r"(?:empfänger|benutzer|adresse) (?:ist )?(?:unbekannt|existiert nicht)",
            r"unbekannte[rs]? (?:empfänger|benutzer|adresse)",
            r"(?:adresse|destinataire|utilisateur)\b.{0,40}(?:inconnue?|invalide|n'existe pas)",
            r"(?:utente|destinatario|indirizzo|casella) (?:sconosciut|inesistent|non (?:esist|valid))",
            r"(?:brak|nie ma) takiego (?:u[zż]ytkownika|konta|adresu)|nieznany (?:u[zż]ytkownik|odbiorca|adres)",
            r"(?:нет такого|неизвестный) (?:пользовател|получател|адрес)|пользователь не (?:найден|существует)",
            r"(?:usuario|destinatario|buz[oó]n) (?:desconocido|inexistente|no existe)",
            r"(?:用户|收件人|邮箱)(?:地址)?不存在|宛先不明|存在しません",
        ),
    ),
    (
        "expired",
        _words(
            r"(?:message|delivery|retry|queue|lifetime|time)(?: \S+){0,4} (?:expired|timed? ?out|timeout|too long)",
            r"(?:exceeded|been in) (?:the )?queue|undeliverable for|unable to deliver .{0,60}(?:minutes|hours|days)",
            r"(?:giving|gave) up|not (?:yet )?been delivered|could not be delivered for|delay(?:ed)?\b.{0,40}hours",
        ),
    ),
    (
        "network",
        _words(
            r"connection (?:\S+ )?(?:refused|reset|timed out|dropped|lost|closed|failed|died|frequency)",
            r"(?:could not|couldn't|cannot|can't|unable to|wasn't able to) (?:\S+ ){0,2}(?:connect|establish|reach)",
            r"timed out|timeout|routing loop|mail loop|loops? back to|hop count|too many hops|network (?:is )?unreach",
            r"no route to host|temporary (?:lookup )?failure|host .{0,60}not respond|no answer from host",
        ),
    ),
)
VAGUE: tuple[tuple[Reason, re.Pattern[str]], ...] = (
    ("filtered", _words(r"recipient (?:address )?(?:rejected|refused)|user (?:reject|refuse)|whitelist|white list")),
    (
        "system",
        _words(r"(?:system|configuration|internal|local|software|server) (?:\S+ )?error|resources|mail server is down"),
    ),
)
"""what is read only where the status code says nothing"""

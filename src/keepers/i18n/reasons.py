"""What every reason code means, in the languages of the interface: policy's, delivery's, entries' and runs'."""

from __future__ import annotations

from keepers.i18n.locales import LOCALES

Words = tuple[str, str, str, str, str]
"""in the order of LOCALES: English, Russian, Polish, Chinese, Italian"""

REASONS: dict[str, Words] = {
    # Policy: why a message does not go, or not yet.
    "no_address": (
        "there is no address on this channel",
        "нет адреса в этом канале",
        "brak adresu w tym kanale",
        "客户在该渠道没有地址",
        "non c’è un indirizzo su questo canale",
    ),
    "no_consent": (
        "the customer has not agreed to this topic",
        "клиент не давал согласия на эту тему",
        "klient nie wyraził zgody na ten temat",
        "客户未同意接收此主题",
        "il cliente non ha acconsentito a questo argomento",
    ),
    "consent_pending": (
        "the second yes of the double opt-in is missing",
        "подписка ещё не подтверждена",
        "zapis nie został jeszcze potwierdzony",
        "双重确认尚未完成",
        "manca la conferma dell’iscrizione",
    ),
    "unsubscribed": (
        "the customer has unsubscribed",
        "клиент отписался",
        "klient wypisał się",
        "客户已退订",
        "il cliente si è disiscritto",
    ),
    "suppressed.hard_bounce": (
        "the address does not work (hard bounce)",
        "адрес не существует (жёсткий возврат)",
        "adres nie działa (trwały zwrot)",
        "地址无效（硬退信）",
        "l’indirizzo non funziona (rimbalzo definitivo)",
    ),
    "suppressed.soft_bounces": (
        "the address refused mail too often",
        "адрес слишком часто возвращал письма",
        "adres zbyt często odrzucał wiadomości",
        "该地址多次拒收",
        "l’indirizzo ha rifiutato messaggi troppe volte",
    ),
    "suppressed.complaint": (
        "a message to this address was called spam",
        "сообщение на этот адрес отметили как спам",
        "wiadomość na ten adres oznaczono jako spam",
        "此地址曾将来信标为垃圾邮件",
        "un messaggio a questo indirizzo è stato segnalato come spam",
    ),
    "suppressed.unsubscribed": (
        "the address was unsubscribed from everything",
        "адрес отписан от всего",
        "adres wypisano ze wszystkiego",
        "该地址已全部退订",
        "l’indirizzo è disiscritto da tutto",
    ),
    "suppressed.manual": (
        "the address was suppressed by hand",
        "адрес заблокирован вручную",
        "adres zablokowano ręcznie",
        "该地址已被人工屏蔽",
        "l’indirizzo è stato bloccato a mano",
    ),
    "suppressed.import": (
        "the address was on an imported suppression list",
        "адрес в импортированном стоп-листе",
        "adres był na zaimportowanej liście blokad",
        "该地址在导入的屏蔽名单中",
        "l’indirizzo era in una lista di blocco importata",
    ),
    "suppressed.erased": (
        "the person asked to be erased",
        "человек попросил удалить его данные",
        "osoba poprosiła o usunięcie danych",
        "该客户已要求删除数据",
        "la persona ha chiesto la cancellazione",
    ),
    "sunset": (
        "the customer has shown no interest for too long",
        "клиент слишком долго не проявлял интереса",
        "klient zbyt długo nie okazywał zainteresowania",
        "客户太久没有互动",
        "il cliente non mostra interesse da troppo tempo",
    ),
    "brake.complaints": (
        "sending is braked: too many complaints",
        "отправка остановлена: слишком много жалоб",
        "wysyłkę wstrzymano: zbyt wiele skarg",
        "发送已刹停：投诉过多",
        "invio frenato: troppi reclami",
    ),
    "brake.hard_bounces": (
        "sending is braked: too many addresses do not work",
        "отправка остановлена: слишком много неверных адресов",
        "wysyłkę wstrzymano: zbyt wiele błędnych adresów",
        "发送已刹停：无效地址过多",
        "invio frenato: troppi indirizzi non validi",
    ),
    "cap": (
        "the limit of messages is reached ({0})",
        "достигнут лимит сообщений ({0})",
        "osiągnięto limit wiadomości ({0})",
        "已达到消息上限（{0}）",
        "è raggiunto il limite di messaggi ({0})",
    ),
    "quiet_hours": (
        "it is quiet hours where the customer is",
        "у клиента сейчас тихие часы",
        "u klienta trwa cisza",
        "客户当地正处于免打扰时段",
        "dal cliente sono ore di silenzio",
    ),
    "kill_switch": (
        "all sending is stopped",
        "вся отправка остановлена",
        "cała wysyłka jest wstrzymana",
        "所有发送已停止",
        "tutti gli invii sono fermi",
    ),
    "warm_up": (
        "the sending domain is warming up; today’s number is reached",
        "домен прогревается; дневной лимит исчерпан",
        "domena się rozgrzewa; dzienny limit wyczerpany",
        "发信域名预热中，今日额度已满",
        "il dominio è in riscaldamento; il numero di oggi è raggiunto",
    ),
    "expired": (
        "it would have come too late",
        "оно пришло бы слишком поздно",
        "dotarłaby zbyt późno",
        "已过有效期",
        "sarebbe arrivato troppo tardi",
    ),
    "exited": (
        "the customer had left the journey",
        "клиент уже вышел из сценария",
        "klient opuścił już ścieżkę",
        "客户已离开旅程",
        "il cliente aveva lasciato il percorso",
    ),
    # Delivery: what became of it.
    "no_coupon": (
        "no coupon code was left for the customer",
        "для клиента не осталось промокода",
        "zabrakło kodu rabatowego",
        "没有可用的优惠码",
        "non restava un codice per il cliente",
    ),
    "no_template": (
        "the message is no longer in the playbook",
        "сообщения больше нет в плейбуке",
        "wiadomości nie ma już w playbooku",
        "该消息已不在方案中",
        "il messaggio non è più nel playbook",
    ),
    "no_channel": (
        "the channel is not set up",
        "канал не настроен",
        "kanał nie jest skonfigurowany",
        "渠道未配置",
        "il canale non è configurato",
    ),
    "no_subscription": (
        "no browser takes notifications",
        "ни один браузер не принимает уведомления",
        "żadna przeglądarka nie przyjmuje powiadomień",
        "没有接受推送的浏览器",
        "nessun browser accetta notifiche",
    ),
    "render": (
        "the text could not be made",
        "не удалось составить текст",
        "nie udało się przygotować treści",
        "正文无法生成",
        "non è stato possibile comporre il testo",
    ),
    "hard": (
        "the address does not work",
        "адрес не существует",
        "adres nie działa",
        "地址无效",
        "l’indirizzo non funziona",
    ),
    "soft": (
        "refused for the moment",
        "временно отклонено",
        "chwilowo odrzucono",
        "暂时被拒收",
        "rifiutato per il momento",
    ),
    "deferred": (
        "the other side asked to try later",
        "принимающая сторона просит повторить позже",
        "druga strona prosi o ponowienie",
        "对方要求稍后再试",
        "l’altra parte chiede di riprovare",
    ),
    "refused": (
        "the other side refused it",
        "принимающая сторона отказала",
        "druga strona odmówiła",
        "对方拒收",
        "l’altra parte l’ha rifiutato",
    ),
    "unreachable": (
        "the other side could not be reached",
        "принимающая сторона недоступна",
        "druga strona była nieosiągalna",
        "无法连接对方",
        "l’altra parte non era raggiungibile",
    ),
    "invalid_address": (
        "the address is not a valid one",
        "адрес записан неверно",
        "adres jest nieprawidłowy",
        "地址格式无效",
        "l’indirizzo non è valido",
    ),
    "worker_died": (
        "the delivery worker stopped in the middle",
        "процесс отправки прервался",
        "proces wysyłki został przerwany",
        "投递进程中途停止",
        "il processo di invio si è interrotto",
    ),
    "connection_broke": (
        "the connection broke; it may have arrived",
        "связь прервалась; возможно, доставлено",
        "połączenie zerwane; mogła dotrzeć",
        "连接中断，可能已送达",
        "la connessione è caduta; può essere arrivato",
    ),
    "retried": (
        "somebody asked for another attempt",
        "запрошена повторная попытка",
        "poproszono o ponowną próbę",
        "有人要求重试",
        "qualcuno ha chiesto di riprovare",
    ),
    # Entries: why no run began.
    "already_entered": (
        "the customer has been in it, and may enter once",
        "клиент уже был в нём, а вход разрешён один раз",
        "klient już w niej był, a wejść można raz",
        "客户已进入过，只允许一次",
        "il cliente ci è già stato e può entrare una volta",
    ),
    "still_in": (
        "the customer is still in it",
        "клиент ещё находится в нём",
        "klient wciąż w niej jest",
        "客户仍在其中",
        "il cliente è ancora dentro",
    ),
    "too_soon": (
        "the last entry was too recent",
        "с прошлого входа прошло мало времени",
        "od ostatniego wejścia minęło za mało czasu",
        "距上次进入时间太短",
        "l’ultimo ingresso è troppo recente",
    ),
    "too_old": (
        "it became known too late",
        "об этом стало известно слишком поздно",
        "wiadomość o tym przyszła zbyt późno",
        "得知时已太晚",
        "si è saputo troppo tardi",
    ),
    "too_many_hops": (
        "too many journeys and events in a chain",
        "слишком длинная цепочка сценариев и событий",
        "zbyt długi łańcuch ścieżek i zdarzeń",
        "旅程与事件的连锁过长",
        "troppi percorsi ed eventi a catena",
    ),
    "no_value": (
        "the event does not say “{0}”, by which entries are told apart",
        "в событии нет «{0}», по которому различаются входы",
        "zdarzenie nie ma „{0}”, po którym rozróżnia się wejścia",
        "事件缺少用于区分进入的“{0}”",
        "l’evento non dice “{0}”, che distingue gli ingressi",
    ),
    "condition": (
        "the condition of entry did not hold",
        "условие входа не выполнено",
        "warunek wejścia nie był spełniony",
        "不满足进入条件",
        "la condizione d’ingresso non valeva",
    ),
    "not_live.import": (
        "it came by an import, which starts nothing",
        "это пришло импортом, он ничего не запускает",
        "przyszło z importu, który niczego nie uruchamia",
        "来自导入，导入不触发旅程",
        "è arrivato da un’importazione, che non avvia nulla",
    ),
    "not_live.backfill": (
        "it was worked out for the past, which starts nothing",
        "это вычислено за прошлое и ничего не запускает",
        "obliczono to wstecz, co niczego nie uruchamia",
        "属历史回算，不触发旅程",
        "è stato calcolato per il passato, che non avvia nulla",
    ),
    "not_live.merge": (
        "two profiles were merged, which starts nothing",
        "объединены два профиля, это ничего не запускает",
        "połączono dwa profile, co niczego nie uruchamia",
        "因档案合并，不触发旅程",
        "due profili sono stati uniti, il che non avvia nulla",
    ),
    "not_live.definition": (
        "a rule was changed, which starts nothing",
        "изменено правило, это ничего не запускает",
        "zmieniono regułę, co niczego nie uruchamia",
        "因规则变更，不触发旅程",
        "è cambiata una regola, il che non avvia nulla",
    ),
    # Runs: why they ended, or went on.
    "finished": ("came to the end", "дошёл до конца", "koniec ścieżki", "走完全程", "arrivato alla fine"),
    "goal": ("reached the goal", "цель достигнута", "cel osiągnięty", "达成目标", "obiettivo raggiunto"),
    "merged": (
        "the profile was merged into one that is in the journey",
        "профиль объединён с тем, кто уже в сценарии",
        "profil połączono z tym, który jest na ścieżce",
        "档案已并入同在旅程中的客户",
        "il profilo è stato unito a uno già nel percorso",
    ),
    "new version": (
        "a new version took its place",
        "его заменила новая версия",
        "zastąpiła ją nowa wersja",
        "被新版本取代",
        "sostituito da una nuova versione",
    ),
    "journey removed": (
        "the journey was taken out of the playbook",
        "сценарий убран из плейбука",
        "ścieżkę usunięto z playbooka",
        "旅程已从方案中移除",
        "il percorso è stato tolto dal playbook",
    ),
    "removed by hand": ("removed by hand", "выведен вручную", "usunięto ręcznie", "人工移出", "tolto a mano"),
    "the step is gone": (
        "the step is no longer there",
        "этого шага больше нет",
        "tego kroku już nie ma",
        "该步骤已不存在",
        "il passo non c’è più",
    ),
    "the date is past": ("the date is past", "дата уже прошла", "data już minęła", "日期已过", "la data è passata"),
    "nothing to wait for": (
        "there was nothing to wait for; goes round once an hour",
        "ждать нечего; повтор раз в час",
        "nie było na co czekać; ponawia co godzinę",
        "无需等待，每小时循环一次",
        "non c’era nulla da attendere; riprova ogni ora",
    ),
    "no answer": (
        "the webhook did not answer",
        "вебхук не ответил",
        "webhook nie odpowiedział",
        "Webhook 未响应",
        "il webhook non ha risposto",
    ),
    "no answer in time": (
        "the webhook did not answer in time",
        "вебхук не ответил вовремя",
        "webhook nie odpowiedział na czas",
        "Webhook 未及时响应",
        "il webhook non ha risposto in tempo",
    ),
}
"""Code → meaning. What follows the code after a dot is {0}: `cap.email.1d`. Marketers' own reasons are told as such."""


STARTS: dict[str, Words] = {
    "answered ": (
        "the webhook answered {0}",
        "вебхук ответил {0}",
        "webhook odpowiedział {0}",
        "Webhook 返回 {0}",
        "il webhook ha risposto {0}",
    ),
    "no date in ": (
        "the customer has no date in {0}",
        "у клиента нет даты в {0}",
        "klient nie ma daty w {0}",
        "客户的 {0} 中没有日期",
        "il cliente non ha una data in {0}",
    ),
    "there is no message ": (
        "the message {0} is no longer in the playbook",
        "сообщения {0} больше нет в плейбуке",
        "wiadomości {0} nie ma już w playbooku",
        "消息 {0} 已不在方案中",
        "il messaggio {0} non è più nel playbook",
    ),
    "more than 10 journeys and events": (
        "journeys and events feed each other: the chain is too long",
        "сценарии и события запускают друг друга: цепочка слишком длинная",
        "ścieżki i zdarzenia napędzają się nawzajem: łańcuch jest za długi",
        "旅程与事件相互触发，连锁过长",
        "percorsi ed eventi si alimentano a vicenda: catena troppo lunga",
    ),
}
"""Reasons that name something: how they begin → meaning, with what follows as {0}"""


def reason(code: str, locale: str = "en") -> str:
    """A reason in words. What is no code of Keepers', such as a journey's own `exits` reason, is told as it is."""
    known = REASONS.get(code)
    if known is not None:
        return known[place_of(locale)]
    family, _, rest = code.partition(".")
    if rest and family in REASONS:
        return REASONS[family][place_of(locale)].format(rest)
    for start, words in STARTS.items():
        if code.startswith(start):
            return words[place_of(locale)].format(code.removeprefix(start))
    return code


def is_known(code: str) -> bool:
    """Whether a code has words of its own."""
    return code in REASONS or code.partition(".")[0] in REASONS or code.startswith(tuple(STARTS))


def place_of(locale: str) -> int:
    """Where a language stands in `Words`; unknown ones read English."""
    return LOCALES.index(locale) if locale in LOCALES else 0

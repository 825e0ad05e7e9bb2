"""How each kind of line about a customer reads, in the languages of the interface."""

from __future__ import annotations

from collections.abc import Mapping

from keepers.i18n.reasons import Words, place_of

LINES: dict[str, Words] = {
    "entered": (
        "Entered the journey “{journey}” by {what}",
        "Вошёл в сценарий «{journey}»: {what}",
        "Wejście na ścieżkę „{journey}”: {what}",
        "进入旅程“{journey}”：{what}",
        "Entrato nel percorso “{journey}”: {what}",
    ),
    "not_entered": (
        "Did not enter the journey “{journey}”: {why}",
        "Не вошёл в сценарий «{journey}»: {why}",
        "Bez wejścia na ścieżkę „{journey}”: {why}",
        "未进入旅程“{journey}”：{why}",
        "Non entrato nel percorso “{journey}”: {why}",
    ),
    "never_came": (
        "Nothing has brought the customer to the journey “{journey}” yet",
        "К сценарию «{journey}» клиента пока ничего не привело",
        "Nic jeszcze nie doprowadziło klienta do ścieżki „{journey}”",
        "尚无事件将客户带入旅程“{journey}”",
        "Nulla ha ancora portato il cliente al percorso “{journey}”",
    ),
    "passed": (
        "Passed the step “{step}”",
        "Пройден шаг «{step}»",
        "Krok „{step}” wykonany",
        "完成步骤“{step}”",
        "Passo “{step}” superato",
    ),
    "passed_by": (
        "Passed the step “{step}” by “{port}”",
        "Пройден шаг «{step}», путь «{port}»",
        "Krok „{step}” wykonany, wyjście „{port}”",
        "完成步骤“{step}”，走“{port}”",
        "Passo “{step}” superato per “{port}”",
    ),
    "waits": (
        "Waited at the step “{step}”",
        "Ожидание на шаге «{step}»",
        "Czekanie na kroku „{step}”",
        "在步骤“{step}”等待",
        "In attesa al passo “{step}”",
    ),
    "waits_until": (
        "Waited at the step “{step}” until {until} at the latest",
        "Ожидание на шаге «{step}», самое позднее до {until}",
        "Czekanie na kroku „{step}”, najpóźniej do {until}",
        "在步骤“{step}”等待，最迟至 {until}",
        "In attesa al passo “{step}”, al più tardi fino a {until}",
    ),
    "goal": (
        "Reached the goal of the journey “{journey}”",
        "Достигнута цель сценария «{journey}»",
        "Cel ścieżki „{journey}” osiągnięty",
        "达成旅程“{journey}”的目标",
        "Raggiunto l’obiettivo del percorso “{journey}”",
    ),
    "ended": (
        "Left the journey “{journey}”: {why}",
        "Вышел из сценария «{journey}»: {why}",
        "Wyjście ze ścieżki „{journey}”: {why}",
        "离开旅程“{journey}”：{why}",
        "Uscito dal percorso “{journey}”: {why}",
    ),
    "refused": (
        "The step “{step}” was not carried out: {why}",
        "Шаг «{step}» не выполнен: {why}",
        "Kroku „{step}” nie wykonano: {why}",
        "步骤“{step}”未执行：{why}",
        "Il passo “{step}” non è stato eseguito: {why}",
    ),
    "paused": (
        "The journey “{journey}” is paused",
        "Сценарий «{journey}» на паузе",
        "Ścieżka „{journey}” jest wstrzymana",
        "旅程“{journey}”已暂停",
        "Il percorso “{journey}” è in pausa",
    ),
    "run_paused": (
        "The run stands still",
        "Проход приостановлен",
        "Przejście jest wstrzymane",
        "此次运行已暂停",
        "Il passaggio è fermo",
    ),
    "now_waits": (
        "Waits at the step “{step}” of the journey “{journey}”",
        "Сейчас ждёт на шаге «{step}» сценария «{journey}»",
        "Teraz czeka na kroku „{step}” ścieżki „{journey}”",
        "目前在旅程“{journey}”的步骤“{step}”等待",
        "Ora attende al passo “{step}” del percorso “{journey}”",
    ),
    "for": ("for: {what}", "чего ждёт: {what}", "na co: {what}", "等待：{what}", "che cosa: {what}"),
    "until": ("until {until}", "до {until}", "do {until}", "至 {until}", "fino a {until}"),
    "leaves_when": (
        "leaves at once when: {what}",
        "сразу выйдет, если: {what}",
        "wyjdzie od razu, gdy: {what}",
        "一旦满足即离开：{what}",
        "esce subito quando: {what}",
    ),
    "decided": (
        "Decided to send “{message}” by {channel}",
        "Решено отправить «{message}», канал {channel}",
        "Postanowiono wysłać „{message}” kanałem {channel}",
        "决定通过 {channel} 发送“{message}”",
        "Deciso di inviare “{message}” per {channel}",
    ),
    "called": (
        "Decided to call {message}",
        "Решено вызвать {message}",
        "Postanowiono wywołać {message}",
        "决定调用 {message}",
        "Deciso di chiamare {message}",
    ),
    "message.queued": (
        "“{message}” waits to be sent",
        "«{message}» ждёт отправки",
        "„{message}” czeka na wysłanie",
        "“{message}”等待发送",
        "“{message}” attende l’invio",
    ),
    "message.held": (
        "“{message}” is held back",
        "«{message}» задержано",
        "„{message}” wstrzymano",
        "“{message}”暂缓发送",
        "“{message}” è trattenuto",
    ),
    "message.claimed": (
        "“{message}” is being prepared",
        "«{message}» готовится",
        "„{message}” jest przygotowywana",
        "“{message}”正在准备",
        "“{message}” è in preparazione",
    ),
    "message.handed_over": (
        "“{message}” is on its way",
        "«{message}» передаётся",
        "„{message}” jest w drodze",
        "“{message}”正在投递",
        "“{message}” è in viaggio",
    ),
    "message.sent": (
        "“{message}” was sent",
        "«{message}» отправлено",
        "„{message}” wysłano",
        "“{message}”已发送",
        "“{message}” è stato inviato",
    ),
    "message.delivered": (
        "“{message}” was delivered",
        "«{message}» доставлено",
        "„{message}” doręczono",
        "“{message}”已送达",
        "“{message}” è stato consegnato",
    ),
    "message.bounced": (
        "“{message}” came back",
        "«{message}» вернулось",
        "„{message}” wróciła",
        "“{message}”被退回",
        "“{message}” è tornato indietro",
    ),
    "message.failed": (
        "“{message}” could not be sent",
        "«{message}» не удалось отправить",
        "„{message}” nie udało się wysłać",
        "“{message}”发送失败",
        "“{message}” non si è potuto inviare",
    ),
    "message.skipped": (
        "“{message}” was not sent",
        "«{message}» не отправлено",
        "„{message}” nie wysłano",
        "“{message}”未发送",
        "“{message}” non è stato inviato",
    ),
    "message.uncertain": (
        "Whether “{message}” went out is not known; it is not sent again",
        "Неизвестно, ушло ли «{message}»; повторно не отправляется",
        "Nie wiadomo, czy „{message}” wyszła; nie będzie ponawiana",
        "“{message}”是否发出不明，不再重发",
        "Non si sa se “{message}” sia partito; non si invia di nuovo",
    ),
    "message.deferred": (
        "“{message}” is tried again later",
        "«{message}»: попытка повторится позже",
        "„{message}”: próba zostanie ponowiona",
        "“{message}”稍后重试",
        "“{message}” si riprova più tardi",
    ),
    "message.complained": (
        "“{message}” was called spam",
        "«{message}» отметили как спам",
        "„{message}” oznaczono jako spam",
        "“{message}”被标为垃圾邮件",
        "“{message}” è stato segnalato come spam",
    ),
    "message.opened": (
        "“{message}” was opened",
        "«{message}» открыто",
        "„{message}” otwarto",
        "“{message}”被打开",
        "“{message}” è stato aperto",
    ),
    "message.clicked": (
        "A link in “{message}” was clicked",
        "Переход по ссылке в «{message}»",
        "Kliknięto link w „{message}”",
        "“{message}”中的链接被点击",
        "Cliccato un link in “{message}”",
    ),
    "message.unsubscribed": (
        "Unsubscribed by “{message}”",
        "Отписка через «{message}»",
        "Wypisanie przez „{message}”",
        "通过“{message}”退订",
        "Disiscritto da “{message}”",
    ),
    "message.replied": (
        "“{message}” was answered",
        "На «{message}» ответили",
        "Na „{message}” odpowiedziano",
        "“{message}”收到回复",
        "A “{message}” è stato risposto",
    ),
    "consent.subscribed": (
        "Agreed to “{topic}” by {channel} ({source})",
        "Согласие на «{topic}», канал {channel} ({source})",
        "Zgoda na „{topic}”, kanał {channel} ({source})",
        "同意通过 {channel} 接收“{topic}”（{source}）",
        "Consenso a “{topic}” per {channel} ({source})",
    ),
    "consent.pending": (
        "Asked for “{topic}” by {channel}; not confirmed yet ({source})",
        "Запрошено «{topic}», канал {channel}; пока не подтверждено ({source})",
        "Prośba o „{topic}”, kanał {channel}; jeszcze niepotwierdzona ({source})",
        "申请通过 {channel} 接收“{topic}”，待确认（{source}）",
        "Chiesto “{topic}” per {channel}; non ancora confermato ({source})",
    ),
    "consent.unsubscribed": (
        "Objected to “{topic}” by {channel} ({source})",
        "Отказ от «{topic}», канал {channel} ({source})",
        "Sprzeciw wobec „{topic}”, kanał {channel} ({source})",
        "拒绝通过 {channel} 接收“{topic}”（{source}）",
        "Opposizione a “{topic}” per {channel} ({source})",
    ),
    "suppressed": (
        "The {channel} address was suppressed: {why}",
        "Адрес заблокирован, канал {channel}: {why}",
        "Adres zablokowano, kanał {channel}: {why}",
        "{channel} 地址被屏蔽：{why}",
        "L’indirizzo {channel} è stato bloccato: {why}",
    ),
    "all_topics": ("everything", "всё", "wszystko", "全部内容", "tutto"),
    "times": (
        "{number} times so far",
        "уже {number} раз",
        "dotąd {number} razy",
        "至今 {number} 次",
        "finora {number} volte",
    ),
    "machine": (
        "by a machine ({why})",
        "автоматом ({why})",
        "przez automat ({why})",
        "机器行为（{why}）",
        "da una macchina ({why})",
    ),
}
"""Kind of line → its sentence, without the full stop"""


def line(kind: str, locale: str, **parts: object) -> str:
    """A sentence of a kind. Parts it does not name are left out."""
    return LINES[kind][place_of(locale)].format_map(_Parts(parts))


def joined(sentence: str, *more: str) -> str:
    """A sentence with what else there is to say of it, and its full stop. What stands in brackets follows as it is."""
    for part in more:
        if part:
            sentence += f" {part}" if part.startswith("(") else f"; {part}"
    return sentence.rstrip(".") + "."


class _Parts(dict[str, object]):
    def __init__(self, parts: Mapping[str, object]) -> None:
        super().__init__(parts)

    def __missing__(self, name: str) -> str:
        return "—"

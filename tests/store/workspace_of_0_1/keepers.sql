BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('main_0005');
CREATE TABLE broadcast_sends (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	broadcast VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	status VARCHAR NOT NULL, 
	started_at BIGINT NOT NULL, 
	finished_at BIGINT, 
	position BIGINT NOT NULL, 
	data TEXT NOT NULL
);
INSERT INTO "broadcast_sends" VALUES(1,'newsletter',1,'finished',1772445842891877,1772445897847632,3,'{"begins":"2026-03-02T10:04:02.891877Z","begun":"2026-03-02T10:04:16.769055Z","audience":3,"queued":2,"skipped":{"unsubscribed":1}}');
CREATE TABLE consents (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	profile_id BIGINT NOT NULL, 
	channel VARCHAR NOT NULL, 
	topic VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	at BIGINT NOT NULL, 
	source VARCHAR NOT NULL, 
	wording TEXT NOT NULL, 
	basis VARCHAR NOT NULL
);
INSERT INTO "consents" VALUES(1,1,'in_app','news','subscribed',1767225600000000,'form','Yes','consent');
INSERT INTO "consents" VALUES(2,2,'in_app','news','subscribed',1767225600000000,'form','Yes','consent');
INSERT INTO "consents" VALUES(3,3,'in_app','news','unsubscribed',1769904000000000,'preference page','','consent');
CREATE TABLE counters (
	name VARCHAR NOT NULL, 
	value BIGINT NOT NULL, 
	CONSTRAINT pk_counters PRIMARY KEY (name)
);
INSERT INTO "counters" VALUES('seq',20);
INSERT INTO "counters" VALUES('profile_id',5);
CREATE TABLE coupons (
	pool VARCHAR NOT NULL, 
	code VARCHAR NOT NULL, 
	profile_id BIGINT, 
	run_id BIGINT, 
	message_key VARCHAR, 
	taken_at BIGINT, 
	imported_at BIGINT NOT NULL, 
	expires_at BIGINT, 
	CONSTRAINT pk_coupons PRIMARY KEY (pool, code)
);
INSERT INTO "coupons" VALUES('gift','G-1',NULL,NULL,NULL,NULL,1772445772307626,NULL);
INSERT INTO "coupons" VALUES('gift','G-2',NULL,NULL,NULL,NULL,1772445772307626,NULL);
CREATE TABLE cursors (
	name VARCHAR NOT NULL, 
	position BIGINT NOT NULL, 
	CONSTRAINT pk_cursors PRIMARY KEY (name)
);
INSERT INTO "cursors" VALUES('relay',28);
INSERT INTO "cursors" VALUES('advance',20);
CREATE TABLE definitions (
	kind VARCHAR NOT NULL, 
	id VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	body TEXT NOT NULL, 
	applied_at BIGINT NOT NULL, 
	active BOOLEAN NOT NULL, 
	CONSTRAINT pk_definitions PRIMARY KEY (kind, id, version)
);
INSERT INTO "definitions" VALUES('event','purchase',1,'{"description":{"en":"A paid order that was neither cancelled nor fully refunded","it":"Un ordine pagato, né annullato né rimborsato per intero","pl":"Opłacone zamówienie, nieanulowane i niezwrócone w całości","ru":"Оплаченный заказ, который не отменили и не вернули целиком","zh":"已付款且未取消、未全额退款的订单"},"from":["Order Completed","Purchase","purchase"],"id":"purchase","name":{"en":"Purchase","it":"Acquisto","pl":"Zakup","ru":"Покупка","zh":"购买"},"per":"day","unless":{"did":["Order Cancelled","Order Refunded"],"same":"order_id"},"value":{"currency":"currency","of":"total"},"where":{"test":{"ne":true}}}',1772445614418654,1);
INSERT INTO "definitions" VALUES('lifecycle','value',1,'{"id":"value","name":{"en":"Customer value","it":"Valore del cliente","pl":"Wartość klienta","ru":"Ценность клиента","zh":"客户价值"},"stages":[{"id":"potential","metrics":[{"en":"New known people per week, by source","it":"Nuove persone note a settimana, per fonte","pl":"Nowe znane osoby tygodniowo, według źródła","ru":"Новые контакты в неделю по источникам","zh":"每周新增已知人数（按来源）"},{"en":"Conversion rate to the first purchase","it":"Tasso di conversione al primo acquisto","pl":"Konwersja do pierwszego zakupu","ru":"Конверсия в первую покупку","zh":"首购转化率"},{"en":"Days from first interest to purchase","it":"Giorni dal primo interesse all’acquisto","pl":"Dni od zainteresowania do zakupu","ru":"Дней от интереса до покупки","zh":"从产生兴趣到购买的天数"}],"name":{"en":"Potential customers","it":"Clienti potenziali","pl":"Potencjalni klienci","ru":"Потенциальные клиенты","zh":"潜在客户"},"needs":[{"en":"Clear answers on price, availability and delivery","it":"Risposte chiare su prezzo, disponibilità e consegna","pl":"Jasne odpowiedzi o cenie, dostępności i dostawie","ru":"Ясные ответы о цене, наличии и доставке","zh":"关于价格、库存和配送的明确答案"},{"en":"To see what sets you apart from the alternatives","it":"Vedere che cosa vi distingue dalle alternative","pl":"Zobaczyć, co Was odróżnia od innych","ru":"Увидеть, чем вы отличаетесь от других","zh":"看清您与其他选择的不同之处"},{"en":"A reason to trust a business they don''t know yet","it":"Un motivo per fidarsi di un’azienda che non conoscono","pl":"Powód, by zaufać nieznanej jeszcze firmie","ru":"Повод довериться незнакомой компании","zh":"信任一家陌生商家的理由"}],"signals":[{"en":"No purchase on record","it":"Nessun acquisto registrato","pl":"Brak zakupów w historii","ru":"Покупок ещё не было","zh":"尚无购买记录"},{"en":"Two product views, a wish-list entry or a click in a message","it":"Due prodotti visti, lista dei desideri o clic in un messaggio","pl":"Dwa obejrzane produkty, lista życzeń lub klik w wiadomości","ru":"Два просмотра товаров, избранное или клик в письме","zh":"两次浏览商品、加入心愿单或点击消息"},{"en":"A filled cart without an order","it":"Carrello pieno senza ordine","pl":"Pełny koszyk bez zamówienia","ru":"Полная корзина без заказа","zh":"购物车有商品但未下单"}],"touchpoints":[{"en":"An e-mail series on their interest","it":"Una serie di e-mail sul loro interesse","pl":"Seria e-maili na temat ich zainteresowań","ru":"Серия писем по их интересу","zh":"围绕其兴趣的系列邮件"},{"en":"Retargeting with what they looked at","it":"Retargeting con ciò che hanno guardato","pl":"Retargeting z oglądanymi produktami","ru":"Ретаргетинг с просмотренными товарами","zh":"以浏览过的商品再营销"},{"en":"Cart reminders after 1, 24 and 72 hours, the first without a coupon","it":"Promemoria del carrello dopo 1, 24 e 72 ore, il primo senza coupon","pl":"Przypomnienia o koszyku po 1, 24 i 72 godzinach, pierwsze bez kuponu","ru":"Напоминания о корзине через 1, 24 и 72 часа, первое без купона","zh":"1、24、72 小时后的购物车提醒，首条不含优惠券"}],"when":{"did_not":"purchase"}},{"id":"new","metrics":[{"en":"Satisfaction after delivery","it":"Soddisfazione dopo la consegna","pl":"Zadowolenie po dostawie","ru":"Удовлетворённость после доставки","zh":"送达后的满意度"},{"en":"Share with a second purchase within 90 days","it":"Quota con un secondo acquisto entro 90 giorni","pl":"Odsetek z drugim zakupem w 90 dni","ru":"Доля купивших второй раз за 90 дней","zh":"90 天内复购比例"},{"en":"Days between first and second purchase","it":"Giorni tra primo e secondo acquisto","pl":"Dni między pierwszym a drugim zakupem","ru":"Дней между первой и второй покупкой","zh":"首购与复购间隔天数"}],"name":{"en":"New customers","it":"Clienti nuovi","pl":"Nowi klienci","ru":"Новые клиенты","zh":"新客户"},"needs":[{"en":"A first good result from what they bought, quickly","it":"Un primo buon risultato, in fretta, da ciò che hanno comprato","pl":"Szybko zobaczyć pierwszy efekt zakupu","ru":"Быстро получить первый результат от покупки","zh":"尽快用所购商品获得第一个成果"},{"en":"Help within the day when something goes wrong","it":"Aiuto in giornata se qualcosa va storto","pl":"Pomoc tego samego dnia, gdy coś pójdzie nie tak","ru":"Помощь в тот же день, если что-то не так","zh":"出问题时当天得到帮助"},{"en":"Confirmation that they chose well","it":"La conferma di aver scelto bene","pl":"Potwierdzenie, że dobrze wybrali","ru":"Уверенность, что выбрали правильно","zh":"确认自己选对了"}],"signals":[{"en":"First purchase made","it":"Primo acquisto fatto","pl":"Pierwszy zakup za nimi","ru":"Сделана первая покупка","zh":"完成首次购买"},{"en":"One purchase, still within the usual gap","it":"Un acquisto, ancora entro l’intervallo abituale","pl":"Jeden zakup, zwykły odstęp jeszcze trwa","ru":"Одна покупка, обычный промежуток не истёк","zh":"购买一次，仍在正常间隔内"}],"touchpoints":[{"en":"Getting-started messages for what was bought","it":"Messaggi per iniziare, legati a ciò che è stato comprato","pl":"Wiadomości na start dopasowane do zakupu","ru":"Сообщения «с чего начать» под конкретную покупку","zh":"针对所购商品的入门消息"},{"en":"A short survey 14 days after delivery","it":"Un breve sondaggio 14 giorni dopo la consegna","pl":"Krótka ankieta 14 dni po dostawie","ru":"Короткий опрос через 14 дней после доставки","zh":"送达 14 天后的简短调查"},{"en":"Recommendations from their own purchases","it":"Consigli basati sui loro acquisti","pl":"Rekomendacje z ich własnych zakupów","ru":"Рекомендации по их покупкам","zh":"基于自身购买的推荐"}],"when":{"in_segment":"active"}},{"id":"loyal","metrics":[{"en":"Lifetime value","it":"Valore del cliente nel tempo","pl":"Wartość życiowa klienta (CLV)","ru":"Пожизненная ценность клиента (LTV)","zh":"客户终身价值"},{"en":"Purchases per customer and year","it":"Acquisti per cliente all’anno","pl":"Zakupy na klienta rocznie","ru":"Покупок на клиента в год","zh":"每位客户每年购买次数"},{"en":"Share of orders from a second product group","it":"Quota di ordini da una seconda categoria","pl":"Odsetek zamówień z drugiej grupy produktów","ru":"Доля заказов из второй товарной группы","zh":"跨品类订单占比"}],"name":{"en":"Loyal customers","it":"Clienti fedeli","pl":"Lojalni klienci","ru":"Лояльные клиенты","zh":"忠诚客户"},"needs":[{"en":"To see that staying pays more than starting elsewhere","it":"Vedere che restare conviene più che ricominciare altrove","pl":"Widzieć, że zostać opłaca się bardziej niż zaczynać gdzie indziej","ru":"Видеть, что остаться выгоднее, чем начинать в другом месте","zh":"看到留下比另起炉灶更划算"},{"en":"To be recognised – tastes, sizes, history, the person they know","it":"Essere riconosciuti – gusti, taglie, storia, la persona che conoscono","pl":"Być rozpoznanym – gust, rozmiar, historia, znany im doradca","ru":"Чтобы их помнили – вкусы, размеры, историю, знакомого менеджера","zh":"被记住：喜好、尺码、历史和熟悉的对接人"},{"en":"To learn what goes well with what they already have","it":"Sapere che cosa si abbina a ciò che hanno già","pl":"Dowiedzieć się, co pasuje do tego, co już mają","ru":"Узнать, что подойдёт к уже купленному","zh":"了解什么与已有商品搭配"}],"signals":[{"en":"A second purchase within their own rhythm","it":"Un secondo acquisto nel proprio ritmo","pl":"Drugi zakup we własnym rytmie","ru":"Вторая покупка в собственном ритме","zh":"按自身节奏再次购买"},{"en":"Four purchases or more, none overdue","it":"Quattro acquisti o più, nessuno in ritardo","pl":"Cztery zakupy lub więcej, żaden niezaległy","ru":"Четыре покупки и больше, без задержек","zh":"购买四次以上，且未逾期"}],"touchpoints":[{"en":"Points and tier shown in the account and in e-mails","it":"Punti e livello visibili nell’account e nelle e-mail","pl":"Punkty i poziom widoczne na koncie i w e-mailach","ru":"Баллы и уровень в кабинете и письмах","zh":"在账户与邮件中显示积分和等级"},{"en":"Early access to new products and sales","it":"Accesso anticipato a novità e saldi","pl":"Wcześniejszy dostęp do nowości i wyprzedaży","ru":"Ранний доступ к новинкам и распродажам","zh":"新品与促销优先购"},{"en":"Recommendations from their own purchases","it":"Consigli basati sui loro acquisti","pl":"Rekomendacje z ich własnych zakupów","ru":"Рекомендации по их покупкам","zh":"基于自身购买的推荐"},{"en":"An invitation link that rewards both sides","it":"Un link d’invito che premia entrambi","pl":"Link polecający z nagrodą dla obu stron","ru":"Ссылка-приглашение с наградой для обоих","zh":"双方获益的邀请链接"}],"when":{"all":[{"in_segment":"active"},{"count":{"gte":2},"did":"purchase"}]}},{"id":"churned","metrics":[{"en":"Share of lost buyers won back, and at what cost","it":"Quota di clienti persi riconquistati, e a che costo","pl":"Odsetek odzyskanych i koszt odzyskania","ru":"Доля возвращённых и цена возврата","zh":"流失买家挽回率及成本"},{"en":"Reasons for leaving, counted","it":"Motivi di abbandono, contati","pl":"Policzone powody odejścia","ru":"Причины ухода с подсчётом","zh":"离开原因统计"},{"en":"Share lost per month","it":"Quota persa al mese","pl":"Odpływ klientów na miesiąc","ru":"Отток за месяц","zh":"月流失率"}],"name":{"en":"Churned customers","it":"Clienti persi","pl":"Utraceni klienci","ru":"Ушедшие клиенты","zh":"流失客户"},"needs":[{"en":"To say why they left, and be heard","it":"Dire perché se ne sono andati ed essere ascoltati","pl":"Powiedzieć, dlaczego odeszli, i zostać wysłuchanym","ru":"Сказать, почему ушли, и быть услышанными","zh":"说出离开的原因并得到倾听"},{"en":"An easy way back that doesn''t start from zero","it":"Una via di ritorno facile, senza ripartire da zero","pl":"Łatwa droga powrotu, nie od zera","ru":"Простой путь назад, не с нуля","zh":"轻松回归，而不必从零开始"}],"signals":[{"en":"Silent for four of their usual gaps","it":"In silenzio per quattro dei loro intervalli","pl":"Cisza przez cztery zwykłe odstępy","ru":"Молчат четыре обычных промежутка","zh":"已沉默四个平常间隔"},{"en":"An unanswered complaint just before the silence","it":"Un reclamo senza risposta prima del silenzio","pl":"Reklamacja bez odpowiedzi tuż przed ciszą","ru":"Жалоба без ответа перед уходом","zh":"沉默之前有未处理的投诉"}],"touchpoints":[{"en":"An e-mail that asks why they left","it":"Un’e-mail che chiede perché se ne sono andati","pl":"E-mail z pytaniem, dlaczego odeszli","ru":"Письмо с вопросом, почему они ушли","zh":"询问离开原因的邮件"},{"en":"A call from the person they know","it":"Una telefonata dalla persona che conoscono","pl":"Telefon od osoby, którą znają","ru":"Звонок от знакомого менеджера","zh":"由熟悉的人致电"},{"en":"A come-back offer by season and past purchases","it":"Un’offerta di ritorno per stagione e acquisti passati","pl":"Oferta powrotu według sezonu i wcześniejszych zakupów","ru":"Предложение вернуться – по сезону и прошлым покупкам","zh":"按季节和历史购买给出的回归优惠"}],"when":{"in_segment":"lost"}}]}',1772445614418654,1);
INSERT INTO "definitions" VALUES('lifecycle','value-phases',1,'{"id":"value-phases","name":{"en":"Plan phases","it":"Fasi del piano","pl":"Fazy planu","ru":"Фазы плана","zh":"计划阶段"},"phases_of":"value","stages":[{"id":"introduction","metrics":[{"en":"Cost per new contact","it":"Costo per nuovo contatto","pl":"Koszt nowego kontaktu","ru":"Стоимость нового контакта","zh":"每个新联系人的成本"},{"en":"Conversion rate to the first purchase","it":"Tasso di conversione al primo acquisto","pl":"Konwersja do pierwszego zakupu","ru":"Конверсия в первую покупку","zh":"首购转化率"}],"name":{"en":"Introduction","it":"Introduzione","pl":"Wprowadzenie","ru":"Знакомство","zh":"引入期"},"needs":[{"en":"To see at a glance what you offer and for whom","it":"Capire a colpo d’occhio che cosa offrite e a chi","pl":"Od razu zobaczyć, co oferujecie i dla kogo","ru":"С первого взгляда понять, что вы предлагаете и кому","zh":"一眼看懂您提供什么、适合谁"},{"en":"Clear answers on price, availability and delivery","it":"Risposte chiare su prezzo, disponibilità e consegna","pl":"Jasne odpowiedzi o cenie, dostępności i dostawie","ru":"Ясные ответы о цене, наличии и доставке","zh":"关于价格、库存和配送的明确答案"}],"signals":[{"en":"First visit or first contact, nothing looked at twice","it":"Prima visita o primo contatto, nulla guardato due volte","pl":"Pierwsza wizyta lub kontakt, nic nieoglądane dwa razy","ru":"Первый визит или контакт, ничего не смотрели дважды","zh":"首次访问或联系，尚无重复浏览"},{"en":"Two product views, a wish-list entry or a click in a message","it":"Due prodotti visti, lista dei desideri o clic in un messaggio","pl":"Dwa obejrzane produkty, lista życzeń lub klik w wiadomości","ru":"Два просмотра товаров, избранное или клик в письме","zh":"两次浏览商品、加入心愿单或点击消息"}],"touchpoints":[{"en":"A welcome e-mail that asks one question","it":"Un’e-mail di benvenuto con una sola domanda","pl":"E-mail powitalny z jednym pytaniem","ru":"Приветственное письмо с одним вопросом","zh":"只问一个问题的欢迎邮件"},{"en":"Articles and guides that each solve one problem","it":"Articoli e guide, ciascuno su un solo problema","pl":"Artykuły i poradniki, każdy o jednym problemie","ru":"Статьи и руководства, каждое про одну задачу","zh":"每篇解决一个问题的文章和指南"}],"when":{"in_stage":"value.potential"}},{"id":"nurture","metrics":[{"en":"Share with a second purchase within 90 days","it":"Quota con un secondo acquisto entro 90 giorni","pl":"Odsetek z drugim zakupem w 90 dni","ru":"Доля купивших второй раз за 90 дней","zh":"90 天内复购比例"},{"en":"Satisfaction after delivery","it":"Soddisfazione dopo la consegna","pl":"Zadowolenie po dostawie","ru":"Удовлетворённость после доставки","zh":"送达后的满意度"}],"name":{"en":"Nurture","it":"Sviluppo","pl":"Pielęgnowanie","ru":"Развитие","zh":"培育期"},"needs":[{"en":"A first good result from what they bought, quickly","it":"Un primo buon risultato, in fretta, da ciò che hanno comprato","pl":"Szybko zobaczyć pierwszy efekt zakupu","ru":"Быстро получить первый результат от покупки","zh":"尽快用所购商品获得第一个成果"},{"en":"To learn what goes well with what they already have","it":"Sapere che cosa si abbina a ciò che hanno già","pl":"Dowiedzieć się, co pasuje do tego, co już mają","ru":"Узнать, что подойдёт к уже купленному","zh":"了解什么与已有商品搭配"}],"signals":[{"en":"First purchase made","it":"Primo acquisto fatto","pl":"Pierwszy zakup za nimi","ru":"Сделана первая покупка","zh":"完成首次购买"}],"touchpoints":[{"en":"Getting-started messages for what was bought","it":"Messaggi per iniziare, legati a ciò che è stato comprato","pl":"Wiadomości na start dopasowane do zakupu","ru":"Сообщения «с чего начать» под конкретную покупку","zh":"针对所购商品的入门消息"},{"en":"Recommendations from their own purchases","it":"Consigli basati sui loro acquisti","pl":"Rekomendacje z ich własnych zakupów","ru":"Рекомендации по их покупкам","zh":"基于自身购买的推荐"}],"when":{"in_stage":"value.new"}},{"id":"maturity","metrics":[{"en":"Lifetime value","it":"Valore del cliente nel tempo","pl":"Wartość życiowa klienta (CLV)","ru":"Пожизненная ценность клиента (LTV)","zh":"客户终身价值"},{"en":"Retention by cohort","it":"Fidelizzazione per coorte","pl":"Retencja według kohort","ru":"Удержание по когортам","zh":"按同期群的留存率"}],"name":{"en":"Maturity","it":"Maturità","pl":"Dojrzałość","ru":"Зрелость","zh":"成熟期"},"needs":[{"en":"To see that staying pays more than starting elsewhere","it":"Vedere che restare conviene più che ricominciare altrove","pl":"Widzieć, że zostać opłaca się bardziej niż zaczynać gdzie indziej","ru":"Видеть, что остаться выгоднее, чем начинать в другом месте","zh":"看到留下比另起炉灶更划算"},{"en":"To be recognised – tastes, sizes, history, the person they know","it":"Essere riconosciuti – gusti, taglie, storia, la persona che conoscono","pl":"Być rozpoznanym – gust, rozmiar, historia, znany im doradca","ru":"Чтобы их помнили – вкусы, размеры, историю, знакомого менеджера","zh":"被记住：喜好、尺码、历史和熟悉的对接人"}],"signals":[{"en":"A second purchase within their own rhythm","it":"Un secondo acquisto nel proprio ritmo","pl":"Drugi zakup we własnym rytmie","ru":"Вторая покупка в собственном ритме","zh":"按自身节奏再次购买"}],"touchpoints":[{"en":"Points and tier shown in the account and in e-mails","it":"Punti e livello visibili nell’account e nelle e-mail","pl":"Punkty i poziom widoczne na koncie i w e-mailach","ru":"Баллы и уровень в кабинете и письмах","zh":"在账户与邮件中显示积分和等级"},{"en":"Early access to new products and sales","it":"Accesso anticipato a novità e saldi","pl":"Wcześniejszy dostęp do nowości i wyprzedaży","ru":"Ранний доступ к новинкам и распродажам","zh":"新品与促销优先购"}],"when":{"in_stage":"value.loyal"}},{"id":"maintenance","metrics":[{"en":"Share of slipping customers who buy again","it":"Quota dei clienti in allontanamento che ricompra","pl":"Odsetek odpływających, którzy znów kupują","ru":"Доля остывающих, купивших снова","zh":"有流失迹象者的再购比例"},{"en":"Share of lost buyers won back, and at what cost","it":"Quota di clienti persi riconquistati, e a che costo","pl":"Odsetek odzyskanych i koszt odzyskania","ru":"Доля возвращённых и цена возврата","zh":"流失买家挽回率及成本"}],"name":{"en":"Maintenance","it":"Mantenimento","pl":"Podtrzymanie","ru":"Поддержание","zh":"维系期"},"needs":[{"en":"Help before they drift away, not after","it":"Aiuto prima di allontanarsi, non dopo","pl":"Pomoc, zanim odejdą, a nie potem","ru":"Помощь до того, как они уйдут, а не после","zh":"在离开之前而不是之后得到帮助"},{"en":"To say why they left, and be heard","it":"Dire perché se ne sono andati ed essere ascoltati","pl":"Powiedzieć, dlaczego odeszli, i zostać wysłuchanym","ru":"Сказать, почему ушли, и быть услышанными","zh":"说出离开的原因并得到倾听"}],"signals":[{"en":"Twice the usual gap has passed without a purchase","it":"È passato il doppio dell’intervallo abituale senza acquisti","pl":"Minęły dwa zwykłe odstępy bez zakupu","ru":"Прошло два обычных промежутка без покупки","zh":"超过平常间隔两倍仍未购买"},{"en":"Silent for four of their usual gaps","it":"In silenzio per quattro dei loro intervalli","pl":"Cisza przez cztery zwykłe odstępy","ru":"Молчат четыре обычных промежутка","zh":"已沉默四个平常间隔"}],"touchpoints":[{"en":"A reminder when their next purchase is due","it":"Un promemoria quando è ora di ricomprare","pl":"Przypomnienie, gdy pora na kolejny zakup","ru":"Напоминание, когда пора купить снова","zh":"到复购时间时提醒"},{"en":"An e-mail that asks why they left","it":"Un’e-mail che chiede perché se ne sono andati","pl":"E-mail z pytaniem, dlaczego odeszli","ru":"Письмо с вопросом, почему они ушли","zh":"询问离开原因的邮件"},{"en":"A call from the person they know","it":"Una telefonata dalla persona che conoscono","pl":"Telefon od osoby, którą znają","ru":"Звонок от знакомого менеджера","zh":"由熟悉的人致电"}],"when":{"any":[{"in_segment":"slipping"},{"in_segment":"lost"}]}}]}',1772445614418654,1);
INSERT INTO "definitions" VALUES('segment','active',1,'{"description":{"en":"Bought, and not yet lost by their own rhythm","it":"Hanno comprato e, secondo il proprio ritmo, non sono ancora persi","pl":"Kupili i według własnego rytmu nie są jeszcze utraceni","ru":"Покупали и по собственному ритму ещё не потеряны","zh":"买过，且按自身节奏尚未流失"},"id":"active","name":{"en":"Active buyers","it":"Clienti attivi","pl":"Aktywni kupujący","ru":"Активные покупатели","zh":"活跃买家"},"who":{"all":[{"did":"purchase"},{"after":"now","trait":"lost_at"}]}}',1772445614418654,1);
INSERT INTO "definitions" VALUES('segment','lost',1,'{"description":{"en":"Bought once, and are past four of their usual gaps","it":"Hanno comprato in passato, ma sono trascorsi più di quattro dei loro intervalli","pl":"Kiedyś kupili, minęły ponad cztery ich zwykłe odstępy","ru":"Когда-то покупали, прошло больше четырёх обычных промежутков","zh":"曾经购买，已超过平常间隔的四倍"},"id":"lost","name":{"en":"Lost buyers","it":"Clienti persi","pl":"Utraceni kupujący","ru":"Потерянные покупатели","zh":"流失买家"},"who":{"all":[{"did":"purchase"},{"not":{"in_segment":"active"}}]}}',1772445614418654,1);
INSERT INTO "definitions" VALUES('segment','slipping',1,'{"description":{"en":"Active, but twice their usual gap has passed","it":"Attivi, ma è passato il doppio del loro intervallo abituale","pl":"Aktywni, lecz minęły już dwa ich zwykłe odstępy","ru":"Ещё активны, но прошло два обычных промежутка между покупками","zh":"仍活跃，但已超过平常间隔的两倍"},"id":"slipping","name":{"en":"Slipping away","it":"In allontanamento","pl":"Odpływający","ru":"Остывающие","zh":"有流失迹象"},"who":{"all":[{"in_segment":"active"},{"not":{"after":"now","trait":"slipping_at"}}]}}',1772445614418654,1);
INSERT INTO "definitions" VALUES('broadcast','newsletter',1,'{"id":"newsletter","message":"spring"}',1772445668644968,1);
INSERT INTO "definitions" VALUES('contact','contact',1,'{"caps":{},"quiet":{}}',1772445668644968,1);
INSERT INTO "definitions" VALUES('coupon','gift',1,'{"id":"gift","low":1}',1772445668644968,1);
INSERT INTO "definitions" VALUES('journey','after_order',1,'{"enter":[{"event":"Order Completed"}],"id":"after_order","steps":[{"id":"thank","message":"hello"},{"delay":"2d","id":"rest"},{"emit":{"event":"Rested"},"id":"tell"}]}',1772445668644968,1);
INSERT INTO "definitions" VALUES('message','hello',1,'{"channel":"in_app","content":{"en":{"text":"Thank you for order {{ trigger.order_id }}.","title":"Hello {{ customer.first_name }}"}},"id":"hello","topic":"news"}',1772445668644968,1);
INSERT INTO "definitions" VALUES('message','spring',1,'{"channel":"in_app","content":{"en":{"text":"New things, {{ customer.first_name }}.","title":"Spring"}},"id":"spring","topic":"news"}',1772445668644968,1);
INSERT INTO "definitions" VALUES('segment','vip',1,'{"id":"vip","name":"VIPs","who":{"did":"Order Completed","sum":{"gte":100,"of":"total"}}}',1772445668644968,1);
INSERT INTO "definitions" VALUES('topic','news',1,'{"id":"news","name":"News"}',1772445668644968,1);
CREATE TABLE entry_refusals (
	journey VARCHAR NOT NULL, 
	profile_id BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	reason VARCHAR NOT NULL, 
	seq BIGINT NOT NULL, 
	times INTEGER NOT NULL, 
	CONSTRAINT pk_entry_refusals PRIMARY KEY (journey, profile_id)
);
CREATE TABLE identities (
	kind VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	profile_id BIGINT NOT NULL, 
	CONSTRAINT pk_identities PRIMARY KEY (kind, value)
)
 WITHOUT ROWID

;
INSERT INTO "identities" VALUES('user_id','ann',1);
INSERT INTO "identities" VALUES('anonymous_id','phone',2);
INSERT INTO "identities" VALUES('user_id','bob',2);
INSERT INTO "identities" VALUES('user_id','cyd',3);
INSERT INTO "identities" VALUES('group_id','acme',5);
CREATE TABLE in_app (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	profile_id BIGINT NOT NULL, 
	message_id BIGINT NOT NULL, 
	title TEXT NOT NULL, 
	text TEXT NOT NULL, 
	url TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	read_at BIGINT, 
	expires_at BIGINT, 
	CONSTRAINT uq_in_app_message_id UNIQUE (message_id)
);
INSERT INTO "in_app" VALUES(1,1,1,'Hello Ann','Thank you for order 4.
','',1772445825550199,NULL,NULL);
INSERT INTO "in_app" VALUES(2,2,2,'Spring','New things, Bob.
','',1772445879128809,NULL,NULL);
INSERT INTO "in_app" VALUES(3,1,4,'Spring','New things, Ann.
','',1772445879134784,NULL,NULL);
CREATE TABLE journey_runs (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	journey VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	profile_id BIGINT NOT NULL, 
	entry_key VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	is_paused BOOLEAN NOT NULL, 
	reason VARCHAR NOT NULL, 
	step VARCHAR, 
	visits TEXT NOT NULL, 
	vars TEXT NOT NULL, 
	"trigger" TEXT NOT NULL, 
	state TEXT NOT NULL, 
	zone VARCHAR NOT NULL, 
	entered_at BIGINT NOT NULL, 
	since BIGINT NOT NULL, 
	wake_at BIGINT, 
	seen_seq BIGINT NOT NULL, 
	ended_at BIGINT, 
	hops INTEGER NOT NULL, 
	is_test BOOLEAN NOT NULL, 
	revision INTEGER NOT NULL, 
	CONSTRAINT uq_journey_runs_journey UNIQUE (journey, profile_id, entry_key)
);
INSERT INTO "journey_runs" VALUES(1,'after_order',1,1,'once','active',0,'','rest','{"thank":1,"rest":1}','{}','{"total":20,"order_id":4,"event":"Order Completed","time":"2026-03-02T09:59:00Z","seq":10}','{}','UTC',1772445802559536,1772445802559536,1772618602559536,0,NULL,0,0,1);
CREATE TABLE journey_states (
	journey VARCHAR NOT NULL, 
	is_paused BOOLEAN NOT NULL, 
	at BIGINT NOT NULL, 
	reason VARCHAR NOT NULL, 
	CONSTRAINT pk_journey_states PRIMARY KEY (journey)
);
CREATE TABLE keys (
	id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	hash BLOB NOT NULL, 
	created_at BIGINT NOT NULL, 
	revoked_at BIGINT, 
	CONSTRAINT pk_keys PRIMARY KEY (id), 
	CONSTRAINT uq_keys_hash UNIQUE (hash)
);
INSERT INTO "keys" VALUES('key_5a3cf23430d74b9a','first write key','write',X'5524435B39764518A731D332DD104B9D9946FD3E2A2B551D2A5F3D21DFE9FF6A',1772445614340671,NULL);
INSERT INTO "keys" VALUES('key_de0a79e367faab5b','first server key','server',X'29A9B73B25F0BEAA5C562E53532AB311472A94EAAC3EC73807FAA8068079DF0C',1772445614351192,NULL);
INSERT INTO "keys" VALUES('key_b4796e7af6dbd033','first secret key','secret',X'2820F8D027EE44A13B4EB2A8DCFFFA85963FF79A956140077B8D07BC0C21E64D',1772445614359084,NULL);
INSERT INTO "keys" VALUES('key_61d668129bdf7765','write','write',X'CCD855D7026C657BE10DC75AD0210CEB8A12B2CB671C95321D6DB6998DE893B3',1772445785494597,NULL);
CREATE TABLE link_hits (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	message_id BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	url TEXT NOT NULL, 
	user_agent TEXT NOT NULL, 
	ip_hash VARCHAR NOT NULL, 
	method VARCHAR NOT NULL, 
	is_machine BOOLEAN, 
	rule VARCHAR NOT NULL
, network VARCHAR DEFAULT '' NOT NULL, is_said BOOLEAN DEFAULT 0 NOT NULL);
CREATE TABLE log (
	seq INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	profile_id BIGINT NOT NULL, 
	other_id BIGINT, 
	event VARCHAR NOT NULL, 
	time BIGINT NOT NULL, 
	received_at BIGINT NOT NULL, 
	known_at BIGINT NOT NULL, 
	source VARCHAR NOT NULL, 
	body BLOB NOT NULL, 
	hops INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_log PRIMARY KEY (seq)
);
INSERT INTO "log" VALUES(7,'identify',1,NULL,'identify',1767225600000000,1772445741115678,1767225600000000,'keepers',X'7B2274797065223A226964656E74696679222C22747261697473223A7B22737562736372696265642E696E5F6170702E6E657773223A747275652C22737562736372696265642E696E5F617070223A747275657D7D',0);
INSERT INTO "log" VALUES(8,'identify',2,NULL,'identify',1767225600000000,1772445741115678,1767225600000000,'keepers',X'7B2274797065223A226964656E74696679222C22747261697473223A7B22737562736372696265642E696E5F6170702E6E657773223A747275652C22737562736372696265642E696E5F617070223A747275657D7D',0);
INSERT INTO "log" VALUES(9,'identify',3,NULL,'identify',1769904000000000,1772445741115678,1769904000000000,'keepers',X'7B2274797065223A226964656E74696679222C22747261697473223A7B22737562736372696265642E696E5F6170702E6E657773223A66616C73652C22737562736372696265642E696E5F617070223A66616C73657D7D',0);
INSERT INTO "log" VALUES(10,'track',1,NULL,'Order Completed',1772445540000000,1772445600000000,1772445600000000,'key',X'7B2274797065223A2022747261636B222C2022757365724964223A2022616E6E222C20226576656E74223A20224F7264657220436F6D706C65746564222C20226D6573736167654964223A20226F34222C202274696D657374616D70223A2022323032362D30332D30325430393A35393A30305A222C202270726F70657274696573223A207B22746F74616C223A2032302C20226F726465725F6964223A20347D7D',0);
INSERT INTO "log" VALUES(11,'profile',4,NULL,'profile',1772445600000000,1772445600000000,1772445600000000,'key',X'7B226B696E64223A22706572736F6E222C226275636B65745F6B6579223A223437316433343565616166343937323933376566663865373038613739343432227D',0);
INSERT INTO "log" VALUES(12,'track',4,NULL,'Product Viewed',1772445000000000,1772445600000000,1772445600000000,'key',X'7B2274797065223A2022747261636B222C2022616E6F6E796D6F75734964223A202270686F6E65222C20226576656E74223A202250726F6475637420566965776564222C20226D6573736167654964223A20227631222C202274696D657374616D70223A2022323032362D30332D30325430393A35303A30305A222C202270726F70657274696573223A207B22736B75223A202278227D7D',0);
INSERT INTO "log" VALUES(13,'merge',4,2,'merge',1772445600000000,1772445600000000,1772445600000000,'key',X'7B226361757365223A226964656E74696679227D',0);
INSERT INTO "log" VALUES(14,'identify',2,NULL,'identify',1772445060000000,1772445600000000,1772445600000000,'key',X'7B2274797065223A20226964656E74696679222C2022616E6F6E796D6F75734964223A202270686F6E65222C2022757365724964223A2022626F62222C20226D6573736167654964223A20227632222C202274696D657374616D70223A2022323032362D30332D30325430393A35313A30305A222C2022747261697473223A207B22636F756E747279223A2022504C227D7D',0);
INSERT INTO "log" VALUES(15,'profile',5,NULL,'profile',1772445600000000,1772445600000000,1772445600000000,'key',X'7B226B696E64223A226163636F756E74222C226275636B65745F6B6579223A223039353163633737666236656637356436393961353131373437343330646639227D',0);
INSERT INTO "log" VALUES(16,'group',1,5,'group',1772445120000000,1772445600000000,1772445600000000,'key',X'7B2274797065223A202267726F7570222C2022757365724964223A2022616E6E222C202267726F75704964223A202261636D65222C20226D6573736167654964223A20227633222C202274696D657374616D70223A2022323032362D30332D30325430393A35323A30305A222C2022747261697473223A207B226E616D65223A202241636D65227D7D',0);
INSERT INTO "log" VALUES(17,'track',1,NULL,'Journey Entered',1772445802559536,1772445802559536,1772445802559536,'keepers',X'7B2274797065223A22747261636B222C226576656E74223A224A6F75726E657920456E7465726564222C2270726F70657274696573223A7B226A6F75726E6579223A2261667465725F6F72646572222C2276657273696F6E223A317D7D',0);
INSERT INTO "log" VALUES(18,'track',1,NULL,'In-App Sent',1772445825554884,1772445825554884,1772445825554884,'keepers',X'7B2274797065223A22747261636B222C226576656E74223A22496E2D4170702053656E74222C2270726F70657274696573223A7B226D657373616765223A2268656C6C6F222C226D6573736167655F6B6579223A22337A7736786B686C33746577697472666A333778746F6575222C226A6F75726E6579223A2261667465725F6F72646572222C2273746570223A227468616E6B222C226368616E6E656C223A22696E5F617070222C22746F706963223A226E657773227D7D',1);
INSERT INTO "log" VALUES(19,'track',2,NULL,'In-App Sent',1772445879150980,1772445879177318,1772445879177318,'keepers',X'7B2274797065223A22747261636B222C226576656E74223A22496E2D4170702053656E74222C2270726F70657274696573223A7B226D657373616765223A22737072696E67222C226D6573736167655F6B6579223A22316130626263326539643363396263393834303131633063222C2262726F616463617374223A226E6577736C6574746572222C226368616E6E656C223A22696E5F617070222C22746F706963223A226E657773227D7D',1);
INSERT INTO "log" VALUES(20,'track',1,NULL,'In-App Sent',1772445879177318,1772445879177318,1772445879177318,'keepers',X'7B2274797065223A22747261636B222C226576656E74223A22496E2D4170702053656E74222C2270726F70657274696573223A7B226D657373616765223A22737072696E67222C226D6573736167655F6B6579223A22316130626263326534636561306234623633346235333633222C2262726F616463617374223A226E6577736C6574746572222C226368616E6E656C223A22696E5F617070222C22746F706963223A226E657773227D7D',1);
CREATE TABLE merges (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	from_id BIGINT NOT NULL, 
	to_id BIGINT NOT NULL, 
	seq BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	cause VARCHAR NOT NULL, 
	identities TEXT NOT NULL, 
	undone_at BIGINT
);
INSERT INTO "merges" VALUES(1,4,2,13,1772445600000000,'identify','[["anonymous_id","phone"]]',NULL);
CREATE TABLE message_copies (
	message_id INTEGER NOT NULL, 
	subject TEXT NOT NULL, 
	html BLOB NOT NULL, 
	text TEXT NOT NULL, 
	content TEXT NOT NULL, 
	kept_until BIGINT NOT NULL, 
	CONSTRAINT pk_message_copies PRIMARY KEY (message_id)
);
INSERT INTO "message_copies" VALUES(1,'',X'7801030000000001','Thank you for order 4.
','{"subject":"","html":"","text":"","title":"Hello Ann","url":"","locale":"en","data":{}}',1806660225276201);
INSERT INTO "message_copies" VALUES(2,'',X'7801030000000001','New things, Bob.
','{"subject":"","html":"","text":"","title":"Spring","url":"","locale":"en","data":{}}',1806660278938695);
INSERT INTO "message_copies" VALUES(4,'',X'7801030000000001','New things, Ann.
','{"subject":"","html":"","text":"","title":"Spring","url":"","locale":"en","data":{}}',1806660278938695);
CREATE TABLE message_history (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	message_id BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	status VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	detail TEXT NOT NULL
);
INSERT INTO "message_history" VALUES(1,1,1772445825554884,'sent','','');
INSERT INTO "message_history" VALUES(2,2,1772445879150980,'sent','','');
INSERT INTO "message_history" VALUES(3,4,1772445879177318,'sent','','');
CREATE TABLE message_ids (
	hash BLOB NOT NULL, 
	received_at BIGINT NOT NULL, 
	CONSTRAINT pk_message_ids PRIMARY KEY (hash)
)
 WITHOUT ROWID

;
INSERT INTO "message_ids" VALUES(X'0C2681EB99675150791710F97AA6F340',1772445600000000);
INSERT INTO "message_ids" VALUES(X'59CD911E451AA3B549D6D1F692E4656F',1772445600000000);
INSERT INTO "message_ids" VALUES(X'8CDF8077074D02C48A9A11939729AC93',1772445600000000);
INSERT INTO "message_ids" VALUES(X'BEE796968923F0285D58EAD1A83D628D',1772445600000000);
CREATE TABLE messages (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	"key" VARCHAR NOT NULL, 
	run_id BIGINT, 
	broadcast VARCHAR, 
	journey VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	step VARCHAR NOT NULL, 
	visit INTEGER NOT NULL, 
	profile_id BIGINT NOT NULL, 
	message VARCHAR NOT NULL, 
	template_version INTEGER NOT NULL, 
	channel VARCHAR NOT NULL, 
	topic VARCHAR NOT NULL, 
	is_transactional BOOLEAN NOT NULL, 
	priority INTEGER NOT NULL, 
	recipient VARCHAR NOT NULL, 
	address_hash VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	decided_at BIGINT NOT NULL, 
	send_after BIGINT NOT NULL, 
	expires_at BIGINT, 
	claimed_by VARCHAR, 
	claimed_at BIGINT, 
	handed_over_at BIGINT, 
	sent_at BIGINT, 
	attempts INTEGER NOT NULL, 
	message_id VARCHAR, 
	provider_id VARCHAR, 
	locale VARCHAR NOT NULL, 
	data TEXT NOT NULL, 
	counted_at BIGINT, 
	hops INTEGER NOT NULL, 
	CONSTRAINT uq_messages_key UNIQUE ("key")
);
INSERT INTO "messages" VALUES(1,'3zw6xkhl3tewitrfj37xtoeu',1,NULL,'after_order',1,'thank',1,1,'hello',1,'in_app','news',0,2,'#1','ea63bf5be920dc43af6f8a3ad7dad943a6dccf7d3fb10dba8593355419c0d29b','sent','',1772445802559536,1772445802559536,1772705002559536,NULL,1772445825276201,1772445825276201,1772445825554884,1,NULL,'3zw6xkhl3tewitrfj37xtoeu','en','{"trigger":{"total":20,"order_id":4,"event":"Order Completed","time":"2026-03-02T09:59:00Z","seq":10},"run":{"id":1},"customer":{"first_name":"Ann","id":1},"contact":{"zone":"UTC","last_activity_at":"2026-03-02T09:59:00","engaged_at":"2026-03-02T09:59:00"}}',1772445825276201,0);
INSERT INTO "messages" VALUES(2,'1a0bbc2e9d3c9bc984011c0c',NULL,'newsletter','',1,'',1,2,'spring',1,'in_app','news',0,3,'#2','a756e89eb17137f7eec9d4989586a9aa3ed4acf27ee49fb987a2d7139eb3770b','sent','',1772445856769055,1772445856769055,1772705056769055,NULL,1772445878938695,1772445878938695,1772445879150980,1,NULL,'1a0bbc2e9d3c9bc984011c0c','en','{"customer":{"first_name":"Bob","id":2},"contact":{"zone":"Europe/Warsaw","country":"PL"}}',1772445878938695,0);
INSERT INTO "messages" VALUES(3,'1a0bbc2ea20bd25bfa7e7907',NULL,'newsletter','',1,'',1,3,'spring',1,'in_app','news',0,3,'#3','bed42e1a25de7e40076858ec41f38050e6bc332e3b43504a6eb3eb350e96242a','skipped','unsubscribed',1772445856769055,1772445856769055,1772705056769055,NULL,NULL,NULL,NULL,0,NULL,NULL,'','{}',NULL,0);
INSERT INTO "messages" VALUES(4,'1a0bbc2e4cea0b4b634b5363',NULL,'newsletter','',1,'',1,1,'spring',1,'in_app','news',0,3,'#1','ea63bf5be920dc43af6f8a3ad7dad943a6dccf7d3fb10dba8593355419c0d29b','sent','',1772445856769055,1772445856769055,1772705056769055,NULL,1772445878938695,1772445878938695,1772445879177318,1,NULL,'1a0bbc2e4cea0b4b634b5363','en','{"customer":{"first_name":"Ann","id":1},"contact":{"zone":"UTC"}}',1772445878938695,0);
CREATE TABLE meta (
	name VARCHAR NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_meta PRIMARY KEY (name)
);
INSERT INTO "meta" VALUES('secret','16567c9127c78b89824431b28ef3b4916089e96638f3a3a7e3d79dbf165521ed');
INSERT INTO "meta" VALUES('advanced_to','2026-03-02T10:04:57.847632');
CREATE TABLE profiles (
	id INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	bucket_key VARCHAR NOT NULL, 
	created_at BIGINT NOT NULL, 
	merged_into BIGINT, 
	linking_stopped_at BIGINT, 
	CONSTRAINT pk_profiles PRIMARY KEY (id)
);
INSERT INTO "profiles" VALUES(1,'person','dfa540bfaad4482000915b124587b8d5',1767225600000000,NULL,NULL);
INSERT INTO "profiles" VALUES(2,'person','f44aa2612c66898857e69cedf02288ec',1767225600000000,NULL,NULL);
INSERT INTO "profiles" VALUES(3,'person','ab18c530765c9b0bf26eec976aaf1d85',1767225600000000,NULL,NULL);
INSERT INTO "profiles" VALUES(4,'person','471d345eaaf4972937eff8e708a79442',1772445600000000,2,NULL);
INSERT INTO "profiles" VALUES(5,'account','0951cc77fb6ef75d699a511747430df9',1772445600000000,NULL,NULL);
CREATE TABLE push_subscriptions (
	endpoint VARCHAR NOT NULL, 
	profile_id BIGINT NOT NULL, 
	keys TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_push_subscriptions PRIMARY KEY (endpoint)
);
CREATE TABLE reports (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at BIGINT NOT NULL, 
	body TEXT NOT NULL
);
CREATE TABLE run_trail (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	run_id BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	step VARCHAR NOT NULL, 
	visit INTEGER NOT NULL, 
	what VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	data TEXT NOT NULL
);
INSERT INTO "run_trail" VALUES(1,1,1772445802559536,'thank',1,'entered','','{"event":"Order Completed","seq":10}');
INSERT INTO "run_trail" VALUES(2,1,1772445802559536,'thank',1,'passed','','{"port":"next"}');
INSERT INTO "run_trail" VALUES(3,1,1772445802559536,'rest',1,'waits','','{"until":"2026-03-04T10:03:22.559536Z"}');
CREATE TABLE suppressions (
	channel VARCHAR NOT NULL, 
	hash VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	at BIGINT NOT NULL, 
	source VARCHAR NOT NULL, 
	detail TEXT NOT NULL, 
	CONSTRAINT pk_suppressions PRIMARY KEY (channel, hash)
)
 WITHOUT ROWID

;
INSERT INTO "suppressions" VALUES('email','27be825973c5aef91072449ce7b9898c9b2ed236f297fb0408c16cdf272ce2e6','manual',1772445757864545,'by hand','');
CREATE TABLE switches (
	name VARCHAR NOT NULL, 
	"on" BOOLEAN NOT NULL, 
	reason VARCHAR NOT NULL, 
	at BIGINT NOT NULL, 
	CONSTRAINT pk_switches PRIMARY KEY (name)
);
CREATE TABLE workers (
	id VARCHAR NOT NULL, 
	started_at BIGINT NOT NULL, 
	beat_at BIGINT NOT NULL, 
	CONSTRAINT pk_workers PRIMARY KEY (id)
);
CREATE INDEX ix_message_ids_received_at ON message_ids (received_at);
CREATE INDEX ix_identities_profile_id ON identities (profile_id);
CREATE INDEX ix_merges_from_id ON merges (from_id);
CREATE INDEX ix_merges_to_id ON merges (to_id);
CREATE INDEX ix_definitions_active ON definitions (active, kind);
CREATE INDEX ix_journey_runs_profile ON journey_runs (profile_id, status);
CREATE INDEX ix_journey_runs_wake ON journey_runs (status, wake_at);
CREATE INDEX ix_run_trail_run_id ON run_trail (run_id);
CREATE INDEX ix_messages_address ON messages (address_hash, counted_at);
CREATE INDEX ix_messages_broadcast ON messages (broadcast, status) WHERE broadcast IS NOT NULL;
CREATE INDEX ix_messages_due ON messages (status, channel, priority, send_after);
CREATE INDEX ix_messages_message_id ON messages (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX ix_messages_profile ON messages (profile_id, id);
CREATE INDEX ix_messages_provider ON messages (provider_id) WHERE provider_id IS NOT NULL;
CREATE INDEX ix_messages_run ON messages (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX ix_messages_step ON messages (journey, step, status);
CREATE INDEX ix_message_copies_kept_until ON message_copies (kept_until);
CREATE INDEX ix_message_history_message_id ON message_history (message_id);
CREATE INDEX ix_broadcast_sends_broadcast ON broadcast_sends (broadcast);
CREATE INDEX ix_consents_profile_id ON consents (profile_id);
CREATE INDEX ix_coupons_profile_id ON coupons (profile_id);
CREATE INDEX ix_coupons_run ON coupons (run_id, pool);
CREATE INDEX ix_coupons_taken ON coupons (pool, taken_at);
CREATE INDEX ix_in_app_profile_id ON in_app (profile_id);
CREATE INDEX ix_push_subscriptions_profile_id ON push_subscriptions (profile_id);
CREATE INDEX ix_link_hits_message_id ON link_hits (message_id);
CREATE INDEX ix_entry_refusals_profile_id ON entry_refusals (profile_id);
CREATE INDEX ix_link_hits_unjudged ON link_hits (at, id) WHERE is_machine IS NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('consents',3);
INSERT INTO "sqlite_sequence" VALUES('merges',1);
INSERT INTO "sqlite_sequence" VALUES('journey_runs',1);
INSERT INTO "sqlite_sequence" VALUES('run_trail',3);
INSERT INTO "sqlite_sequence" VALUES('messages',4);
INSERT INTO "sqlite_sequence" VALUES('in_app',3);
INSERT INTO "sqlite_sequence" VALUES('message_history',3);
INSERT INTO "sqlite_sequence" VALUES('broadcast_sends',1);
COMMIT;

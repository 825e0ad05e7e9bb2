// Draws the status page from /status.json, every few seconds, without any library.
"use strict";

const EVERY_MS = 5000;
const COLOURS = 10;
const words = JSON.parse(document.getElementById("words").textContent);
const locale = document.documentElement.lang;
const number = new Intl.NumberFormat(locale);
const percent = new Intl.NumberFormat(locale, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const day = new Intl.DateTimeFormat(locale, { year: "numeric", month: "short", day: "numeric" });
const month = new Intl.DateTimeFormat(locale, { year: "2-digit", month: "short" });
const shortDay = new Intl.DateTimeFormat(locale, { month: "short", day: "numeric" });
const minute = new Intl.DateTimeFormat(locale, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const moment = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
const time = new Intl.DateTimeFormat(locale, { timeStyle: "short" });
const clock = new Intl.DateTimeFormat(locale, { timeStyle: "medium" });

const by = (id) => document.getElementById(id);
const said = (word, value) => words[word].replace("{0}", value);
let drawn = null; // the last answer
let pointed = null; // index of the point the tooltip is at

function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function svg(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

const colour = (place) => (place < 0 ? "none" : `c${place % COLOURS}`);

function named(shown, place) {
  const name = place < 0 ? words.outside : shown.stages[place].name;
  return make("span", {}, make("i", { class: `key ${colour(place)}`, "aria-hidden": "true" }), name);
}

function path(shown, move) {
  const arrow = make("span", { class: "arrow", "aria-label": "→" }, "→");
  return make("span", { class: "path" }, named(shown, move.source), arrow, named(shown, move.target));
}

// ---- asking -------------------------------------------------------------------------------------------------

function chosen() {
  return new URLSearchParams(location.search).get("lifecycle");
}

async function refresh() {
  const asked = new URLSearchParams({ lang: locale });
  if (chosen()) asked.set("lifecycle", chosen());
  try {
    let answer = await fetch(`/status.json?${asked}`, { cache: "no-store" });
    if (answer.status === 404 && chosen()) {
      // The lifecycle was taken out of the playbook meanwhile.
      select(null, false);
      answer = await fetch(`/status.json?lang=${locale}`, { cache: "no-store" });
    }
    if (answer.status === 401) {
      location.assign("/login" + location.search);
      return;
    }
    if (!answer.ok) throw new Error(`${answer.status}`);
    draw(await answer.json());
  } catch {
    pill("offline", "bad");
    trouble(words.offline_text);
  }
}

async function keepRefreshing() {
  for (;;) {
    if (!document.hidden) await refresh();
    await new Promise((done) => {
      const timer = setTimeout(done, EVERY_MS);
      document.addEventListener("visibilitychange", () => { clearTimeout(timer); done(); }, { once: true });
    });
  }
}

// ---- drawing ------------------------------------------------------------------------------------------------

function pill(state, kind) {
  if (by("state").textContent !== words[state]) by("state").textContent = words[state];
  by("pill").className = `pill ${kind}`;
}

function showSelected() {
  // The list alone is scrolled: a reader further down the page stays there.
  const list = by("tabs");
  const tab = list.querySelector('[aria-selected="true"]');
  if (!tab) return;
  const start = tab.offsetLeft - list.offsetLeft;
  const end = start + tab.offsetWidth + 8 - list.clientWidth;
  list.scrollLeft = Math.min(Math.max(list.scrollLeft, end), start);
}

function trouble(text) {
  by("trouble").hidden = !text;
  if (by("trouble").textContent !== text) by("trouble").textContent = text;
}

function draw(status) {
  const same = JSON.stringify(status) === JSON.stringify(drawn);
  const health = status.health;
  drawn = status;
  by("refreshed").textContent = said("refreshed", clock.format(new Date()));
  if (health.status === "failing") pill("failing", "bad");
  else if (health.status === "behind") pill("behind", "warn");
  else if (!health.is_ticking) pill("paused", "warn");
  else pill("ok", "good");
  trouble(health.status === "failing" ? said("failing_text", health.trouble) : "");
  if (same) return;
  by("profiles").textContent = number.format(health.profiles);
  by("events").textContent = number.format(health.events);
  const ticked = health.last_tick && new Date(health.last_tick);
  by("asof").replaceChildren(...(ticked ? [day.format(ticked), " ", make("small", {}, time.format(ticked))] : ["–"]));
  by("took").textContent = health.tick_seconds === null ? "" : said("took", number.format(Math.round(health.tick_seconds * 100) / 100));
  by("waiting").textContent = number.format(health.inbox_requests);
  by("waited").textContent = health.inbox_requests ? said("waited", number.format(Math.round(health.lag_seconds))) : "";
  const isEmpty = health.profiles === 0;
  by("empty").hidden = !isEmpty;
  by("unplanned").hidden = isEmpty || status.lifecycles.length > 0;
  by("board").hidden = isEmpty || !status.shown;
  if (by("board").hidden) return;
  tabs(status);
  stages(status.shown);
  history(status.shown);
  moves(status.shown);
}

function tabs(status) {
  const key = status.lifecycles.map((l) => `${l.id}\0${l.name}`).join("\0");
  const list = by("tabs");
  if (list.dataset.key !== key) {
    list.dataset.key = key;
    list.replaceChildren(...status.lifecycles.map((lifecycle) => {
      const tab = make("button", { type: "button", role: "tab", id: `tab-${lifecycle.id}`, "aria-controls": "panel" }, lifecycle.name);
      tab.dataset.id = lifecycle.id;
      tab.addEventListener("click", () => { select(lifecycle.id, true); refresh(); });
      return tab;
    }));
  }
  for (const tab of list.children) {
    const isShown = tab.dataset.id === status.shown.id;
    tab.setAttribute("aria-selected", String(isShown));
    tab.tabIndex = isShown ? 0 : -1;
    if (!isShown || by("panel").getAttribute("aria-labelledby") === tab.id) continue;
    by("panel").setAttribute("aria-labelledby", tab.id);
    showSelected();
  }
  list.hidden = status.lifecycles.length < 2;
}

function select(id, isVisible) {
  const asked = new URLSearchParams(location.search);
  if (id) asked.set("lifecycle", id); else asked.delete("lifecycle");
  window.history[isVisible ? "pushState" : "replaceState"](null, "", `?${asked}`);
  languages();
}

function stages(shown) {
  const total = shown.stages.reduce((sum, stage) => sum + stage.profiles, 0);
  const most = Math.max(1, ...shown.stages.map((stage) => stage.profiles));
  const list = by("stages");
  list.replaceChildren(...shown.stages.map((stage, place) => {
    const fill = make("i", {});
    fill.style.width = `${(stage.profiles / most) * 100}%`;
    const row = make("div", { class: "row" }, make("b", {}, stage.name), make("span", {}, number.format(stage.profiles)),
      make("small", {}, total ? percent.format(stage.profiles / total) : "–"));
    return make("li", { class: colour(place) }, row, make("div", { class: "bar", "aria-hidden": "true" }, fill));
  }));
}

function moves(shown) {
  const flows = shown.moves.slice(0, 10);
  by("flows").replaceChildren(...flows.map((move) => make("li", {}, path(shown, move), make("b", {}, number.format(move.profiles)))));
  by("nomoves").hidden = flows.length > 0;
  by("movers").replaceChildren(...shown.latest.map((move) => make("li", {}, make("span", { class: "who" }, move.profile),
    path(shown, move), make("time", { datetime: move.at }, minute.format(new Date(move.at))))));
  by("nomovers").hidden = shown.latest.length > 0;
}

// ---- the chart ----------------------------------------------------------------------------------------------

function history(shown) {
  const has = shown.history.length > 1;
  by("plot").hidden = !has;
  by("nohistory").hidden = has;
  if (!has) return;
  chart(shown);
  by("legend").replaceChildren(...shown.stages.map((_, place) => make("li", {}, named(shown, place))));
  const head = make("tr", {}, make("th", { scope: "col" }, words.date), ...shown.stages.map((s) => make("th", { scope: "col" }, s.name)));
  const rows = [...shown.history].reverse().map((point) => make("tr", {}, make("th", { scope: "row" }, day.format(new Date(point.at))),
    ...point.profiles.map((n) => make("td", {}, number.format(n)))));
  by("history").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
}

const MARGIN = { left: 52, right: 8, top: 10, bottom: 26 };

function scales(shown) {
  const box = by("chart").getBoundingClientRect();
  const width = Math.max(box.width, 200), height = Math.max(box.height, 120);
  const times = shown.history.map((point) => Date.parse(point.at));
  const totals = shown.history.map((point) => point.profiles.reduce((a, b) => a + b, 0));
  const step = niceStep(Math.max(1, ...totals) / 5);
  const top = Math.ceil(Math.max(1, ...totals) / step) * step;
  const span = times[times.length - 1] - times[0] || 1;
  return {
    width, height, times, step, top, span,
    x: (time) => MARGIN.left + ((time - times[0]) / span) * (width - MARGIN.left - MARGIN.right),
    y: (value) => height - MARGIN.bottom - (value / top) * (height - MARGIN.top - MARGIN.bottom),
  };
}

function niceStep(raw) {
  const power = 10 ** Math.floor(Math.log10(Math.max(raw, 1)));
  return [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= raw && Number.isInteger(n)) || Math.ceil(raw);
}

function chart(shown) {
  const s = scales(shown);
  const root = svg("svg", { viewBox: `0 0 ${s.width} ${s.height}`, "aria-hidden": "true" });
  for (let value = 0; value <= s.top; value += s.step) {
    root.append(svg("line", { x1: MARGIN.left, x2: s.width - MARGIN.right, y1: s.y(value), y2: s.y(value) }));
    root.append(svg("text", { x: MARGIN.left - 8, y: s.y(value) + 4, "text-anchor": "end" }, number.format(value)));
  }
  const below = shown.history.map(() => 0);
  shown.stages.forEach((_, place) => {
    const upper = shown.history.map((point, n) => `${s.x(s.times[n]).toFixed(1)},${s.y(below[n] + point.profiles[place]).toFixed(1)}`);
    const lower = shown.history.map((_, n) => `${s.x(s.times[n]).toFixed(1)},${s.y(below[n]).toFixed(1)}`).reverse();
    root.append(svg("path", { class: colour(place), d: `M${[...upper, ...lower].join("L")}Z` }));
    shown.history.forEach((point, n) => { below[n] += point.profiles[place]; });
  });
  const ticks = Math.max(2, Math.floor(s.width / 110));
  const label = s.span > 150 * 86400e3 ? month : s.span > 3 * 86400e3 ? shortDay : minute;
  for (let n = 0; n < ticks; n += 1) {
    const time = s.times[0] + (s.span * n) / (ticks - 1);
    const anchor = n === 0 ? "start" : n === ticks - 1 ? "end" : "middle";
    root.append(svg("text", { x: s.x(time), y: s.height - 6, "text-anchor": anchor }, label.format(new Date(time))));
  }
  root.append(svg("line", { class: "now", y1: MARGIN.top, y2: s.height - MARGIN.bottom }));
  by("chart").replaceChildren(root);
  if (pointed !== null) point(Math.min(pointed, shown.history.length - 1));
}

function point(n) {
  const shown = drawn.shown, s = scales(shown), at = shown.history[n], x = s.x(s.times[n]);
  pointed = n;
  const line = by("chart").querySelector(".now");
  line.setAttribute("x1", x);
  line.setAttribute("x2", x);
  line.classList.add("shown");
  const tip = by("tip");
  tip.hidden = false;
  const rows = shown.stages.map((stage, place) => make("p", {}, make("i", { class: `key ${colour(place)}`, "aria-hidden": "true" }),
    make("span", {}, stage.name), make("span", {}, number.format(at.profiles[place])))).reverse();
  tip.replaceChildren(make("b", {}, s.span > 3 * 86400e3 ? day.format(s.times[n]) : moment.format(s.times[n])), ...rows);
  const wide = tip.offsetWidth;
  tip.style.left = `${x + wide + 16 > s.width ? Math.max(0, x - wide - 12) : x + 12}px`;
}

function unpoint() {
  pointed = null;
  by("tip").hidden = true;
  by("chart").querySelector(".now")?.classList.remove("shown");
}

function nearest(event) {
  const s = scales(drawn.shown);
  const x = event.clientX - by("chart").getBoundingClientRect().left;
  let best = 0;
  s.times.forEach((time, n) => { if (Math.abs(s.x(time) - x) < Math.abs(s.x(s.times[best]) - x)) best = n; });
  return best;
}

// ---- what people do -----------------------------------------------------------------------------------------

by("chart").addEventListener("pointermove", (event) => point(nearest(event)));
by("chart").addEventListener("pointerdown", (event) => point(nearest(event)));
by("chart").addEventListener("pointerleave", unpoint);
by("chart").addEventListener("blur", unpoint);
by("chart").addEventListener("keydown", (event) => {
  const last = drawn.shown.history.length - 1;
  const to = { ArrowLeft: (pointed ?? last + 1) - 1, ArrowRight: (pointed ?? -1) + 1, Home: 0, End: last }[event.key];
  if (event.key === "Escape") unpoint();
  if (to === undefined) return;
  event.preventDefault();
  point(Math.max(0, Math.min(last, to)));
});

by("tabs").addEventListener("keydown", (event) => {
  const all = [...by("tabs").children], here = all.indexOf(document.activeElement);
  const to = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: all.length - 1 }[event.key];
  if (to === undefined || here < 0) return;
  event.preventDefault();
  const tab = all[(to + all.length) % all.length];
  tab.focus();
  tab.click();
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest(".command button");
  if (!button) return;
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = words.copied;
    setTimeout(() => { button.textContent = words.copy; }, 1500);
  } catch {
    // Without a clipboard (plain HTTP from elsewhere) the command is selected, ready to be copied by hand.
    window.getSelection().selectAllChildren(code);
  }
});

function languages() {
  for (const link of by("languages").children) {
    const asked = new URLSearchParams(location.search);
    asked.set("lang", link.lang);
    link.href = `?${asked}`;
  }
}

by("send").textContent = `curl ${location.origin}/v1/track -u SERVER_KEY: -H 'content-type: application/json' `
  + `-d '{"userId":"ann","event":"Order Completed","properties":{"total":49.9}}'`;
window.addEventListener("popstate", refresh);
new ResizeObserver(showSelected).observe(by("tabs"));
new ResizeObserver(() => { if (drawn && !by("board").hidden && !by("plot").hidden) chart(drawn.shown); }).observe(by("chart"));
languages();
keepRefreshing();

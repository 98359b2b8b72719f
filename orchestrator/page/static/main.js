// Asks for one view a second while somebody looks, and shows it.

import { showFleet, showVerdict } from "./fleet.js";
import { sayPlace, showLegends, showStreams } from "./streams.js";
import { say, span } from "./words.js";

const EVERY_MS = 1000;
const LATE_MS = 4000;
const form = document.getElementById("query");
const query = { q: "", state: "", order: "trouble", size: "12", page: "1" };
let answeredAt = performance.now();
let timer = 0;
let asking = null;

async function get(path, signal) {
  const response = await fetch(path, { signal, headers: { Accept: "application/json" } });
  if (response.status === 401) location.assign("/enter");
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

async function look(asked = false) {
  clearTimeout(timer);
  asking?.abort();
  const mine = (asking = new AbortController());
  const limit = setTimeout(() => mine.abort(), LATE_MS);
  try {
    const view = await get(`/api/view?${new URLSearchParams(query)}`, mine.signal);
    if (mine !== asking) return;
    answeredAt = performance.now();
    show(view);
    if (asked) sayPlace(view.streams);
  } catch (error) {
    if (mine === asking && error.name !== "AbortError") console.warn(error);
  } finally {
    clearTimeout(limit);
  }
  if (mine === asking && !document.hidden) timer = setTimeout(look, EVERY_MS);
}

function show(view) {
  showVerdict(view.verdict);
  showFleet(view.fleet, view.streams);
  showStreams(view.streams, query, view.prompting.operator);
  document.getElementById("operator").hidden = view.prompting.operator || !view.prompting.operators;
  query.page = String(view.streams.page);
}

function change(changes) {
  Object.assign(query, changes);
  const told = Object.entries(query).filter(([name, value]) => value && value !== form.elements[name]?.defaultValue && !(name === "page" && value === "1"));
  history.replaceState(null, "", told.length ? `?${new URLSearchParams(told)}` : location.pathname);
  look(true);
}

function freshness() {
  const ms = performance.now() - answeredAt;
  const late = ms > LATE_MS;
  document.body.toggleAttribute("data-late", late);
  const label = document.getElementById("freshness");
  label.toggleAttribute("data-late", late);
  say(label, late ? `no answer for ${span(Math.floor(ms / 1000))}` : "live");
}

for (const [name, value] of new URLSearchParams(location.search)) if (name in query) query[name] = value;
for (const name of ["q", "state", "order", "size"]) form.elements[name].value = query[name];
form.addEventListener("submit", (event) => event.preventDefault());
let typing = 0;
form.elements.q.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => change({ q: form.elements.q.value.trim(), page: "1" }), 200);
});
for (const name of ["state", "order", "size"]) form.elements[name].addEventListener("change", () => change({ [name]: form.elements[name].value, page: "1" }));
document.getElementById("previous").addEventListener("click", () => change({ page: String(Number(query.page) - 1) }));
document.getElementById("next").addEventListener("click", () => change({ page: String(Number(query.page) + 1) }));
const opacity = document.getElementById("opacity");
opacity.addEventListener("input", () => document.documentElement.style.setProperty("--mask-opacity", opacity.value / 100));
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) look();
});
setInterval(freshness, 500);
get("/api/legends").then(showLegends, console.warn);
look();

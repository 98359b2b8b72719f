// Load against streams: points, the fitted line, and the mark where it reaches the capacity.

import { number, percent, say } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const EDGE = { left: 50, right: 18, top: 16, bottom: 38 };
const FURTHEST = 40; // a capacity so many times beyond the present streams lies outside the picture, as an arrow

export function drawChart(fleet) {
  const svg = document.getElementById("chart");
  const { width, height } = svg.getBoundingClientRect();
  if (width < 50) return;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const capacity = fleet.line?.capacity_streams ?? null;
  const seen = Math.max(4, fleet.streams, ...fleet.points.map(([streams]) => streams));
  const inside = capacity !== null && capacity <= FURTHEST * seen;
  const xTop = (inside ? Math.max(seen, capacity) : seen) * 1.12;
  const yTop = Math.max(1.15, 1.1 * (fleet.load ?? 0), ...fleet.points.map(([, load]) => 1.1 * load));
  const x = (streams) => EDGE.left + (streams / xTop) * (width - EDGE.left - EDGE.right);
  const y = (load) => height - EDGE.bottom - (load / yTop) * (height - EDGE.top - EDGE.bottom);
  const parts = [...axes(x, y, xTop, yTop, width, height), ...points(fleet, x, y), ...line(fleet.line, x, y, xTop, yTop)];
  if (capacity !== null) parts.push(...mark(capacity, inside, x, y, width));
  if (fleet.load !== null) parts.push(make("circle", { class: "now", cx: x(fleet.streams), cy: y(fleet.load), r: 6 }));
  document.getElementById("chart-body").replaceChildren(...parts);
  describe(fleet, capacity);
  tabulate(fleet);
}

function axes(x, y, xTop, yTop, width, height) {
  const parts = [];
  for (const load of ticks(yTop, 5)) {
    parts.push(make("line", { class: load ? "grid" : "axis", x1: EDGE.left, x2: width - EDGE.right, y1: y(load), y2: y(load) }));
    parts.push(text(EDGE.left - 8, y(load) + 4, percent(load), "end"));
  }
  for (const streams of ticks(xTop, Math.max(3, width / 90)).filter(Number.isInteger)) {
    parts.push(make("line", { class: "axis", x1: x(streams), x2: x(streams), y1: y(0), y2: y(0) + 4 }));
    parts.push(text(x(streams), y(0) + 18, number(streams), "middle"));
  }
  parts.push(text((EDGE.left + width - EDGE.right) / 2, height - 3, "streams with a frame in the last 10 s", "middle"));
  parts.push(make("line", { class: "full", x1: EDGE.left, x2: width - EDGE.right, y1: y(1), y2: y(1) }));
  parts.push(text(EDGE.left + 6, y(1) - 5, "all that fits (load 1)", "start", "full-text"));
  return parts;
}

function points(fleet, x, y) {
  return fleet.points.map(([streams, load]) => make("circle", { class: "point", cx: x(streams), cy: y(load), r: 4 }));
}

function line(fit, x, y, xTop, yTop) {
  if (!fit) return [];
  const at = (streams) => fit.intercept + fit.slope * streams;
  let [from, to] = [0, xTop];
  if (fit.slope > 0) [from, to] = [Math.max(0, -fit.intercept / fit.slope), Math.min(xTop, (yTop - fit.intercept) / fit.slope)];
  if (to <= from) return [];
  const attributes = { class: "fit", x1: x(from), y1: y(at(from)), x2: x(to), y2: y(at(to)) };
  return [make("line", fit.through_zero ? { ...attributes, "data-guess": "" } : attributes)];
}

function mark(capacity, inside, x, y, width) {
  const words = `capacity: ${number(Math.floor(capacity))} streams`;
  if (!inside) return [text(width - EDGE.right, y(1) + 16, `${words} →`, "end", "mark-text")];
  const at = x(capacity);
  const nearEdge = at > width - 180;
  return [
    make("line", { class: "mark", x1: at, x2: at, y1: y(0), y2: y(1) }),
    make("path", { class: "mark-end", d: `M${at} ${y(1) + 1}l-5.5 -9h11z` }),
    text(at + (nearEdge ? -8 : 8), y(0) - 10, words, nearEdge ? "end" : "start", "mark-text"),
  ];
}

function describe(fleet, capacity) {
  const line = fleet.line;
  const now = fleet.load === null ? "No load was measured yet." : `${number(fleet.streams)} streams load the decoders to ${percent(fleet.load)}.`;
  const reach = capacity === null ? "" : ` The line reaches the capacity at ${number(Math.floor(capacity))} streams.`;
  say(document.getElementById("chart-words"), now + reach);
  let note = "waiting for a steady number of streams";
  if (line) note = `${percent(line.slope, 2)} a stream${line.through_zero ? ", one count of streams seen" : ", least squares"}`;
  say(document.getElementById("chart-note"), note);
}

function tabulate(fleet) {
  const body = document.getElementById("chart-rows");
  if (!body.closest("details").open) return;
  const loads = new Map();
  for (const [streams, load] of fleet.points) loads.set(streams, [...(loads.get(streams) ?? []), load]);
  const rows = [...loads].map(([streams, seen]) => {
    const row = document.createElement("tr");
    const mean = seen.reduce((sum, load) => sum + load, 0) / seen.length;
    const fitted = fleet.line ? fleet.line.intercept + fleet.line.slope * streams : null;
    for (const value of [number(streams), percent(mean, 1), percent(fitted, 1)]) row.insertCell().textContent = value;
    return row;
  });
  body.replaceChildren(...rows);
}

function ticks(top, about) {
  const rough = top / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
  return Array.from({ length: Math.floor(top / step) + 1 }, (_, i) => Math.round(i * step * 1e6) / 1e6);
}

export function drawTrend(svg, values) {
  const top = Math.max(1e-9, ...values) * 1.15;
  const at = values.map((value, i) => `${(100 * (i + 120 - values.length)) / 119} ${40 - (38 * value) / top}`);
  svg.setAttribute("viewBox", "0 0 100 40");
  svg.setAttribute("preserveAspectRatio", "none");
  if (at.length < 2) return;
  const begin = at[0].split(" ")[0];
  const paths = [make("path", { class: "under", d: `M${begin} 40L${at.join("L")}L100 40z` }), make("path", { d: `M${at.join("L")}` })];
  svg.replaceChildren(...paths);
}

function make(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function text(x, y, words, anchor, kind = "") {
  const element = make("text", { x, y, "text-anchor": anchor, class: kind });
  element.textContent = words;
  return element;
}

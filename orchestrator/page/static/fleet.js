// The first screen: is the fleet well, and the figures that say so.

import { drawChart, drawTrend } from "./chart.js";
import { count, number, percent, say, shareBelow, short, span } from "./words.js";

export function showVerdict(verdict) {
  document.getElementById("verdict").dataset.level = verdict.level;
  say(document.getElementById("verdict-text"), verdict.text);
  document.title = verdict.level === "well" ? "Narrows" : `${verdict.text} – Narrows`;
  const list = document.getElementById("findings");
  const wanted = verdict.findings.map((finding) => `${finding.level} ${finding.text}`).join("\n");
  if (list.dataset.shown === wanted) return;
  list.dataset.shown = wanted;
  list.replaceChildren(
    ...verdict.findings.map((finding) => {
      const item = document.createElement("li");
      item.dataset.level = finding.level;
      item.textContent = finding.text;
      return item;
    }),
  );
}

export function showFleet(fleet, streams) {
  if (fleet === null) return;
  drawChart(fleet);
  const busy = `of ${number(fleet.capacity_frames_per_s)} frames/s; decoders busy ${percent(fleet.busy)}`;
  figure("load", percent(fleet.load), fleet.load === null ? "not measured yet" : busy, levelOfLoad(fleet.load));
  const share = fleet.in_time_share;
  const due = share === null ? "no frame in 5 min" : `of ${number(fleet.frames_due)} in 5 min; 99 % is the aim`;
  figure("objective", shareBelow(share), due, share !== null && share < 0.99 ? "watch" : "");
  const waits = fleet.backlog_frames ? `the oldest waits ${span(fleet.backlog_age_s)}` : "nothing waits";
  figure("backlog", count(fleet.backlog_frames, "frame", "frames"), waits, fleet.backlog_age_s > 2 ? "watch" : "", fleet.trends.backlog_frames);
  const dispatchers = fleet.dispatchers - fleet.dispatchers_away;
  figure("masks", short(fleet.masks_per_s), `from ${count(dispatchers, "dispatcher", "dispatchers")}`, "", fleet.trends.masks_per_s);
  const each = fleet.streams ? `${short(fleet.kbit_per_s / fleet.streams)} a stream` : "";
  figure("uplink", `${short(fleet.kbit_per_s)} kbit/s`, each, "", fleet.trends.kbit_per_s);
  const { live, stalled, no_masks: maskless, dead } = streams.states;
  const rest = [stalled && `${number(stalled)} stalled`, maskless && `${number(maskless)} without masks`, dead && `${number(dead)} dead`].filter(Boolean).join(", ");
  figure("streams", `${number(live)} live`, rest ? `${rest} of ${number(streams.all)}` : `of ${number(streams.all)}`, stalled || maskless ? "ill" : dead ? "watch" : "");
}

function levelOfLoad(load) {
  if (load === null || load <= 0.8) return "";
  return load >= 1 ? "ill" : "watch";
}

function figure(name, value, words, level, trend) {
  const panel = document.querySelector(`[data-figure="${name}"]`);
  panel.dataset.level = level;
  say(panel.querySelector("b"), value);
  say(panel.querySelector("span"), words);
  if (trend) drawTrend(panel.querySelector(".trend"), trend);
}

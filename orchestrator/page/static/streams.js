// The tiles: one a stream, kept while it stays on the page, its mask fetched only while it is on the screen.

import { settled } from "./images.js";
import { listen, showPrompts } from "./prompts.js";
import { listenForStills, stillOf } from "./stills.js";
import { count, number, percent, say, short, span } from "./words.js";

const STATES = { live: "live", dead: "dead", stalled: "stalled", no_masks: "no masks", new: "never sent" };
const SINCE = { dead: (row) => row.silent_s, no_masks: (row) => row.mask_age_s };
const LATE_MS = 4000;
const tiles = new Map();
const onScreen = new WeakSet();
let classNames = new Map();

const watcher = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) onScreen.add(target);
      else onScreen.delete(target);
    }
  },
  { rootMargin: "120px" },
);

export function showStreams(streams, query, operator) {
  const list = document.getElementById("tiles");
  const wanted = streams.rows.map((row) => tileOf(row.id));
  for (const [id, tile] of tiles) if (!wanted.includes(tile)) forget(id, tile);
  wanted.forEach((tile, place) => {
    if (list.children[place] !== tile.element) list.insertBefore(tile.element, list.children[place] ?? null);
  });
  streams.rows.forEach((row, place) => fill(wanted[place], row));
  streams.rows.forEach((row, place) => onScreen.has(wanted[place].element) && showPrompts(wanted[place].element, row.id, operator));
  const none = document.getElementById("none");
  none.hidden = streams.rows.length > 0;
  say(none, streams.all ? "No stream matches." : "No stream yet. A camera appears here with its first frame: narrows edge --stream-id NAME …");
  document.getElementById("opacity-label").hidden = !streams.rows.some((row) => row.filmed);
  const asked = query.q || query.state ? `${number(streams.matching)} of ${number(streams.all)}` : number(streams.all);
  say(document.getElementById("place"), `page ${number(streams.page)} of ${number(streams.pages)} (${asked})`);
  document.getElementById("previous").disabled = streams.page <= 1;
  document.getElementById("next").disabled = streams.page >= streams.pages;
}

export function showLegends(legends) {
  classNames = new Map(legends.map((legend) => [legend.bundle, legend.names]));
  const legend = document.getElementById("legend");
  legend.hidden = legends.length === 0;
  const items = legends.flatMap(({ names, colours }) =>
    names.map((name, label) => {
      const [item, patch] = [document.createElement("li"), document.createElement("i")];
      patch.style.backgroundColor = `rgb(${colours[label].join(" ")})`;
      item.append(patch, name);
      return item;
    }),
  );
  legend.querySelector("ul").replaceChildren(...items);
}

function tileOf(id) {
  if (!tiles.has(id)) {
    const element = document.getElementById("tile").content.firstElementChild.cloneNode(true);
    element.querySelector("h3").textContent = id;
    element.querySelector("h3").title = id;
    element.dataset.stream = id;
    element.querySelector("details summary").setAttribute("aria-label", `More about ${id}`);
    watcher.observe(element);
    listen(element, id);
    listenForStills(element, id);
    tiles.set(id, { element, entry: "", busy: false });
  }
  return tiles.get(id);
}

function forget(id, tile) {
  watcher.unobserve(tile.element);
  tile.element.remove();
  tiles.delete(id);
}

function fill(tile, row) {
  const { element } = tile;
  element.dataset.state = row.state;
  const since = SINCE[row.state]?.(row) ?? null;
  say(element.querySelector(".state"), since === null ? STATES[row.state] : `${STATES[row.state]}, ${span(since)}`);
  const values = {
    rate: short(row.masks_per_s),
    kbit: short(row.kbit_per_s),
    latency: row.latency_ms === null ? "–" : `${number(row.latency_ms)} ms`,
    sends: row.sends ?? "–",
    asked: row.asked_for_masks ? "masks" : "–",
    policy: row.policy,
    group: row.group,
    weight: String(row.weight),
    frames: short(row.frames_per_s),
    skipping: short(row.skipped_per_s),
    age: row.mask_age_s === null ? "never" : `${span(row.mask_age_s)} ago`,
    waiting: number(row.waiting),
    masks: number(row.ledger.masks),
    skipped: number(row.ledger.skipped),
    refused: number(row.ledger.refused),
    lost: number(row.ledger.lost),
  };
  for (const [name, value] of Object.entries(values)) say(element.querySelector(`[data-value="${name}"]`), value);
  const design = element.querySelector(".design");
  design.hidden = row.design === null;
  say(design, row.design ? designOf(row.design) : "");
  const error = element.querySelector(".error");
  error.toggleAttribute("data-any", row.error !== null && row.error.ago_s < 3600);
  say(error, row.error ? `refused: ${row.error.reason}, ${span(row.error.ago_s)} ago` : "no refused frame");
  say(element.querySelector(".detail"), row.error ? row.error.detail : "");
  if (row.mask && row.mask.entry !== tile.entry && !tile.busy && onScreen.has(element)) paint(tile, row);
}

// Why comes first for who is responsible: a pin that the camera does not follow, then what a design breaks.
function designOf(design) {
  const said = `design ${design.name}, for ${span(design.for_s)}: ${design.reason} (${design.objective})`;
  if (design.pinned !== null && design.pinned !== design.name) return `${said}; pinned to ${design.pinned}, not followed yet`;
  return design.broken.length ? `${said}; breaks ${design.broken.join(", ")}` : said;
}

// Picture and mask change together, once both are here: what is seen is always one frame.
async function paint(tile, row) {
  tile.busy = true;
  const { entry, epoch, sequence, width, height } = row.mask;
  const base = `/api/streams/${encodeURIComponent(row.id)}`;
  const wanted = row.mask.largest ? [picture(`${base}/mask.png?at=${entry}`, "mask", altOf(row))] : [];
  if (row.filmed) wanted.unshift(picture(`${base}/frame?epoch=${epoch}&sequence=${sequence}`, "frame", ""));
  if (row.mask.objects.length || !row.mask.largest) wanted.push(picture(`${base}/objects.png?at=${entry}`, "objects", outlinesOf(row)));
  const here = await settled(wanted, LATE_MS);
  const first = row.mask.largest ? "mask" : "objects";
  const [box, still] = [tile.element.querySelector(".picture"), stillOf(tile.element)];
  if (still) box.replaceChildren(still, ...here.filter((image) => image.className === "objects"));
  else if (here.some((image) => image.className === first)) {
    box.style.aspectRatio = `${width} / ${height}`;
    box.replaceChildren(...here);
    tile.entry = entry;
  }
  tile.busy = false;
}

function picture(source, kind, alt) {
  const image = new Image();
  image.className = kind;
  image.alt = alt;
  image.draggable = false;
  image.src = source;
  return image;
}

function outlinesOf(row) {
  const prompts = row.mask.objects.length ? `prompts ${row.mask.objects.join(", ")}` : "no prompt";
  return `Outlines of ${prompts} of ${row.id}`;
}

function altOf(row) {
  const names = classNames.get(row.mask.bundle) ?? [];
  const parts = row.mask.largest.map(([label, share]) => `${names[label] ?? `class ${label}`} ${percent(share)}`);
  return `Mask of ${row.id}: ${parts.join(", ")}`;
}

export function sayPlace(streams) {
  say(document.getElementById("said"), `${count(streams.matching, "stream", "streams")}, page ${streams.page} of ${streams.pages}`);
}

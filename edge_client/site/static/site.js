// A camera's own page: its newest picture, what is outlined in it, and pointing at things.

import { settled } from "./images.js";
import { listen, showPrompts } from "./prompts.js";

const EVERY_MS = 500;
const LATE_MS = 4000;
const tile = document.getElementById("camera");
const freshness = document.getElementById("freshness");
let stream = "";
let shown = 0;
let changedAt = performance.now();
let timer = 0;
let asking = null;

async function look() {
  clearTimeout(timer);
  const mine = (asking = {}); // a tab that comes and goes begins another: the one before ends
  try {
    const response = await fetch("/api/site", { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(LATE_MS) });
    if (response.status === 401) location.assign("/enter");
    if (!response.ok) throw new Error(`/api/site: ${response.status}`);
    await show(await response.json());
  } catch (error) {
    if (error.name !== "TimeoutError") console.warn(error);
  }
  if (mine === asking && !document.hidden) timer = setTimeout(look, EVERY_MS);
}

// Whatever a question waits for: a picture from long ago is not to be taken for what is there now.
function sayFresh() {
  const late = performance.now() - changedAt > LATE_MS;
  freshness.toggleAttribute("data-late", late);
  freshness.textContent = late ? "no new picture" : "live";
}

async function show({ stream: id, picture, stills }) {
  tile.querySelector(".leaves").textContent = leaves(stills);
  if (!stream) {
    stream = id;
    tile.dataset.stream = id;
    tile.querySelector("h3").textContent = id;
    listen(tile, id);
  }
  showPrompts(tile, stream, true);
  if (!picture || picture.number === shown) return;
  // picture and outlines change together, once both are here
  const wanted = [image(`/api/site/picture?at=${picture.number}`, "frame", `What ${id} sees`)];
  const { objects } = picture;
  if (objects.length) wanted.push(image(`/api/site/outlines?at=${picture.number}`, "objects", `Outlines of prompts ${objects.join(", ")} of ${id}`));
  if ((await settled(wanted, LATE_MS)).length < wanted.length) return;
  const box = tile.querySelector(".picture");
  box.style.aspectRatio = `${picture.width} / ${picture.height}`;
  box.replaceChildren(...wanted);
  shown = picture.number;
  changedAt = performance.now();
}

// Whether a picture leaves this site, and who had the last one.
function leaves({ per_hour: perHour, last }) {
  if (!perHour) return "The picture stays on this site.";
  const had = last ? `The last went to ${last.who || "somebody"} at ${new Date(last.asked_ms).toLocaleTimeString()}.` : "None has left so far.";
  return `Operators in the cloud may have ${perHour} still ${perHour === 1 ? "picture" : "pictures"} an hour. ${had}`;
}

function image(source, kind, alt) {
  const made = new Image();
  made.className = kind;
  made.alt = alt;
  made.draggable = false;
  made.src = source;
  return made;
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) look();
});
setInterval(sayFresh, EVERY_MS);
look();

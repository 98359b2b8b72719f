// A still picture in the place of the mask, to point at things in: for operators, and only where the camera's site lets one out.

import { csrfOf, tell } from "./prompts.js";

const EVERY_MS = 700;
const LATE_MS = 15_000; // longer than a server holds a request, which sends a late camera's picture as soon as it is there
const stills = new WeakMap();

// The still that lies where masks are shown otherwise; null where none does.
export function stillOf(element) {
  return stills.get(element)?.shown ?? null;
}

export function listenForStills(element, id) {
  const button = element.querySelector("button.still");
  button.setAttribute("aria-label", `Still picture of ${id}`);
  button.addEventListener("click", () => (stills.has(element) ? end(element) : ask(element, id)));
}

async function ask(element, id) {
  const still = { shown: null, before: [], timer: 0 };
  stills.set(element, still);
  name(element, "Stop waiting");
  tell(element, "Asking the camera for a still picture…");
  try {
    const { asked } = await answerTo(path(id), { method: "POST", headers: { "X-CSRF-Token": csrfOf(element) } });
    while (stills.get(element) === still) {
      const { state, left_s: left } = await answerTo(`${path(id)}?asked=${asked}`);
      if (state === "sent") return await show(element, id, asked, left, still);
      await new Promise((done) => setTimeout(done, EVERY_MS));
    }
  } catch (error) {
    if (stills.get(element) === still) end(element, String(error.message));
  }
}

async function show(element, id, asked, left, still) {
  const image = new Image();
  image.className = "frame still";
  image.alt = `Still picture of ${id}`;
  image.draggable = false;
  image.src = `${path(id, ".jpg")}?asked=${asked}`;
  await image.decode().catch(() => Promise.reject(new Error("The still picture is gone: ask for another.")));
  if (stills.get(element) !== still) return;
  const box = element.querySelector(".picture");
  still.shown = image;
  still.before = [...box.childNodes];
  still.timer = setTimeout(() => end(element), left * 1000);
  box.replaceChildren(image);
  box.style.aspectRatio = `${image.naturalWidth} / ${image.naturalHeight}`;
  name(element, "Back to the mask");
  const at = new Date(asked).toLocaleTimeString();
  tell(element, `A still picture of ${at}, here for ${left} s. Tap a thing in it, or drag a box around it.`);
}

function end(element, words = "") {
  const { shown, before, timer } = stills.get(element) ?? {};
  clearTimeout(timer);
  if (shown?.isConnected) element.querySelector(".picture").replaceChildren(...before);
  stills.delete(element);
  name(element, "Still picture");
  tell(element, words);
}

function name(element, words) {
  element.querySelector("button.still").textContent = words;
}

function path(id, suffix = "") {
  return `/api/streams/${encodeURIComponent(id)}/still${suffix}`;
}

async function answerTo(where, request = {}) {
  const late = new AbortController();
  const limit = setTimeout(() => late.abort(new Error("No answer came in time: ask again.")), LATE_MS);
  try {
    return await read(await fetch(where, { ...request, signal: late.signal }));
  } finally {
    clearTimeout(limit);
  }
}

async function read(response) {
  if (!response.ok) throw new Error((await response.text()).trim());
  return response.json();
}

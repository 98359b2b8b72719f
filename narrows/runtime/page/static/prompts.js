// Pointing at things: a tap or a drag on a picture is a prompt, for operators alone; each stream's prompts with their state.
//
// A tap with "Not this" pressed, or with Shift, is a point beside the thing of the prompt that was made last, and takes its place with it.

const TAP = 0.02; // of the picture's sides: a shorter drag is a tap,
const LEAST = 0.004; // and so is one along a line
const EVERY_MS = 2000;
const LATE_MS = 15_000; // longer than a server holds a request: changes go one after the other, and none is to stop the rest
const known = new WeakMap();
const changes = new WeakMap();
const unread = new WeakMap();

export function listen(element, id) {
  const box = element.querySelector(".picture");
  const beside = element.querySelector("button.beside");
  let begun = null;
  box.addEventListener("pointerdown", (event) => {
    if (!("operator" in element.dataset) || event.button !== 0 || !box.querySelector("img")) return;
    begun = place(box, event);
    box.setPointerCapture(event.pointerId);
  });
  box.addEventListener("pointerup", (event) => {
    if (begun) point(element, id, begun, place(box, event), event.shiftKey || beside.ariaPressed === "true");
    begun = null;
  });
  box.addEventListener("pointercancel", () => (begun = null));
  beside.addEventListener("click", () => (beside.ariaPressed = String(beside.ariaPressed !== "true")));
}

// What to say of a change that was refused, or that goes on, in the words of the stream's prompts.
export function tell(element, words) {
  element.querySelector(".prompts .told").textContent = words;
  if (words) element.querySelector(".prompts").hidden = false;
}

// What a change has to bring: the page of another site cannot read it.
export function csrfOf(element) {
  return known.get(element)?.csrf ?? "";
}

export function showPrompts(element, id, operator) {
  element.toggleAttribute("data-operator", operator);
  const state = known.get(element);
  const open = element.querySelector("details")?.open || state?.prompts.length > 0 || operator;
  if (open && !(performance.now() - (state?.askedAt ?? -Infinity) < EVERY_MS)) ask(element, id, "GET", "");
}

function place(box, event) {
  const { left, top, width, height } = box.getBoundingClientRect();
  const within = (share) => Math.min(1, Math.max(0, share));
  return [within((event.clientX - left) / width), within((event.clientY - top) / height)];
}

function point(element, id, [x, y], [endX, endY], beside) {
  const [width, height] = [Math.abs(endX - x), Math.abs(endY - y)];
  const box = [Math.min(x, endX), Math.min(y, endY), width, height];
  const drag = Math.max(width, height) > TAP && Math.min(width, height) > LEAST; // a pole is thin, and no tap
  const asked = drag ? { box } : { points: [[x, y, true]] };
  return change(element, () => {
    const { version = 0, last, prompts = [] } = known.get(element) ?? {};
    if (!beside) return ask(element, id, "POST", "", { ...asked, if_version: version });
    const prompt = prompts.find((each) => each.id === last);
    if (!prompt || !asked.points) return tell(element, "First point at the thing, then tap beside it.");
    const points = [...prompt.points, [x, y, false]];
    return ask(element, id, "POST", "", { box: prompt.box, points, replaces: prompt.id, if_version: version });
  });
}

function remove(element, id, prompt) {
  return change(element, () => {
    const { version = 0, prompts = [] } = known.get(element) ?? {};
    const there = prompts.some((each) => each.id === prompt.id && each.version === prompt.version);
    return there ? ask(element, id, "DELETE", `/${prompt.id}?if_version=${version}`) : undefined;
  });
}

// One after the other: who taps twice in a hurry means the list as the first tap has left it.
function change(element, made) {
  const done = (changes.get(element) ?? Promise.resolve()).then(made);
  changes.set(element, done);
  return done;
}

async function ask(element, id, method, path, body) {
  const before = known.get(element);
  const changed = (before?.changed ?? 0) + (method === "GET" ? 0 : 1);
  known.set(element, { version: 0, prompts: [], ...before, changed, askedAt: performance.now() });
  const headers = { Accept: "application/json", "X-CSRF-Token": before?.csrf ?? "" };
  if (body) headers["Content-Type"] = "application/json";
  const late = new AbortController();
  const limit = setTimeout(() => late.abort(new Error("No answer came in time: see below whether it was done.")), LATE_MS);
  try {
    const request = { method, headers, body: body && JSON.stringify(body), signal: late.signal };
    const response = await fetch(`/api/streams/${encodeURIComponent(id)}/prompts${path}`, request);
    if (!response.ok) {
      failed(element, method, (await response.text()).trim());
      known.get(element).askedAt = -Infinity;
      return;
    }
    const found = await response.json();
    if (known.get(element).changed !== changed) return; // it is of before a change that was made meanwhile
    const last = method === "POST" ? (found.made ?? before?.last) : before?.last;
    known.set(element, { ...found, last, changed, askedAt: performance.now() });
    if (method !== "GET" || element.querySelector(".prompts .told").textContent === unread.get(element)) tell(element, "");
    list(element, id, found);
  } catch (error) {
    failed(element, method, String(error.message));
  } finally {
    clearTimeout(limit);
  }
}

// What is said of a list that cannot be read goes once it can; of a change, with the next one.
function failed(element, method, words) {
  if (method === "GET") unread.set(element, words);
  else unread.delete(element);
  tell(element, words);
}

function list(element, id, { prompts, csrf }) {
  const section = element.querySelector(".prompts");
  const offered = csrf ? [...section.querySelectorAll("button.still, .hint")] : [];
  section.hidden = prompts.length === 0 && offered.length === 0 && !section.querySelector(".told").textContent;
  for (const each of offered) each.hidden = each.matches(".hint") && prompts.length > 0;
  section.querySelector("button.beside").hidden = !csrf || prompts.length === 0;
  const rows = section.querySelector("ul");
  const items = prompts.map((prompt) => {
    const key = `${prompt.id} ${prompt.version} ${Boolean(csrf)}`;
    const item = [...rows.children].find((each) => each.dataset.key === key) ?? itemOf(element, id, prompt, csrf);
    item.dataset.key = key;
    const rate = prompt.frames_per_s ? `, ${prompt.frames_per_s}/s` : "";
    item.firstChild.data = `${prompt.id}: ${prompt.words}${rate} `;
    return item;
  });
  // what is there stays: a button that is pressed or has the focus is not to be another one meanwhile
  if (items.length !== rows.children.length || items.some((each, place) => each !== rows.children[place])) rows.replaceChildren(...items);
}

function itemOf(element, id, prompt, csrf) {
  const item = document.createElement("li");
  item.dataset.prompt = prompt.id;
  item.append(document.createTextNode(""));
  if (csrf) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Remove";
    button.setAttribute("aria-label", `Remove prompt ${prompt.id} of ${id}`);
    button.addEventListener("click", () => remove(element, id, prompt));
    item.append(button);
  }
  return item;
}

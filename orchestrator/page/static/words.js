// Figures as people read them. Absent values are a dash, never a zero.

const NONE = "–";

export function number(value, digits = 0) {
  if (value === null || value === undefined) return NONE;
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function short(value) {
  if (value === null || value === undefined) return NONE;
  return number(value, value !== 0 && Math.abs(value) < 100 ? 1 : 0);
}

export function percent(value, digits = 0) {
  return value === null || value === undefined ? NONE : `${number(100 * value, digits)} %`;
}

// A share that must not be rounded up to what it is not: 99.96 % stays below 100 %.
export function shareBelow(value) {
  if (value === null || value === undefined) return NONE;
  return percent(Math.floor(value * 1000) / 1000, value < 1 ? 1 : 0);
}

export function span(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  if (seconds < 0.1) return "under 0.1 s";
  if (seconds < 10) return `${number(seconds, 1)} s`;
  if (seconds < 120) return `${number(Math.floor(seconds))} s`;
  if (seconds < 7200) return `${number(Math.floor(seconds / 60))} min`;
  if (seconds < 172800) return `${number(Math.floor(seconds / 3600))} h`;
  return `${number(Math.floor(seconds / 86400))} days`;
}

export function count(value, one, many) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

// Touches the document only where something changed: what is read aloud or selected stays as it is.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Small helpers. Texts are set as texts, never as HTML.

export const one = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  put(element, attributes);
  element.append(...children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  put(element, attributes);
  element.append(...children);
  return element;
}

function put(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
}

export const percent = (share, digits = 2) => (share === null || share === undefined ? "–" : `${(100 * share).toFixed(digits)} %`);
export const fixed = (value, digits = 4) => (value === null || value === undefined ? "–" : value.toFixed(digits));
// A difference with its sign and the true minus: the rules of numerals.py.
export const signed = (value, digits = 2) => {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : value > 0 ? `+${text}` : text.replace("-", "−");
};
export const counted = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function ago(time) {
  const seconds = Date.now() / 1000 - time;
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return new Date(1000 * time).toISOString().slice(0, 10);
}

// The darkest of the arms' colours is lifted where the page is dark.
const dark = window.matchMedia("(prefers-color-scheme: dark)");
export const colour = (arm) => (dark.matches && arm.colour === "#0072B2" ? "#3BA0E0" : arm.colour);
export const onTheme = (handler) => dark.addEventListener("change", handler);

export class Gone extends Error {}

export async function get(url, options) {
  let answer;
  try {
    answer = await fetch(url, options);
  } catch {
    throw new Gone("The server does not answer. This page goes on as soon as it does.");
  }
  if (answer.ok) return answer.json();
  let message;
  try {
    message = (await answer.json()).error;
  } catch {
    message = `The server answered ${answer.status}.`;
  }
  const error = new Error(message);
  error.status = answer.status;
  throw error;
}

export function banner(text) {
  const place = one("banner");
  if (place.textContent !== text) place.textContent = text;
  place.hidden = !text;
}

// Calls what it wraps at most every so often, the last call always, and never twice at a time.
export function calmly(work, milliseconds) {
  let busy = false, again = false;
  return async function call() {
    if (busy) { again = true; return; }
    busy = true;
    const start = performance.now();
    try { await work(); } finally {
      const rest = Math.max(milliseconds, 3 * (performance.now() - start));
      setTimeout(() => { busy = false; if (again) { again = false; call(); } }, rest);
    }
  };
}

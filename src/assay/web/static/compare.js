// Two runs side by side: their figures, their curves, what differs between their arms.

import { colour, duration, fixed, get, make, percent, signed } from "./dom.js";
import { curves } from "./chart.js";

const ROWS = [
  ["validation accuracy", (run) => run.score, (v) => percent(v), true],
  ["test accuracy", (run) => run.test, (v) => percent(v), true],
  ["training accuracy", (run) => at(run, "train_accuracy"), (v) => percent(v), true],
  ["validation loss", (run) => at(run, "validation_loss"), (v) => fixed(v)],
  ["kept epoch", (run) => run.kept, (v) => String(v ?? "–")],
  ["time", (run) => run.seconds, (v) => duration(v)],
  ["memory", (run) => run.memory, (v) => (v ? `${Math.round(v / 2 ** 20)} MB` : "–")],
];

const at = (run, measure) => (run.kept ? run.curves[measure][run.kept - 1] : null);

export async function compare(place, study, ids, armOf) {
  const runs = await Promise.all(ids.map((id) => get(`/api/studies/${study}/runs/${id}`)));
  const [a, b] = runs;
  place.hidden = false;
  const close = make("button", { type: "button", class: "close", "aria-label": "Close" }, "×");
  const title = b ? `${named(a)} beside ${named(b)}` : named(a);
  const head = make("tr", {}, make("th"), ...runs.map((run) => make("th", { scope: "col", class: "num" }, named(run))), ...(b ? [make("th", { scope: "col", class: "num" }, "difference")] : []));
  const rows = ROWS.filter(([, value]) => runs.some((run) => value(run) !== null && value(run) !== undefined)).map(([name, value, text, isShare]) => {
    const values = runs.map(value);
    const cells = values.map((v) => make("td", { class: "num" }, text(v)));
    if (b) {
      const both = isShare && values.every((v) => v !== null && v !== undefined);
      cells.push(make("td", { class: "num" }, both ? `${signed(100 * (values[1] - values[0]))} points` : ""));
    }
    return make("tr", {}, make("th", { scope: "row" }, name), ...cells);
  });
  const chart = make("div", { class: "chart", id: "compare-chart" });
  const parts = [close, make("h3", {}, title), make("div", { class: "scroll" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows))), chart,
    make("p", { class: "note" }, `Validation accuracy${b ? "" : " (thick) and training accuracy (thin)"} after each epoch.`)];
  for (const run of runs) if (run.reason) parts.push(make("p", { class: "note" }, `${named(run)}: ${run.reason}${run.advice ? `; ${run.advice}` : ""}.`));
  if (b) parts.push(differences(a, b), make("p", { class: "note" }, a.arm === b.arm ? "Runs of one arm differ by what a seed changes, and by nothing else." : "Two runs are two draws: the verdicts above say which arm is better, on all seeds."));
  else parts.push(make("details", {}, make("summary", {}, "The network and its training"), make("pre", { tabindex: 0 }, make("code", {}, [...a.layers, "", ...Object.entries(a.training).map(([key, value]) => `${key} = ${value}`)].join("\n")))));
  place.replaceChildren(...parts);
  const inks = runs.map((run, index) => (b && a.arm === b.arm && index ? "var(--ink)" : colour(armOf(run.arm))));
  const lines = runs.flatMap((run, index) => {
    const thick = { values: run.curves.validation_accuracy, ink: inks[index], dash: index && a.arm === runs[index].arm ? "dash" : "solid" };
    return b ? [thick] : [thick, { values: run.curves.train_accuracy, ink: inks[index], thin: true, live: true }];
  });
  curves(chart, { lines, bands: [], epochs: Math.max(...runs.map((run) => run.planned), 1), share: true, label: title, read: (epoch) => runs.map((run, index) => [named(run), percent(run.curves.validation_accuracy[epoch - 1]), inks[index]]).filter(([, value]) => value !== "–") });
  return close;
}

const named = (run) => `${run.arm}, ${run.label}`;

function differences(a, b) {
  const rows = [];
  const keys = [...new Set([...Object.keys(a.training), ...Object.keys(b.training)])];
  for (const key of keys) if (a.training[key] !== b.training[key]) rows.push([key, a.training[key] ?? "–", b.training[key] ?? "–"]);
  const length = Math.max(a.layers.length, b.layers.length);
  for (let i = 0; i < length; i += 1) if (a.layers[i] !== b.layers[i]) rows.push([`layer ${i + 1}`, a.layers[i] ?? "–", b.layers[i] ?? "–"]);
  if (!rows.length) return make("p", { class: "note" }, "The same network and the same training.");
  return make("div", { class: "scroll" }, make("table", {}, make("caption", {}, "What differs between their arms"), make("tbody", {}, ...rows.map(([name, one, two]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, make("code", {}, one)), make("td", {}, make("code", {}, two)))))));
}

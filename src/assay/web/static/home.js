import { ago, banner, calmly, counted, get, make, one } from "./dom.js";
import { follow } from "./live.js";

const list = one("studies");
const items = new Map();
const FAILED = ["diverged", "out of memory", "failed"];

function description(study) {
  const n = (state) => study.states[state] || 0;
  const failed = FAILED.reduce((sum, state) => sum + n(state), 0);
  const parts = [`${n("finished").toLocaleString("en")} of ${counted(study.runs, "run")} finished`];
  if (n("running")) parts.push(study.training ? `${n("running")} training` : `${n("running")} interrupted`);
  if (failed) parts.push(`${failed} failed`);
  return parts.join(", ");
}

function show(study) {
  let item = items.get(study.name);
  if (!item) {
    item = make("li");
    item.append(
      make("a", { class: "question", href: `/studies/${study.name}` }),
      make("p", { class: "facts" }),
      make("p", { class: "finding", hidden: true }),
      make("div", { class: "meter", "aria-hidden": "true" }, make("span"), make("i")),
      make("p", { class: "side" }, make("a", { class: "button small", href: `/studies/${study.name}/play`, "aria-label": `Try the networks of ${study.name}` }, "Try")),
    );
    items.set(study.name, item);
  }
  const [question, facts, , meter, side] = item.children;
  const done = study.states.finished || 0;
  const failed = FAILED.reduce((sum, state) => sum + (study.states[state] || 0), 0);
  question.textContent = study.question;
  facts.replaceChildren(...[study.name, study.data, counted(study.arms, "arm"), description(study), study.leaky ? "leaky" : "", ago(study.updated)]
    .filter(Boolean).flatMap((fact, place) => (place ? [" · ", make("span", {}, fact)] : [make("span", {}, fact)])));
  if (study.training) facts.prepend(make("b", { class: "live" }, "Training"), " ");
  meter.children[0].style.width = `${(100 * done) / Math.max(study.runs, 1)}%`;
  meter.children[1].style.width = `${(100 * failed) / Math.max(study.runs, 1)}%`;
  meter.hidden = done + failed === study.runs && !study.training;
  side.hidden = !done;
  return item;
}

// The answers of studies that are small enough to be asked for in passing, one after another.
const answered = new Map();
const answers = calmly(async () => {
  for (const study of known.slice(0, 30)) {
    const state = `${study.states.finished}/${study.updated}`;
    if (!study.states.finished || study.runs > 600 || answered.get(study.name) === state) continue;
    try {
      const answer = await get(`/api/studies/${study.name}/answer`);
      answered.set(study.name, state);
      const place = items.get(study.name)?.querySelector(".finding");
      if (!place) continue;
      place.className = `finding ${answer.tone}`;
      const sentence = `${answer.headline}.`;
      place.replaceChildren(make("b", { class: "label" }, answer.label), make("span", {}, answer.tone === "decided" ? sentence : sentence[0].toUpperCase() + sentence.slice(1)));
      place.hidden = false;
    } catch { return; }
  }
}, 4000);

let known = [];
const refresh = calmly(async () => {
  try {
    const overview = await get("/api/studies");
    const shown = overview.studies.map(show);
    known = overview.studies;
    answers();
    if (shown.length !== list.children.length || shown.some((item, place) => list.children[place] !== item)) list.replaceChildren(...shown);
    for (const name of items.keys()) if (!overview.studies.some((study) => study.name === name)) items.delete(name);
    one("empty").hidden = shown.length > 0;
    banner("");
  } catch (error) {
    if (error.status === 404 && !items.size) one("empty").hidden = false;
    else banner(error.message);
  }
  list.setAttribute("aria-busy", "false");
}, 500);

follow((message) => {
  if (message.offline) banner("The server does not answer. This page goes on as soon as it does.");
  else refresh();
});
refresh();

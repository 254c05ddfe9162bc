import { banner, calmly, colour, counted, get, Gone, make, one, onTheme, percent } from "./dom.js";
import { curves, strip } from "./chart.js";
import { compare } from "./compare.js";
import { follow } from "./live.js";
import { FAILED, Mosaic } from "./mosaic.js";
import { Runs } from "./table.js";

const study = document.body.dataset.study;
const api = `/api/studies/${encodeURIComponent(study)}`;
const token = document.querySelector('meta[name="assay-token"]')?.content;
const state = { version: 0, finished: -1, runs: [], arms: [], hidden: new Set(), filter: "", only: "", measure: "validation_accuracy", drawn: null, scores: null, scored: null };
let table = null;

const describe = (run) => `${state.arms[run.arm].name}, seed ${run.seed}${run.fold ? `, fold ${run.fold}` : ""}: ${run.state}${run.score === null ? "" : `, ${percent(run.score)}`}`;
const mosaic = new Mosaic(one("mosaic"), (run) => { table.choose(run); });

function unpack([place, arm, seed, fold, state_, epochs, planned, score, train, loss, test, seconds, id, reason]) {
  return { place, arm, seed, fold, state: state_, epochs, planned, score, train, loss, test, seconds, id, reason };
}

// What has changed since the version that this page has.
const refresh = calmly(async () => {
  let update;
  try {
    update = await get(`${api}?since=${state.version}`);
  } catch (error) {
    if (error instanceof Gone || error.status >= 400) {
      banner(error.message);
      pulse("", "");
    }
    return;
  }
  banner(update.trouble);
  if (update.full) {
    state.arms = update.arms;
    state.planned = update.planned;
    state.classes = update.classes;
    state.runs = [];
    state.search = update.search;
    one("search").hidden = !update.search;
    table = new Runs(one("runs"), { arms: update.arms, revealed: update.revealed, folds: update.folds, onChoose });
    legend();
  }
  for (const row of update.runs) state.runs[row[0]] = unpack(row);
  if (state.search && state.version !== update.version) trials();
  state.version = update.version;
  state.training = update.training;
  state.states = update.states;
  progress(update);
  if (update.runs.length || update.full) {
    mosaic.show(state.runs, state.arms, describe);
    rows();
    drawCurves();
  }
  if (update.finished !== state.finished) {
    state.finished = update.finished;
    arms();
    answer();
  }
}, 350);

function progress(update) {
  const n = (name) => update.states[name] || 0;
  const failed = FAILED.reduce((sum, name) => sum + n(name), 0);
  const parts = [`${n("finished").toLocaleString("en")} of ${counted(state.runs.length, "run")} finished`];
  if (n("running")) parts.push(update.training ? `${n("running")} training` : `${n("running")} interrupted`);
  if (n("queued")) parts.push(`${n("queued").toLocaleString("en")} waiting`);
  if (failed) parts.push(`${failed} failed`);
  one("counts").textContent = parts.join(", ");
  const [done, due] = update.epochs, share = due ? (100 * done) / due : 0;
  const meter = one("meter");
  meter.firstElementChild.style.width = `${share}%`;
  meter.setAttribute("aria-valuenow", Math.round(share));
  const isOver = n("queued") + n("running") === 0;
  meter.hidden = isOver;
  one("mosaic").firstElementChild.setAttribute("aria-label", `One square for each run: ${parts.join(", ")}`);
  if (update.training && !isOver) pulse("live", `Training, ${Math.floor(share)} %`);
  else if (!isOver) pulse("halted", "Not training");
  else pulse("", "");
  one("main").dataset.live = String(Boolean(update.training));
  if (!isOver && !update.training && !token) one("counts").append(make("span", { class: "note" }, " Nothing trains now; assay run resumes from the last finished epochs."));
  if (token) {
    one("go").hidden = Boolean(update.training) || isOver;
    one("halt").hidden = !update.ours;
  }
}

function pulse(kind, text) {
  const place = one("pulse");
  place.className = `pulse ${kind}`;
  if (place.textContent !== text) place.textContent = text;
}

function rows() {
  const words = state.filter.toLowerCase().match(/[a-z]+ \d+(?=$|\s|,)|[^\s,]+/g) || [];
  const matches = (run) => words.every((word) => {
    const seed = /^seed (\d+)$/.exec(word), fold = /^fold (\d+)$/.exec(word);
    if (seed) return run.seed === Number(seed[1]);
    if (fold) return run.fold === Number(fold[1]);
    return word.split(" ").every((part) => state.arms[run.arm].name.toLowerCase().includes(part) || run.state.includes(part) || run.id.startsWith(part) || run.reason.toLowerCase().includes(part));
  });
  const kept = state.runs.filter((run) => run && (!state.only || (state.only === "failed" ? FAILED.includes(run.state) : run.state === state.only)) && matches(run));
  table.show(kept);
  one("shown").textContent = kept.length === state.runs.length ? "" : `${kept.length.toLocaleString("en")} of ${counted(state.runs.length, "run")}`;
  const known = ["finished", "running", "queued", "failed"].filter((name) => state.runs.some((run) => (name === "failed" ? FAILED.includes(run.state) : run.state === name)));
  const place = one("states");
  const states = known.length > 1 || state.only ? ["", ...known] : [];
  if (place.dataset.known !== states.join()) {
    place.dataset.known = states.join();
    place.replaceChildren(...states.map((name) => make("button", { type: "button", "data-state": name, onclick: () => { state.only = name; rows(); } }, name || "all")));
  }
  for (const button of place.children) button.setAttribute("aria-pressed", String(button.dataset.state === state.only));
}

function legend() {
  const place = one("legend");
  place.hidden = state.arms.length < 2;
  place.replaceChildren(...state.arms.map((arm, index) => {
    const mark = make("span", { class: "mark", "aria-hidden": "true" }, arm.glyph);
    mark.style.color = colour(arm);
    return make("button", { type: "button", "aria-pressed": String(!state.hidden.has(index)), onclick: (event) => {
      if (state.hidden.has(index)) state.hidden.delete(index); else state.hidden.add(index);
      event.currentTarget.setAttribute("aria-pressed", String(!state.hidden.has(index)));
      paintCurves();
    } }, mark, " ", arm.name);
  }));
}

const drawCurves = calmly(async () => {
  try {
    state.drawn = await get(`${api}/curves?measure=${state.measure}`);
  } catch { return; }
  paintCurves();
}, 900);

function paintCurves() {
  if (!state.drawn) return;
  const { means, lines, of, measure } = state.drawn;
  const isShown = (arm) => !state.hidden.has(arm);
  const share = measure.endsWith("accuracy");
  const thin = lines.filter((line) => state.runs[line.place] && isShown(state.runs[line.place].arm)).map((line) => {
    const run = state.runs[line.place];
    return { values: line.values, ink: colour(state.arms[run.arm]), thin: true, live: run.state === "running" };
  });
  const thick = means.filter((mean) => isShown(mean.arm) && mean.n > 1);
  const inked = thick.map((mean) => ({ values: mean.mean, ink: colour(state.arms[mean.arm]), dash: state.arms[mean.arm].dash }));
  const text = (value) => (share ? percent(value) : value.toFixed(4));
  curves(one("curves"), {
    lines: [...thin, ...inked],
    bands: thick.filter((mean) => mean.n > 2).map((mean) => ({ low: mean.low, high: mean.high, ink: colour(state.arms[mean.arm]) })),
    epochs: Math.max(state.planned || 1, 1), share,
    label: `${measure.replace("_", " ")} after each epoch. ${thick.slice(0, 12).map((mean) => `${state.arms[mean.arm].name}: ${text(mean.mean[mean.mean.length - 1] ?? 0)} at the end`).join("; ")}`,
    read: (epoch) => thick.map((mean) => [state.arms[mean.arm].name, mean.mean[epoch - 1], colour(state.arms[mean.arm])]).filter(([, value]) => value !== null && value !== undefined).sort((a, b) => (share ? b[1] - a[1] : a[1] - b[1])).slice(0, 8).map(([name, value, ink]) => [name, text(value), ink]),
  });
  const some = lines.length < of ? `Thin lines are ${lines.length} of ${counted(of, "run")}, spread evenly` : "Thin lines are runs";
  one("curves-note").textContent = `${some}; a thick line is the mean of an arm's finished runs, its band the 95 % interval. Training is measured as validation is: in evaluation mode, after the epoch.`;
}

async function fill(place, url) {
  try {
    const answer = await get(url);
    place.innerHTML = answer.html; // of our own templates, which escape
    place.setAttribute("aria-busy", "false");
    return answer;
  } catch (error) {
    if (!(error instanceof Gone)) banner(error.message);
    return null;
  }
}

const arms = calmly(async () => {
  const answer = await fill(one("arms"), `${api}/arms`);
  if (!answer) return;
  state.scores = answer.arms;
  state.scored = answer.measure;
  strip(one("strip"), state.arms, state.scores, state.scored);
}, 1000);

const trials = calmly(async () => {
  const place = one("trials"), top = place.querySelector(".scroll")?.scrollTop || 0;
  const answer = await fill(place, `${api}/trials`);
  if (!answer) return;
  one("trials-note").textContent = answer.told;
  place.querySelector(".scroll").scrollTop = top;
}, 1000);

const answer = calmly(() => fill(one("answer"), `${api}/answer`), 1500);

const comparing = calmly(async () => {
  const place = one("compare"), ids = table.chosen.map((p) => state.runs[p].id);
  if (!ids.length) { place.hidden = true; return; }
  try {
    const close = await compare(place, study, ids, (name) => state.arms.find((arm) => arm.name === name));
    close.addEventListener("click", () => { place.hidden = true; table.chosen = []; table.paint(true); one("runs").focus(); });
  } catch (error) { banner(error.message); }
}, 100);

function onChoose(chosen) {
  comparing();
  if (chosen.length === 1) one("shown").textContent = "Choose a second run to compare them.";
}

one("measures").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  for (const other of one("measures").children) other.setAttribute("aria-pressed", String(other === button));
  state.measure = button.dataset.measure;
  drawCurves();
});
one("filter").addEventListener("input", (event) => { state.filter = event.target.value; rows(); });
for (const [id, deed] of [["go", "run"], ["halt", "stop"]]) {
  one(id)?.addEventListener("click", async (event) => {
    event.currentTarget.disabled = true;
    try {
      await get(`${api}/${deed}`, { method: "POST", headers: { "x-assay-token": token } });
    } catch (error) { banner(error.message); }
    one(id).disabled = false;
    setTimeout(refresh, 600);
  });
}

const redraw = () => {
  if (!state.runs.length) return;
  mosaic.show(state.runs, state.arms, describe);
  legend();
  table.paint(true);
  paintCurves();
  if (state.scores) strip(one("strip"), state.arms, state.scores, state.scored);
};
onTheme(redraw);
let width = window.innerWidth;
window.addEventListener("resize", () => { if (window.innerWidth !== width) { width = window.innerWidth; requestAnimationFrame(redraw); } });

// The pictures are read when they come near: that may mean reading the whole data set.
const gallery = one("gallery");
gallery.addEventListener("error", () => { one("pictures").hidden = true; });
gallery.addEventListener("load", () => {
  gallery.hidden = false;
  one("pictures").querySelector(".waiting")?.remove();
  const names = state.classes || [];
  one("classes").replaceChildren(...names.map((name) => make("li", { title: name }, make("span", {}, name))));
  if (names.length) gallery.alt = `Training images, one row for each class: ${names.join(", ")}`;
});
one("pictures").hidden = false;
new IntersectionObserver((entries, observer) => {
  if (!entries.some((entry) => entry.isIntersecting)) return;
  gallery.src = gallery.dataset.src;
  get(`${api}/look`).then(({ html }) => { one("look").innerHTML = html; }, () => {});
  observer.disconnect();
}, { rootMargin: "400px" }).observe(one("pictures"));

follow((message) => {
  if (message.offline) banner("The server does not answer. This page goes on as soon as it does.");
  else if (message.trouble) { banner(message.trouble); pulse("", ""); }
  else refresh();
});
refresh();

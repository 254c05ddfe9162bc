// From a drawing to a C file: what each arm costs, what it answers in whole numbers, and its download.

import { banner, counted, get, Gone, make, one, percent } from "./dom.js";
import { Pad } from "./pad.js";

const study = document.body.dataset.study;
const api = `/api/studies/${encodeURIComponent(study)}/bytes`;
const page = new URL(location.href);
let all = null, arm = null, coding = "int8", core = "cortex-m4", about = null, pad = null, given = null, bars = [];

const number = (value) => Math.round(value).toLocaleString("en");
const time = (microseconds) => `${number(microseconds)} µs`;
const query = () => `arm=${encodeURIComponent(arm)}&coding=${coding}`;
const introduction = () => `Each arm of ${study} as C in whole numbers: its first seed, as assay export takes it. Choose one, draw, and take the file.`;
const chosen = () => all.candidates.find((each) => each.arm === arm);
const scored = (score) => (score === null ? "–" : `${(score * all.measure.scale).toFixed(all.measure.decimals)}${all.measure.suffix}`);

// One question at a time; of those that come meanwhile only the last is asked.
let waiting = null, asking = false, round = 0;
async function ask(question) {
  waiting = question;
  if (asking) return;
  asking = true;
  while (waiting) {
    const next = waiting, mine = ++round;
    waiting = null;
    try {
      await next(() => mine === round && !waiting);
      banner("");
    } catch (error) {
      banner(error.message);
      if (error instanceof Gone) await new Promise((done) => { setTimeout(done, 1500); });
    }
  }
  asking = false;
}

function table() {
  const cells = (each) => {
    const costs = each.costs[coding];
    if (!costs) return [make("td", { colspan: 4, class: "reason" }, `No C code: ${each.reason}.`)];
    return [
      make("td", { class: "num" }, `${each.bounded && !costs.exact ? "≤ " : ""}${number(costs.bytes)}`),
      make("td", { class: "num" }, number(costs.ram)),
      make("td", { class: "num" }, number(costs.microseconds[core])),
      make("td", { class: "num wide-only" }, number(costs.multiply_adds)),
    ];
  };
  const rows = all.candidates.map((each, place) => {
    const input = make("input", { type: "radio", name: "arm", value: each.arm, id: `arm-${place}`, disabled: !each.costs[coding], onchange: () => choose(each.arm) });
    input.checked = each.arm === arm;
    const name = make("th", { scope: "row" }, make("label", { for: `arm-${place}` }, input, " ", each.arm));
    return make("tr", { class: each.arm === arm ? "chosen" : null }, name, make("td", { class: "num" }, scored(each.score)), make("td", { class: "num wide-only" }, number(each.parameters)), ...cells(each));
  });
  const head = [["arm"], [all.measure.label, "num"], ["parameters", "num wide-only"], ["bytes", "num"], ["RAM", "num"], ["µs", "num"], ["multiply-adds", "num wide-only"]];
  const focused = document.activeElement && document.activeElement.name === "arm";
  one("candidates").replaceChildren(make("thead", {}, make("tr", {}, ...head.map(([text, kind]) => make("th", { scope: "col", class: kind }, text)))), make("tbody", {}, ...rows));
  if (focused) document.querySelector("input[name=arm]:checked")?.focus();
  const known = all.cores.find((each) => each.name === core);
  const scores = `${all.measure.label[0].toUpperCase()}${all.measure.label.slice(1)} is the mean over an arm's seeds on validation images, in float32.`;
  const bound = all.candidates.some((each) => each.bounded && each.costs[coding] && !each.costs[coding].exact) ? " (≤: with the longest table that elu may need)" : "";
  one("core-note").textContent = `${scores} Bytes are constants as stored${bound}, RAM is the arena, time is for one image on ${/^A/.test(known.title) ? "an" : "a"} ${known.title} at ${known.megahertz} MHz, estimated: instructions are counted, ${known.cycles} cycles an instruction assumed.`;
  for (const button of one("codings").children) button.setAttribute("aria-pressed", String(button.value === coding));
}

function blank(text) {
  for (const which of ["float", "whole"]) {
    one(`${which}-guess`).textContent = "–";
    one(`${which}-guess`).className = "guess";
    one(`${which}-saying`).textContent = text;
  }
  for (const bar of bars) { bar.float.style.width = bar.whole.style.width = "0"; bar.text.textContent = ""; bar.row.classList.remove("top"); }
  one("seen").getContext("2d").clearRect(0, 0, one("seen").width, one("seen").height);
  one("seen-note").textContent = "";
  one("bars-note").textContent = "The upper bar is the network in float32, the lower one the program in whole numbers.";
}

let speaking = 0;
function show(answer) {
  if (answer.is_blank) { blank("Nothing drawn yet"); return; }
  const tops = {};
  for (const which of ["float", "whole"]) {
    const values = answer[which], top = values.indexOf(Math.max(...values)), name = about.classes[top];
    tops[which] = top;
    one(`${which}-guess`).textContent = name;
    one(`${which}-guess`).className = `guess${name.length > 2 ? " word" : ""}`;
    one(`${which}-saying`).textContent = percent(values[top], 1);
  }
  bars.forEach((bar, label) => {
    bar.float.style.width = `${100 * answer.float[label]}%`;
    bar.whole.style.width = `${100 * answer.whole[label]}%`;
    const largest = Math.max(answer.float[label], answer.whole[label]);
    bar.text.textContent = largest < 0.0005 ? "" : `${(100 * answer.float[label]).toFixed(1)} / ${percent(answer.whole[label], 1)}`;
    bar.row.classList.toggle("top", label === tops.whole);
  });
  const [height, width, channels] = answer.shape, values = Uint8Array.from(atob(answer.seen), (letter) => letter.charCodeAt(0));
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i += 1) {
    for (let c = 0; c < 3; c += 1) image.data[4 * i + c] = values[channels === 1 ? i : i * channels + Math.min(c, channels - 1)];
    image.data[4 * i + 3] = 255;
  }
  one("seen").width = width; one("seen").height = height;
  one("seen").getContext("2d").putImageData(image, 0, 0);
  one("seen-note").textContent = `${height} × ${width} pixels, as example.c holds them`;
  const same = tops.float === tops.whole;
  one("bars-note").textContent = `The upper bar is the network in float32, the lower one the program in whole numbers: ${same ? "they agree" : "they differ"}. Its logits: ${answer.logits.join(", ").replaceAll("-", "−")}.`;
  clearTimeout(speaking);
  speaking = setTimeout(() => { one("spoken").textContent = `As C: ${about.classes[tops.whole]}. In float32: ${about.classes[tops.float]}.`; }, 700);
}

async function picture() {
  if (given) return { blob: given, kind: "picture" };
  if (pad && !pad.isEmpty) return { blob: await pad.image(), kind: "drawing" };
  return null;
}

function answer() {
  ask(async (isLast) => {
    const sent = await picture();
    if (!sent) { blank(about.framing ? "Nothing drawn yet" : "Nothing chosen yet"); return; }
    const values = await get(`${api}/image?${query()}&kind=${sent.kind}`, { method: "POST", body: sent.blob, headers: { "content-type": sent.blob.type } });
    if (isLast()) show(values);
  });
}

function fact(name, value) { return [make("dt", {}, name), make("dd", {}, value)]; }

function describe() {
  const costs = about.costs, known = all.cores.find((each) => each.name === core), title = about.weights;
  one("chosen").textContent = `${about.arm}, ${about.label}`;
  one("whole-what").textContent = `as C, weights ${title === "as trained" ? title : `of ${title}`}`;
  one("facts").replaceChildren(
    ...fact("constants", `${title}, ${counted(costs.bytes, "byte")}`),
    ...fact("RAM", counted(costs.ram, "byte")),
    ...fact(known.title, time(costs.microseconds[core])),
    ...fact("multiply-adds", number(costs.multiply_adds)),
    ...fact("parameters", number(about.parameters)),
  );
  const judged = about.agreement;
  one("agreement").textContent = judged ? `On ${counted(judged.num_images, "validation image")}: ${percent(judged.accuracy)} right, ${percent(judged.accuracy_float)} in float32; ${percent(judged.same)} of answers are the same.` : "There are no validation images at hand to compare it on.";
  one("download-note").textContent = "model.h (C99, whole numbers alone, no heap), example.c with what is on the board, and the model card.";
}

function choose(name) {
  arm = name;
  page.searchParams.set("arm", arm);
  page.searchParams.set("coding", coding);
  page.searchParams.set("core", core);
  history.replaceState(null, "", page);
  table();
  about = null;
  one("download").disabled = true;
  for (const id of ["facts", "agreement", "download-note"]) one(id).replaceChildren();
  one("chosen").textContent = "Rounding the weights";
  one("about").textContent = one("chip").hidden ? `${introduction()} Rounding the weights.` : introduction();
  const mine = query();
  ask(async () => {
    const values = await get(`${api}/program?${mine}`);
    if (mine !== query()) return;
    about = values;
    chosen().costs[coding] = { ...about.costs, exact: true };
    table();
    one("chip").hidden = false;
    one("download").disabled = false;
    bars = about.classes.slice(0, 100).map((class_) => {
      const float = make("b"), whole = make("b", { class: "whole" }), text = make("span", { class: "value" });
      const row = make("li", {}, make("span", { class: "class", title: class_ }, class_), make("span", { class: "tracks" }, float, whole), text);
      return { row, float, whole, text };
    });
    one("bars").replaceChildren(...bars.map((bar) => bar.row));
    one("bars").classList.toggle("words", about.classes.some((class_) => class_.length > 2));
    const isDrawn = Boolean(about.framing);
    for (const id of ["undo", "clear", "pad", "keys"]) one(id).hidden = !isDrawn;
    one("draw-heading").textContent = isDrawn ? "Draw" : "Picture";
    one("hint").textContent = isDrawn ? `Draw ${/^\d$/.test(about.classes[0]) ? "a digit" : "a character"} here` : "Drop a picture here";
    if (isDrawn && !pad) pad = new Pad(one("pad"), one("pen"), drawn);
    [one("seen").height, one("seen").width] = about.shape;
    one("about").textContent = introduction();
    describe();
    answer();
  });
}

function drawn() {
  one("hint").hidden = !pad.isEmpty;
  take(null);
  if (about) answer();
}

function take(file) {
  const shown = one("shown");
  if (!shown.hidden) URL.revokeObjectURL(shown.src);
  given = file;
  shown.hidden = !file;
  if (!file) return;
  shown.src = URL.createObjectURL(file);
  shown.alt = "The picture that was given";
}

function give(file) {
  if (!file) return;
  if (!/^image\/(png|jpeg|webp|gif|bmp)$/.test(file.type)) { banner("This is no picture that can be read: PNG, JPEG, WebP, GIF or BMP."); return; }
  if (pad) { pad.strokes = []; pad.paint(); }
  one("hint").hidden = true;
  take(file);
  if (about) answer();
}

async function download() {
  one("download").disabled = true;
  try {
    const sent = await picture();
    const options = sent ? { method: "POST", body: sent.blob, headers: { "content-type": sent.blob.type } } : {};
    const reply = await fetch(`${api}/file?${query()}${sent ? `&kind=${sent.kind}` : ""}`, options);
    if (!reply.ok) throw new Error((await reply.json()).error);
    const link = make("a", { href: URL.createObjectURL(await reply.blob()), download: "model.zip" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    banner("");
  } catch (error) {
    banner(error instanceof TypeError ? "The server does not answer. Try again as soon as it does." : error.message);
  }
  one("download").disabled = false;
}

async function load() {
  try {
    all = await get(api);
  } catch (error) {
    banner(error.message);
    one("about").textContent = "";
    return;
  }
  const possible = all.candidates.filter((each) => Object.keys(each.costs).length);
  if (!possible.length) {
    one("none").hidden = false;
    one("about").textContent = "";
    if (all.candidates.length) { one("none-lead").textContent = "No network of this study can be written as C."; one("none-note").textContent = `${all.candidates[0].arm}: ${all.candidates[0].reason}.`; }
    return;
  }
  const asked = page.searchParams;
  if (all.codings.some((each) => each.name === asked.get("coding"))) coding = asked.get("coding");
  if (all.cores.some((each) => each.name === asked.get("core"))) core = asked.get("core");
  one("codings").replaceChildren(...all.codings.map((each) => make("button", { type: "button", value: each.name, "aria-pressed": "false", onclick: () => { coding = each.name; choose(arm); } }, each.title)));
  one("core").replaceChildren(...all.cores.map((each) => make("option", { value: each.name, selected: each.name === core }, `${each.title}, ${each.megahertz} MHz`)));
  one("content").hidden = false;
  const first = possible.find((each) => each.arm === asked.get("arm")) || possible[0];
  choose(first.arm);
}

one("core").addEventListener("change", (event) => {
  core = event.target.value;
  page.searchParams.set("core", core);
  history.replaceState(null, "", page);
  table();
  if (about) describe();
});
one("undo").addEventListener("click", () => { if (!one("shown").hidden) pad.clear(); else pad.undo(); });
one("clear").addEventListener("click", () => pad.clear());
one("download").addEventListener("click", download);
one("file").addEventListener("change", (event) => { give(event.target.files[0]); event.target.value = ""; });
const board = one("board");
for (const name of ["dragenter", "dragover"]) document.addEventListener(name, (event) => { event.preventDefault(); board.classList.add("over"); });
for (const name of ["dragleave", "drop"]) document.addEventListener(name, (event) => { event.preventDefault(); if (name === "drop" || !event.relatedTarget) board.classList.remove("over"); });
document.addEventListener("drop", (event) => give(event.dataTransfer.files[0]));
document.addEventListener("paste", (event) => give([...event.clipboardData.files][0]));
load();

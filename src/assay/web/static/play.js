import { banner, counted, get, Gone, make, one, percent } from "./dom.js";
import { Pad } from "./pad.js";

const study = document.body.dataset.study;
const api = `/api/studies/${encodeURIComponent(study)}/play`;
const page = new URL(location.href);
let about = null, pad = null, bars = [], given = null;

const arm = () => `arm=${encodeURIComponent(about.arm)}`;

// One question at a time; of those that come meanwhile only the last is asked.
let waiting = null, asking = false, number = 0, last = null;
async function ask(question) {
  waiting = last = question;
  if (asking) return;
  asking = true;
  while (waiting) {
    const next = waiting, mine = ++number;
    waiting = null;
    try {
      const start = performance.now();
      const found = await next();
      if (found && mine === number && !waiting) show(found, performance.now() - start);
      banner("");
    } catch (error) {
      banner(error.message);
      if (error instanceof Gone) await new Promise((done) => { setTimeout(done, 1500); });
    }
  }
  asking = false;
}

const send = (blob, kind) => get(`${api}/image?${arm()}&kind=${kind}`, { method: "POST", body: blob, headers: { "content-type": blob.type } });

function drawn() {
  one("hint").hidden = !pad.isEmpty;
  if (!one("shown").hidden) { URL.revokeObjectURL(one("shown").src); one("shown").hidden = true; }
  given = null;
  unpick();
  if (pad.isEmpty) { waiting = last = null; number += 1; blank(); return; }
  ask(async () => send(await pad.image(), "drawing"));
}

function blank() {
  one("guess").textContent = "–";
  one("guess").className = "guess";
  one("saying").textContent = about.framing ? "Nothing drawn yet" : "Nothing chosen yet";
  one("agree").textContent = "";
  one("sure").textContent = "";
  one("took").textContent = "";
  one("promise").hidden = true;
  one("cam-note").textContent = "";
  one("seen-note").textContent = "";
  for (const bar of bars) { bar.fill.style.width = "0"; bar.text.textContent = ""; bar.dots.replaceChildren(); bar.row.classList.remove("top"); }
  for (const id of ["seen", "cam"]) { const place = one(id); place.getContext("2d").clearRect(0, 0, place.width, place.height); }
}

let speaking = 0;
function show(found, milliseconds) {
  if (found.is_blank && !found.label) { blank(); return; }
  const top = found.probabilities.indexOf(Math.max(...found.probabilities));
  const name = about.classes[top], own = found.probabilities[top], share = found.confidence ?? own;
  one("guess").textContent = name;
  one("guess").className = `guess${name.length > 2 ? " word" : ""}`;
  const sure = share > 0.995 ? "Nearly certain" : share > 0.9 ? "Confident" : share > 0.6 ? "Fairly sure" : "Unsure";
  one("saying").textContent = `${sure}, ${percent(share, 1)}`;
  const agree = found.votes.filter((vote) => vote.indexOf(Math.max(...vote)) === top).length;
  const n = found.votes.length;
  let told = n === 1 ? "One network answers." : agree === n ? `All ${n} networks agree.` : `${agree} of ${n} networks say so.`;
  if (found.label !== undefined) {
    told = `${found.label === name ? "Right: its label is" : "Wrong: its label is"} ${found.label}. Asked: ${n === 1 ? "the one network that" : `the ${n} networks that`} never trained on it.`;
  }
  one("sure").textContent = found.confidence === null ? (about.uncalibrated || "") : `Calibrated; uncalibrated ${percent(own, 1)}.`;
  promise(found);
  one("verdict").classList.toggle("wrong", found.label !== undefined && found.label !== name);
  one("agree").textContent = told;
  bars.forEach((bar, label) => {
    const value = found.probabilities[label];
    bar.fill.style.width = `${100 * value}%`;
    bar.text.textContent = value < 0.0005 ? "" : percent(value, 1);
    bar.row.classList.toggle("top", label === top);
    bar.dots.replaceChildren(...(n > 1 ? found.votes.map((vote) => { const dot = make("i"); dot.style.left = `${100 * vote[label]}%`; return dot; }) : []));
  });
  picture(one("seen"), found);
  heat(one("cam"), found);
  one("seen-note").textContent = `${found.shape[0]} × ${found.shape[1]} pixels${about.framing && found.label === undefined && (!given || one("framed").checked) ? `, ${about.framing}` : ""}`;
  one("took").textContent = `Answered in ${found.milliseconds.toFixed(0)} ms, ${Math.round(milliseconds)} ms with the way here and back.`;
  clearTimeout(speaking);
  speaking = setTimeout(() => { one("spoken").textContent = `${name}, ${percent(share, 0)}. ${told} ${one("unlike").textContent}`; }, 700);
}

// The classes that an image may be, and whether it is unlike the data.
let promised = null;
function promise(found) {
  promised = found;
  const rules = Object.keys(found.sets || {}), far = found.unlike !== null && found.unlike > 1;
  one("promise").hidden = !rules.length && !far;
  one("unlike").hidden = !far;
  one("unlike").textContent = far ? `None of these: the picture is unlike the data, ${Math.sqrt(found.unlike).toFixed(1)} times as far from the training images as ${percent(1 - (about.refused ?? 0.05), 0)} of validation images are.` : "";
  document.querySelector(".set").hidden = !rules.length;
  if (!rules.length) return;
  const chosen = one("coverage").value || rules[0];
  if (one("coverage").options.length !== rules.length) one("coverage").replaceChildren(...rules.map((rule) => make("option", { value: rule, selected: rule === chosen }, `${percent(Number(rule), 0)} of the time`)));
  const set = found.sets[one("coverage").value];
  one("set").textContent = set.length ? set.map((label) => about.classes[label]).join(", ") : "empty: no class is needed to keep that promise";
}

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

function pixels(found) {
  const [height, width, channels] = found.shape, values = bytes(found.seen), image = new ImageData(width, height);
  for (let i = 0; i < width * height; i += 1) {
    for (let c = 0; c < 3; c += 1) image.data[4 * i + c] = values[channels === 1 ? i : i * channels + Math.min(c, channels - 1)];
    image.data[4 * i + 3] = 255;
  }
  return image;
}

function picture(place, found) {
  [place.height, place.width] = found.shape;
  place.getContext("2d").putImageData(pixels(found), 0, 0);
}

// The image dimmed to blue-grey, and over it, where the class comes from, orange to pale yellow.
function heat(place, found) {
  one("cam-figure").classList.toggle("missing", !found.cam);
  const n = found.cam_networks, class_ = about.classes[found.probabilities.indexOf(Math.max(...found.probabilities))];
  one("cam-note").textContent = found.cam ? `Grad-CAM: the brighter, the more speaks for ${class_}${n > 1 ? `; mean of ${n} networks` : ""}` : "These networks have no feature maps to explain.";
  if (!found.cam) return;
  [place.height, place.width] = found.shape;
  const image = pixels(found), values = bytes(found.cam), highest = Math.max(1, ...values);
  values.forEach((value, i) => {
    const share = value / highest, cover = 0.92 * share ** 1.6;
    const ink = [200 + 55 * share, 60 + 170 * share ** 1.5, 20 + 110 * share ** 4], cool = [0.5, 0.6, 0.75];
    for (let c = 0; c < 3; c += 1) image.data[4 * i + c] = image.data[4 * i + c] * cool[c] * (1 - cover) + ink[c] * cover;
  });
  place.getContext("2d").putImageData(image, 0, 0);
}

// The networks' confidence is worked out aside; what is shown is asked again when it is known.
async function calibrate() {
  const mine = about;
  let found;
  try { found = await get(`${api}/calibration?${arm()}`); } catch { return; }
  if (mine !== about) return;
  about.refused = found.refused ?? 0.05;
  if (found.temperature === null) about.uncalibrated = `Not calibrated: ${found.why}.`;
  else {
    const n = about.networks.length;
    const judged = n > 1 ? `, each judged by those that did not train on it (${found.shared.toFixed(1)} of ${n} on average)` : "";
    one("bars-note").append(` Bars are not calibrated; the confidence above is: temperature ${found.temperature.toFixed(2)}, fitted on ${counted(found.images, "validation image")}${judged}; calibration error ${percent(found.error[0], 1)} before and ${percent(found.error[1], 1)} after.`);
    if (found.coverages.length) one("bars-note").append(" Sets are calibrated on the same images; the promise is for pictures drawn as these were.");
  }
  if (last) ask(last);
}

async function give(file) {
  if (!file) return;
  if (!/^image\/(png|jpeg|webp|gif|bmp)$/.test(file.type)) { banner("This is no picture that can be read: PNG, JPEG, WebP, GIF or BMP."); return; }
  if (pad) { pad.strokes = []; pad.paint(); }
  unpick();
  one("hint").hidden = true;
  const shown = one("shown");
  if (!shown.hidden) URL.revokeObjectURL(shown.src);
  given = file;
  shown.src = URL.createObjectURL(file);
  shown.alt = "The picture that was given";
  shown.hidden = false;
  ask(() => send(file, one("framed").checked ? "character" : "picture"));
}

function unpick() {
  for (const button of document.querySelectorAll(".picks button[aria-pressed=true]")) button.setAttribute("aria-pressed", "false");
}

async function picks(onlyMistakes) {
  one("all").setAttribute("aria-pressed", String(!onlyMistakes));
  one("mistakes").setAttribute("aria-pressed", String(onlyMistakes));
  one("picks-note").textContent = "Looking";
  let found;
  try {
    found = await get(`${api}/picks?${arm()}&mistakes=${onlyMistakes ? 1 : 0}`);
  } catch (error) {
    one("picks-note").textContent = error.message;
    one("picks").replaceChildren();
    return null;
  }
  one("picks-note").textContent = onlyMistakes && !found.mistakes ? `No mistake among the ${found.looked} that were looked at.` : `${counted(found.mistakes, "mistake")} among the ${found.looked} that were looked at. Only networks that never trained on an image answer.`;
  one("picks").replaceChildren(...found.picks.map((pick) => {
    const isWrong = pick.predicted !== pick.label;
    const image = make("img", { src: `data:image/png;base64,${pick.png}`, alt: "" });
    const button = make("button", { type: "button", "aria-pressed": "false", class: isWrong ? "wrong" : null, "aria-label": `${pick.label}${isWrong ? `, taken for ${pick.predicted}` : ""}, image ${pick.index}`, onclick: () => choose(button, pick) }, image, make("span", {}, isWrong ? `${pick.label} → ${pick.predicted}` : pick.label));
    return make("li", {}, button);
  }));
  return found;
}

function choose(button, pick) {
  unpick();
  button.setAttribute("aria-pressed", "true");
  if (pad) { pad.strokes = []; pad.paint(); }
  one("hint").hidden = true;
  const shown = one("shown");
  if (!shown.hidden) URL.revokeObjectURL(shown.src);
  given = null;
  shown.src = button.querySelector("img").src;
  shown.alt = `Validation image ${pick.index}, a ${pick.label}`;
  shown.hidden = false;
  ask(() => get(`${api}/picks/${pick.index}?${arm()}`));
  if (window.innerWidth < 640) one("board").scrollIntoView({ block: "start" });
}

async function load(name) {
  try {
    last = null;
    about = await get(`${api}${name ? `?arm=${encodeURIComponent(name)}` : ""}`);
  } catch (error) {
    banner(error.message);
    one("about").textContent = "";
    return;
  }
  banner("");
  if (!about.arms.length) { one("none").hidden = false; one("about").textContent = ""; return; }
  const n = about.networks.length;
  one("asking").textContent = about.framing ? "Draw, and watch them decide" : "Choose, and watch them decide";
  one("about").textContent = `${about.arm} · ${n < about.runs ? `the first ${n} of ${about.runs} seeds` : counted(n, "seed")}, ${about.parameters.toLocaleString("en")} parameters each · ${about.data}`;
  one("choice").hidden = about.arms.length < 2;
  one("arm").replaceChildren(...about.arms.map((each) => make("option", { value: each.name, selected: each.name === about.arm }, `${each.name} (${counted(each.n, "seed")})${each.name === about.best ? ", best mean" : ""}`)));
  one("bars-note").textContent = n > 1 ? "A bar is the mean over the networks; each dot is one of them." : "";
  one("play").hidden = false;
  one("draw-heading").textContent = about.framing ? "Draw" : "Picture";
  bars = about.classes.slice(0, 100).map((class_) => {
    const fill = make("b"), dots = make("span", { class: "dots" }), text = make("span", { class: "value" });
    const row = make("li", {}, make("span", { class: "class", title: class_ }, class_), make("span", { class: "track" }, fill, dots), text);
    return { row, fill, dots, text };
  });
  const hasWords = about.classes.some((class_) => class_.length > 2);
  for (const id of ["bars", "picks"]) one(id).classList.toggle("words", hasWords);
  one("bars").replaceChildren(...bars.map((bar) => bar.row));
  for (const id of ["seen", "cam"]) [one(id).height, one(id).width] = about.shape;
  const isDrawn = Boolean(about.framing);
  for (const id of ["undo", "clear", "pad"]) one(id).hidden = !isDrawn;
  one("reading").textContent = about.reading;
  one("framing-choice").hidden = !isDrawn;
  if (!isDrawn) one("framed").checked = false;
  one("keys").textContent = isDrawn ? "By keyboard: arrow keys move the pen, Space lowers and lifts it, Backspace undoes, Delete clears. Pictures can be dropped or pasted here." : "Choose a validation image below, or drop, paste or choose a picture.";
  one("hint").textContent = isDrawn ? `Draw ${/^\d$/.test(about.classes[0]) ? "a digit" : "a character"} here` : "Drop a picture here";
  if (isDrawn && !pad) pad = new Pad(one("pad"), one("pen"), drawn);
  const hadDrawing = pad && !pad.isEmpty;
  if (hadDrawing) drawn(); else { one("shown").hidden = true; one("hint").hidden = false; blank(); }
  one("picking").hidden = false;
  const found = await picks(false);
  calibrate();
  if (!isDrawn && found && found.picks.length) one("picks").querySelector("button").click();
}

one("arm").addEventListener("change", (event) => {
  page.searchParams.set("arm", event.target.value);
  history.replaceState(null, "", page);
  load(event.target.value);
});
one("coverage").addEventListener("change", () => { if (promised) promise(promised); });
one("undo").addEventListener("click", () => { if (!one("shown").hidden) pad.clear(); else pad.undo(); });
one("clear").addEventListener("click", () => pad.clear());
one("all").addEventListener("click", () => picks(false));
one("mistakes").addEventListener("click", () => picks(true));
one("file").addEventListener("change", (event) => { give(event.target.files[0]); event.target.value = ""; });
one("framed").addEventListener("change", () => { if (given) give(given); });
const board = one("board");
for (const name of ["dragenter", "dragover"]) document.addEventListener(name, (event) => { event.preventDefault(); board.classList.add("over"); });
for (const name of ["dragleave", "drop"]) document.addEventListener(name, (event) => { event.preventDefault(); if (name === "drop" || !event.relatedTarget) board.classList.remove("over"); });
document.addEventListener("drop", (event) => give(event.dataTransfer.files[0]));
document.addEventListener("paste", (event) => give([...event.clipboardData.files][0]));
load(page.searchParams.get("arm"));

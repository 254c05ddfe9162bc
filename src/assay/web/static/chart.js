// Charts as SVG, drawn for the width that they get.

import { colour, draw, make } from "./dom.js";

const DASHES = { solid: null, dash: "7 4", dot: "2 4", dashdot: "8 4 2 4" };
const GLYPHS = {
  circle: (x, y, r) => draw("circle", { cx: x, cy: y, r }),
  square: (x, y, r) => draw("rect", { x: x - r, y: y - r, width: 2 * r, height: 2 * r }),
  diamond: (x, y, r) => draw("path", { d: `M${x} ${y - 1.3 * r}L${x + 1.3 * r} ${y}L${x} ${y + 1.3 * r}L${x - 1.3 * r} ${y}Z` }),
  "triangle-up": (x, y, r) => draw("path", { d: `M${x} ${y - 1.2 * r}L${x + 1.2 * r} ${y + r}L${x - 1.2 * r} ${y + r}Z` }),
};

function ticks(low, high, count) {
  const rough = (high - low) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999);
  const values = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k += 1) values.push(k * step);
  if (values.length < 2 && count < 40) return ticks(low, high, 2 * Math.max(count, 1));  // one number gives no scale
  return { values, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

function svg(place, width, height, label) {
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label });
  place.replaceChildren(svg);
  return svg;
}

// The lane of each dot, 0 in the middle: dots nearer than a dot's width stand side by side. As report/beeswarm.py.
function lanes(places, width) {
  const last = new Map(), chosen = places.map(() => 0);
  for (const at of places.map((_, index) => index).sort((a, b) => places[a] - places[b])) {
    let step = 0, lane = 0;
    while (last.has(lane) && places[at] - last.get(lane) < width) { step += 1; lane = Math.ceil(step / 2) * (step % 2 ? 1 : -1); }
    last.set(lane, places[at]);
    chosen[at] = lane;
  }
  return chosen;
}

const bounds = (values) => values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);

// One row an arm: every seed a dot, the mean a stroke, its interval a bar.
export function strip(place, arms, scores, measure) {
  const text = (v) => `${(measure.scale * v).toFixed(measure.decimals)}${measure.suffix}`, most = measure.most ?? Infinity;
  const rows = arms.map((arm, index) => ({ arm, ...scores[index] })).filter((row) => row.scores.length);
  if (!rows.length) { place.replaceChildren(); return; }
  const width = place.clientWidth, narrow = width < 560;
  if (!width) return;
  const least = rows.length > 30 ? 16 : narrow ? 50 : 40;
  const names = narrow ? 0 : Math.min(240, 24 + 7.2 * Math.max(...rows.map((row) => row.arm.name.length)));
  const left = names + 8, right = width - 28, top = 10, foot = 34;
  // Intervals of two or three seeds may be many times as wide as everything else; they leave the frame.
  const [lowest, highest] = bounds(rows.flatMap((row) => row.scores)), reach = Math.max(highest - lowest, 0.002);
  let [low, high] = bounds(rows.flatMap((row) => [row.mean, ...row.scores, ...(row.low === null ? [] : [row.low, row.high])]));
  low = Math.max(low, lowest - reach); high = Math.min(high, highest + reach, most);
  const pad = Math.max((high - low) * 0.04, 0.0005);
  low -= pad; high = Math.min(high + pad, Math.max(most, high));
  const x = (v) => left + ((Math.min(Math.max(v, low), high) - low) / (high - low)) * (right - left);
  // A row grows with the dots of equal value that stand side by side in it.
  const size = rows.some((row) => row.scores.length > 40) || least < 20 ? 2 : 3.6;
  const chosen = rows.map((row) => lanes(row.scores.map(x), 2 * size)), widest = Math.max(...chosen.flat().map(Math.abs));
  const lift = widest && least > 20 ? Math.min(2 * size, 30 / widest) : 0, spread = Math.max(0, widest * lift - 6);
  const step = least + 2 * spread, height = top + rows.length * step + foot;
  const root = svg(place, width, height, `Validation ${measure.label} of every run. ${rows.slice(0, 12).map((row) => `${row.arm.name}: mean ${text(row.mean)}, ${row.scores.length} runs`).join("; ")}`);
  const { values, digits } = ticks(measure.scale * low, measure.scale * high, (right - left) / 90);
  for (const tick of values) {
    const at = x(tick / measure.scale);
    root.append(draw("line", { x1: at, x2: at, y1: top, y2: height - foot, class: "grid" }), draw("text", { x: at, y: height - foot + 20, class: "tick", "text-anchor": "middle" }, `${tick.toFixed(digits)}${measure.suffix}`));
  }
  rows.forEach((row, index) => {
    const y = top + index * step + (narrow && least > 20 ? 0.66 : 0.5) * least + spread, ink = colour(row.arm);
    if (least > 20 || !narrow) {
      const name = draw("text", narrow ? { x: left, y: y - 18 - spread, class: "name" } : { x: names - 6, y: y + 4, class: "name", "text-anchor": "end" }, cut(row.arm.name, narrow ? 40 : 30));
      name.append(draw("title", {}, row.arm.name));
      root.append(name);
    }
    const dots = draw("g", { fill: ink, "fill-opacity": row.scores.length > 40 ? 0.35 : 0.6 });
    row.scores.forEach((score, seed) => {
      const dot = GLYPHS[row.arm.shape](x(score), y + chosen[index][seed] * lift, size);
      dot.append(draw("title", {}, `seed ${row.seeds[seed]}: ${text(score)}`));
      dots.append(dot);
    });
    root.append(dots);
    if (row.low !== null) root.append(draw("line", { x1: x(row.low), x2: x(row.high), y1: y, y2: y, stroke: ink, "stroke-width": least > 20 ? 2.5 : 1.5 }));
    const tall = least > 20 ? 10 : 5;
    root.append(draw("line", { x1: x(row.mean), x2: x(row.mean), y1: y - tall, y2: y + tall, stroke: ink, "stroke-width": 2.5 }));
  });
}

const cut = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

function path(values, x, y) {
  let path = "", pen = false;
  values.forEach((value, index) => {
    if (value === null) { pen = false; return; }
    path += `${pen ? "L" : "M"}${x(index + 1).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = true;
  });
  return path;
}

// Curves by epoch: lines = [{values, ink, dash, thin}], bands = [{low, high, ink}].
export function curves(place, { lines, bands, epochs, share, label, read }) {
  const width = place.clientWidth;
  if (!width) return;
  const height = Math.min(420, Math.max(260, width * 0.45));
  const left = 56, right = width - 12, top = 12, foot = 36;
  const settled = lines.flatMap((line) => line.values.slice(epochs > 4 ? 1 : 0)).filter((v) => v !== null);
  const all = settled.length ? settled : lines.flatMap((line) => line.values).filter((v) => v !== null);
  if (!all.length) { place.replaceChildren(make("p", { class: "waiting" }, "Waiting for the first epoch")); return; }
  const sorted = [...all].sort((a, b) => a - b);
  let low = share ? sorted[Math.floor(sorted.length * 0.01)] : Math.min(0, sorted[0]);
  let high = share ? sorted[sorted.length - 1] : sorted[Math.ceil(sorted.length * 0.99) - 1];
  const pad = Math.max((high - low) * 0.05, share ? 0.001 : 0.0001);
  low = share ? Math.max(0, low - pad) : low; high = share ? Math.min(1, high + pad) : high + pad;
  const x = (epoch) => (epochs > 1 ? left + ((epoch - 1) / (epochs - 1)) * (right - left) : (left + right) / 2);
  const y = (value) => top + ((high - value) / (high - low)) * (height - top - foot);
  const root = svg(place, width, height, label);
  const scale = share ? 100 : 1;
  const { values, digits } = ticks(scale * low, scale * high, 5);
  for (const tick of values) {
    const at = y(tick / scale);
    root.append(draw("line", { x1: left, x2: right, y1: at, y2: at, class: "grid" }), draw("text", { x: left - 8, y: at + 4, class: "tick", "text-anchor": "end" }, share ? `${tick.toFixed(digits)} %` : tick.toFixed(digits)));
  }
  const every = ticks(1, Math.max(epochs, 2), Math.min(8, width / 80)).values.filter((t) => Number.isInteger(t));
  const only = epochs > 1 ? [] : [[0, left], [2, right]];  // one epoch: its neighbours give the axis a scale
  for (const [tick, at] of only) root.append(draw("text", { x: at, y: height - foot + 20, class: "tick", "text-anchor": tick ? "end" : "start" }, tick));
  for (const tick of [...new Set([1, ...every.filter((t) => t > 1 && t <= epochs)])]) root.append(draw("text", { x: x(tick), y: height - foot + 20, class: "tick", "text-anchor": "middle" }, tick));
  root.append(draw("text", { x: right, y: height - 2, class: "tick", "text-anchor": "end" }, "epoch"));
  const clip = `clip-${place.id}`;
  root.append(draw("clipPath", { id: clip }, draw("rect", { x: left - 4, y: top - 6, width: right - left + 8, height: height - top - foot + 8 })));
  const inside = draw("g", { "clip-path": `url(#${clip})` });
  for (const band of bands) {
    const there = band.low.map((v, i) => [i, v, band.high[i]]).filter(([, a, b]) => a !== null && b !== null);
    if (there.length < 2) continue;
    const up = there.map(([i, , b]) => `${x(i + 1).toFixed(1)} ${y(b).toFixed(1)}`), down = there.map(([i, a]) => `${x(i + 1).toFixed(1)} ${y(a).toFixed(1)}`).reverse();
    inside.append(draw("path", { d: `M${[...up, ...down].join("L")}Z`, fill: band.ink, "fill-opacity": 0.15 }));
  }
  for (const line of lines) {
    inside.append(draw("path", { d: path(line.values, x, y), fill: "none", stroke: line.ink, "stroke-width": line.thin ? 1 : 2.4, "stroke-opacity": line.thin ? line.live ? 0.9 : 0.32 : 1, "stroke-dasharray": line.thin ? null : DASHES[line.dash || "solid"], "stroke-linejoin": "round" }));
    const last = line.values.length;
    if ((line.live || last === 1) && line.values[last - 1] !== null && line.values[last - 1] !== undefined) inside.append(draw("circle", { cx: x(last), cy: y(line.values[last - 1]), r: 3, fill: line.ink }));
  }
  root.append(inside);
  if (read) reading(place, root, { x, left, right, top, bottom: height - foot, epochs, read });
}

// The values at the epoch under the pointer.
function reading(place, root, { x, left, right, top, bottom, epochs, read }) {
  const rule = draw("line", { y1: top, y2: bottom, class: "rule", visibility: "hidden" });
  const tip = make("div", { class: "tip", hidden: true });
  root.append(rule);
  place.append(tip);
  root.addEventListener("pointermove", (event) => {
    const at = event.clientX - root.getBoundingClientRect().left;
    const epoch = epochs > 1 ? Math.round(1 + ((at - left) / (right - left)) * (epochs - 1)) : 1;
    const rows = epoch >= 1 && epoch <= epochs ? read(epoch) : [];
    tip.hidden = !rows.length;
    rule.setAttribute("visibility", rows.length ? "visible" : "hidden");
    if (!rows.length) return;
    rule.setAttribute("x1", x(epoch)); rule.setAttribute("x2", x(epoch));
    tip.replaceChildren(make("b", {}, `Epoch ${epoch}`), ...rows.map(([name, value, ink]) => {
      const dot = make("i"); dot.style.background = ink;
      return make("span", {}, dot, cut(name, 26), make("em", {}, value));
    }));
    const isRight = x(epoch) > (left + right) / 2;
    tip.style.left = isRight ? "" : `${x(epoch) + 12}px`;
    tip.style.right = isRight ? `${place.clientWidth - x(epoch) + 12}px` : "";
  });
  root.addEventListener("pointerleave", () => { tip.hidden = true; rule.setAttribute("visibility", "hidden"); });
}

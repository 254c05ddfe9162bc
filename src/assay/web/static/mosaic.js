// One square for each run, a row for each arm: what waits, trains, has finished, has failed.

import { colour } from "./dom.js";

export const FAILED = ["diverged", "out of memory", "failed"];

export class Mosaic {
  constructor(place, onPick) {
    this.place = place;
    this.canvas = place.querySelector("canvas");
    this.canvas.addEventListener("click", (event) => { const run = this.at(event); if (run) onPick(run); });
    this.canvas.addEventListener("pointermove", (event) => {
      const run = this.at(event);
      this.canvas.title = run ? this.describe(run) : "";
      this.canvas.style.cursor = run ? "pointer" : "";
    });
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / this.step), line = Math.floor((event.clientY - box.top) / this.step);
    return this.grid && this.grid[line] ? this.grid[line][column] : undefined;
  }

  // Rows of arms are wrapped where they are longer than the page.
  show(runs, arms, describe) {
    this.describe = describe;
    const width = this.place.clientWidth;
    if (!runs.length || !width) return;
    const rows = arms.map(() => []);
    for (const run of runs) rows[run.arm].push(run);
    const longest = Math.max(...rows.map((row) => row.length));
    this.step = runs.length > 1500 ? 7 : longest * 20 <= width && runs.length < 300 ? 20 : longest * 14 <= width || runs.length < 600 ? 14 : 9;
    const columns = Math.max(1, Math.floor(width / this.step));
    this.grid = [];
    // Short rows stand beside one another; an arm keeps its colour.
    if (arms.length > 24 && longest * 2 <= columns) {
      let line = [];
      for (const row of rows) {
        if (line.length && line.length + row.length > columns) { this.grid.push(line); line = []; }
        line.push(...row);
        if (line.length < columns) line.push(undefined);
      }
      if (line.length) this.grid.push(line);
    } else {
      for (const row of rows) for (let start = 0; start < Math.max(row.length, 1); start += columns) this.grid.push(row.slice(start, start + columns));
    }
    const scale = window.devicePixelRatio || 1;
    const height = this.grid.length * this.step;
    this.canvas.width = Math.round(width * scale); this.canvas.height = Math.round(height * scale);
    this.canvas.style.height = `${height}px`;
    const pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);
    const style = getComputedStyle(document.documentElement);
    const line = style.getPropertyValue("--line"), stop = style.getPropertyValue("--stop");
    const gap = this.step > 9 ? 3 : 1, side = this.step - gap;
    this.grid.forEach((row, j) => row.forEach((run, i) => {
      if (!run) return;
      const x = i * this.step, y = j * this.step, ink = colour(arms[run.arm]);
      pen.fillStyle = line;
      square(pen, x, y, side);
      if (run.state === "finished") { pen.fillStyle = ink; square(pen, x, y, side); }
      else if (FAILED.includes(run.state)) {
        pen.strokeStyle = stop; pen.lineWidth = this.step > 9 ? 2 : 1.2;
        const a = side * 0.25, b = side * 0.75;
        pen.beginPath(); pen.moveTo(x + a, y + a); pen.lineTo(x + b, y + b); pen.moveTo(x + b, y + a); pen.lineTo(x + a, y + b); pen.stroke();
      } else if (run.epochs) {
        const part = side * Math.min(1, run.epochs / Math.max(run.planned, 1));
        pen.globalAlpha = run.state === "running" ? 0.75 : 0.35; pen.fillStyle = ink;
        pen.fillRect(x, y + side - part, side, part);
        pen.globalAlpha = 1;
      }
      if (run.state === "running") { pen.strokeStyle = ink; pen.lineWidth = 1.5; pen.strokeRect(x + 0.75, y + 0.75, side - 1.5, side - 1.5); }
    }));
  }
}

function square(pen, x, y, side) {
  pen.beginPath();
  pen.roundRect(x, y, side, side, side > 8 ? 3 : 1);
  pen.fill();
}

// A table of many rows, of which only those in sight are in the page.

import { colour, duration, fixed, make, percent } from "./dom.js";
import { FAILED } from "./mosaic.js";

const HEIGHT = 38, MARGIN = 12;

export class Runs {
  constructor(place, { arms, revealed, folds, onChoose }) {
    Object.assign(this, { place, arms, onChoose, rows: [], chosen: [], sort: { key: "", down: false } });
    const number = (title, key, value, extra = {}) => ({ title, key, value, number: true, ...extra });
    this.columns = [
      { title: "arm", key: "arm", value: (run) => run.arm },
      number("seed", "seed", (run) => run.seed),
      ...(folds ? [number("fold", "fold", (run) => run.fold)] : []),
      number("validation accuracy", "score", (run) => run.score, { text: (run) => percent(run.score) }),
      ...(revealed ? [number("test accuracy", "test", (run) => run.test, { text: (run) => percent(run.test) })] : []),
      { title: "state", key: "state", value: (run) => run.state },
      number("training accuracy", "train", (run) => run.train, { text: (run) => percent(run.train), wide: true }),
      number("validation loss", "loss", (run) => run.loss, { text: (run) => fixed(run.loss), wide: true }),
      number("epochs", "epochs", (run) => run.epochs, { text: (run) => `${run.epochs} of ${run.planned}`, wide: true }),
      number("time", "seconds", (run) => run.seconds, { text: (run) => duration(run.seconds), wide: true }),
      { title: "run", key: "id", value: (run) => run.id, wide: true },
    ];
    this.head = make("tr", {}, make("th", { scope: "col", class: "pick" }, make("span", { class: "hidden" }, "Chosen")), ...this.columns.map((column) => {
      const button = make("button", { type: "button", onclick: () => this.sortBy(column.key) }, column.title);
      return make("th", { scope: "col", class: names(column), "data-key": column.key }, button);
    }));
    this.body = make("tbody");
    this.table = make("table", {}, make("thead", {}, this.head), this.body);
    place.replaceChildren(this.table);
    place.addEventListener("scroll", () => this.paint(), { passive: true });
    place.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.paint()).observe(place);
  }

  sortBy(key) {
    const isSame = this.sort.key === key;
    const column = this.columns.find((c) => c.key === key);
    if (isSame && this.sort.down !== Boolean(column.number)) this.sort = { key: "", down: false };
    else this.sort = { key, down: isSame ? !this.sort.down : Boolean(column.number) };
    for (const cell of this.head.children) {
      const mine = cell.dataset.key && cell.dataset.key === this.sort.key;
      if (mine) cell.setAttribute("aria-sort", this.sort.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
    this.show(this.all);
  }

  show(runs) {
    this.all = runs;
    this.rows = [...runs];
    const column = this.columns.find((c) => c.key === this.sort.key);
    if (column) {
      const sign = this.sort.down ? -1 : 1;
      this.rows.sort((a, b) => order(column.value(a), column.value(b), sign) || a.place - b.place);
    }
    this.table.setAttribute("aria-rowcount", this.rows.length + 1);
    this.paint(true);
  }

  paint(again = false) {
    const first = Math.max(0, Math.floor(this.place.scrollTop / HEIGHT) - MARGIN);
    const last = Math.min(this.rows.length, first + Math.ceil(this.place.clientHeight / HEIGHT) + 2 * MARGIN);
    if (!again && first === this.first && last === this.last) return;
    const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.place : undefined;
    this.first = first; this.last = last;
    this.body.replaceChildren(space(first), ...this.rows.slice(first, last).map((run, index) => this.row(run, first + index)), space(this.rows.length - last));
    if (focused !== undefined) this.body.querySelector(`input[data-place="${focused}"]`)?.focus({ preventScroll: true });
  }

  row(run, index) {
    const isChosen = this.chosen.includes(run.place);
    const arm = this.arms[run.arm];
    const box = make("input", { type: "checkbox", "data-place": run.place, "data-index": index, "aria-label": `${arm.name}, seed ${run.seed}`, onchange: () => this.choose(run) });
    box.checked = isChosen;
    const row = make("tr", { "aria-rowindex": index + 2, class: isChosen ? "chosen" : null, "data-place": run.place });
    row.append(make("td", { class: "pick" }, make("label", {}, box)));
    for (const column of this.columns) row.append(this.cell(column, run, arm));
    return row;
  }

  cell(column, run, arm) {
    if (column.key === "arm") {
      const mark = make("span", { class: "mark", "aria-hidden": "true" }, arm.glyph);
      mark.style.color = colour(arm);
      return make("th", { scope: "row", title: arm.name }, mark, " ", arm.name);
    }
    if (column.key === "state") {
      const isFailed = FAILED.includes(run.state);
      const cell = make("td", { class: `state ${isFailed ? "failed" : run.state}`, title: run.reason || null }, make("span", {}, run.state === "running" ? `${run.epochs} of ${run.planned}` : run.state));
      if (run.state === "running") cell.firstChild.setAttribute("aria-label", `running, epoch ${run.epochs} of ${run.planned}`);
      return cell;
    }
    const value = column.text ? column.text(run) : column.value(run) ?? "–";
    return make("td", { class: names(column) }, column.key === "id" ? make("code", {}, value) : String(value));
  }

  // Two at most: a third takes the place of the one that was chosen first.
  choose(run) {
    this.chosen = this.chosen.includes(run.place) ? this.chosen.filter((p) => p !== run.place) : [...this.chosen, run.place].slice(-2);
    this.paint(true);
    this.onChoose(this.chosen);
  }

  key(event) {
    const index = Number(event.target.dataset?.index);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || Number.isNaN(index)) return;
    const next = Math.min(Math.max(index + step, 0), this.rows.length - 1);
    event.preventDefault();
    const top = next * HEIGHT, bottom = top + 2 * HEIGHT;
    if (top < this.place.scrollTop) this.place.scrollTop = top;
    else if (bottom > this.place.scrollTop + this.place.clientHeight - HEIGHT) this.place.scrollTop = bottom + HEIGHT - this.place.clientHeight;
    this.paint(true);
    this.body.querySelector(`input[data-index="${next}"]`)?.focus({ preventScroll: true });
  }
}

const names = (column) => [column.number ? "num" : "", column.wide ? "wide-only" : ""].filter(Boolean).join(" ") || null;

function order(a, b, sign) {
  const none = (v) => v === null || v === undefined;
  if (none(a) || none(b)) return none(a) - none(b);
  return a < b ? -sign : a > b ? sign : 0;
}

function space(rows) {
  const row = make("tr", { class: "space", "aria-hidden": "true" }, make("td", { colspan: 99 }));
  row.style.height = `${rows * HEIGHT}px`;
  return row;
}

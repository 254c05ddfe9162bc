// A board to draw on, with a mouse, a finger or the keys. White ink on black, as the networks know it.

const STEP = 14;

export class Pad {
  constructor(canvas, cursor, onChange) {
    Object.assign(this, { canvas, cursor, onChange, strokes: [], pen: { x: 0.5, y: 0.3, down: false } });
    this.context = canvas.getContext("2d", { willReadFrequently: false });
    this.width = canvas.width / 13;
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { this.drawing = null; });
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => { cursor.hidden = true; this.pen.down = false; });
    this.paint();
  }

  get isEmpty() { return !this.strokes.length; }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * this.canvas.width, ((event.clientY - box.top) / box.height) * this.canvas.height];
  }

  begin(event) {
    if (event.button) return;
    event.preventDefault();
    this.canvas.focus({ preventScroll: true, focusVisible: false });
    this.cursor.hidden = true;
    this.canvas.setPointerCapture(event.pointerId);
    this.drawing = [this.point(event)];
    this.strokes.push(this.drawing);
    this.changed();
  }

  move(event) {
    if (!this.drawing) return;
    const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    for (const each of events.length ? events : [event]) this.drawing.push(this.point(each));
    this.changed();
  }

  key(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const size = this.canvas.width;
    if (way) {
      event.preventDefault();
      const far = event.shiftKey ? 3 * STEP : STEP;
      this.pen.x = Math.min(1, Math.max(0, this.pen.x + (way[0] * far) / size));
      this.pen.y = Math.min(1, Math.max(0, this.pen.y + (way[1] * far) / size));
      if (this.pen.down) { this.strokes[this.strokes.length - 1].push([this.pen.x * size, this.pen.y * size]); this.changed(); }
    } else if (event.key === " ") {
      event.preventDefault();
      this.pen.down = !this.pen.down;
      if (this.pen.down) { this.strokes.push([[this.pen.x * size, this.pen.y * size]]); this.changed(); }
    } else if (event.key === "Backspace" || (event.key === "z" && (event.ctrlKey || event.metaKey))) {
      event.preventDefault(); this.undo();
    } else if (event.key === "Delete") {
      event.preventDefault(); this.clear();
    } else return;
    this.cursor.hidden = false;
    this.cursor.classList.toggle("down", this.pen.down);
    this.cursor.style.left = `${100 * this.pen.x}%`;
    this.cursor.style.top = `${100 * this.pen.y}%`;
  }

  undo() { this.strokes.pop(); this.pen.down = false; this.changed(); }
  clear() { this.strokes = []; this.pen.down = false; this.changed(); }

  changed() {
    this.paint();
    this.onChange();
  }

  paint() {
    const pen = this.context, { width, height } = this.canvas;
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, width, height);
    pen.strokeStyle = pen.fillStyle = "#fff";
    pen.lineWidth = this.width;
    pen.lineCap = pen.lineJoin = "round";
    for (const stroke of this.strokes) {
      pen.beginPath();
      if (stroke.length === 1) { pen.arc(stroke[0][0], stroke[0][1], this.width / 2, 0, 7); pen.fill(); continue; }
      pen.moveTo(...stroke[0]);
      for (let i = 1; i < stroke.length - 1; i += 1) {
        const [x, y] = stroke[i], [u, v] = stroke[i + 1];
        pen.quadraticCurveTo(x, y, (x + u) / 2, (y + v) / 2);
      }
      pen.lineTo(...stroke[stroke.length - 1]);
      pen.stroke();
    }
  }

  // Half the size is still ten times what a network of characters sees.
  image() {
    const small = document.createElement("canvas");
    small.width = small.height = this.canvas.width / 2;
    const pen = small.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(this.canvas, 0, 0, small.width, small.height);
    return new Promise((done) => { small.toBlob(done, "image/png"); });
  }
}

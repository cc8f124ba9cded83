// The pad: strokes by mouse, finger, pen or keyboard, each state kept for undo.

const PAPER = "#fff", INK = "#16181d";
export const SIDE = 280; // of the pad, in CSS pixels, and of the picture that is answered

function drawStrokes(context, strokes) {
  context.strokeStyle = context.fillStyle = INK;
  context.lineCap = context.lineJoin = "round";
  for (const { width, points } of strokes) {
    const [[startX, startY], ...others] = points;
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(startX, startY);
    context.lineTo(startX, startY + 0.01); // a dot, if there are no others
    others.forEach(([x, y], i) => { // curves through the middles between points
      const [nextX, nextY] = others[i + 1] ?? [x, y];
      context.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
    });
    context.stroke();
  }
}

function drawPicture(context, { width, height }, picture) {
  const scale = Math.min(SIDE / width, SIDE / height);
  const size = [scale * width, scale * height];
  context.drawImage(picture, (SIDE - size[0]) / 2, (SIDE - size[1]) / 2, ...size);
}

export class Pad {
  // onChange is called after every change. The width of new strokes is `strokeWidth`.
  constructor(canvas, onChange) {
    this.canvas = canvas;
    this.onChange = onChange;
    this.strokeWidth = 18;
    this.states = [{ strokes: [] }];
    this.stroke = null; // the one being drawn
    this.cursor = null; // of the keyboard
    this.pointer = null; // that draws the stroke
    this.picture = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
    this.picture.getContext("2d", { willReadFrequently: true });
    const listen = (name, f) => canvas.addEventListener(name, f.bind(this));
    listen("pointerdown", this.press);
    listen("pointermove", this.move);
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) listen(name, this.lift);
    listen("keydown", this.pressKey);
    listen("blur", this.leave);
    this.draw();
  }

  get state() {
    return this.states.at(-1);
  }

  get isEmpty() {
    return this.state.strokes.length === 0 && !this.state.file;
  }

  press(event) {
    const isSecond = this.stroke && !this.cursor; // finger
    if (event.button !== 0 || isSecond) return;
    if (event.isTrusted) this.canvas.setPointerCapture(event.pointerId); // events of scripts have no pointer
    this.pointer = event.pointerId;
    this.cursor = null;
    this.begin(this.pointOf(event));
  }

  move(event) {
    if (!this.stroke || this.cursor || event.pointerId !== this.pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const part of events.length ? events : [event]) this.stroke.points.push(this.pointOf(part));
    this.change();
  }

  lift(event) {
    if (!this.cursor && event.pointerId === this.pointer) this.stroke = null;
  }

  pointOf(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left - this.canvas.clientLeft, y = event.clientY - box.top - this.canvas.clientTop;
    return [(x * SIDE) / this.canvas.clientWidth, (y * SIDE) / this.canvas.clientHeight];
  }

  // Arrow keys move a cursor, and the space bar lifts the pen or puts it down.
  pressKey(event) {
    const step = event.shiftKey ? 2 : 10;
    const [dx, dy] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key] ?? [0, 0];
    if (event.ctrlKey || event.metaKey || event.altKey || (!dx && !dy && event.key !== " ")) return;
    event.preventDefault();
    const clamp = (value) => Math.min(Math.max(value, 0), SIDE), [x, y] = this.cursor ?? [SIDE / 2, SIDE / 4];
    this.cursor = [clamp(x + dx), clamp(y + dy)];
    if (event.key !== " ") this.stroke?.points.push(this.cursor);
    else if (this.stroke) this.stroke = null;
    else this.begin(this.cursor);
    this.change();
  }

  leave() {
    this.stroke = this.cursor = null;
    this.draw();
  }

  begin(point) {
    this.stroke = { width: this.strokeWidth, points: [point] };
    this.states.push({ strokes: [...this.state.strokes, this.stroke] });
    this.change();
  }

  // Show a file in place of the strokes; `picture` is undefined if the browser can't decode it.
  showFile(file, picture) {
    this.states.push({ strokes: [], file, picture });
    this.change();
  }

  clear() {
    this.stroke = null;
    if (!this.isEmpty) this.states.push({ strokes: [] });
    this.change();
  }

  undo() {
    this.stroke = null;
    if (this.states.length > 1) this.states.pop();
    this.change();
  }

  change() {
    this.draw();
    this.onChange();
  }

  draw() {
    const { strokes, picture } = this.state, ratio = window.devicePixelRatio || 1, pixels = Math.round(SIDE * ratio);
    if (this.canvas.width !== pixels) this.canvas.width = this.canvas.height = pixels;
    for (const [canvas, scale] of [[this.picture, 1], [this.canvas, pixels / SIDE]]) {
      const context = canvas.getContext("2d");
      context.setTransform(scale, 0, 0, scale, 0, 0);
      context.fillStyle = PAPER;
      context.fillRect(0, 0, SIDE, SIDE);
      if (picture) drawPicture(context, picture, picture);
      drawStrokes(context, strokes);
    }
    if (this.cursor) this.drawCursor(this.canvas.getContext("2d"));
  }

  drawCursor(context) {
    const [x, y] = this.cursor;
    context.beginPath();
    context.arc(x, y, this.strokeWidth / 2 + 3, 0, 2 * Math.PI);
    context.strokeStyle = this.stroke ? "#c2410c" : "#1d5fc4";
    context.lineWidth = 2;
    context.stroke();
  }
}

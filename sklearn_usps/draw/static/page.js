// The page: what is drawn goes to the backend, and its answer to the views.
import { Pad, SIDE } from "./pad.js";
import * as views from "./views.js";

const element = (id) => document.getElementById(id);
const EMPTY = "Draw a digit, 0 to 9, on the pad.";
const DIGITS = [..."0123456789"];
const MOST_BYTES = 2 ** 25; // of a picture that is shown; the server refuses larger ones

let backend; // undefined until about.json has come
let shown; // the last answer
let isBusy = false, hasChanged = false;

function setBusy(value) { // screen readers then wait with the label
  isBusy = value;
  element("answer").setAttribute("aria-busy", value);
}

const pad = new Pad(element("pad"), change);

function showAbout({ name, test_error: error, trained_on: trainedOn, note }) {
  const percent = error == null ? "" : ` · error on test digits ${+(100 * error).toFixed(2)} %`;
  element("model").textContent = `${name}${percent}`;
  element("trained-on").textContent = trainedOn ? `Trained on ${trainedOn}.` : "";
  element("note").textContent = note ?? "";
}

function showNothing(words) {
  views.showWords(words);
  views.showNoProba(shown?.classes ?? DIGITS);
  views.hideImage();
  element("views").classList.add("old");
  element("latency").textContent = "";
}

function show(part, milliseconds) {
  if (part.refusal) return showNothing(part.refusal);
  shown = { ...(part.label === undefined ? shown : {}), ...part };
  if (part.label !== undefined) {
    element("views").hidden = false;
    element("views").classList.remove("old");
    element("latency").textContent = `${Math.round(milliseconds)} ms`;
    views.showLabel(part.label);
    views.showProba(part.classes, part.proba);
    views.showImage(part.image, part.image_shape);
    views.showMaps(part.layers);
  }
  if (part.neighbors) views.showNeighbors(part.neighbors, shown.image_shape);
  if (part.shifts) {
    views.showShifts(part.shifts, shown.label);
    views.showRotations(part.rotations, shown.label, shown.image, shown.image_shape);
  }
}

// One question at a time, at most one a frame; of the changes meanwhile, the last is asked next.
function change() {
  hasChanged = true;
  if (!backend || isBusy) return;
  setBusy(true);
  requestAnimationFrame(answerChanges);
}

async function answerChanges() {
  while (hasChanged) {
    hasChanged = false;
    if (pad.isEmpty) showNothing(EMPTY);
    else await answer(pad.state.file);
    if (hasChanged) await new Promise(requestAnimationFrame);
  }
  setBusy(false);
}

async function answer(file) {
  const start = performance.now();
  try {
    for await (const part of file ? backend.answerFile(file) : backend.answer(pad.picture)) {
      if (pad.isEmpty) return; // cleared meanwhile
      show(part, performance.now() - start);
      if (hasChanged) return;
    }
  } catch (error) {
    console.warn(error.message);
    showNothing(backend.failure);
  }
}

let nFiles = 0;

async function takeFile(file) {
  if (!file) return;
  const number = ++nFiles;
  let picture;
  try {
    if (file.size <= MOST_BYTES) picture = await createImageBitmap(file, { resizeWidth: 2 * SIDE, resizeQuality: "medium" });
  } catch {
    // The server reads more formats than browsers do, and says so if it can't read this one.
  }
  if (number === nFiles) pad.showFile(file, picture); // of several, the last
}

function listenForFiles() {
  element("file").addEventListener("change", ({ target }) => {
    takeFile(target.files[0]);
    target.value = "";
  });
  document.addEventListener("paste", ({ clipboardData }) => takeFile(clipboardData.files[0]));
  document.addEventListener("dragover", () => document.body.classList.add("drops"));
  document.addEventListener("dragleave", ({ relatedTarget }) => {
    if (!relatedTarget) document.body.classList.remove("drops");
  });
  document.addEventListener("drop", (event) => {
    document.body.classList.remove("drops");
    takeFile(event.dataTransfer.files[0]);
  });
}

function listenForKeys() {
  document.addEventListener("keydown", (event) => {
    const isUndo = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z";
    if (isUndo) pad.undo();
    else if (event.key === "Escape" || (event.key === "Delete" && event.target.id === "pad")) pad.clear();
    else return;
    event.preventDefault();
  });
}

async function start() {
  element("undo").addEventListener("click", () => pad.undo());
  element("clear").addEventListener("click", () => pad.clear());
  document.querySelectorAll("[name=width]").forEach((input) => {
    input.addEventListener("change", () => (pad.strokeWidth = Number(input.value)));
    if (input.checked) pad.strokeWidth = Number(input.value); // browsers keep it when the page is reloaded
  });
  listenForKeys();
  for (const name of ["dragover", "drop"]) // else the browser leaves the page for the file
    document.addEventListener(name, (event) => event.preventDefault());
  window.addEventListener("resize", () => {
    pad.draw();
    if (shown) views.showMaps(shown.layers);
  });
  showNothing(EMPTY);

  let about;
  try {
    about = await (await fetch("about.json")).json();
    const { makeBackend } = await import(about.backend === "python" ? "./python.js" : "./browser.js");
    backend = makeBackend();
  } catch (error) {
    console.warn(error.message);
    return showNothing("This page can't load its parts. Open it through its server, not as a file.");
  }
  showAbout(about);
  element(backend.takesFiles ? "files-on" : "files-off").hidden = false;
  if (backend.takesFiles) listenForFiles();
  if (!pad.isEmpty) change(); // drawn before the parts came
}

start();

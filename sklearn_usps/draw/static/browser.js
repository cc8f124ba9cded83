// Answers computed by the browser, for the page as static files.

export function makeBackend() {
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" }), waiting = new Map();
  let lastId = 0, hasFailed = false;
  worker.addEventListener("message", ({ data: { id, result, error } }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error) reject(new Error(error));
    else resolve(result);
  });
  worker.addEventListener("error", () => { // a part of it could not be loaded
    hasFailed = true;
    for (const { reject } of waiting.values()) reject(new Error("worker.js"));
    waiting.clear();
  });
  const ask = (question) => new Promise((resolve, reject) => {
    if (hasFailed) return reject(new Error("worker.js"));
    waiting.set(++lastId, { resolve, reject });
    worker.postMessage({ id: lastId, ...question });
  });

  return {
    takesFiles: false,
    failure: "No answer: the browser can't load the network of this page. Reload the page to try again.",
    // The answer in two parts, of which the second takes longer.
    async *answer(canvas) {
      const { width, height } = canvas, { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
      const values = new Float64Array(width * height);
      for (let i = 0; i < values.length; i++) values[i] = (255 - data[4 * i]) / 255;
      const first = await ask({ picture: { height, width, values } });
      yield first;
      if (first.refusal === null) yield await ask({ image: first.image });
    },
  };
}

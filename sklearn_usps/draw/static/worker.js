// Answers in a thread of their own, so that the pen never waits for them.
import { Network } from "./network.js";
import { prepare } from "./prepare.js";

const loading = fetch("model.json").then(async (response) => {
  if (!response.ok) throw new Error(`model.json: ${response.status}`);
  return new Network(await response.json());
});

async function answer({ picture, image }) {
  const network = await loading;
  if (image) return network.views(image);
  let prepared;
  try {
    prepared = prepare(picture);
  } catch (refusal) {
    return { refusal: refusal.message };
  }
  return network.answer(prepared);
}

self.addEventListener("message", async ({ data }) => {
  try {
    self.postMessage({ id: data.id, result: await answer(data) });
  } catch (error) {
    self.postMessage({ id: data.id, error: error.message });
  }
});

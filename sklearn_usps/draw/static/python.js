// Answers by the model of the local server.

async function post(file) {
  const response = await fetch("answer", {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream" },
    body: file,
  });
  return response.json();
}

export function makeBackend() {
  return {
    takesFiles: true,
    failure: "No answer: the server of this page has stopped. Start it again and reload the page.",
    async *answer(canvas) {
      yield await post(await new Promise((resolve) => canvas.toBlob(resolve)));
    },
    async *answerFile(file) {
      yield await post(file);
    },
  };
}

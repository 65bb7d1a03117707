// What forgetting would take. The answer may hold every memory of a space, so it is read beside the page's own thread.
import { call } from "./api.js";

/** Return {count, ids, first}: how many would go, all their ids, and the first fifty as they are. */
export const preview = (path, body, signal) =>
  call("POST", path, { body: { ...body, preview: true }, signal, seconds: 120, read: apart });

/** Read a response in a worker. */
async function apart(response) {
  const data = await response.arrayBuffer();
  const worker = new Worker(new URL("preview.worker.js", import.meta.url));
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = (event) => resolve(event.data);
      worker.onerror = () => reject(new Error("the answer could not be read"));
      worker.postMessage(data, [data]);
    });
  } finally {
    worker.terminate();
  }
}

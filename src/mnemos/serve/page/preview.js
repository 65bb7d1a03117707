// A preview of forgetting. The response may contain every memory of a space, so a worker parses it.
import { call } from "./api.js";

/**
 * Return {count, ids, first, offers}: the number of memories that would be erased, all their ids, the first fifty, and
 * near ones that would stay, each with a reason.
 */
export const preview = (path, body, signal) =>
  call("POST", path, { body: { ...body, preview: true }, signal, seconds: 120, read: parseInWorker });

/** Parse a response in a worker. */
async function parseInWorker(response) {
  const data = await response.arrayBuffer();
  const worker = new Worker(new URL("preview.worker.js", import.meta.url));
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = (event) => resolve(event.data);
      worker.onerror = () => reject(new Error("the response could not be read"));
      worker.postMessage(data, [data]);
    });
  } finally {
    worker.terminate();
  }
}

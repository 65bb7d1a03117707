// Requests to the server, each with a time limit and one kind of error.
import { session, signOut } from "./state.js";

const SECONDS = 30;

/** A failed request. `kind`: "key" (sign in again), "slow", "unreachable", or "refused" (the message says why). */
export class Fault extends Error {
  constructor(kind, detail, status = 0) {
    super(detail);
    this.kind = kind;
    this.status = status;
  }
}

/** Return the path of something in a space; names may contain any character. */
export const inSpace = (space, ...parts) => ["/v1/spaces", ...[space, ...parts].map(encodeURIComponent)].join("/");

/** Return the path with a query string of the values that are not null, "" or false. */
export function withQuery(path, values) {
  const given = Object.entries(values).filter(([, value]) => value != null && value !== "" && value !== false);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

const json = (response) => response.json();

/** Send a request, a file as it is and all else as JSON; return the JSON of the response, or what `read` returns. Throws Fault, or AbortError after `signal`. */
export async function call(method, path, { body, signal, headers, key, seconds = SECONDS, read = json } = {}) {
  const own = key ?? session.get().key;
  const limit = AbortSignal.timeout(seconds * 1000);
  const options = {
    method,
    headers: { Authorization: `Bearer ${own}`, ...headers },
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
  };
  if (body !== undefined) {
    const file = body instanceof Blob;
    options.headers["Content-Type"] = file ? "application/octet-stream" : "application/json";
    options.body = file ? body : JSON.stringify(body);
  }
  try {
    const response = await fetch(path, options);
    if (response.ok) return await read(response);
    throw await faultOf(response, key === undefined && own === session.get().key);
  } catch (error) {
    if (error instanceof Fault || signal?.aborted) throw error;
    if (limit.aborted) {
      throw new Fault("slow", `The server did not respond within ${seconds} seconds. It may still be working on this.`);
    }
    throw new Fault("unreachable", "The server cannot be reached. Check that `mnemos serve` is running, then try again.");
  }
}

/** Return the fault of a refused request; sign out if the key of the session is no longer valid. */
async function faultOf(response, current) {
  let detail = "";
  try {
    detail = (await response.json()).detail ?? "";
  } catch {
    detail = ""; // no problem details: show the status only
  }
  if (response.status === 401) {
    if (current)
      signOut(
        "Your key has expired or was revoked. Sign in with another one; what you typed is kept.",
      );
    return new Fault("key", "The server does not know this key, or it has expired or was revoked.", 401);
  }
  if (response.status === 429)
    return new Fault("refused", "Too many requests at once. Wait a moment, then try again.", 429);
  return new Fault("refused", detail || `The server responded with status ${response.status}.`, response.status);
}

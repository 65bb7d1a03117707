// Requests to the server, each with a time limit and one kind of error.
import { session, signOut } from "./state.js";

const SECONDS = 30;

/** What went wrong. `kind`: "key" (sign in again), "slow", "gone" (no answer), or "told" (the server said what). */
export class Fault extends Error {
  constructor(kind, detail, status = 0) {
    super(detail);
    this.kind = kind;
    this.status = status;
  }
}

/** Return the path of something in a space; names may hold any character. */
export const inSpace = (space, ...parts) => ["/v1/spaces", ...[space, ...parts].map(encodeURIComponent)].join("/");

/** Return the path with a query string of what is neither null nor "". */
export function withQuery(path, values) {
  const given = Object.entries(values).filter(([, value]) => value != null && value !== "" && value !== false);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

const json = (response) => response.json();

/** Ask the server; return its JSON, or what `read` makes of the answer. Raises Fault; AbortError when `signal` ends it. */
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
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  try {
    const response = await fetch(path, options);
    if (response.ok) return await read(response);
    throw await told(response, key === undefined && own === session.get().key);
  } catch (error) {
    if (error instanceof Fault || signal?.aborted) throw error;
    if (limit.aborted) {
      throw new Fault("slow", `The server did not answer within ${seconds} seconds. It may still be at work on this.`);
    }
    throw new Fault("gone", "The server cannot be reached. Check that `mnemos serve` is running, then try again.");
  }
}

async function told(response, current) {
  let detail = "";
  try {
    detail = (await response.json()).detail ?? "";
  } catch {
    detail = ""; // no problem details: the status alone is told
  }
  if (response.status === 401) {
    if (current)
      signOut(
        "Your key is no longer valid: it has expired or was revoked. Sign in with another one; what you had typed is kept.",
      );
    return new Fault("key", "The server does not know this key, or it has expired or was revoked.", 401);
  }
  if (response.status === 429)
    return new Fault("told", "Too many requests at once. Wait a moment, then try again.", 429);
  return new Fault("told", detail || `The server answered ${response.status}.`, response.status);
}

// The route, in the hash of the address: #/s/SPACE/VIEW/ID?name=value, or #/VIEW for views without a space.
import { makeStore } from "./state.js";

const FREE = new Set(["spaces", "keys"]);

/** Parse a hash. An invalid one gives the first view. */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").map(plain);
  const params = Object.fromEntries(new URLSearchParams(query));
  if (parts[0] === "s" && parts[1]) return { space: parts[1], view: parts[2] || "search", id: parts[3] || "", params };
  return { space: "", view: FREE.has(parts[0]) ? parts[0] : "", id: "", params };
}

function plain(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Return the hash of a view. */
export function to(space, view = "search", id = "", params = {}) {
  const given = Object.entries(params).filter(([, value]) => value != null && value !== "");
  const query = given.length ? `?${new URLSearchParams(given)}` : "";
  const parts = space ? ["s", space, view, ...(id ? [id] : [])] : [view];
  return `#/${parts.map(encodeURIComponent).join("/")}${query}`;
}

export const route = makeStore(parse(location.hash));
export const go = (hash) => {
  location.hash = hash;
};

/** Go to another view without a step in the history. */
export function replace(hash) {
  history.replaceState(null, "", hash);
  route.set(parse(hash));
}

window.addEventListener("hashchange", () => route.set(parse(location.hash)));

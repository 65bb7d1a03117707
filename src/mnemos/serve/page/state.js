// State that outlives a view: the key, its rights, the theme, drafts, and announcements for screen readers.
import { useEffect, useState } from "./lib.js";

/** Return an observable value: get(), set(value), and watch(fn), which returns a function that stops watching. */
export function makeStore(value) {
  const watchers = new Set();
  return {
    get: () => value,
    set(next) {
      value = next;
      for (const notify of [...watchers]) notify(value);
    },
    watch(notify) {
      watchers.add(notify);
      return () => watchers.delete(notify);
    },
  };
}

/** Render again whenever the store changes, and return its value. */
export function useStore(store) {
  const [, tick] = useState(0);
  useEffect(() => store.watch(() => tick((n) => n + 1)), [store]);
  return store.get();
}

const KEY = "mnemos.key"; // in sessionStorage: for this tab only, deleted when it is closed
const ME = "mnemos.me"; // the key's id, name and rights, which never change
const THEME = "mnemos.theme";

/** The session: {key, me, message}; `me` has the key's name and rights once the server has sent them. */
export const session = makeStore({
  key: sessionStorage.getItem(KEY),
  me: JSON.parse(sessionStorage.getItem(ME)),
  message: "",
});

/** The names of the spaces that the key may read; null before they are known. */
export const spaces = makeStore(null);

/** Unsaved text, by what it is for. It outlives an expired key, but not a sign-out or the tab. */
export const drafts = new Map();

/** The last search and its hits, by space, so that going back shows them immediately. */
export const searches = new Map();

/** The number of writes of this page: lists loaded before a write are loaded again. */
export const writes = makeStore(0);
export const wrote = () => writes.set(writes.get() + 1);

export function signIn(key, me) {
  sessionStorage.setItem(KEY, key);
  sessionStorage.setItem(ME, JSON.stringify(me));
  session.set({ key, me, message: "" });
}

/** Forget the key. `message` is the reason if the user did not ask for it; only then are drafts kept. */
export function signOut(message = "") {
  sessionStorage.removeItem(KEY);
  sessionStorage.removeItem(ME);
  if (!message) drafts.clear();
  searches.clear();
  spaces.set(null);
  session.set({ key: null, me: null, message });
}

/** Tell whether the key has a right. All listed spaces match its patterns, so its rights hold in each. */
export const may = (right) => session.get().me?.rights.includes(right) ?? false;

export const theme = makeStore(localStorage.getItem(THEME) ?? "auto");
export function setTheme(name) {
  localStorage.setItem(THEME, name);
  showTheme(name);
  theme.set(name);
}
export function showTheme(name = theme.get()) {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
}

const said = makeStore("");
/** Announce something to users of screen readers. */
export function say(text) {
  said.set(said.get() === text ? `${text}\u00a0` : text); // the same text twice would not be announced
}
export { said };

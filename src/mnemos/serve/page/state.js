// What outlives a view: the key, who it is, the theme, drafts, and what is told to screen readers.
import { useEffect, useState } from "./lib.js";

/** Return a value that can be watched: get(), set(value), and watch(fn), which returns how to stop. */
export function makeStore(value) {
  const watchers = new Set();
  return {
    get: () => value,
    set(next) {
      value = next;
      for (const tell of [...watchers]) tell(value);
    },
    watch(tell) {
      watchers.add(tell);
      return () => watchers.delete(tell);
    },
  };
}

/** Render again whenever the store changes, and return its value. */
export function useStore(store) {
  const [, tick] = useState(0);
  useEffect(() => store.watch(() => tick((n) => n + 1)), [store]);
  return store.get();
}

const KEY = "mnemos.key"; // in sessionStorage: of this tab only, gone when it is closed
const ME = "mnemos.me"; // what the key is and may do, which never changes
const THEME = "mnemos.theme";

/** The key and, once the server has told it, what the key is: {key, me, message}. */
export const session = makeStore({
  key: sessionStorage.getItem(KEY),
  me: JSON.parse(sessionStorage.getItem(ME)),
  message: "",
});

/** The names of the spaces that the key may read; null before they are known. */
export const spaces = makeStore(null);

/** Text that is not yet stored, by what it is for. It outlives a key that expires, not a sign-out or the tab. */
export const drafts = new Map();

/** What was asked and found last, by space, so that going back shows it at once. */
export const searches = new Map();

/** How often this page has written to a space: a list that was read before a write is read again. */
export const writes = makeStore(0);
export const wrote = () => writes.set(writes.get() + 1);

export function signIn(key, me) {
  sessionStorage.setItem(KEY, key);
  sessionStorage.setItem(ME, JSON.stringify(me));
  session.set({ key, me, message: "" });
}

/** Forget the key. `message` says why when the person did not ask for it; only then are drafts kept. */
export function signOut(message = "") {
  sessionStorage.removeItem(KEY);
  sessionStorage.removeItem(ME);
  if (!message) drafts.clear();
  searches.clear();
  spaces.set(null);
  session.set({ key: null, me: null, message });
}

/** Tell whether the key has a right. The spaces that are listed all match its patterns, so rights hold in each. */
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
/** Tell something to people who listen instead of look. */
export function say(text) {
  said.set(said.get() === text ? `${text}\u00a0` : text); // the same text twice would not be read out
}
export { said };

// Keyboard shortcuts of the page. Keys typed into a field are ignored, except Esc.
import { go, route, to } from "./route.js";
import { may } from "./state.js";

export const KEYS = [
  ["/", "go to the search box"],
  ["j k or ↓ ↑", "move through the list"],
  ["Enter", "open the focused item"],
  ["Esc", "go back, or close"],
  ["n", "add a memory"],
  ["e", "edit the memory that is open"],
  ["t g", "open the timeline, the graph"],
  ["?", "show this table"],
];

const typing = (element) => element.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName);

/** Listen to the keyboard; `help` shows the table. Returns a function that stops listening. */
export function listen(help) {
  const onKey = (event) => {
    if (
      event.defaultPrevented ||
      event.ctrlKey ||
      event.metaKey ||
      event.altKey ||
      document.querySelector("dialog[open]")
    )
      return;
    const { space, view, id } = route.get();
    if (event.key === "Escape") {
      if (typing(event.target)) event.target.blur();
      else if (space && view !== "search") go(view === "edit" ? to(space, "cube", id) : to(space));
      return;
    }
    if (typing(event.target)) return;
    const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
    const acts = {
      "?": help,
      "/": () => toSearch(space, view),
      n: () => space && may("write") && go(to(space, "add")),
      e: () => view === "cube" && may("write") && go(to(space, "edit", id)),
      t: () => space && may("read") && go(to(space, "timeline")),
      g: () => space && may("read") && go(to(space, "graph")),
    };
    if (step ? move(step, event) : acts[event.key]) {
      event.preventDefault();
      if (!step) acts[event.key]();
    }
  };
  document.addEventListener("keydown", onKey);
  return () => document.removeEventListener("keydown", onKey);
}

function toSearch(space, view) {
  if (view !== "search" && space) {
    go(to(space, "search", "", { focus: 1 }));
    return;
  }
  document.querySelector("[data-search]")?.focus();
}

/** Move the focus to the next or previous item of the list; return whether there is one. */
function move(step, event) {
  const at = event.target;
  if (at.closest("[role=slider], [role=tablist], svg")) return false; // these use the arrow keys themselves
  const items = [...document.querySelectorAll("#main [data-item]")];
  const now = items.indexOf(at.closest("[data-item]") ?? at.closest("li")?.querySelector("[data-item]"));
  if (!items.length || (now < 0 && step < 0)) return false;
  const next = items[Math.max(0, Math.min(items.length - 1, now + step))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  return true;
}

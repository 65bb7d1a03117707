// The frame of the page: the sign-in, or the bar, the list of views, and the view of the address.
import { call } from "./api.js";
import { useLoad } from "./hooks.js";
import { html, useEffect, useRef, useState } from "./lib.js";
import { KEYS, listen } from "./keyboard.js";
import { go, replace, route, to } from "./route.js";
import { may, said, session, setTheme, signIn, signOut, spaces, theme, useStore } from "./state.js";
import { Busy, Dialog, Empty, FaultBox, Icon, Title } from "./ui.js";
import { NewSpace } from "./views/newspace.js";
import { SignIn } from "./views/signin.js";
import { useVocabulary } from "./vocabulary.js";

// view: [label, required right, belongs to a space?, module]; modules are loaded when first shown
const VIEWS = {
  search: ["Search", "read", true, () => import("./views/search.js")],
  timeline: ["Timeline", "read", true, () => import("./views/timeline.js")],
  graph: ["Graph", "read", true, () => import("./views/graph.js")],
  fading: ["Fading", "read", true, () => import("./views/fading.js")],
  storage: ["Storage", "read", true, () => import("./views/storage.js")],
  runs: ["Runs", "read", true, () => import("./views/runs.js")],
  audit: ["Audit log", "admin", true, () => import("./views/audit.js")],
  spaces: ["Spaces", "read", false, () => import("./views/spaces.js")],
  keys: ["Keys", "admin", false, () => import("./views/keys.js")],
  cube: ["Memory", "read", true, () => import("./views/cube.js")],
  add: ["Add", "write", true, () => import("./views/write.js")],
  import: ["Import", "write", true, () => import("./views/import.js")],
  edit: ["Edit", "write", true, () => import("./views/write.js")],
  forget: ["Forget", "read", true, () => import("./views/forget.js")],
};
const LISTED = ["search", "timeline", "graph", "fading", "storage", "runs", "audit", "spaces", "keys"];
const OF_ONE = new Set(["cube", "edit", "forget"]); // views of one memory, which other spaces do not have
const SHOWN_SPACES = 200; // in the picker; the view Spaces has all
const LAST = "mnemos.space";

export function App() {
  const { key, me } = useStore(session);
  return html`
    <a class="skip" href="#main" onClick=${(event) => {
      event.preventDefault(); // the hash is the address of the view
      document.getElementById("main")?.focus();
    }}>Skip to the content</a>
    ${!key ? html`<${SignIn} />` : me ? html`<${Frame} />` : html`<${Resume} />`}
    <div class="said" role="status" aria-live="polite"><${Said} /></div>`;
}

const Said = () => useStore(said);

/** Shown while a key is stored but its rights are not known yet. */
function Resume() {
  const of = useLoad(async (signal) => {
    const me = await call("GET", "/v1/key", { signal });
    signIn(session.get().key, me);
    return me;
  }, []);
  return html`<main class="alone" id="main" tabindex="-1">${
    of.fault
      ? html`<${FaultBox} fault=${of.fault} retry=${of.retry} what="reach the memory" />
      <p><button class="link" onClick=${() => signOut()}>Use another key</button></p>`
      : html`<${Busy}
        what="your memories" />`
  }</main>`;
}

function Frame() {
  const here = useStore(route);
  const names = useStore(spaces);
  useVocabulary(); // load it now, so that the views have it
  const [help, setHelp] = useState(false);
  const [open, setOpen] = useState(false);
  const loading = useLoad(async (signal) => spaces.set((await call("GET", "/v1/spaces", { signal })).spaces), []);
  useEffect(() => listen(() => setHelp(true)), []);
  useEffect(() => {
    if (here.space) sessionStorage.setItem(LAST, here.space);
    setOpen(false);
  }, [here]);
  useEffect(() => {
    if (here.view || !names) return; // the address names a view
    const last = sessionStorage.getItem(LAST);
    const name = names.includes(last) ? last : names[0];
    if (name) replace(to(name));
  }, [here, names]);
  const space = here.space || sessionStorage.getItem(LAST) || names?.[0] || "";
  return html`
    <header class="bar">
      <button class="plain menu" aria-expanded=${open} aria-controls="nav" onClick=${() => setOpen(!open)}>
        <${Icon} name="menu" /><span class="hidden">Menu</span></button>
      <a class="brand" href=${space ? to(space) : "#/spaces"}><img src="icon.svg" alt="" width="22" height="22" />
        <span>Mnemos</span></a>
      <${Picker} space=${space} names=${names} view=${here.view} loading=${loading} />
      <span class="gap" />
      ${
        may("write") &&
        space &&
        html`<a class="button primary" href=${to(space, "add")}><${Icon} name="add" />
        <span>Add</span></a>`
      }
      <${Theme} />
      <button class="plain" title="Keyboard shortcuts (?)" onClick=${() => setHelp(true)}><${Icon} name="help" /><span
        class="hidden">Keyboard</span></button>
    </header>
    <div class="frame">
      <nav id="nav" class=${open ? "open" : ""} aria-label="Views" onClick=${() => setOpen(false)}>
        <ul>${LISTED.filter((name) => may(VIEWS[name][1])).map(
          (name) => html`
          <li><a class=${VIEWS[name][2] ? "" : "free"}
            href=${VIEWS[name][2] ? (space ? to(space, name) : "#/spaces") : to("", name)}
            aria-current=${here.view === name ? "page" : undefined}><${Icon} name=${name} />${VIEWS[name][0]}</a>
              </li>`,
        )}
        </ul>
        <${Who} />
      </nav>
      <main id="main" tabindex="-1"><${Body} here=${here} names=${names} loading=${loading} /></main>
    </div>
    ${
      help &&
      html`<${Dialog} title="Keyboard shortcuts" close=${() => setHelp(false)}>
      <table class="keys"><tbody>${KEYS.map(
        ([keys, what]) => html`<tr><th
        scope="row">${keys.split(" ").map((k) => html`<kbd>${k}</kbd> `)}</th><td>${what}</td></tr>`,
      )}</tbody></table>
      <div class="row end"><button onClick=${() => setHelp(false)}>Close</button></div><//>`
    }`;
}

/** The choice of the space. */
function Picker({ space, names, view, loading }) {
  if (!names) {
    return loading.fault
      ? html`<button onClick=${loading.retry}
      title=${loading.fault.message}>Spaces: try again</button>`
      : html`<span class="dim" role="status">Loading the spaces…</span>`;
  }
  const shown = names.slice(0, SHOWN_SPACES);
  if (space && !shown.includes(space)) shown.unshift(space);
  const stays = VIEWS[view]?.[2] && !OF_ONE.has(view) ? view : "search";
  const pick = (event) => go(event.target.value ? to(event.target.value.slice(1), stays) : to("", "spaces"));
  return html`<label class="picker"><span class="hidden">Space</span>
    <select value=${`=${space}`} onChange=${pick}>
      ${shown.map((name) => html`<option value=${`=${name}`} selected=${name === space}>${name}</option>`)}
      <option value="">All ${names.length} spaces…</option>
    </select></label>`;
}

function Theme() {
  const now = useStore(theme);
  const next = { auto: "light", light: "dark", dark: "auto" }[now];
  const icon = { auto: "auto", light: "sun", dark: "moon" }[now];
  return html`<button class="plain" title=${`Colours: ${now === "auto" ? "as the system" : now}`}
    onClick=${() => setTheme(next)}>
    <${Icon} name=${icon} /><span class="hidden">Colours: ${now}. Change to ${next}.</span></button>`;
}

/** The key's name and rights, and the sign-out. */
function Who() {
  const { me } = useStore(session);
  const lacks = ["write", "erase", "admin"].filter((right) => !me.rights.includes(right));
  return html`<div class="me">
    <p><strong>${me.name}</strong> <span class="dim">key ${me.id}</span></p>
    <p class="dim">may ${me.rights.join(", ")}${lacks.length ? `; not ${lacks.join(", ")}: what needs these rights is hidden` : ""}</p>
    <button class="plain" onClick=${() => signOut()}><${Icon} name="out" />Sign out</button>
  </div>`;
}

/** The view of the address, or the reason why there is none. */
function Body({ here, names, loading }) {
  const view = VIEWS[here.view];
  const first = useRef(true);
  const of = useLoad(async () => ({ name: here.view, module: view ? await view[3]() : null }), [here.view]);
  const ready = of.data?.name === here.view;
  const address = `${here.space}/${here.view}/${here.id}`;
  useEffect(() => {
    document.title = `${view ? view[0] : "Mnemos"}${here.space ? ` · ${here.space}` : ""} · Mnemos`;
    if (!ready) return;
    if (!first.current && !here.params.focus) document.querySelector("#main h1")?.focus();
    first.current = false;
  }, [address, ready]);
  if (of.fault)
    return html`<${FaultBox} fault=${of.fault} retry=${() => location.reload()}
    what="load this part of the page" />`;
  if (!view) return html`<${NoView} names=${names} loading=${loading} />`;
  if (!may(view[1]))
    return html`<${Title}>${view[0]}<//><${Empty} title="This key does not allow that">
    <p>It lacks the right ${view[1]}.</p><//>`;
  if (!ready) return html`<${Busy} what="this view" />`;
  const View = of.data.module[{ edit: "Edit", add: "Add" }[here.view] ?? "View"];
  return html`<${View} key=${`${here.space}/${here.id}`} space=${here.space} id=${here.id} params=${here.params} />`;
}

function NoView({ names, loading }) {
  if (loading.fault) return html`<${FaultBox} fault=${loading.fault} retry=${loading.retry} what="list the spaces" />`;
  if (!names || names.length) return html`<${Busy} what="the spaces" />`;
  return html`<${Title}>No memories yet<//><${NewSpace} />`;
}

// Small components that the views share.
import { bytes, minute, short, titled } from "./format.js";
import { useSeconds } from "./hooks.js";
import { html, useEffect, useRef, useState } from "./lib.js";
import { to } from "./route.js";
import { say } from "./state.js";

const PATHS = {
  search: "M11 4a7 7 0 1 0 0 14a7 7 0 0 0 0-14M16 16l5 5",
  timeline: "M3 20h18M6 20v-6M11 20V6M16 20v-9M21 20v-4",
  graph:
    "M6 7a2 2 0 1 0 0-4a2 2 0 0 0 0 4M18 12a2 2 0 1 0 0-4a2 2 0 0 0 0 4M8 21a2 2 0 1 0 0-4a2 2 0 0 0 0 4M8 6l8 3M16.5 11.500L9.500 17.500M6.300 7l1.400 10",
  fading: "M3 4v16h18M5 6c3 8 7 11 15 12",
  storage: "M4 6c0-4 16-4 16 0s-16 4-16 0v12c0 4 16 4 16 0V6M4 12c0 4 16 4 16 0",
  runs: "M4 12a8 8 0 0 1 14-5l2 2M20 4v5h-5M20 12a8 8 0 0 1-14 5l-2-2M4 20v-5h5",
  audit: "M6 3h9l4 4v14H6zM9 11h7M9 15h7M15 3v4h4",
  keys: "M8 12a4 4 0 1 0 0 .010M12 12h9v4M17 12v3",
  spaces: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  add: "M12 5v14M5 12h14",
  forget: "M4 7h16M9 7V4h6v3M6 7l1 14h10l1-14M10 11v6M14 11v6",
  pin: "M9 3h6l-1 7l4 4H6l4-4zM12 14v7",
  edit: "M4 20l1-5L16 4l4 4L9 19z",
  archive: "M3 4h18v5H3zM5 9v11h14V9M10 13h4",
  menu: "M4 7h16M4 12h16M4 17h16",
  sun: "M12 8a4 4 0 1 0 0 8a4 4 0 0 0 0-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.500 1.500M17.500 17.500L19 19M19 5l-1.500 1.500M6.500 17.500L5 19",
  moon: "M20 14A8 8 0 1 1 10 4a7 7 0 0 0 10 10",
  auto: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  out: "M10 4H4v16h6M14 8l4 4l-4 4M18 12H9",
  help: "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18M9.500 9.500c0-3.500 5-3.500 5-.500c0 2-2.500 2-2.500 4.500M12 16.800v.200",
  copy: "M8 8h12v12H8zM16 8V4H4v12h4",
  back: "M14 6l-6 6l6 6",
};

export const Icon = ({ name }) => html`
  <svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;

/** The heading of a view, which is focused when the view changes. */
export const Title = ({ children, aside }) => html`
  <div class="title"><h1 tabindex="-1">${children}</h1>${aside && html`<div class="row">${aside}</div>`}</div>`;

/** A loading indicator; after three seconds it shows how long it has taken. */
export function Busy({ what, stop }) {
  const seconds = useSeconds(true);
  return html`<div class="busy" role="status">
    <span class="spin" aria-hidden="true" /> Loading ${what}…
    ${seconds >= 3 && html`<span class="dim"> The server is slow; ${seconds} seconds so far.</span>`}
    ${stop && seconds >= 3 && html` <button class="link" onClick=${stop}>Stop waiting</button>`}
  </div>`;
}

/** An error, with a button to try again. */
export const FaultBox = ({ fault, retry, what }) => html`
  <div class="fault" role="alert">
    <p><strong>${what ? `Could not ${what}.` : "That did not work."}</strong> ${fault.message}</p>
    ${retry && html`<button onClick=${retry}>Try again</button>`}
  </div>`;

export const Empty = ({ title, children }) => html`<div class="empty"><h2>${title}</h2>${children}</div>`;

/** The result of useLoad; a loading indicator before, and an error box after an error. */
export function Loaded({ of, what, children }) {
  if (of.fault)
    return of.fault.kind === "key"
      ? null
      : html`<${FaultBox} fault=${of.fault} retry=${of.retry}
    what=${`load ${what}`} />`;
  if (of.data === undefined) return html`<${Busy} what=${what} />`;
  return html`<div class=${`loaded${of.pending ? " stale" : ""}`} aria-busy=${of.pending}>${children(of.data)}</div>`;
}

let fields = 0;
/** A labelled field. `children` gets the id for the control. */
export function Field({ label, hint, wide, children }) {
  const [id] = useState(() => `f${(fields += 1)}`);
  return html`<div class=${`field${wide ? " wide" : ""}`}>
    <label for=${id}>${label}</label>${children(id, hint ? `${id}h` : undefined)}
    ${hint && html`<small id=${`${id}h`}>${hint}</small>`}
  </div>`;
}

/** A one-line text field. */
export const Line = ({ label, hint, wide, value, set, type = "text", ...more }) => html`
  <${Field} label=${label} hint=${hint} wide=${wide}>${(id, described) => html`
    <input id=${id} type=${type} value=${value} aria-describedby=${described} autocomplete="off"
      onInput=${(event) => set(event.target.value)} ...${more} />`}<//>`;

/** A select box. `options` are [value, label] pairs. */
export const Choice = ({ label, hint, value, set, options }) => html`
  <${Field} label=${label} hint=${hint}>${(id, described) => html`
    <select id=${id} value=${value} aria-describedby=${described} onChange=${(event) => set(event.target.value)}>
      ${options.map(([name, text]) => html`<option value=${name} selected=${name === value}>${text}</option>`)}
    </select>`}<//>`;

export const Check = ({ label, value, set }) => html`
  <label class="check"><input type="checkbox" checked=${value}
    onChange=${(event) => set(event.target.checked)} /> ${label}</label>`;

/** A button that shows when its action is pending. */
export const Press = ({ pending, icon, kind = "", children, ...more }) => html`
  <button type="button" class=${kind} aria-busy=${pending || undefined} disabled=${pending || more.disabled} ...${more}>
    ${
      pending
        ? html`<span class="spin" aria-hidden="true" />`
        : icon &&
          html`<${Icon}
      name=${icon} />`
    }<span>${children}</span>
  </button>`;

/** A modal dialog; Esc closes it, and the focus returns to where it was. */
export function Dialog({ title, close, children }) {
  const box = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    box.current.showModal();
    return () => before?.isConnected && before.focus();
  }, []);
  return html`<dialog ref=${box} aria-label=${title} onCancel=${(event) => {
    event.preventDefault();
    close();
  }}><h2>${title}</h2>${children}</dialog>`;
}

export const When = ({ at }) => (at ? html`<time datetime=${at} title=${at}>${minute(at)}</time>` : null);
export const Size = ({ of }) => html`<span title=${`${of} bytes`}>${bytes(of)}</span>`;

/** The line below a memory's text: when, who, and its state. */
export const Marks = ({ cube }) => html`<div class="marks">
  <${When} at=${cube.at} />
  ${cube.speaker && html`<span class="who">${short(cube.speaker, 80)}</span>`}
  ${cube.session && html`<span class="dim">session ${short(cube.session, 60)}</span>`}
  ${cube.kind !== "turn" && html`<span class="tag">${short(cube.kind, 40)}</span>`}
  ${cube.state !== "active" && html`<span class=${`tag ${cube.state}`}>${cube.state}</span>`}
  ${cube.version > 1 && html`<span class="tag">version ${cube.version}</span>`}
  ${cube.pinned && html`<span class="tag pinned"><${Icon} name="pin" />pinned</span>`}
</div>`;

/** A memory in a list: the whole row opens it. */
export const Row = ({ space, cube, children }) => html`
  <li class="cube"><a class="open" data-item href=${to(space, "cube", cube.id)}>${titled(cube)}</a>
    <${Marks} cube=${cube} />${children}
  </li>`;

/** Text with a button that copies it. */
export function Copy({ text, label = "Copy", kind }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setDone(true);
      say("Copied.");
    } catch {
      say("The browser does not allow copying. Select the text and copy it yourself.");
    }
  };
  return html`<${Press} icon="copy" kind=${kind} onClick=${copy}>${done ? "Copied" : label}<//>`;
}

/** A bar for a share from 0 to 1; its meaning is written beside it. */
export const Meter = ({ share, label }) => html`
  <span class="meter" role="img" aria-label=${label}><i
    style=${{ width: `${Math.max(0, Math.min(1, share)) * 100}%` }} /></span>`;

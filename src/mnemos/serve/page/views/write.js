// Adding a memory, and writing the next version of one. Typed text is kept until it is stored or discarded.
import { call, Fault, inSpace } from "../api.js";
import { fromField, memories, toField } from "../format.js";
import { useAction, useFilled, useLoad } from "../hooks.js";
import { html, useEffect, useRef, useState } from "../lib.js";
import { go, to } from "../route.js";
import { drafts, may, say, spaces, wrote } from "../state.js";
import { Empty, FaultBox, Field, Icon, Line, Loaded, Press, Row, Title } from "../ui.js";

const BLANK = { content: "", speaker: "", session: "", at: "", role: "", source: "", kind: "", metadata: "" };
const MOST = 5_000_000; // characters; the server accepts bodies of 8 MiB

// randomUUID exists only over TLS and on the loopback
const newKey = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** Return a draft with functions to change and drop it. A draft that equals `start` is not kept. */
function useDraft(name, start) {
  const [draft, setDraft] = useState(drafts.get(name) ?? start);
  const change = (more) => {
    const next = { ...draft, ...more };
    if (Object.keys(start).every((key) => next[key] === start[key])) drafts.delete(name);
    else drafts.set(name, next);
    setDraft(next);
  };
  const drop = () => {
    drafts.delete(name);
    setDraft(start);
  };
  return [draft, change, drop];
}

/** Return the fields that differ from `start`, in the API's format. Throws Fault. */
function changed(draft, start) {
  const given = {};
  for (const name of Object.keys(BLANK)) {
    if (draft[name] === start[name]) continue;
    if (name === "at") given.at = fromField(draft.at);
    else if (name === "metadata") given.metadata = metadata(draft.metadata);
    else given[name] = draft[name] || null;
  }
  if (given.at === null) delete given.at; // an empty field leaves the time as it is
  return given;
}

function metadata(text) {
  if (!text.trim()) return {};
  let value = null;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Fault("refused", `The metadata is not JSON: ${error.message}.`);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value))
    throw new Fault("refused", 'The metadata must be an object, for example {"topic": "travel"}.');
  return value;
}

function Fields({ draft, change, open, first }) {
  const field = (name) => ({ value: draft[name], set: (value) => change({ [name]: value }) });
  return html`
    <${Field} label="What to remember" wide>${(id) => html`
      <textarea id=${id} ref=${first} rows="6" required maxlength=${MOST} value=${draft.content}
        onInput=${(event) => change({ content: event.target.value })} />`}<//>
    <div class="grid">
      <${Line} label="Speaker" ...${field("speaker")} />
      <${Line} label="When it happened" type="datetime-local" hint="Empty: now" ...${field("at")} />
      <${Line} label="Session" ...${field("session")} />
    </div>
    <details class="filters" open=${open}><summary>More</summary><div class="grid">
      <${Line} label="Source" hint="Where it came from, such as a URL" ...${field("source")} />
      <${Line} label="Role" hint="user, assistant, …" ...${field("role")} />
      <${Line} label="Kind" hint="Empty: turn" ...${field("kind")} />
      <${Field} label="Metadata" hint='JSON, such as {"topic": "travel"}' wide>${(id, described) => html`
        <textarea id=${id} rows="3" class="mono" spellcheck="false" aria-describedby=${described}
          value=${draft.metadata}
          onInput=${(event) => change({ metadata: event.target.value })} />`}<//></div></details>`;
}

/** Submit with Ctrl-Enter. */
const onKeys = (submit) => (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
};

export function Add({ space }) {
  const [draft, change, drop] = useDraft(`${space}/`, BLANK);
  const [stored, setStored] = useState(null);
  const once = useRef({}); // the Idempotency-Key of a repeated request: after a time-out nothing is stored twice
  const area = useRef(null);
  const add = useAction(async (signal) => {
    const body = { ...changed(draft, BLANK), content: draft.content };
    const text = JSON.stringify(body);
    if (once.current.text !== text) once.current = { text, key: newKey() };
    const { cubes } = await call("POST", inSpace(space, "cubes"), {
      signal,
      body,
      headers: { "Idempotency-Key": once.current.key },
    });
    once.current = {};
    setStored(cubes);
    drop();
    change({ speaker: draft.speaker, session: draft.session, content: "" });
    drafts.delete(`${space}/`);
    if (!spaces.get()?.includes(space) && may("read")) spaces.set([...(spaces.get() ?? []), space].sort());
    say(`${memories(cubes.length)} stored.`);
    wrote();
    area.current?.focus();
  });
  useFilled("add", true);
  const submit = (event) => {
    event.preventDefault();
    if (draft.content.trim()) add.run();
  };
  return html`
    <p class="crumb"><a href=${to(space)}><${Icon} name="back" />Search</a></p>
    <${Title}>Add to ${space}<//>
    <form class="panel" onSubmit=${submit} onKeyDown=${onKeys(submit)}>
      <${Fields} draft=${draft} change=${change} first=${area} />
      ${add.fault && html`<${FaultBox} fault=${add.fault} what="store it" retry=${() => add.run()} />`}
      <div class="row"><${Press} type="submit" kind="primary" pending=${add.pending}
        disabled=${add.pending || !draft.content.trim()}>Remember<//>
        ${add.pending && html`<button type="button" class="link" onClick=${add.stop}>Stop waiting</button>`}
        <span class="dim">Secret keys and card numbers are redacted before anything is stored.</span></div>
      ${may("read") && html`<p><a href=${to(space, "import")}>Import a file</a>: chats, exports, notes</p>`}
    </form>
    ${
      stored &&
      html`<section><h2 class="section">${memories(stored.length)} stored</h2>
      <ol class="cubes">${stored.map((cube) => html`<${Row} key=${cube.id} space=${space} cube=${cube} />`)}</ol>
        </section>`
    }`;
}

export function Edit({ space, id }) {
  const of = useLoad((signal) => call("GET", inSpace(space, "cubes", id), { signal }), []);
  useFilled("edit", of.data !== undefined);
  return html`
    <p class="crumb"><a href=${to(space, "cube", id)}><${Icon} name="back" />The memory</a></p>
    <${Title}>Edit<//>
    ${
      of.fault?.status === 404 && !drafts.has(`${space}/${id}`)
        ? html`<${Empty} title="There is no such memory"><p>It was forgotten, or it was never in ${space}.</p><//>`
        : html`<${Loaded} of=${of} what="the memory">${(cube) => html`<${Next} space=${space} cube=${cube}
        again=${of.retry} key=${cube.version} />`}<//>`
    }`;
}

/** The form of the next version. */
function Next({ space, cube, again }) {
  const start = {
    content: cube.text,
    speaker: cube.speaker ?? "",
    session: cube.session ?? "",
    at: toField(cube.at),
    role: cube.role ?? "",
    source: cube.source ?? "",
    kind: cube.kind,
    metadata: Object.keys(cube.metadata).length ? JSON.stringify(cube.metadata, null, 1) : "",
  };
  const [draft, change, drop] = useDraft(`${space}/${cube.id}`, start);
  const [base, setBase] = useState(draft.version ?? cube.version); // the version that the draft started from
  const area = useRef(null);
  const path = inSpace(space, "cubes", cube.id);
  const save = useAction(async (signal) => {
    const given = changed(draft, start);
    if (!Object.keys(given).length) {
      drop();
      go(to(space, "cube", cube.id));
      return;
    }
    const now = await call("GET", path, { signal });
    if (now.version !== base) {
      again(); // shows the new version beside the draft
      throw new Fault("refused", `Somebody else has written version ${now.version} in the meantime.`);
    }
    const next = await call("PATCH", path, { signal, body: given });
    drop();
    say(`Stored as version ${next.version}.`);
    wrote();
    go(to(space, "cube", cube.id));
  });
  useEffect(() => area.current?.focus(), []);
  const submit = (event) => {
    event.preventDefault();
    if (draft.content.trim()) save.run();
  };
  return html`<form class="panel" onSubmit=${submit} onKeyDown=${onKeys(submit)}>
    ${
      base !== cube.version &&
      html`<div class="notice" role="alert">
      <p>Version ${cube.version} was written after you started:</p>
      <blockquote class="text">${cube.text}</blockquote>
      <button type="button" onClick=${() => {
        change({ version: cube.version });
        setBase(cube.version);
      }}>Store mine after it, as version ${cube.version + 1}</button></div>`
    }
    <${Fields} first=${area} draft=${draft} change=${(more) => change({ version: base, ...more })}
      open=${Boolean(start.metadata || start.source)} />
    ${save.fault && html`<${FaultBox} fault=${save.fault} what="store it" retry=${() => save.run()} />`}
    <div class="row"><${Press} type="submit" kind="primary" pending=${save.pending}
      disabled=${save.pending || !draft.content.trim()}>Store as version ${cube.version + 1}<//>
      <button type="button" onClick=${() => {
        drop();
        go(to(space, "cube", cube.id));
      }}>Discard the changes</button></div>
  </form>`;
}

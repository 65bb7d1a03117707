// One memory: its text and header, versions, links, strength, and actions.
import { call, inSpace, withQuery } from "../api.js";
import { Curve } from "../curve.js";
import { count, figure, many, short, titled } from "../format.js";
import { useAction, useFilled, useLoad } from "../hooks.js";
import { html, useState } from "../lib.js";
import { to } from "../route.js";
import { may, say, useStore, wrote, writes } from "../state.js";
import { Copy, Dialog, Empty, FaultBox, Icon, Loaded, Marks, Press, Size, Title, When } from "../ui.js";

const SHOWN = 20_000; // characters of a text that are shown at first

export function View({ space, id }) {
  const written = useStore(writes);
  const cube = useLoad((signal) => call("GET", inSpace(space, "cubes", id), { signal }), [written]);
  const missing = cube.fault?.status === 404;
  useFilled("cube", cube.data !== undefined);
  return html`
    <p class="crumb"><a href=${to(space)}><${Icon} name="back" />Search</a></p>
    <${Title}>Memory<//>
    ${
      missing
        ? html`<${Empty} title="There is no such memory"><p>It was forgotten, or it was never in ${space}.</p><//>`
        : html`<${Loaded} of=${cube} what="the memory">${(it) => html`<div class="split">
          <div>
            <section class="panel main">${
              it.form === "text" ? html`<${Text} text=${it.text} />` : html`<${Payload} cube=${it} />`
            }<${Marks} cube=${it} /><${Acts} space=${space}
              cube=${it} /></section>
            <${Versions} space=${space} cube=${it} key=${`v${it.version}`} />
            <${Linked} space=${space} id=${id} key=${`l${written}`} />
          </div>
          <aside><${Head} cube=${it} /><${Curve} space=${space} cube=${it} key=${`c${written}`} /></aside>
        </div>`}<//>`
    }`;
}

const MADE = {
  carrier: "Weights that a model has learned",
  kv: "Keys and values that a model has read",
  answer: "An answer that is kept to be given again",
  feedback: "What was of use for a question",
  tuning: "What search has learned",
};

/** What a memory that is not a text of somebody is: it is made of its parents, and not edited. */
const Payload = ({ cube }) => html`${
  cube.text && html`<${Text} text=${cube.text} />`
}<p><strong>${MADE[cube.kind] ?? `Of the form ${cube.form}`}</strong>${
  cube.metadata.architecture && ` (${cube.metadata.architecture}, ${cube.metadata.method})`
}, of ${many(cube.parents.length, "memory", "memories")}${
  cube.metadata.bytes && html`; <${Size} of=${cube.metadata.bytes} />`
}. The links say of which. It is not edited: change a memory and make it again, or forget it.</p>`;

/** The stored text; for a very long one the start, with a button for the rest. */
export function Text({ text }) {
  const [whole, setWhole] = useState(false);
  return html`<div class="text">${whole ? text : short(text, SHOWN)}</div>
    ${
      text.length > SHOWN &&
      !whole &&
      html`<button class="link"
      onClick=${() => setWhole(true)}>Show all ${count(text.length)} characters</button>`
    }`;
}

function Acts({ space, cube }) {
  const at = (...parts) => inSpace(space, ...parts);
  const archived = cube.state === "archived";
  const pin = useAction(async (signal) => {
    await call("POST", at("cubes", cube.id, "pin"), { signal, body: { on: !cube.pinned } });
    say(cube.pinned ? "No longer pinned." : "Pinned: no policy archives or erases it.");
    wrote();
  });
  const shelve = useAction(async (signal) => {
    await call("POST", at("archive"), { signal, body: { ids: [cube.id], back: archived } });
    say(archived ? "Restored to search." : "Archived: out of search, and can be restored.");
    wrote();
  });
  const fault = pin.fault ?? shelve.fault;
  return html`<div class="row acts">
      ${
        may("write") &&
        html`
        ${cube.form === "text" && html`<a class="button" href=${to(space, "edit", cube.id)}><${Icon} name="edit" />Edit</a>`}
        <${Press} icon="pin" pending=${pin.pending} onClick=${() => pin.run()}
          title="No policy archives or erases a pinned memory">${cube.pinned ? "Unpin" : "Pin"}<//>
        <${Press} icon="archive" pending=${shelve.pending} onClick=${() => shelve.run()}
          title="Out of search, and can be restored">${archived ? "Restore" : "Archive"}<//>`
      }
      <a class="button" href=${to(space, "graph", cube.id)}><${Icon} name="graph" />In the graph</a>
      <a class="button danger" href=${to(space, "forget", cube.id)}><${Icon}
        name="forget" />${may("erase") ? "Forget…" : "Preview forgetting…"}</a>
    </div>
    ${fault && html`<${FaultBox} fault=${fault} />`}`;
}

/** The fields of a cube that have a value. */
function Head({ cube }) {
  const shown = [
    ["Happened", cube.at && html`<${When} at=${cube.at} />`],
    ["Learned", html`<${When} at=${cube.learned} />`],
    [
      "True from",
      cube.valid_from &&
        html`<${When}
      at=${cube.valid_from} />`,
    ],
    ["True until", cube.valid_to && html`<${When} at=${cube.valid_to} />`],
    ["Speaker", cube.speaker],
    ["Role", cube.role],
    ["Session", cube.session],
    ["Source", cube.source],
    ["Kind", cube.kind],
    ["Form", cube.form],
    ["State", cube.state],
    ["Layer", ["short term", "middle term", "long term"][cube.layer] ?? cube.layer],
    ["Stored strength", figure(cube.strength)],
    ["Recalls", `${count(cube.recalls)}`],
    [
      "Last recalled",
      cube.recalled_at &&
        html`<${When}
      at=${cube.recalled_at} />`,
    ],
    ["Id", html`<code>${cube.id}</code> <${Copy} text=${cube.id} kind="link" />`],
  ];
  const meta = Object.keys(cube.metadata).length > 0;
  return html`<section class="panel"><h2>Header</h2>
    <dl class="facts">${shown
      .filter(([, value]) => value)
      .map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    ${meta && html`<h3>Metadata</h3><pre class="code">${JSON.stringify(cube.metadata, null, 1)}</pre>`}
  </section>`;
}

/** All versions, newest first, with a button to roll back to each. */
function Versions({ space, cube }) {
  const of = useLoad((signal) => call("GET", inSpace(space, "cubes", cube.id, "history"), { signal }), []);
  const [chosen, setChosen] = useState(null);
  const back = useAction(async (signal) => {
    const now = await call("POST", inSpace(space, "cubes", cube.id, "rollback"), {
      signal,
      body: { version: chosen.version },
    });
    setChosen(null);
    say(`Rolled back to version ${chosen.version}, stored as version ${now.version}.`);
    wrote();
  });
  return html`<section class="panel"><h2>Versions</h2><${Loaded} of=${of} what="the versions">${({ cubes }) => html`
    <ol class="versions">${[...cubes].reverse().map(
      (v) => html`<li key=${v.version}>
      <div class="row"><strong>Version ${v.version}</strong><span class="dim">learned <${When}
        at=${v.learned} />${v.replaced && html`, replaced <${When} at=${v.replaced} />`}</span>
        <span class="gap" />
        ${
          v.replaced
            ? may("write") &&
              may("read") &&
              html`<button
          onClick=${() => setChosen(v)}>Roll back to this…</button>`
            : html`<span class="tag">current</span>`
        }</div>
      ${v.replaced && html`<p class="old">${short(v.text)}</p>`}</li>`,
    )}</ol>`}<//>
    ${
      chosen &&
      html`<${Dialog} title=${`Roll back to version ${chosen.version}?`} close=${() => setChosen(null)}>
      <p>Its text becomes the newest version. Later versions are kept in the history.</p>
      <blockquote class="text">${short(chosen.text)}</blockquote>
      ${back.fault && html`<${FaultBox} fault=${back.fault} what="roll back" />`}
      <div class="row end"><button onClick=${() => setChosen(null)}>Cancel</button>
        <${Press} kind="primary" pending=${back.pending} onClick=${() => back.run()}>Roll back<//></div><//>`
    }
  </section>`;
}

/** The links of a memory, by kind. */
function Linked({ space, id }) {
  const of = useLoad(
    (signal) => call("GET", withQuery(inSpace(space, "graph"), { around: id, depth: 1, limit: 60 }), { signal }),
    [],
  );
  return html`<section class="panel"><h2>Links</h2><${Loaded} of=${of} what="the links">${({ nodes, edges }) => {
    const cubes = new Map(nodes.map((node) => [node.id, node]));
    const own = edges.filter((edge) => edge.source === id || edge.target === id);
    if (!own.length) return html`<p class="dim">This memory has no links.</p>`;
    const by = new Map(); // the kinds of links with each other memory
    for (const edge of own) {
      const out = edge.source === id;
      const other = out ? edge.target : edge.source;
      by.set(other, [...(by.get(other) ?? []), out ? `${edge.kind} →` : `← ${edge.kind}`]);
    }
    return html`<ul class="cubes">${[...by].map(([name, kinds]) => {
      const other = cubes.get(name);
      return (
        other &&
        html`<li class="cube" key=${name}>
        <a class="open" data-item href=${to(space, "cube", other.id)}>${titled(other, 200)}</a>
        <div class="marks">${kinds.map((kind) => html`<span class="tag kind" data-link=${kind}>${kind}</span>`)}<${When}
          at=${other.at} />
          ${other.state !== "active" && html`<span class=${`tag ${other.state}`}>${other.state}</span>`}</div></li>`
      );
    })}</ul>`;
  }}<//></section>`;
}

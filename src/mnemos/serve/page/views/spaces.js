// The spaces that the key may read, fifty at a time; admins can remove one by typing its name.
import { NewSpace } from "./newspace.js";
import { call, inSpace } from "../api.js";
import { bytes, count, many, memories } from "../format.js";
import { useAction, useFilled, useLoad } from "../hooks.js";
import { html, useState } from "../lib.js";
import { to } from "../route.js";
import { drafts, may, say, searches, spaces } from "../state.js";
import { Dialog, Empty, FaultBox, Line, Loaded, Press, Title } from "../ui.js";

const PAGE = 50;

export function View() {
  const of = useLoad(async (signal) => {
    const { spaces: names } = await call("GET", "/v1/spaces", { signal });
    spaces.set(names);
    return names;
  }, []);
  const [filter, setFilter] = useState("");
  const [shown, setShown] = useState(PAGE);
  const [removing, setRemoving] = useState("");
  useFilled("spaces", of.data !== undefined);
  return html`<${Title}>Spaces<//>
    <${Loaded} of=${of} what="the spaces">${(names) => {
      const found = names.filter((name) => name.toLowerCase().includes(filter.toLowerCase()));
      return html`${
        names.length > 10 &&
        html`<${Line} label=${`Find among ${many(names.length, "space")}`}
        value=${filter} set=${setFilter} />`
      }
        ${
          names.length > 0 &&
          html`<ul class="cubes spaces">${found.slice(0, shown).map(
            (name) => html`<li class="cube"
          key=${name}><a class="open" data-item href=${to(name)}>${name}</a>
          <div class="row over"><${Counts} space=${name} />${
            may("admin") &&
            html`<button class="danger"
            onClick=${() => setRemoving(name)}>Remove…</button>`
          }</div></li>`,
          )}</ul>`
        }
        ${names.length > 0 && !found.length && html`<${Empty} title="No space matches" />`}
        ${found.length > shown && html`<button onClick=${() => setShown(shown + PAGE)}>Show ${PAGE} more</button>`}`;
    }}<//>
    <h2 class="section">A new space</h2><${NewSpace} />
    ${removing && html`<${Remove} name=${removing} close=${() => setRemoving("")} done=${of.retry} />`}`;
}

/** The counts of a space, on request: opening every space would be expensive for the server. */
function Counts({ space }) {
  const [shown, setShown] = useState(false);
  const of = useLoad(async (signal) => (shown ? call("GET", inSpace(space, "stats"), { signal }) : null), [shown]);
  if (!shown) return html`<button onClick=${() => setShown(true)}>Count</button>`;
  return html`<${Loaded} of=${of} what="the counts">${(s) =>
    s &&
    html`<span
    class="dim">${memories(s.cubes)}, ${count(s.archived)} archived, ${bytes(s.bytes)}</span>`}<//>`;
}

function Remove({ name, close, done }) {
  const [typed, setTyped] = useState("");
  const remove = useAction(async (signal) => {
    await call("DELETE", inSpace(name), { signal, seconds: 120 });
    searches.delete(name);
    for (const draft of [...drafts.keys()]) if (draft.startsWith(`${name}/`)) drafts.delete(draft);
    say(`The space ${name} is removed.`);
    close();
    done();
  });
  return html`<${Dialog} title="Remove this space?" close=${close}><form onSubmit=${(event) => {
    event.preventDefault();
    if (typed === name) remove.run();
  }}>
    <p>Everything in it is erased: memories, versions, vectors, and its audit log. This cannot be undone.</p>
    <p>The name of the space is <strong class="name">${name}</strong></p>
    <${Line} label="Type its name to remove it" wide value=${typed} set=${setTyped} spellcheck="false" />
    ${remove.fault && html`<${FaultBox} fault=${remove.fault} what="remove it" />`}
    <div class="row end"><button type="button" onClick=${close}>Cancel</button>
      <${Press} type="submit" kind="danger solid" pending=${remove.pending}
        disabled=${remove.pending || typed !== name}>Remove the space<//></div></form><//>`;
}

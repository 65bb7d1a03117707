// The keys of the server, for admins: list, create, revoke.
import { call } from "../api.js";
import { useAction, useFilled, useLoad } from "../hooks.js";
import { html, useState } from "../lib.js";
import { say, session, signOut } from "../state.js";
import { Check, Copy, Dialog, FaultBox, Line, Loaded, Press, Title, When } from "../ui.js";

const RIGHTS = [
  ["read", "search, list, export"],
  ["write", "add, update, archive, consolidate"],
  ["erase", "forget"],
  ["admin", "keys, audit log, remove spaces"],
];

export function View() {
  const of = useLoad((signal) => call("GET", "/v1/keys", { signal }), []);
  const [making, setMaking] = useState(false);
  const [ending, setEnding] = useState(null);
  const own = session.get().me?.id;
  const revoke = useAction(async (signal) => {
    await call("DELETE", `/v1/keys/${encodeURIComponent(ending.id)}`, { signal });
    say(`The key ${ending.name} is revoked.`);
    setEnding(null);
    if (ending.id === own) signOut("You have revoked the key that you used here. Sign in with another one.");
    else of.retry();
  });
  useFilled("keys", of.data !== undefined);
  return html`<${Title} aside=${html`<button class="primary"
    onClick=${() => setMaking(true)}>New key…</button>`}>Keys<//>
    <${Loaded} of=${of} what="the keys">${({ keys }) => html`<section class="panel"><div class="scroll"><table
      class="cards">
      <thead><tr><th scope="col">Name</th><th scope="col">Id</th><th scope="col">Spaces</th><th scope="col">Rights</th>
        <th scope="col">Created</th><th scope="col">Expires</th><th scope="col">State</th><th /></tr></thead>
      <tbody>${keys.map(
        (key) => html`<tr key=${key.id} data-key=${key.id}><td data-label="Name" class="name">
        <span>${key.name}${key.id === own && html` <span class="tag">yours</span>`}</span></td><td data-label="Id">
        <code>${key.id}</code></td><td data-label="Spaces">${key.spaces.join(", ")}</td>
        <td data-label="Rights">${key.rights.join(", ")}</td><td data-label="Created"><${When} at=${key.made} /></td><td
          data-label="Expires">${key.expires ? html`<${When} at=${key.expires} />` : "never"}</td>
        <td data-label="State"><span class=${`tag ${key.state}`}>${key.state}</span></td>
        <td>${
          key.state === "valid" &&
          html`<button class="danger"
          onClick=${() => setEnding(key)}>Revoke…</button>`
        }</td></tr>`,
      )}</tbody></table></div></section>`}<//>
    ${making && html`<${NewKey} close=${() => setMaking(false)} made=${of.retry} />`}
    ${
      ending &&
      html`<${Dialog} title=${`Revoke the key ${ending.name}?`} close=${() => setEnding(null)}>
      <p>Whoever uses it is locked out immediately. This cannot be undone.
        ${ending.id === own ? " This is the key that you use now." : ""}</p>
      ${revoke.fault && html`<${FaultBox} fault=${revoke.fault} what="revoke it" />`}
      <div class="row end"><button onClick=${() => setEnding(null)}>Cancel</button><${Press} kind="danger solid"
        pending=${revoke.pending} onClick=${() => revoke.run()}>Revoke<//></div><//>`
    }`;
}

/** The form of a new key, then the key, which is shown only once. */
function NewKey({ close, made }) {
  const { me } = session.get();
  const [name, setName] = useState("");
  const [spaces, setSpaces] = useState(me.spaces.join(", "));
  const [rights, setRights] = useState(["read"]);
  const [days, setDays] = useState("");
  const [key, setKey] = useState(null);
  const make = useAction(async (signal) => {
    const body = {
      name: name.trim(),
      spaces: spaces
        .split(",")
        .map((part) => part.trim())
        .filter(Boolean),
      rights,
    };
    if (days.trim()) body.days = Number(days);
    setKey(await call("POST", "/v1/keys", { signal, body }));
    say("The key is created. It is shown only once.");
    made();
  });
  if (key) {
    return html`<${Dialog} title="The new key" close=${close}>
      <p>Copy it now. The server stores only a hash, so <strong>it is not shown again</strong>.</p>
      <pre class="code" data-token tabindex="0">${key.key}</pre>
      <div class="row end"><${Copy} text=${key.key} label="Copy the key" /><button class="primary"
        onClick=${close}>I have it</button></div><//>`;
  }
  const set = (right, on) => setRights(RIGHTS.map(([r]) => r).filter((r) => (r === right ? on : rights.includes(r))));
  return html`<${Dialog} title="New key" close=${close}><form onSubmit=${(event) => {
    event.preventDefault();
    make.run();
  }}>
    <${Line} label="Name" hint="Who or what uses it" wide required maxlength="200" value=${name} set=${setName} />
    <${Line} label="Spaces" hint="Names or patterns such as team-*, separated by commas" wide required value=${spaces}
      set=${setSpaces} />
    <fieldset><legend>Rights</legend>${RIGHTS.filter(([right]) => me.rights.includes(right)).map(
      ([right, what]) => html`<div><${Check} label=${html`<strong>${right}</strong> <span class="dim">${what}</span>`}
        value=${rights.includes(right)} set=${(on) => set(right, on)} /></div>`,
    )}</fieldset>
    <${Line} label="Days until it expires" hint="Empty: never, or with the key that creates it" inputmode="decimal"
      value=${days} set=${setDays} />
    ${make.fault && html`<${FaultBox} fault=${make.fault} what="create the key" />`}
    <div class="row end"><button type="button" onClick=${close}>Cancel</button>
      <${Press} type="submit" kind="primary" pending=${make.pending}
        disabled=${make.pending || !name.trim() || !rights.length}>Create the key<//></div></form><//>`;
}

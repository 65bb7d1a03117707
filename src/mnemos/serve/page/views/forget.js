// Forgetting: choose, preview, erase exactly that, and get the receipt.
import { call, inSpace } from "../api.js";
import { count, fromField, memories } from "../format.js";
import { useAction, useFilled } from "../hooks.js";
import { html, useEffect, useState } from "../lib.js";
import { to } from "../route.js";
import { may, say, searches, wrote } from "../state.js";
import { Busy, Check, Copy, Dialog, Empty, FaultBox, Icon, Line, Press, Row, Size, Title } from "../ui.js";
import { preview } from "../preview.js";

const NONE = { query: "", speaker: "", session: "", kind: "", source: "", since: "", until: "" };

export function View({ space, id }) {
  const [chosen, setChosen] = useState(NONE);
  const [shown, setShown] = useState(null);
  const [picked, setPicked] = useState([]); // ids of offers that are to be erased too
  const [sure, setSure] = useState(false);
  const [receipt, setReceipt] = useState(null);
  const path = inSpace(space, "forget");
  const look = useAction(async (signal) => {
    const given = id
      ? { ids: [id] }
      : Object.fromEntries(
          Object.entries({ ...chosen, since: fromField(chosen.since), until: fromField(chosen.until) }).filter(
            ([, v]) => v,
          ),
        );
    setShown(null);
    setPicked([]);
    const found = await preview(path, given, signal);
    setShown(found);
    say(`${memories(found.count)} would be erased. Nothing has been removed yet.`);
  });
  const erase = useAction(async (signal) => {
    // erase the memories that were shown, not what the question matches now
    const done = await call("POST", path, {
      signal,
      body: { ids: id ? [id] : [...shown.ids, ...picked], preview: false },
      seconds: 300,
    });
    searches.clear();
    setSure(false);
    setReceipt(done);
    say(
      done.verified
        ? "Erased. A check found no remains."
        : "Erased, but a check found remains. See the receipt.",
    );
    wrote();
  });
  useEffect(() => {
    if (id) look.run();
  }, []);
  useFilled("forget", !id || shown !== null);
  const erased = shown ? shown.count + picked.length : 0;
  const pick = (which, on) => setPicked(on ? [...picked, which] : picked.filter((other) => other !== which));
  const empty = Object.values(chosen).every((value) => !value.trim());
  const field = (name) => ({ value: chosen[name], set: (value) => setChosen({ ...chosen, [name]: value }) });
  if (receipt) return html`<${Title}>Forgotten<//><${Receipt} receipt=${receipt} space=${space} />`;
  return html`
    <p class="crumb"><a href=${id ? to(space, "cube", id) : to(space)}><${Icon}
      name="back" />${id ? "The memory" : "Search"}</a></p>
    <${Title}>${id ? "Forget this memory" : `Forget in ${space}`}<//>
    ${
      !id &&
      html`<form class="panel" onSubmit=${(event) => {
        event.preventDefault();
        if (!empty) look.run();
      }}>
      <p>Choose memories by a phrase or by fields; a memory must match all of them.
        To erase a whole space, remove it under <a href="#/spaces">Spaces</a>.</p>
      <${Line} label="Phrase" wide hint="Memories that say exactly this, as whole words" ...${field("query")} />
      <div class="grid"><${Line} label="Speaker" ...${field("speaker")} /><${Line}
        label="Session" ...${field("session")} />
        <${Line} label="Kind" ...${field("kind")} /><${Line} label="Source" ...${field("source")} />
        <${Line} label="Since" type="datetime-local" ...${field("since")} /><${Line} label="Until"
          type="datetime-local" ...${field("until")} /></div>
      <div class="row"><${Press} type="submit" kind="primary" pending=${look.pending}
        disabled=${look.pending || empty}>Preview<//>
        <span class="dim">This removes nothing yet.</span></div></form>`
    }
    ${look.fault && html`<${FaultBox} fault=${look.fault} what="load the preview" retry=${() => look.run()} />`}
    ${look.pending && html`<${Busy} what="the preview" stop=${look.stop} />`}
    ${shown && erased === 0 && html`<${Empty} title="Nothing would be erased"><p>No memory matches exactly.</p><//>`}
    ${
      erased > 0 &&
      html`
      <section class="panel warn"><h2>${memories(erased)} would be erased</h2>
        <p>With all their versions, index entries, vectors and links, and what was derived from them.
          The bytes are overwritten. This cannot be undone.</p>
        ${
          may("erase")
            ? html`<button class="danger solid" onClick=${() => setSure(true)}><${Icon}
          name="forget" />Forget ${memories(erased)}…</button>`
            : html`<p class="notice">This key may preview, but lacks the right to erase.</p>`
        }</section>
      <ol class="cubes" aria-label="What would be erased">${shown.first.map(
        (cube) => html`<${Row} key=${cube.id}
        space=${space} cube=${cube} />`,
      )}</ol>
      ${
        shown.count > shown.first.length &&
        html`<p
        class="dim">… and ${count(shown.count - shown.first.length)} more that are not listed.</p>`
      }`
    }
    ${
      shown &&
      shown.offers.length > 0 &&
      html`<section class="panel"><h2>Near, and kept</h2>
        <p>These do not say exactly that. Tick those that are to be erased, too.</p></section>
      <ol class="cubes" aria-label="Near, and kept">${shown.offers.map(
        ({ cube, reason }) =>
          html`<${Row} key=${cube.id} space=${space} cube=${cube}><span class="dim">${reason}</span>
            <${Check} label="erase this too" value=${picked.includes(cube.id)}
              set=${(on) => pick(cube.id, on)} /><//>`,
      )}</ol>`
    }
    ${
      sure &&
      html`<${Dialog} title=${`Forget ${memories(erased)} permanently?`} close=${() => setSure(false)}>
      <p>Exactly the ${erased === 1 ? "memory" : "memories"} ${picked.length > 0 ? "shown and ticked" : "shown"}, and
        what was derived from ${erased === 1 ? "it" : "them"}, will be erased. This cannot be undone.</p>
      ${erase.fault && html`<${FaultBox} fault=${erase.fault} what="forget" />`}
      <div class="row end"><button onClick=${() => setSure(false)} disabled=${erase.pending}>Cancel</button>
        <${Press} kind="danger solid" icon="forget" pending=${erase.pending} onClick=${() => erase.run()}>Forget<//>
          </div><//>`
    }`;
}

/** The receipt in words, and as JSON that can be stored and verified later. */
function Receipt({ receipt, space }) {
  const text = JSON.stringify(receipt, null, 1);
  const file = new Blob([text], { type: "application/json" });
  const [address] = useState(() => URL.createObjectURL(file));
  useEffect(() => () => URL.revokeObjectURL(address), []);
  return html`
    <section class=${`panel ${receipt.verified ? "good" : "warn"}`}>
      <h2>${receipt.verified ? "A check found no remains" : "A check found remains"}</h2>
      <dl class="facts">
        <div><dt>Removed</dt>
          <dd>${memories(receipt.ids.length)}, ${count(receipt.versions)} versions;${" "}
            ${count(receipt.derived)} of them derived</dd></div>
        <div><dt>Chosen by</dt><dd>${receipt.chosen_by}</dd></div>
        <div><dt>Searched</dt><dd><${Size}
          of=${receipt.searched_bytes} /> for ${count(receipt.searched_for)} pieces</dd></div>
        <div><dt>Remains</dt><dd>${receipt.remains.length ? receipt.remains.join("; ") : "none"}</dd></div>
      </dl></section>
    <section class="panel"><h2>Receipt</h2><p
      class="dim">It contains no text. Save it: the page does not keep it.</p>
      <pre class="code" data-receipt tabindex="0" aria-label="The receipt as JSON">${text}</pre>
      <div class="row"><${Copy} text=${text} label="Copy the receipt" /><a class="button" href=${address}
        download=${`receipt-${receipt.at.slice(0, 19).replaceAll(":", "")}.json`}>Save as a file</a>
        <span class="gap" /><a class="button" href=${to(space)}>Back to the search</a></div></section>`;
}

// A form for a new space, which the server creates with its first memory.
import { html, useState } from "../lib.js";
import { go, to } from "../route.js";
import { may } from "../state.js";
import { Empty } from "../ui.js";

/** The form; for a key that may not write, what to do instead. */
export function NewSpace() {
  const [name, setName] = useState("");
  if (!may("write")) {
    return html`<${Empty} title="There is no space that this key may read">
      <p>A space is one owner's memory. Ask whoever created the key, or add memories with <code>mnemos add</code>.</p>
        <//>`;
  }
  const start = (event) => {
    event.preventDefault();
    if (name.trim()) go(to(name.trim(), "add"));
  };
  return html`<form class="panel" onSubmit=${start}>
    <p>A space is the memory of one owner: a person, an agent, a project. It is created with its first memory.</p>
    <label for="new-space">Name of the new space</label>
    <div class="row"><input id="new-space" value=${name} autocomplete="off"
      onInput=${(event) => setName(event.target.value)} />
      <button class="primary" disabled=${!name.trim()}>Add its first memory</button></div>
  </form>`;
}

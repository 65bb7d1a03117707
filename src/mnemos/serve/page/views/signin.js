// Sign-in: ask for the key once, check it, and keep it in this tab.
import { call, Fault } from "../api.js";
import { useAction } from "../hooks.js";
import { html, useEffect, useRef, useState } from "../lib.js";
import { session, signIn, useStore } from "../state.js";
import { Press } from "../ui.js";

export function SignIn() {
  const { message } = useStore(session);
  const [key, setKey] = useState("");
  const field = useRef(null);
  const check = useAction(async (signal) => {
    const given = key.trim();
    // a header cannot contain other characters
    if (!/^[\x21-\x7e]+$/.test(given))
      throw new Fault("key", "This is not a key: keys begin with mnk_ and have no spaces.");
    signIn(given, await call("GET", "/v1/key", { signal, key: given }));
  });
  useEffect(() => field.current.focus(), []);
  const submit = (event) => {
    event.preventDefault();
    check.run();
  };
  return html`<main class="alone" id="main" tabindex="-1">
    <form class="signin panel" onSubmit=${submit}>
      <p class="brand"><img src="icon.svg" alt="" width="32" height="32" /> Mnemos</p>
      <h1 tabindex="-1">Sign in to a memory</h1>
      ${message && html`<p class="notice" role="alert">${message}</p>`}
      <label for="key">Key</label>
      <input id="key" ref=${field} type="password" value=${key} autocomplete="off" spellcheck="false" required
        aria-describedby="key-hint" onInput=${(event) => setKey(event.target.value)} />
      <small id="key-hint">The server prints one at its first start; <code>mnemos keys add</code> creates more. It is kept only in
        this tab, until you sign out or close it.</small>
      ${check.fault && html`<p class="fault" role="alert">${check.fault.message}</p>`}
      <div class="row"><${Press} type="submit" kind="primary" pending=${check.pending}
        disabled=${check.pending || !key.trim()}>Sign in<//>
        ${check.pending && html`<button type="button" class="link" onClick=${check.stop}>Stop waiting</button>`}</div>
    </form>
  </main>`;
}

// Consolidation: past runs, and a button to start one.
import { call, inSpace } from "../api.js";
import { count } from "../format.js";
import { useAction, useFilled, useLoad } from "../hooks.js";
import { html } from "../lib.js";
import { may, say, wrote } from "../state.js";
import { FaultBox, Loaded, Press, Title, When } from "../ui.js";

const SECONDS = 600; // a first run over a large space takes minutes

export function View({ space }) {
  const of = useLoad((signal) => call("GET", inSpace(space, "runs"), { signal }), []);
  const start = useAction(async (signal) => {
    const done = await call("POST", inSpace(space, "consolidate"), { signal, body: {}, seconds: SECONDS });
    const { archived, erased } = done.forgotten;
    say(`The run is done: ${summary({ ...done, archived: archived.length, erased: erased.length })}.`);
    wrote();
    of.retry();
  });
  useFilled("runs", of.data !== undefined);
  return html`<${Title} aside=${
    may("write") &&
    html`<${Press} kind="primary" icon="runs" pending=${start.pending}
    onClick=${() => start.run()}>Run now<//>`
  }>Consolidation<//>
    <p class="lead">A run summarises sessions, days and weeks, writes profiles,
      links related memories, and applies the policy.</p>
    ${
      start.pending &&
      html`<p class="notice"
      role="status">A run is in progress. The first one over a large space takes minutes;
        you may leave this view, the run continues.</p>`
    }
    ${start.fault && html`<${FaultBox} fault=${start.fault} what="run the consolidation" />`}
    <${Loaded} of=${of} what="the runs">${({ runs }) =>
      runs.length
        ? html`<section class="panel"><div class="scroll"><table class="cards"><thead><tr><th scope="col">When</th><th
        scope="col">What it did</th></tr></thead>
        <tbody>${runs.map(
          (run) => html`<tr><td data-label="When"><${When} at=${run.at} /></td><td
          data-label="Did">${summary(run)}</td></tr>`,
        )}</tbody></table></div></section>`
        : html`<p class="dim">There has been no run yet.</p>`}<//>`;
}

const DONE = ["removed", "linked", "reconsidered", "promoted", "archived", "erased"];

/** Return what a run did, in words. */
function summary(run) {
  const done = Object.entries(run.written).map(([kind, n]) => `${count(n)} × ${kind} written`);
  for (const name of DONE) if (run[name]) done.push(`${count(run[name])} ${name}`);
  if (run.more) done.push("more remains for another run");
  return done.join(", ") || "nothing to do";
}

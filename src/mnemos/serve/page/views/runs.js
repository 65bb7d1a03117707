// Consolidation: the runs that were, and a button for one more.
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
    say(
      `The run is done: ${told({ ...done, archived: done.forgotten.archived.length, erased: done.forgotten.erased.length })}.`,
    );
    wrote();
    of.retry();
  });
  useFilled("runs", of.data !== undefined);
  return html`<${Title} aside=${
    may("write") &&
    html`<${Press} kind="primary" icon="runs" pending=${start.pending}
    onClick=${() => start.run()}>Run now<//>`
  }>Consolidation<//>
    <p class="lead">A run sums up sessions, days and weeks, writes profiles,
      links what belongs together, and lets go of what the policy says.</p>
    ${
      start.pending &&
      html`<p class="notice"
      role="status">A run is at work. The first one over a large space takes minutes;
        you may leave this view, the run goes on.</p>`
    }
    ${start.fault && html`<${FaultBox} fault=${start.fault} what="run it" />`}
    <${Loaded} of=${of} what="the runs">${({ runs }) =>
      runs.length
        ? html`<section class="panel"><div class="scroll"><table class="cards"><thead><tr><th scope="col">When</th><th
        scope="col">What it did</th></tr></thead>
        <tbody>${runs.map(
          (run) => html`<tr><td data-label="When"><${When} at=${run.at} /></td><td
          data-label="Did">${told(run)}</td></tr>`,
        )}</tbody></table></div></section>`
        : html`<p class="dim">There has been no run yet.</p>`}<//>`;
}

const DONE = ["removed", "linked", "reconsidered", "promoted", "archived", "erased"];

/** Say what a run did. */
function told(run) {
  const done = Object.entries(run.written).map(([kind, n]) => `${count(n)} × ${kind} written`);
  for (const name of DONE) if (run[name]) done.push(`${count(run[name])} ${name}`);
  if (run.more) done.push("more is left for another run");
  return done.join(", ") || "nothing was left to do";
}

// The audit log: who did what when, newest first, and whether the chain is intact.
import { call, inSpace, withQuery } from "../api.js";
import { count, many } from "../format.js";
import { useFilled, useLoad } from "../hooks.js";
import { html, useState } from "../lib.js";
import { Loaded, Press, Title, When } from "../ui.js";

const PAGE = 50;

const intact = (n) =>
  `The chain of ${many(n, "entry", "entries")} is intact: no entry was changed, removed or inserted.`;

export function View({ space }) {
  const path = inSpace(space, "audit");
  const [end, setEnd] = useState(null); // number of the newest entry shown; null: the last one
  const verified = useLoad(async (signal) => {
    const { count: n, problems } = await call("GET", withQuery(path, { verify: true, limit: 1 }), {
      signal,
      seconds: 120,
    });
    return { n, problems };
  }, []);
  const last = end ?? verified.data?.n;
  const of = useLoad(
    async (signal) => {
      if (last === undefined) return undefined;
      const after = Math.max(0, last - PAGE);
      return (
        await call("GET", withQuery(path, { after, limit: Math.max(1, last - after) }), { signal })
      ).entries.reverse();
    },
    [last],
  );
  const again = () => {
    verified.retry();
    setEnd(null);
  };
  useFilled("audit", of.data !== undefined && verified.data !== undefined);
  return html`<${Title} aside=${html`<${Press} pending=${verified.pending}
    onClick=${again}>Verify again<//>`}>Audit log<//>
    <${Loaded} of=${verified} what="the log and verify the chain">${({ n, problems }) => html`<p
      class=${problems.length ? "fault" : "notice good"} role="status" data-verified=${problems.length === 0}>
      ${problems.length ? `The chain is broken: ${problems.join("; ")}.` : intact(n)}</p>`}<//>
    ${
      verified.data &&
      html`<${Loaded} of=${of} what="the log">${(entries) => html`<section class="panel"><div
      class="scroll"><table class="cards">
      <thead><tr><th scope="col" class="n">No.</th><th scope="col">When</th><th scope="col">Who</th><th
        scope="col">What</th><th scope="col" class="n">Memories</th><th scope="col">Chain</th></tr></thead>
      <tbody>${entries.map(
        (entry) => html`<tr key=${entry.index}><td class="n" data-label="No.">${entry.index}</td><td
        data-label="When"><${When} at=${entry.made} /></td><td data-label="Who">${entry.actor}</td><td
        data-label="What">${entry.action}</td>
        <td class="n" data-label="Memories">${count(entry.cubes)}</td><td data-label="Chain"><code
          title=${entry.chain}>${entry.chain.slice(0, 12)}…</code></td></tr>`,
      )}</tbody></table></div></section>
      <div class="row"><button disabled=${last >= verified.data.n}
        onClick=${() => setEnd(Math.min(verified.data.n, last + PAGE))}>Newer</button>
        <button disabled=${last <= PAGE} onClick=${() => setEnd(last - PAGE)}>Older</button></div>`}<//>`
    }`;
}

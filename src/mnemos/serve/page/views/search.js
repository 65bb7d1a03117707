// The first view: the search box, counts, and the newest memories; after a question, the hits and why they match.
import { call, inSpace } from "../api.js";
import { bytes, count, day, fromField, many, memories, titled } from "../format.js";
import { useAction, useFilled, useLoad } from "../hooks.js";
import { html, useEffect, useRef, useState } from "../lib.js";
import { Listed } from "../list.js";
import { to } from "../route.js";
import { may, say, searches, useStore, writes } from "../state.js";
import { Busy, Check, Choice, Empty, FaultBox, Icon, Line, Loaded, Press, Row, When } from "../ui.js";
import { Legend, palette, Why } from "../why.js";

const STEP = 20;
const SECONDS = 120; // the first search after the server starts builds the index of the space
const NO_FILTERS = {
  speaker: "",
  session: "",
  kind: "",
  since: "",
  until: "",
  as_of: "",
  method: "hybrid",
  include_superseded: false,
  include_derived: false,
};

export function View({ space, params }) {
  useStore(writes);
  const before = searches.get(space) ?? { query: "", filters: NO_FILTERS, hits: null };
  const [query, setQuery] = useState(before.query);
  const [filters, setFilters] = useState(before.filters);
  const [found, setFound] = useState(before);
  const [listed, setListed] = useState(false);
  const [counted, setCounted] = useState(false);
  const box = useRef(null);
  const ask = useAction(async (signal, k = STEP) => {
    const wanted = { query: query.trim(), filters, k };
    const times = { since: fromField(filters.since), until: fromField(filters.until), as_of: fromField(filters.as_of) };
    const given = Object.fromEntries(
      Object.entries({ ...filters, ...times }).filter(([, v]) => v !== "" && v !== null && v !== false),
    );
    const { hits } = await call("POST", inSpace(space, "search"), {
      signal,
      body: { ...given, query: wanted.query, k },
      seconds: SECONDS,
    });
    const next = { ...wanted, hits, written: writes.get() };
    searches.set(space, next);
    setFound(next);
    say(hits.length ? `${memories(hits.length)} found.` : "Nothing found.");
  });
  useEffect(() => {
    if (found.hits && found.written !== writes.get()) ask.run(found.k); // the hits may have changed
  }, []);
  useEffect(() => {
    if (params.focus) box.current.focus();
  }, [params.focus]);
  const submit = (event) => {
    event.preventDefault();
    if (query.trim()) ask.run();
    else clear();
  };
  const clear = () => {
    setQuery("");
    searches.delete(space);
    setFound({ query: "", filters, hits: null });
    ask.clear();
    box.current.focus();
  };
  useFilled("search", found.hits !== null || (listed && counted));
  return html`
    <h1 class="hidden" tabindex="-1">Search ${space}</h1>
    <form role="search" class="ask" onSubmit=${submit}>
      <label class="hidden" for="q">Ask this memory</label>
      <div class="askbox"><${Icon} name="search" />
        <input id="q" ref=${box} data-search type="search" value=${query} placeholder="Ask this memory…"
          autocomplete="off"
          enterkeyhint="search" onInput=${(event) => setQuery(event.target.value)}
          onKeyDown=${(event) => {
            if (event.key === "ArrowDown") document.querySelector("#main [data-item]")?.focus();
          }} />
        <kbd aria-hidden="true">/</kbd></div>
      <${Press} type="submit" kind="primary" icon="search" pending=${ask.pending}>Search<//>
      <${Filters} filters=${filters} set=${(more) => setFilters({ ...filters, ...more })} />
    </form>
    ${ask.fault && html`<${FaultBox} fault=${ask.fault} what="search" retry=${() => ask.run()} />`}
    ${ask.pending && !found.hits && html`<${Busy} what="the hits" stop=${ask.stop} />`}
    ${
      found.hits
        ? html`<${Hits} space=${space} found=${found} pending=${ask.pending} more=${() => ask.run(found.k + STEP)}
        clear=${clear} />`
        : html`<${Counts} space=${space} begin=${listed} loaded=${() => setCounted(true)} />
          <h2 class="section">Newest memories</h2>
          <${Listed} space=${space} filters=${{ newest: true }} what="the newest memories"
            loaded=${() => setListed(true)}
            empty=${html`<${Empty} title="This space is empty"><p>${
              may("write")
                ? html`Add the first memory with the button at the top, or press n.
              Or <a href=${to(space, "import")}>import a file</a>: chats, exports, notes.`
                : "It has no memories yet."
            }</p><//>`} />`
    }`;
}

/** Filters of a search, folded until opened. */
function Filters({ filters, set }) {
  const on = Object.keys(NO_FILTERS).filter((name) => filters[name] !== NO_FILTERS[name]).length;
  const field = (name) => ({ value: filters[name], set: (value) => set({ [name]: value }) });
  return html`<details class="filters"><summary>Filters${on > 0 && html` <span class="tag">${on} set</span>`}</summary>
    <div class="grid">
      <${Line} label="Speaker" ...${field("speaker")} /><${Line} label="Session" ...${field("session")} />
      <${Line} label="Kind" ...${field("kind")} />
      <${Choice} label="By" ...${field("method")}
        options=${[
          ["hybrid", "words and meaning"],
          ["words", "words only"],
          ["vectors", "meaning only"],
        ]} />
      <${Line} label="Since" type="datetime-local" ...${field("since")} /><${Line} label="Until"
        type="datetime-local" ...${field("until")} />
      <${Line} label="As believed on" type="datetime-local" ...${field("as_of")} />
    </div>
    <div class="row"><${Check} label="include what is no longer true" ...${field("include_superseded")} />
      <${Check} label="include summaries and profiles" ...${field("include_derived")} />
      ${
        on > 0 &&
        html`<button type="button" class="link"
        onClick=${() => set(NO_FILTERS)}>Clear filters</button>`
      }</div>
  </details>`;
}

function Hits({ space, found, pending, more, clear }) {
  const { hits, query, k } = found;
  if (!hits.length) {
    return html`<${Empty} title="Nothing found"><p>No memory answers “${query}”. Try other words, or fewer filters.</p>
      <button onClick=${clear}>Back to the newest</button><//>`;
  }
  const colours = palette(hits);
  return html`<div class="title"><h2 class="section">${many(hits.length, "hit")} for “${query}”</h2>
      <button class="link" onClick=${clear}>Clear</button></div>
    <${Legend} colours=${colours} />
    <ol class=${`cubes hits${pending ? " stale" : ""}`} aria-label="Hits, best first">
      ${hits.map(
        (hit) => html`<${Row} key=${hit.cube.id} space=${space} cube=${hit.cube}><${Why} hit=${hit}
        colours=${colours} /><${Behind} space=${space} hit=${hit} /><//>`,
      )}
    </ol>
    ${hits.length === k && k < 1000 && html`<${Press} pending=${pending} onClick=${more}>Show ${STEP} more<//>`}`;
}

/** What a hit stands for, folded: the same words at other times, and what it has superseded. */
function Behind({ space, hit }) {
  const list = (cubes, label) =>
    cubes.length > 0 &&
    html`<details class="behind"><summary>${label}</summary><ol aria-label=${label}>
      ${cubes.map(
        (cube) => html`<li key=${cube.id}><a href=${to(space, "cube", cube.id)}>${titled(cube)}</a>
        <${When} at=${cube.at} /></li>`,
      )}</ol></details>`;
  return html`${list(hit.also, `Said ${many(hit.also.length, "other time")}`)}
    ${list(hit.earlier, `Before that: ${memories(hit.earlier.length)}`)}`;
}

/** Counts of the space in one line, loaded after the newest memories so as not to delay them. */
function Counts({ space, begin, loaded }) {
  const of = useLoad(
    async (signal) => {
      if (!begin) return undefined;
      const stats = await call("GET", inSpace(space, "stats"), { signal });
      loaded();
      return stats;
    },
    [space, begin, writes.get()],
  );
  return html`<${Loaded} of=${of} what="the counts">${(s) => html`<dl class="counts">
    <div><dt>memories</dt><dd data-count="cubes">${count(s.cubes)}</dd></div>
    ${
      s.superseded > 0 &&
      html`<div><dt>no longer true</dt><dd data-count="superseded">${count(s.superseded)}</dd>
      </div>`
    }
    ${s.archived > 0 && html`<div><dt>archived</dt><dd data-count="archived">${count(s.archived)}</dd></div>`}
    ${s.derived > 0 && html`<div><dt>summaries</dt><dd data-count="derived">${count(s.derived)}</dd></div>`}
    <div><dt>sessions</dt><dd data-count="sessions">${count(s.sessions)}</dd></div>
    <div><dt>speakers</dt><dd data-count="speakers">${count(s.speakers)}</dd></div>
    <div><dt>on disk</dt><dd>${bytes(s.bytes)}</dd></div>
    ${s.first_at && html`<div class="span"><dt>from – to</dt><dd>${day(s.first_at)} – ${day(s.last_at)}</dd></div>`}
  </dl>`}<//>`;
}

// What happened when: a histogram, the memories of a selected period, and what was believed at a past time.
import { call, inSpace, withQuery } from "../api.js";
import { axes, Chart } from "../chart.js";
import { count, day, memories, minute } from "../format.js";
import { useFilled, useLoad } from "../hooks.js";
import { html, useEffect, useMemo, useState } from "../lib.js";
import { Listed } from "../list.js";
import { say } from "../state.js";
import { Choice, Empty, Line, Loaded, Press, Title } from "../ui.js";

const STEPS = 200; // of the slider; the last one is now
const WAIT = 250; // milliseconds without movement of the slider before the request
const YEAR = new Intl.DateTimeFormat(undefined, { year: "numeric", timeZone: "UTC" });
const MONTH = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "long", timeZone: "UTC" });
const DAY_ONLY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", timeZone: "UTC" });
const MONTH_ONLY = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", timeZone: "UTC" });
const DAY = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric", timeZone: "UTC" });

/** Return a formatter for the labels of the axis: days with their month, or months with their year. */
const ticks = (by) => (u, found) => {
  const years = (u.scales.x.max - u.scales.x.min) / (365 * 86_400);
  const format = by === "year" || by === "century" ? YEAR : by === "month" || years > 1 ? MONTH_ONLY : DAY_ONLY;
  return found.map((second) => format.format(new Date(second * 1000)));
};

/** Return the end of a bucket. */
function after(start, by) {
  const end = new Date(start);
  if (by === "day") end.setUTCDate(end.getUTCDate() + 1);
  else if (by === "week") end.setUTCDate(end.getUTCDate() + 7);
  else if (by === "month") end.setUTCMonth(end.getUTCMonth() + 1);
  else end.setUTCFullYear(end.getUTCFullYear() + (by === "year" ? 1 : 100));
  return end.toISOString();
}
const named = (start, by) =>
  by === "month"
    ? MONTH.format(new Date(start))
    : by === "year"
      ? YEAR.format(new Date(start))
      : by === "century"
        ? `the century from ${YEAR.format(new Date(start))}`
        : `${by === "week" ? "week of " : ""}${DAY.format(new Date(start))}`;

export function View({ space }) {
  const [asOf, setAsOf] = useState("");
  const [speaker, setSpeaker] = useState("");
  const [by, setBy] = useState("auto");
  const [within, setWithin] = useState(null); // the period zoomed into: {since, until, label}
  const [at, setAt] = useState(-1);
  const filters = { as_of: asOf, speaker, since: within?.since, until: within?.until };
  const of = useLoad(
    (signal) => call("GET", withQuery(inSpace(space, "timeline"), { by, ...filters }), { signal }),
    [JSON.stringify(filters), by],
  );
  useEffect(() => setAt(-1), [JSON.stringify(filters), by]);
  useFilled("timeline", of.data !== undefined);
  const zoom = (period) => {
    setWithin(period);
    setAt(-1);
  };
  return html`<${Title}>Timeline<//>
    <${AsOf} space=${space} set=${setAsOf} />
    <div class="row tight"><${Choice} label="By" value=${by} set=${setBy}
      options=${[
        ["auto", "automatic"],
        ["day", "day"],
        ["week", "week"],
        ["month", "month"],
        ["year", "year"],
      ]} />
      <${Narrow} speaker=${speaker} set=${setSpeaker} /></div>
    ${
      within &&
      html`<p class="crumb"><button class="link"
      onClick=${() => zoom(null)}>All time</button> › ${within.label}</p>`
    }
    <${Loaded} of=${of} what="the timeline">${(line) => {
      if (!line.buckets.length)
        return html`<${Empty} title="Nothing here">
        <p>${asOf ? `Nothing was known on ${minute(asOf)}.` : "There is no memory in this period."}</p><//>`;
      const bucket = line.buckets[at];
      const period = bucket && {
        since: bucket.start,
        until: after(bucket.start, line.by),
        label: named(bucket.start, line.by),
      };
      return html`<${Histogram} line=${line} at=${at} pick=${setAt} />
        ${
          period
            ? html`<div class="title"><h2 class="section"
            data-period=${bucket.start}>${period.label}: ${memories(bucket.n)}</h2>
              ${
                line.by !== "day" &&
                bucket.n > 0 &&
                html`<button
                onClick=${() => zoom(period)}>Zoom in</button>`
              }</div>
            <${Listed} key=${bucket.start} space=${space}
              filters=${{ ...filters, since: period.since, until: period.until }}
              what="memories that happened then or refer to that time" empty=${html`<p
                class="dim">Nothing happened then.</p>`} />`
            : html`<p class="dim">Click a period, or use the arrow keys, to see its memories.</p>`
        }`;
    }}<//>`;
}

/** A filter for one speaker; applied with Enter. */
function Narrow({ speaker, set }) {
  const [text, setText] = useState(speaker);
  return html`<form class="row tight" onSubmit=${(event) => {
    event.preventDefault();
    set(text.trim());
  }}><${Line} label="Only this speaker" value=${text} set=${setText} /><${Press} type="submit">Show<//></form>`;
}

/** A slider for what was believed at a time, from the first memory learned to now. */
function AsOf({ space, set }) {
  const [step, setStep] = useState(STEPS);
  const of = useLoad(async (signal) => {
    const path = inSpace(space, "cubes");
    const ends = await Promise.all(
      [
        { state: "any", limit: 1 },
        { state: "any", limit: 1, newest: true },
      ].map((query) => call("GET", withQuery(path, query), { signal })),
    );
    return ends.flatMap((page) => page.items).map((cube) => Date.parse(cube.learned));
  }, []);
  const [from = Date.now(), last = from] = of.data ? [Math.min(...of.data), Math.max(...of.data)] : [];
  const to = Math.max(last, from + 1000);
  const moment = step === STEPS ? "" : new Date(from + ((to - from) * step) / STEPS).toISOString();
  useEffect(() => {
    const timer = setTimeout(() => set(moment), WAIT);
    return () => clearTimeout(timer);
  }, [moment]);
  if (!of.data?.length) return null;
  return html`<div class="asof panel"><label for="asof">As believed on</label>
    <input id="asof" type="range" min="0" max=${STEPS} value=${step} aria-valuetext=${moment ? minute(moment) : "now"}
      onInput=${(event) => setStep(Number(event.target.value))} />
    <output for="asof">${moment ? minute(moment) : "now"}</output>
    <button class="link" disabled=${step === STEPS} onClick=${() => setStep(STEPS)}>Now</button>
    <small class="dim">Learned from ${day(new Date(from).toISOString())} to ${day(new Date(last).toISOString())}</small>
      </div>`;
}

/** The bars, which are also a slider: left and right select a bar. */
function Histogram({ line, at, pick }) {
  const { buckets, by } = line;
  const data = useMemo(() => {
    const starts = buckets.map((bucket) => Date.parse(bucket.start) / 1000);
    return [starts, buckets.map((bucket) => bucket.n), buckets.map((bucket, i) => (i === at ? bucket.n : null))];
  }, [line, at]);
  const total = buckets.reduce((sum, bucket) => sum + bucket.n, 0);
  const describe = (i) => `${named(buckets[i].start, by)}: ${memories(buckets[i].n)}`;
  const choose = (i) => {
    pick(i);
    say(describe(i));
  };
  const onKey = (event) => {
    const now = at < 0 ? buckets.length : at;
    const next = {
      ArrowLeft: now - 1,
      ArrowRight: now + 1,
      Home: 0,
      End: buckets.length - 1,
      PageUp: now - 10,
      PageDown: now + 10,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    choose(Math.max(0, Math.min(buckets.length - 1, next)));
  };
  return html`<div class="panel histogram" role="slider" tabindex="0" aria-label="Period" aria-valuemin="0"
    aria-valuemax=${buckets.length - 1}
      aria-valuenow=${Math.max(at, 0)} aria-valuetext=${at < 0 ? "none" : describe(at)} onKeyDown=${onKey}
      data-total=${total} data-by=${by}>
    <${Chart} data=${data} height=${190} again=${by} pick=${choose} label=${`${count(total)} memories by ${by}`}
      make=${(uPlot, ink) => {
        const bars = uPlot.paths.bars({ size: [0.9, 48] });
        const bar = (color) => ({ stroke: color, fill: color, width: 0, paths: bars, points: { show: false } });
        const half = buckets.length > 1 ? (Date.parse(buckets[1].start) - Date.parse(buckets[0].start)) / 2000 : 43_200;
        return {
          tzDate: (ts) => uPlot.tzDate(new Date(ts * 1e3), "Etc/UTC"), // periods are in UTC
          legend: { show: false },
          cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
          scales: {
            x: { range: (u, low, high) => [low - half, high + half] },
            y: { range: (u, low, high) => [0, Math.max(1, high) * 1.05] },
          },
          axes: axes(ink, { x: ticks(by), y: (u, found) => found.map((n) => (Number.isInteger(n) ? count(n) : "")) }),
          series: [{}, bar(ink.first), bar(ink.second)],
        };
      }} /><p class="dim small">${count(total)} memories by ${by} (UTC)</p></div>`;
}

// The strength of a memory over the next days if it is not recalled.
import { call, inSpace, withQuery } from "./api.js";
import { axes, Chart } from "./chart.js";
import { day, figure } from "./format.js";
import { useLoad } from "./hooks.js";
import { html, useMemo, useState } from "./lib.js";
import { Loaded } from "./ui.js";

const SPANS = [7, 30, 90, 365];

export function Curve({ space, cube }) {
  const [days, setDays] = useState(90);
  const of = useLoad(
    (signal) => call("GET", withQuery(inSpace(space, "cubes", cube.id, "curve"), { days }), { signal }),
    [days],
  );
  return html`<section class="panel"><h2>Strength</h2><${Loaded} of=${of} what="the curve">${(curve) => html`<${Drawn}
    curve=${curve} days=${days} cube=${cube} />`}<//>
    <div class="tabs" role="group" aria-label="How far ahead">${SPANS.map(
      (n) => html`
      <button class="plain" aria-pressed=${n === days}
        onClick=${() => setDays(n)}>${n === 365 ? "1 year" : `${n} days`}</button>`,
    )}</div></section>`;
}

/** Return when the policy archives the memory if it is not recalled, as a sentence. */
function fate({ points, floor, now }, days, cube) {
  if (floor === null) return "The policy archives nothing by strength.";
  if (cube.state === "archived") return "It is in the archive.";
  if (cube.pinned) return "It is pinned, so no policy archives or erases it.";
  if (now < floor) return `That is below ${figure(floor)}: the next run may archive it.`;
  const falls = points.find((point) => point.strength < floor);
  return falls
    ? `It falls below ${figure(floor)} on ${day(falls.at)}; a run after that archives it.`
    : `It stays above ${figure(floor)} for ${days} days.`;
}

function Drawn({ curve, days, cube }) {
  const { points, floor, now, law } = curve;
  const data = useMemo(() => {
    const at = points.map((point) => Date.parse(point.at) / 1000);
    return [at, points.map((point) => point.strength), at.map(() => floor)];
  }, [curve]);
  return html`<p><strong data-now=${now}>${figure(now)}</strong> now, by the law <em>${law}</em>. ${fate(curve, days, cube)}</p>
    <${Chart} again=${floor === null ? "" : "floor"} data=${data} height=${150}
      label=${`Strength over ${days} days: from ${figure(now)} to ${figure(points.at(-1)?.strength ?? now)}`}
      make=${(_, ink) => ({
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false } },
        axes: axes(ink, { x: (u, found) => found.map((second) => day(second * 1000)) }),
        // a constant law still gets an axis with a height
        scales: { y: { range: (u, low, high) => [Math.min(0, low), Math.max(high * 1.1, 1e-6)] } },
        series: [
          {},
          { stroke: ink.first, width: 2, fill: ink.soft, points: { show: false } },
          { stroke: ink.bad, width: 1, dash: [5, 4], points: { show: false } },
        ],
      })} />
    ${
      floor !== null &&
      html`<p class="legend"><span><i class="line c0" />strength</span> <span><i
      class="line floor" />archived below this</span></p>`
    }`;
}

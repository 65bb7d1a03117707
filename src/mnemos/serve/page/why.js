// The reasons of hits, drawn: a bar of what each signal added, which sums to the score.
import { figure } from "./format.js";
import { html } from "./lib.js";

const OWN_COLOURS = 7; // signals with a colour of their own; the rest is summed as "other"
const NAMES = {
  bm25: "words",
  coverage: "words covered",
  bm25_near: "words close by",
  coverage_near: "covered close by",
  bm25_around: "words around",
  coverage_around: "covered around",
  session_bm25: "words of the session",
  bm25_before: "words before",
  bm25_after: "words after",
  session_best_bm25: "best words of the session",
  answer_bm25: "words of the answer",
  cosine: "meaning",
  cosine_before: "meaning before",
  cosine_after: "meaning after",
  session_cosine: "meaning of the session",
  session_best_cosine: "best meaning of the session",
  answer_cosine: "meaning of the answer",
  question: "is a question",
  length: "length",
  long: "is long",
  opening: "opens a session",
  speaker: "speaker",
  date: "date",
  number: "number",
  time: "time",
  assistant: "assistant said it",
  user_me: "speaks of oneself",
  assistant_you: "speaks of you",
  links: "links",
};
export const signalName = (name) => NAMES[name] ?? name.replaceAll("_", " ");

/** Return which signals get a colour: those that add most over all hits, and how far the bars reach to both sides. */
export function palette(hits) {
  const weight = new Map();
  for (const { why } of hits) {
    for (const [name, value] of Object.entries(why)) weight.set(name, (weight.get(name) ?? 0) + Math.abs(value));
  }
  const names = [...weight]
    .filter(([, total]) => total > 0)
    .sort((a, b) => b[1] - a[1])
    .map(([name]) => name);
  const reach = (sign) =>
    Math.max(0, ...hits.map((hit) => Object.values(hit.why).reduce((sum, v) => sum + Math.max(0, sign * v), 0)));
  return { names: names.slice(0, OWN_COLOURS), rest: names.length > OWN_COLOURS, up: reach(1), down: reach(-1) };
}

/** Return [colour, label, value] of each part of a hit's score; the values sum to the score. */
function parts(why, colours) {
  const found = colours.names.map((name, i) => [i, signalName(name), why[name] ?? 0]);
  const other = Object.entries(why).reduce(
    (sum, [name, value]) => (colours.names.includes(name) ? sum : sum + value),
    0,
  );
  return [...found, [OWN_COLOURS, "other", other]].filter(([, , value]) => value !== 0);
}

export const Legend = ({ colours }) => html`
  <ul class="legend" aria-label="What the colours mean">
    ${colours.names.map((name, i) => html`<li><i class=${`swatch c${i}`} />${signalName(name)}</li>`)}
    ${colours.rest && html`<li><i class="swatch c7" />other</li>`}
  </ul>`;

/** The bar of a hit, and all its numbers on request. */
export function Why({ hit, colours }) {
  const shown = parts(hit.why, colours);
  const whole = colours.up + colours.down || 1;
  const share = (value) => ({ flexGrow: Math.abs(value) / whole });
  const below = shown.filter(([, , v]) => v < 0);
  const above = shown.filter(([, , v]) => v > 0);
  const sum = (list) => list.reduce((total, [, , v]) => total + Math.abs(v), 0);
  const told = shown.map(([, label, value]) => `${label} ${figure(value)}`).join(", ");
  const rows = Object.entries(hit.why)
    .filter(([, v]) => v !== 0)
    .sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  return html`<details class="why">
    <summary>
      <span class="whybar" role="img" aria-label=${`Score ${figure(hit.score)}: ${told}`}>
        <i class="void" style=${share(colours.down - sum(below))} />
        ${below.map(
          ([c, label, v]) => html`<i class=${`part down c${c}`} style=${share(v)}
          title=${`${label} ${figure(v)}`} />`,
        )}
        ${colours.down > 0 && html`<i class="zero" />`}
        ${above.map(
          ([c, label, v]) => html`<i class=${`part c${c}`} style=${share(v)}
          title=${`${label} ${figure(v)}`} />`,
        )}
        <i class="void" style=${share(colours.up - sum(above))} />
      </span>
      <span class="score">${figure(hit.score)}</span>
    </summary>
    <table class="numbers"><caption class="hidden">What each signal added</caption><tbody>
      ${rows.map(([name, value]) => {
        const i = colours.names.indexOf(name);
        return html`<tr><th scope="row"><i class=${`swatch c${i < 0 ? OWN_COLOURS : i}`} />${signalName(name)}</th><td
          data-value=${value}>${figure(value)}</td></tr>`;
      })}
      <tr class="sum"><th scope="row">score</th><td data-value=${hit.score}>${figure(hit.score)}</td></tr>
    </tbody></table>
  </details>`;
}

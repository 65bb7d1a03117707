// The reasons for a hit: a bar of what each signal contributed, which sums to the score.
import { figure } from "./format.js";
import { html } from "./lib.js";
import { useVocabulary } from "./vocabulary.js";

const OWN_COLOURS = 7; // signals with their own colour; the others are summed as "other"

/** Return a function that gives what a signal measures, in words; its name until the vocabulary is loaded. */
function useLabels() {
  const { signals } = useVocabulary();
  return (name) => signals[name] ?? name.replaceAll("_", " ");
}

/** Return the signals that get a colour, those that contribute most over all hits, and the reach of bars to both sides. */
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
function parts(why, colours, label) {
  const found = colours.names.map((name, i) => [i, label(name), why[name] ?? 0]);
  const other = Object.entries(why).reduce(
    (sum, [name, value]) => (colours.names.includes(name) ? sum : sum + value),
    0,
  );
  return [...found, [OWN_COLOURS, "other", other]].filter(([, , value]) => value !== 0);
}

export function Legend({ colours }) {
  const label = useLabels();
  return html`<ul class="legend" aria-label="Signals by colour">
    ${colours.names.map((name, i) => html`<li><i class=${`swatch c${i}`} />${label(name)}</li>`)}
    ${colours.rest && html`<li><i class="swatch c7" />other</li>`}
  </ul>`;
}

/** The bar of a hit; opened, it shows all numbers. */
export function Why({ hit, colours }) {
  const label = useLabels();
  const shown = parts(hit.why, colours, label);
  const whole = colours.up + colours.down || 1;
  const share = (value) => ({ flexGrow: Math.abs(value) / whole });
  const below = shown.filter(([, , v]) => v < 0);
  const above = shown.filter(([, , v]) => v > 0);
  const sum = (list) => list.reduce((total, [, , v]) => total + Math.abs(v), 0);
  const summary = shown.map(([, name, value]) => `${name} ${figure(value)}`).join(", ");
  const rows = Object.entries(hit.why)
    .filter(([, v]) => v !== 0)
    .sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  return html`<details class="why">
    <summary>
      <span class="whybar" role="img" aria-label=${`Score ${figure(hit.score)}: ${summary}`}>
        <i class="void" style=${share(colours.down - sum(below))} />
        ${below.map(
          ([c, name, v]) => html`<i class=${`part down c${c}`} style=${share(v)}
          title=${`${name} ${figure(v)}`} />`,
        )}
        ${colours.down > 0 && html`<i class="zero" />`}
        ${above.map(
          ([c, name, v]) => html`<i class=${`part c${c}`} style=${share(v)}
          title=${`${name} ${figure(v)}`} />`,
        )}
        <i class="void" style=${share(colours.up - sum(above))} />
      </span>
      <span class="score">${figure(hit.score)}</span>
    </summary>
    <table class="numbers"><caption class="hidden">Contribution of each signal</caption><tbody>
      ${rows.map(([name, value]) => {
        const i = colours.names.indexOf(name);
        return html`<tr><th scope="row"><i class=${`swatch c${i < 0 ? OWN_COLOURS : i}`} />${label(name)}</th><td
          data-value=${value}>${figure(value)}</td></tr>`;
      })}
      <tr class="sum"><th scope="row">score</th><td data-value=${hit.score}>${figure(hit.score)}</td></tr>
    </tbody></table>
  </details>`;
}

// What the policy would archive and erase next, and the policy itself.
import { call, Fault, inSpace } from "../api.js";
import { count, figure, memories, titled } from "../format.js";
import { useAction, useFilled, useLoad } from "../hooks.js";
import { html, useState } from "../lib.js";
import { to } from "../route.js";
import { may, say, wrote } from "../state.js";
import { Choice, FaultBox, Line, Loaded, Marks, Meter, Press, Title } from "../ui.js";
import { useVocabulary } from "../vocabulary.js";

const LIMITS = [
  ["min_retention", "Archive what is weaker than"],
  ["cubes", "Maximum memories in search"],
  ["bytes", "Maximum bytes of text in search"],
  ["days", "Maximum days since last used"],
  ["archived_cubes", "Maximum memories in the archive"],
  ["archived_bytes", "Maximum bytes of text in the archive"],
  ["archived_days", "Maximum days in the archive"],
];

export function View({ space }) {
  const of = useLoad((signal) => call("GET", inSpace(space, "fading"), { signal }), []);
  useFilled("fading", of.data !== undefined);
  return html`<${Title}>Fading<//>
    <${Loaded} of=${of} what="the weakest memories">${(found) => html`
      <p class="lead">${said(found)}</p>
      <${Fates} space=${space} title="Would be archived now" cubes=${found.archive} all=${found.counts.archive}
        note="Out of search, and can be restored. The next run archives them." />
      <${Fates} space=${space} title="Would be erased now" cubes=${found.erase} all=${found.counts.erase}
        note="Permanently. The next run erases them." />
      <${Fates} space=${space} title="Weakest, in order" cubes=${found.next}
        note="Without pinned memories, which no policy archives or erases." always />
      <${Rules} space=${space} policy=${found.policy} again=${of.retry} />`}<//>`;
}

const said = ({ counts: { archive, erase }, policy }) => {
  if (LIMITS.every(([name]) => policy[name] == null))
    return "The policy of this space archives and erases nothing. Below, memories are ordered by strength.";
  if (!archive && !erase) return "Nothing would be archived or erased now.";
  return `A run would archive ${memories(archive)} and erase ${memories(erase)} now.`;
};

function Fates({ space, title, cubes, all = 0, note, always }) {
  if (!cubes.length && !always) return null;
  const most = Math.max(...cubes.map((cube) => cube.strength), 1e-9);
  return html`<section class="panel"><h2>${title}</h2><p class="dim">${note}</p>
    ${
      cubes.length
        ? html`<ol class="cubes">${cubes.map(
            (cube) => html`<li class="cube fate" key=${cube.id}>
      <span class="strength"><${Meter} share=${cube.strength / most} label=${`strength ${figure(cube.strength)}`} />
        <span data-strength=${cube.strength}>${figure(cube.strength)}</span></span>
      <div><a class="open" data-item href=${to(space, "cube", cube.id)}>${titled(cube, 200)}</a><${Marks}
        cube=${cube} /></div></li>`,
          )}</ol>
      ${
        all > cubes.length &&
        html`<p
        class="dim">… and ${count(all - cubes.length)} more.</p>`
      }`
        : html`<p>Nothing.</p>`
    }</section>`;
}

/** The policy; a form for keys that may write. */
function Rules({ space, policy, again }) {
  const { laws } = useVocabulary();
  const [law, setLaw] = useState(policy.law);
  const [limits, setLimits] = useState(
    Object.fromEntries(LIMITS.map(([name]) => [name, policy[name] == null ? "" : String(policy[name])])),
  );
  const save = useAction(async (signal) => {
    const given = { ...policy, law, constants: law === policy.law ? policy.constants : {} };
    for (const [name, label] of LIMITS) {
      const text = limits[name].trim();
      if (text && !(Number(text) >= 0)) throw new Fault("refused", `${label}: “${text}” is not a number of 0 or more.`);
      given[name] = text ? Number(text) : null;
    }
    await call("PUT", inSpace(space, "policy"), { signal, body: given });
    say("The policy is stored.");
    wrote();
    again();
  });
  const constants = Object.entries(policy.constants ?? {});
  if (!may("write")) {
    return html`<section class="panel"><h2>Policy</h2><dl class="facts"><div><dt>Law</dt><dd>${policy.law}</dd></div>
      ${LIMITS.filter(([name]) => policy[name] != null).map(
        ([name, label]) => html`<div><dt>${label}</dt>
        <dd>${policy[name]}</dd></div>`,
      )}</dl></section>`;
  }
  return html`<form class="panel" onSubmit=${(event) => {
    event.preventDefault();
    save.run();
  }}><h2>Policy</h2><p
    class="dim">Empty fields set no limit. The policy takes effect with the next run.
      ${!may("erase") && " Limits of the archive erase memories, which this key may not do."}</p>
    <div class="grid"><${Choice} label="Law of forgetting" value=${law} set=${setLaw}
      options=${[...new Set([policy.law, ...laws])].map((name) => [name, name])} />
      ${LIMITS.map(
        ([name, label]) => html`<${Line} label=${label} inputmode="decimal"
        disabled=${!may("erase") && name.startsWith("archived_")} value=${limits[name]}
        set=${(value) => setLimits({ ...limits, [name]: value })} />`,
      )}</div>
    ${
      constants.length > 0 &&
      html`<p
      class="dim">Constants of the law: ${constants.map(([name, value]) => `${name} = ${value}`).join(", ")}.
        ${law !== policy.law ? " A new law drops them." : ""}</p>`
    }
    ${save.fault && html`<${FaultBox} fault=${save.fault} what="store the policy" />`}
    <div class="row"><${Press} type="submit" pending=${save.pending}>Store the policy<//></div></form>`;
}

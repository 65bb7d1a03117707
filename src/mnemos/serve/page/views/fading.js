// What would be forgotten next, and the policy that says so.
import { call, Fault, inSpace } from "../api.js";
import { count, figure, memories, short } from "../format.js";
import { useAction, useFilled, useLoad } from "../hooks.js";
import { html, useState } from "../lib.js";
import { to } from "../route.js";
import { may, say, wrote } from "../state.js";
import { Choice, FaultBox, Line, Loaded, Marks, Meter, Press, Title } from "../ui.js";

export const LAWS = ["ebbinghaus", "power", "memoryos-heat", "layered", "hema", "hebbian", "ttl", "fifo", "lru", "random"];
const LIMITS = [
  ["min_retention", "Archive what is weaker than"],
  ["cubes", "Memories kept in search, at most"],
  ["bytes", "Bytes of text in search, at most"],
  ["days", "Days since last used, at most"],
  ["archived_cubes", "Memories kept in the archive, at most"],
  ["archived_bytes", "Bytes of text in the archive, at most"],
  ["archived_days", "Days in the archive, at most"],
];

export function View({ space }) {
  const of = useLoad((signal) => call("GET", inSpace(space, "fading"), { signal }), []);
  useFilled("fading", of.data !== undefined);
  return html`<${Title}>Fading<//>
    <${Loaded} of=${of} what="what fades">${(found) => html`
      <p class="lead">${said(found)}</p>
      <${Fates} space=${space} title="Would be archived now" cubes=${found.archive} all=${found.counts.archive}
        note="Out of search, and restorable. The next run does it." />
      <${Fates} space=${space} title="Would be erased now" cubes=${found.erase} all=${found.counts.erase}
        note="Gone for good. The next run does it." />
      <${Fates} space=${space} title="Weakest, in order" cubes=${found.next}
        note="Pinned memories are left out: they are never let go of." always />
      <${Rules} space=${space} policy=${found.policy} again=${of.retry} />`}<//>`;
}

const said = ({ counts: { archive, erase }, policy }) => {
  if (LIMITS.every(([name]) => policy[name] == null))
    return "The policy of this space lets go of nothing. The order below is by strength.";
  if (!archive && !erase) return "Nothing would be let go of now.";
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
      <div><a class="open" data-item href=${to(space, "cube", cube.id)}>${short(cube.text, 200)}</a><${Marks}
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

/** The policy, to read; and to change for a key that may write. */
function Rules({ space, policy, again }) {
  const [law, setLaw] = useState(policy.law);
  const [limits, setLimits] = useState(
    Object.fromEntries(LIMITS.map(([name]) => [name, policy[name] == null ? "" : String(policy[name])])),
  );
  const save = useAction(async (signal) => {
    const given = { ...policy, law, constants: law === policy.law ? policy.constants : {} };
    for (const [name, label] of LIMITS) {
      const text = limits[name].trim();
      if (text && !(Number(text) >= 0)) throw new Fault("told", `${label}: “${text}” is not a number of 0 or more.`);
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
    class="dim">Empty fields set no limit. Nothing goes before the next run.
      ${!may("erase") && " Limits of the archive erase, which this key may not."}</p>
    <div class="grid"><${Choice} label="Law of forgetting" value=${law} set=${setLaw}
      options=${LAWS.map((name) => [name, name])} />
      ${LIMITS.map(
        ([name, label]) => html`<${Line} label=${label} inputmode="decimal"
        disabled=${!may("erase") && name.startsWith("archived_")} value=${limits[name]}
        set=${(value) => setLimits({ ...limits, [name]: value })} />`,
      )}</div>
    ${
      constants.length > 0 &&
      html`<p
      class="dim">Constants of the law: ${constants.map(([name, value]) => `${name} = ${value}`).join(", ")}.
        ${law !== policy.law ? " They go with the old law." : ""}</p>`
    }
    ${save.fault && html`<${FaultBox} fault=${save.fault} what="store the policy" />`}
    <div class="row"><${Press} type="submit" pending=${save.pending}>Store the policy<//></div></form>`;
}

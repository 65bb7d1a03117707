// The links between memories: click one to see it, centre on it, or show more around it.
import { call, inSpace, withQuery } from "../api.js";
import { figure, many, memories, short, titled } from "../format.js";
import { useAction, useFilled, useLoad } from "../hooks.js";
import { html, useEffect, useMemo, useRef, useState } from "../lib.js";
import { settle } from "../layout.js";
import { go, to } from "../route.js";
import { say } from "../state.js";
import { Choice, Empty, FaultBox, Icon, Loaded, Press, Title, When } from "../ui.js";
import { useVocabulary } from "../vocabulary.js";

const MAX_NODES = 200; // shown at the same time
const NAMED = 14; // nodes that always show their text: those with the most links
const MIN_WIDTH = 620; // of the drawing, so that a few nodes do not become huge
const LABEL = 22; // characters beside a node
const DASHES = ["", "6 4", "2 4", "10 4 2 4", "1 5", "14 4", "4 2", "8 2 2 2"]; // by kind of link, beside its colour
// kinds of memories with their own shape and colour; the others share one
const CUBES = ["turn", "fact", "episode", "summary", "profile", "reflection", "kv"];
const still = window.matchMedia("(prefers-reduced-motion: reduce)");

/** Return a function that gives the number of a kind of link, for its colour and dashes. */
function useKinds() {
  const { links } = useVocabulary();
  return (kind) => {
    const i = links.indexOf(kind);
    return i < 0 ? DASHES.length - 1 : Math.min(i, DASHES.length - 1);
  };
}

const formOf = (kind) => (CUBES.includes(kind) ? CUBES.indexOf(kind) : CUBES.length);

export function View({ space, id }) {
  const { links } = useVocabulary();
  const [depth, setDepth] = useState("1");
  const [kind, setKind] = useState("");
  const [added, setAdded] = useState({ nodes: [], edges: [] });
  const [chosen, setChosen] = useState(id);
  const path = inSpace(space, "graph");
  const of = useLoad(
    async (signal) => {
      const found = await call("GET", withQuery(path, { around: id, depth: id ? depth : 1, limit: 60, kind }), {
        signal,
      });
      setAdded({ nodes: [], edges: [] });
      return found;
    },
    [depth, kind],
  );
  const expand = useAction(async (signal, around) => {
    const more = await call("GET", withQuery(path, { around, depth: 1, limit: 40, kind }), { signal });
    const known = new Set([...of.data.nodes, ...added.nodes].map((node) => node.id));
    const fresh = more.nodes.filter((node) => !known.has(node.id)).slice(0, Math.max(0, MAX_NODES - known.size));
    for (const node of fresh) known.add(node.id);
    setAdded({
      nodes: [...added.nodes, ...fresh],
      edges: [...added.edges, ...more.edges.filter((edge) => known.has(edge.source) && known.has(edge.target))],
    });
    say(fresh.length ? `${memories(fresh.length)} more.` : "There are no more links around it.");
  });
  useFilled("graph", of.data !== undefined);
  return html`<${Title}>Graph<//>
    <div class="row tight">
      <${Choice} label="Links" value=${kind} set=${setKind}
        options=${[["", "all kinds"], ...links.map((name) => [name, name])]} />
      ${
        id &&
        html`<${Choice} label="Steps away" value=${depth} set=${setDepth}
        options=${[
          ["1", "1"],
          ["2", "2"],
          ["3", "3"],
        ]} />
        <a class="button" href=${to(space, "graph")}>The most linked</a>`
      }
    </div>
    <${Loaded} of=${of} what="the graph">${(found) => html`<${Graph} key=${`${id}/${kind}/${depth}`} space=${space}
      centre=${id} found=${found} added=${added}
      chosen=${chosen} choose=${setChosen} expand=${expand} />`}<//>`;
}

function Graph({ space, centre, found, added, chosen, choose, expand }) {
  const kindOf = useKinds();
  const nodes = useMemo(() => [...found.nodes, ...added.nodes], [found, added]);
  const edges = useMemo(() => {
    const all = new Map(
      [...found.edges, ...added.edges].map((edge) => [`${edge.source}\n${edge.target}\n${edge.kind}`, edge]),
    );
    return [...all.values()];
  }, [found, added]);
  const [places, setPlaces] = useState(new Map());
  useEffect(() => {
    const start = nodes.map(({ id }) => ({ id, ...places.get(id) }));
    return settle(start, edges, (placed) => setPlaces(new Map(placed.map((node) => [node.id, node]))), still.matches);
  }, [nodes, edges]);
  if (!nodes.length) return html`<${Empty} title="Nothing to draw"><p>This space has no memories yet.</p><//>`;
  const cubes = new Map(nodes.map((node) => [node.id, node]));
  const kinds = [...new Set(edges.map((edge) => edge.kind))].sort((a, b) => kindOf(a) - kindOf(b));
  const forms = [...new Set(nodes.map((node) => node.kind))].sort((a, b) => formOf(a) - formOf(b));
  return html`<div class="graph">
    <div class="panel canvas">
      <${Drawing} nodes=${nodes} edges=${edges} places=${places} centre=${centre} chosen=${chosen} choose=${choose}
        space=${space} />
      <div class="legends">
        <ul class="legend" aria-label="Kinds of links">${kinds.map(
          (kind) => html`<li><svg class="stroke"
          viewBox="0 0 28 8" aria-hidden="true">
          <line x1="0" y1="4" x2="28" y2="4" class=${`edge c${kindOf(kind)}`}
            stroke-dasharray=${DASHES[kindOf(kind)]} /></svg>${kind}</li>`,
        )}</ul>
        <ul class="legend" aria-label="Kinds of memories">${forms.map(
          (kind) => html`<li><svg class="dot"
          viewBox="-12 -12 24 24" aria-hidden="true"><${Shape} kind=${kind} size=${8} />
          </svg>${short(kind, 30)}</li>`,
        )}</ul>
      </div>
    </div>
    <aside>${
      cubes.has(chosen)
        ? html`<${Chosen} space=${space} node=${cubes.get(chosen)} cubes=${cubes} edges=${edges} choose=${choose}
        expand=${expand} centre=${centre} />`
        : html`<section class="panel"><p
        class="dim">${memories(nodes.length)}, ${many(edges.length, "link")}.
          Click one, or move with Tab and press Enter.</p></section>`
    }
    </aside></div>`;
}

/** The mark of a kind of memory: a shape and a colour. */
function Shape({ kind, size: s }) {
  const i = formOf(kind);
  const shapes = [
    html`<circle r=${s} />`,
    html`<rect x=${-s} y=${-s} width=${2 * s} height=${2 * s} rx="2" />`,
    html`<path d=${`M0 ${-s * 1.3}L${s * 1.2} ${s}H${-s * 1.2}Z`} />`,
    html`<path
      d=${`M0 ${-s * 1.3}L${s * 1.3} 0L0 ${s * 1.3}L${-s * 1.3} 0Z`} />`,
    html`<rect x=${-s * 1.3} y=${-s * 0.7} width=${2.6 * s} height=${1.4 * s} rx="5" />`,
    html`<path d=${`M${-s} ${-s}H${s}L0 ${s * 1.2}Z`} />`,
  ];
  return html`<g class=${`shape c${i}`}>${shapes[i % shapes.length]}</g>`;
}

function Drawing({ nodes, edges, places, centre, chosen, choose, space }) {
  const kindOf = useKinds();
  const [view, setView] = useState(null); // {x, y, w, h} once the user has moved or zoomed
  const drag = useRef(null);
  const box = useRef(null);
  const all = [...places.values()];
  const fit = () => {
    const [left, right] = [Math.min(...all.map((p) => p.x)) - 40, Math.max(...all.map((p) => p.x)) + 150]; // room for a label
    const [top, low] = [Math.min(...all.map((p) => p.y)) - 40, Math.max(...all.map((p) => p.y)) + 40];
    if (!all.length) return { x: -MIN_WIDTH / 2, y: -MIN_WIDTH / 2, w: MIN_WIDTH, h: MIN_WIDTH };
    const [w, h] = [Math.max(MIN_WIDTH, right - left), Math.max(MIN_WIDTH * 0.7, low - top)];
    return { x: (left + right - w) / 2, y: (top + low - h) / 2, w, h };
  };
  const shown = view ?? fit();
  const zoom = (factor) =>
    setView({
      x: shown.x + (shown.w * (1 - factor)) / 2,
      y: shown.y + (shown.h * (1 - factor)) / 2,
      w: shown.w * factor,
      h: shown.h * factor,
    });
  const onMove = (event) => {
    if (!drag.current) return;
    const scale = drag.current.view.w / box.current.clientWidth;
    setView({
      ...drag.current.view,
      x: drag.current.view.x - (event.clientX - drag.current.x) * scale,
      y: drag.current.view.y - (event.clientY - drag.current.y) * scale,
    });
  };
  const degree = new Map();
  for (const { source, target } of edges)
    for (const end of [source, target]) degree.set(end, (degree.get(end) ?? 0) + 1);
  const named = new Set(
    [...nodes]
      .sort((a, b) => (degree.get(b.id) ?? 0) - (degree.get(a.id) ?? 0))
      .slice(0, NAMED)
      .map((node) => node.id),
  );
  const near = new Set(
    edges.filter((e) => e.source === chosen || e.target === chosen).flatMap((e) => [e.source, e.target]),
  );
  return html`<svg ref=${box} class=${`drawing${near.size ? " some" : ""}`}
    viewBox=${`${shown.x} ${shown.y} ${shown.w} ${shown.h}`} role="group" aria-label="Memories and their links"
      onPointerDown=${(event) => {
        if (!event.target.closest(".node")) drag.current = { x: event.clientX, y: event.clientY, view: shown };
      }} onPointerMove=${onMove} onPointerUp=${() => {
        drag.current = null;
      }} onPointerLeave=${() => {
        drag.current = null;
      }}>
    <defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"
      markerUnits="userSpaceOnUse" orient="auto"><path class="tip" d="M0 0L8 4L0 8Z" /></marker></defs>
    ${edges.map((edge) => {
      const a = places.get(edge.source);
      const b = places.get(edge.target);
      if (!a || !b) return null;
      const far = Math.hypot(b.x - a.x, b.y - a.y) || 1;
      const trim = 12 / far;
      const kind = kindOf(edge.kind);
      const own = edge.source === chosen || edge.target === chosen;
      return html`<line class=${`edge c${kind}${own ? " near" : ""}`} marker-end="url(#tip)" stroke-dasharray=${DASHES[kind]}
        x1=${a.x} y1=${a.y} x2=${b.x - (b.x - a.x) * trim} y2=${b.y - (b.y - a.y) * trim}><title>${edge.kind}</title>
          </line>`;
    })}
    ${edges
      .filter((edge) => edge.source === chosen || edge.target === chosen)
      .map((edge) => {
        const a = places.get(edge.source);
        const b = places.get(edge.target);
        return a && b && html`<text class="of" x=${(a.x + b.x) / 2} y=${(a.y + b.y) / 2 + 3}>${edge.kind}</text>`;
      })}
    ${nodes.map((node) => {
      const place = places.get(node.id);
      if (!place) return null;
      const marks = [
        ["chosen", node.id === chosen],
        ["centre", node.id === centre],
        ["near", near.has(node.id)],
        ["named", named.has(node.id)],
      ];
      const pick = () => (node.id === chosen ? go(to(space, "graph", node.id)) : choose(node.id));
      return html`<g key=${node.id}
        class=${`node ${node.state} ${marks
          .filter(([, on]) => on)
          .map(([name]) => name)
          .join(" ")}`}
        transform=${`translate(${place.x} ${place.y})`} tabindex="0" role="button"
        aria-pressed=${node.id === chosen} data-node=${node.id}
        aria-label=${`${node.kind}${node.state === "active" ? "" : `, ${node.state}`}: ${titled(node)}`} onClick=${pick}
        onKeyDown=${(event) => {
          if (event.key === "Enter" || event.key === " ") {
            event.preventDefault();
            pick();
          }
        }}><${Shape} kind=${node.kind} size=${node.id === centre ? 11 : 8} />
        <text x="14" y="4" class="name">${titled(node, LABEL)}</text><title>${titled(node)}</title></g>`;
    })}
  </svg>
  <div class="zoom" role="group" aria-label="Size"><button class="plain" title="Larger"
    onClick=${() => zoom(0.8)}>+</button>
    <button class="plain" title="Smaller" onClick=${() => zoom(1.25)}>−</button><button class="plain"
      onClick=${() => setView(null)}>Fit</button></div>`;
}

/** The selected memory, and its links in words. */
function Chosen({ space, node, cubes, edges, choose, expand, centre }) {
  const own = edges.filter((edge) => edge.source === node.id || edge.target === node.id);
  return html`<section class="panel" data-chosen=${node.id}><p class="text">${titled(node)}</p>
    <div class="marks"><${When} at=${node.at} /><span
      class="tag">${short(node.kind, 40)}</span>${
        node.state !== "active" &&
        html`<span
      class=${`tag ${node.state}`}>${node.state}</span>`
      }
      <span class="dim">strength ${figure(node.strength)}</span></div>
    <div class="row">
      <a class="button primary" href=${to(space, "cube", node.id)}>Open</a>
      ${
        node.id !== centre &&
        html`<a class="button" href=${to(space, "graph", node.id)}><${Icon}
        name="graph" />Centre here</a>`
      }
      <${Press} pending=${expand.pending} onClick=${() => expand.run(node.id)}>Show more around it<//></div>
    ${expand.fault && html`<${FaultBox} fault=${expand.fault} what="show more" />`}
    <h2>${many(own.length, "link")}</h2>
    <ul class="links">${own.map((edge) => {
      const out = edge.source === node.id;
      const other = cubes.get(out ? edge.target : edge.source);
      return (
        other &&
        html`<li><span class="tag">${out ? `${edge.kind} →` : `← ${edge.kind}`}</span> <button
        class="link" onClick=${() => choose(other.id)}>${titled(other, 90)}</button></li>`
      );
    })}</ul></section>`;
}

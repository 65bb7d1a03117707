// The positions of the memories in a graph, computed by d3-force.
import { forceCollide, forceLink, forceManyBody, forceSimulation, forceX, forceY } from "./vendor/d3-force.js";

const STEPS = 240;
const SLICE = 10; // milliseconds of work before the browser may draw and handle events
const REDRAW = 120; // milliseconds between two drawings: drawing costs more than a step

/** Place nodes ({id, x?, y?}), starting from given positions; call `show(nodes)` as they settle. Returns a stop function. */
export function settle(nodes, edges, show, still) {
  const own = nodes.map((node) => ({ ...node }));
  const links = edges.map((edge) => ({ source: edge.source, target: edge.target, weight: edge.weight }));
  const simulation = forceSimulation(own)
    .force(
      "link",
      forceLink(links)
        .id((node) => node.id)
        .distance(own.length > 30 ? 120 : 160)
        .strength(0.3),
    )
    .force(
      "charge",
      forceManyBody()
        .strength(own.length > 30 ? -520 : -700)
        .distanceMax(900),
    )
    .force("collide", forceCollide(own.length > 30 ? 30 : 48))
    .force("x", forceX(0).strength(0.05))
    .force("y", forceY(0).strength(0.08))
    .stop();
  let left = STEPS;
  let frame = 0;
  let last = 0;
  const step = () => {
    const until = performance.now() + SLICE;
    while (left > 0 && performance.now() < until) {
      simulation.tick();
      left -= 1;
    }
    if (left === 0 || (!still && until - last > REDRAW)) {
      last = until;
      show(own.map(({ id, x, y }) => ({ id, x, y })));
    }
    if (left > 0) frame = requestAnimationFrame(step);
  };
  frame = requestAnimationFrame(step);
  return () => cancelAnimationFrame(frame);
}

// Charts drawn by uPlot in the page's colours. The library is loaded when the first chart is shown.
import { html, useEffect, useRef, useState } from "./lib.js";
import { theme, useStore } from "./state.js";

const library = () => import("./vendor/uplot.js").then((module) => module.default);
const dark = window.matchMedia("(prefers-color-scheme: dark)");

/** Return the colours of the style sheet, read from an element: light-dark() is resolved only where a colour is used. */
const inks = () => {
  const probe = document.createElement("i");
  probe.className = "probe";
  document.body.append(probe);
  const get = (name) => {
    probe.dataset.ink = name;
    return getComputedStyle(probe).color;
  };
  const found = {
    dim: get("dim"),
    line: get("line"),
    first: get("first"),
    second: get("second"),
    bad: get("bad"),
    soft: get("soft"),
  };
  probe.remove();
  return found;
};

/** Render again when the colours change. */
function useColours() {
  const chosen = useStore(theme);
  const [system, setSystem] = useState(dark.matches);
  useEffect(() => {
    const update = () => setSystem(dark.matches);
    dark.addEventListener("change", update);
    return () => dark.removeEventListener("change", update);
  }, []);
  return `${chosen}${system}`;
}

/**
 * A chart. `make(uPlot, inks)` returns uPlot's options without a size; `data` has its columns; `pick(i)` is called with
 * the index of a clicked point. `label` describes the content in words.
 */
export function Chart({ make, data, height = 180, label, pick, again = "" }) {
  const box = useRef(null);
  const plot = useRef(null);
  const picked = useRef(pick);
  picked.current = pick;
  const colours = useColours();
  useEffect(() => {
    let alive = true;
    let watch = null;
    library().then((uPlot) => {
      if (!alive || !box.current) return;
      const size = () => ({ width: Math.max(200, box.current.clientWidth), height });
      plot.current = new uPlot({ ...make(uPlot, inks()), ...size() }, data, box.current);
      plot.current.over.addEventListener("click", () => {
        const { left } = plot.current.cursor;
        if (left >= 0) picked.current?.(plot.current.posToIdx(left));
      });
      watch = new ResizeObserver(() => plot.current.setSize(size()));
      watch.observe(box.current);
    });
    return () => {
      alive = false;
      watch?.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [colours, again]);
  useEffect(() => plot.current?.setData(data), [data]);
  return html`<div class="chart" ref=${box} role="img" aria-label=${label} style=${{ minHeight: `${height}px` }} />`;
}

const FONT = "11px system-ui, sans-serif";

/** The axes of all charts; `values` formats their labels. */
export const axes = (ink, values = {}) => [
  {
    stroke: ink.dim,
    grid: { show: false },
    ticks: { stroke: ink.line, size: 4 },
    font: FONT,
    space: 70,
    ...(values.x && { values: values.x }),
  },
  {
    stroke: ink.dim,
    grid: { stroke: ink.line, width: 1 },
    ticks: { show: false },
    font: FONT,
    size: 44,
    ...(values.y && { values: values.y }),
  },
];

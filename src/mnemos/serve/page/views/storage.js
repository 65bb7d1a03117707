// What is stored by form and kind, and its size.
import { call, inSpace } from "../api.js";
import { bytes, count, memories } from "../format.js";
import { useFilled, useLoad } from "../hooks.js";
import { html } from "../lib.js";
import { Empty, Loaded, Meter, Size, Title } from "../ui.js";

export function View({ space }) {
  const of = useLoad((signal) => call("GET", inSpace(space, "forms"), { signal }), []);
  const stats = useLoad((signal) => call("GET", inSpace(space, "stats"), { signal }), []);
  useFilled("storage", of.data !== undefined && stats.data !== undefined);
  return html`<${Title}>Storage<//>
    <${Loaded} of=${of} what="the sizes">${({ forms, parts }) => {
      if (!forms.length) return html`<${Empty} title="Nothing is stored yet" />`;
      const file = parts.find((part) => part.part === "file")?.bytes ?? 0;
      const most = Math.max(...forms.map((form) => form.bytes), 1);
      const total = forms.reduce((sum, form) => [sum[0] + form.n, sum[1] + form.bytes], [0, 0]);
      return html`<section class="panel"><h2>By form and kind</h2><div class="scroll"><table>
          <thead><tr><th scope="col">Form</th><th scope="col">Kind</th><th scope="col" class="n">Memories</th><th
            scope="col" class="n">Size</th><th scope="col" class="wide"><span class="hidden">Share</span></th></tr>
            </thead>
          <tbody>${forms.map(
            (form) => html`<tr><td>${form.form}</td><td>${form.kind}</td><td class="n"
            data-n=${form.n}>${count(form.n)}</td><td class="n" data-bytes=${form.bytes}><${Size} of=${form.bytes} />
            </td>
            <td class="wide"><${Meter} share=${form.bytes / most} label=${bytes(form.bytes)} /></td></tr>`,
          )}</tbody>
          <tfoot><tr><th scope="row" colspan="2">Total</th><td class="n">${count(total[0])}</td><td class="n">
            <${Size} of=${total[1]} /></td><td class="wide" /></tr></tfoot></table></div></section>
        <section class="panel"><h2>Where the bytes are</h2><div class="scroll"><table><thead><tr><th
          scope="col">Part</th><th scope="col" class="n">Size</th><th scope="col" class="wide"><span
          class="hidden">Share of the file</span></th></tr></thead>
          <tbody>${parts.map(
            (part) => html`<tr><td>${part.part}</td><td class="n" data-bytes=${part.bytes}><${Size}
            of=${part.bytes} /></td>
            <td class="wide"><${Meter} share=${file ? part.bytes / file : 0}
              label=${file ? `${Math.round((100 * part.bytes) / file)} % of the file` : ""} /></td></tr>`,
          )}</tbody>
              </table></div></section>`;
    }}<//>
    <${Loaded} of=${stats} what="the models">${(s) => html`<section class="panel"><h2>Models and memory</h2><dl
      class="facts">
      <div><dt>Embedder</dt>
        <dd>
          ${s.embedder ? `${s.embedder.name}, ${s.embedder.dimension} dimensions` : "none: search by words only"}</dd></div>
      ${s.models.map((model) => html`<div><dt>Vectors of ${model.name}</dt><dd>${count(model.vectors)}</dd></div>`)}
      <div><dt>Index in memory</dt><dd><${Size} of=${s.index_bytes} /></dd></div>
      <div><dt>Versions</dt>
        <dd>${count(s.versions)}, of ${memories(s.cubes + s.superseded + s.archived + s.derived)}</dd></div></dl>
        </section>`}<//>`;
}

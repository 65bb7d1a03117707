// Importing a file: chats, an account's export of another product, notes, a zip of them, or an archive.
import { call, inSpace, withQuery } from "../api.js";
import { bytes, count, many, memories } from "../format.js";
import { useAction, useFilled } from "../hooks.js";
import { html, useState } from "../lib.js";
import { to } from "../route.js";
import { may, say, spaces, wrote } from "../state.js";
import { Empty, FaultBox, Field, Icon, Press, Title } from "../ui.js";

const SECONDS = 1800; // an account's export of years has tens of thousands of messages
const SHOWN = 20; // reasons of one kind

const COUNTS = [
  ["added", "new"],
  ["updated", "changed"],
  ["skipped", "there already"],
  ["removed", "no longer in the file, now history"],
  ["undated", "without a time, dated now"],
];
const REASONS = [
  ["problems", "Could not be read"],
  ["left_out", "Left out"],
  ["remarks", "Taken, but not as it was"],
];

export function View({ space }) {
  const [file, setFile] = useState(null);
  const [report, setReport] = useState(null);
  const load = useAction(async (signal) => {
    const path = withQuery(inSpace(space, "import", "file"), { name: file.name });
    const done = await call("POST", path, { signal, body: file, seconds: SECONDS });
    setReport({ ...done, name: file.name });
    if (!spaces.get()?.includes(space)) spaces.set([...(spaces.get() ?? []), space].sort());
    say(`${memories(done.added)} imported.`);
    wrote();
  });
  useFilled("import", true);
  const choose = (event) => {
    setFile(event.target.files[0] ?? null);
    setReport(null);
    load.clear();
  };
  const submit = (event) => {
    event.preventDefault();
    if (file) load.run();
  };
  return html`
    <p class="crumb"><a href=${to(space, "add")}><${Icon} name="back" />Add</a></p>
    <${Title}>Import into ${space}<//>
    ${
      may("read")
        ? html`<form class="panel" onSubmit=${submit}>
      <p>Chats and exports of other products (JSON or a zip of them), notes (Markdown, text), or an archive that Mnemos
        exported. What is there already is not stored twice, and what was erased here stays erased.</p>
      <${Field} label="File" wide hint="Its name and its content tell the format">${(id, described) => html`
        <input id=${id} type="file" aria-describedby=${described} onChange=${choose} />`}<//>
      ${load.fault && html`<${FaultBox} fault=${load.fault} what="import it" retry=${() => load.run()} />`}
      ${
        load.pending &&
        html`<p class="notice" role="status">${file.name} is being imported (${bytes(file.size)}). Large files take
        minutes; you may leave this view, the import continues once the file is sent.</p>`
      }
      <div class="row"><${Press} type="submit" kind="primary" pending=${load.pending}
        disabled=${load.pending || !file}>Import<//></div></form>`
        : html`<${Empty} title="This key does not allow that"><p>An import needs the right read beside write.</p><//>`
    }
    ${report && html`<${Report} space=${space} report=${report} />`}`;
}

/** What an import did, and what it did not take, with the reasons. */
function Report({ space, report }) {
  const reasons = REASONS.map(([name, title]) => [title, grouped(report[name])]).filter(([, list]) => list.length);
  return html`<section class="panel" data-report><h2>${report.name}: ${memories(report.added)} imported</h2>
    <p class="dim">${many(report.read, "entry", "entries")} of the format ${report.format}: ${counts(report)}.</p>
    ${reasons.map(
      ([title, list]) => html`<h3>${title}</h3><ul>${list.slice(0, SHOWN).map(
        ([what, n, where]) => html`<li>${count(n)} × ${what} <span class="dim">(first: ${where})</span></li>`,
      )}</ul>${list.length > SHOWN && html`<p class="dim">and ${count(list.length - SHOWN)} more reasons</p>`}`,
    )}
    <p><a href=${to(space)}>Show the newest memories</a></p></section>`;
}

const counts = (report) =>
  COUNTS.filter(([name]) => report[name])
    .map(([name, label]) => `${count(report[name])} ${label}`)
    .join(", ") || "nothing new";

/** Return [reason, how often, where first], the most frequent first. */
function grouped(problems) {
  const found = new Map();
  for (const { what, where } of problems) {
    const [n, first] = found.get(what) ?? [0, where];
    found.set(what, [n + 1, first]);
  }
  return [...found].map(([what, [n, first]]) => [what, n, first]).sort((a, b) => b[1] - a[1]);
}

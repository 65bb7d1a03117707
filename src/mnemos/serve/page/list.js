// Lists of memories, fifty at a time.
import { call, inSpace, withQuery } from "./api.js";
import { memories } from "./format.js";
import { useAction, useLoad } from "./hooks.js";
import { html } from "./lib.js";
import { say } from "./state.js";
import { FaultBox, Loaded, Press, Row } from "./ui.js";

export const PAGE = 50;

/** The memories of a space that pass the filters; a button loads the next fifty. */
export function Listed({ space, filters, what, empty, loaded }) {
  const path = inSpace(space, "cubes");
  const first = useLoad(
    async (signal) => {
      const page = await call("GET", withQuery(path, { ...filters, limit: PAGE }), { signal });
      loaded?.();
      return page;
    },
    [path, JSON.stringify(filters)],
  );
  const more = useAction(async (signal) => {
    const page = await call("GET", withQuery(path, { ...filters, limit: PAGE, cursor: first.data.next_cursor }), {
      signal,
    });
    first.put({ items: [...first.data.items, ...page.items], next_cursor: page.next_cursor });
    say(`${memories(page.items.length)} more.`);
  });
  return html`<${Loaded} of=${first} what=${what}>${(page) =>
    page.items.length
      ? html`<ol class="cubes" aria-label=${what}>${page.items.map(
          (cube) => html`<${Row} key=${cube.id} space=${space}
        cube=${cube} />`,
        )}</ol>
          ${more.fault && html`<${FaultBox} fault=${more.fault} what="load more" retry=${more.run} />`}
          ${
            page.next_cursor != null &&
            html`<${Press} pending=${more.pending}
            onClick=${() => more.run()}>Show ${PAGE} more<//>`
          }`
      : empty}<//>`;
}

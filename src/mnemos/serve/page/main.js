// Starts the page.
import { App } from "./app.js";
import { html, render } from "./lib.js";
import { drafts, showTheme } from "./state.js";

showTheme();
const root = document.getElementById("app");
root.textContent = "";
render(html`<${App} />`, root);

window.addEventListener("beforeunload", (event) => {
  if (drafts.size) event.preventDefault(); // the browser asks before unsaved text is lost
});

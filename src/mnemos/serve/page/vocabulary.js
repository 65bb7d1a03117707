// Names that the server uses: laws of forgetting, kinds of links, and signals of hits with what they measure.
import { call } from "./api.js";
import { useEffect } from "./lib.js";
import { makeStore, useStore } from "./state.js";

const vocabulary = makeStore({ laws: [], links: [], signals: {} });
let loading = null;

/** Return {laws, links, signals}, which are empty until they are loaded; then render again. */
export function useVocabulary() {
  useEffect(() => {
    loading ??= call("GET", "/v1/vocabulary").then(
      (found) => vocabulary.set(found),
      () => {
        loading = null; // names are shown as they are; the next view tries again
      },
    );
  }, []);
  return useStore(vocabulary);
}

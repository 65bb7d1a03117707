// Hooks for loading and for actions: each has a pending state, can be cancelled, and can be retried after an error.
import { useEffect, useReducer, useRef, useState } from "./lib.js";
import { say } from "./state.js";

/**
 * Load something whenever `deps` change: {data, pending, fault, retry, put}. The old data is kept until the new data
 * arrives; leaving the view cancels the request.
 */
export function useLoad(load, deps) {
  const [state, setState] = useState({ data: undefined, pending: true, fault: null });
  const [turn, retry] = useReducer((n) => n + 1, 0);
  useEffect(() => {
    const stop = new AbortController();
    setState((before) => ({ ...before, pending: true, fault: null }));
    load(stop.signal).then(
      (data) => stop.signal.aborted || setState({ data, pending: false, fault: null }),
      (fault) => stop.signal.aborted || setState({ data: undefined, pending: false, fault }),
    );
    return () => stop.abort();
  }, [...deps, turn]);
  return { ...state, retry, put: (data) => setState({ data, pending: false, fault: null }) };
}

/** Run an action, one at a time: {run, pending, fault, clear, stop}. `run` resolves to null after an error. */
export function useAction(act) {
  const [state, setState] = useState({ pending: false, fault: null });
  const now = useRef(null);
  const alive = useRef(true);
  useEffect(
    () => () => {
      alive.current = false;
      now.current?.abort();
    },
    [],
  );
  const show = (next) => alive.current && setState(next);
  return {
    ...state,
    async run(...given) {
      if (now.current) return null;
      now.current = new AbortController();
      const { signal } = now.current;
      show({ pending: true, fault: null });
      try {
        const answer = await act(signal, ...given);
        show({ pending: false, fault: null });
        return answer;
      } catch (fault) {
        show({ pending: false, fault: signal.aborted ? null : fault });
        if (!signal.aborted) say(fault.message);
        return null;
      } finally {
        now.current = null;
      }
    },
    stop: () => now.current?.abort(),
    clear: () => show({ pending: false, fault: null }),
  };
}

/** Mark that a view shows all its content, for measurements and tests. */
export function useFilled(view, filled) {
  useEffect(() => {
    if (!filled) return undefined;
    const frame = requestAnimationFrame(() => {
      document.body.dataset.filled = view;
      performance.mark(`mnemos:${view}`);
    });
    return () => {
      cancelAnimationFrame(frame);
      delete document.body.dataset.filled;
    };
  }, [view, filled]);
}

/** Return the number of whole seconds for which `on` has been true. */
export function useSeconds(on) {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    setSeconds(0);
    if (!on) return undefined;
    const timer = setInterval(() => setSeconds((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, [on]);
  return seconds;
}

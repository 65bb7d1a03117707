// Format numbers, times and sizes for people.

const NUMBER = new Intl.NumberFormat();
const DAY = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });
const MINUTE = new Intl.DateTimeFormat(undefined, {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});

export const count = (n) => NUMBER.format(n);
export const day = (iso) => (iso ? DAY.format(new Date(iso)) : "");
export const minute = (iso) => (iso ? MINUTE.format(new Date(iso)) : "");

/** Return "1 memory" or "3 memories". */
export const many = (n, one, more = `${one}s`) => `${count(n)} ${n === 1 ? one : more}`;
export const memories = (n) => many(n, "memory", "memories");

/** Return bytes in the unit that gives one to three digits before the point. */
export function bytes(n) {
  let unit = 0;
  while (n >= 1000 && unit < 4) {
    n /= 1000;
    unit += 1;
  }
  return `${unit && n < 10 ? n.toFixed(1) : Math.round(n)} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
}

/** Return a number with about three significant digits and a real minus sign. */
export function figure(x) {
  const size = Math.abs(x);
  const text = size >= 100 ? x.toFixed(0) : size >= 10 ? x.toFixed(1) : size >= 1 ? x.toFixed(2) : x.toFixed(3);
  return text.replace("-", "−");
}

/** Return the first `most` characters. */
export const short = (text, most = 600) => (text.length > most ? `${text.slice(0, most)}…` : text);

/** Return the first `most` characters of a memory's text; weights, keys and values have none, and are named by their kind. */
export const titled = (cube, most) => short(cube.text, most) || `(${cube.kind})`;

/** Return the value of a datetime-local field (local time) for a time; `fromField` is the inverse. */
export function toField(iso) {
  if (!iso) return "";
  const moment = new Date(iso);
  return new Date(moment - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
export const fromField = (value) => (value ? new Date(value).toISOString() : null);

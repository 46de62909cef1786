// Numbers as people read them. What is not known is "n/a", never zero.

export const NA = "n/a";
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
export const GIB = 1024 ** 3;

const known = (value) => value !== undefined && value !== null;

export function bytes(count) {
  if (!known(count)) return NA;
  const power = count < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(count) / 10));
  const value = count / 1024 ** power;
  return `${value >= 100 || power === 0 ? value.toFixed(0) : value.toFixed(1)} ${UNITS[power]}`;
}

/** Used of total, with the unit once. */
export function share(used, total) {
  if (!known(used)) return `${NA} of ${bytes(total)}`;
  const [usedText, totalText] = [bytes(used), bytes(total)];
  const [number, unit] = usedText.split(" ");
  return totalText.endsWith(` ${unit}`) ? `${number} / ${totalText}` : `${usedText} / ${totalText}`;
}

export const percent = (value) => (known(value) ? `${value.toFixed(0)} %` : NA);
export const degrees = (value) => (known(value) ? `${value.toFixed(0)} °C` : NA);
export const watts = (value) => (known(value) ? (value >= 10_000 ? `${(value / 1000).toFixed(1)} kW` : `${count(Math.round(value))} W`) : NA);
export const score = (value) => (known(value) ? value.toFixed(2) : NA);
export const count = (value) => (known(value) ? value.toLocaleString("en") : NA);
export const many = (value, word) => `${count(value)} ${word}${value === 1 ? "" : "s"}`;
export const clock = (time) => (time ? new Date(time).toLocaleTimeString("en-GB") : "");
export const moment = (time) => (time ? new Date(time).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" }) : NA);

export function age(seconds) {
  if (!known(seconds) || Number.isNaN(seconds)) return NA;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  return whole < 86_400 ? `${Math.floor(whole / 3600)} h` : `${Math.floor(whole / 86_400)} d`;
}

// Events as a list, the newest first.

import { h } from "../dom.js";
import { clock, moment } from "../format.js";
import { describe } from "../words.js";

export function eventRow(event, { whole = false } = {}) {
  const [tone, sentence] = describe(event);
  const link = linkOf(event);
  const what = h("div", { class: "what" }, link ? h("a", { href: link }, sentence) : sentence);
  if (whole) {
    const document = h("pre", { tabindex: 0 });
    const details = h("details", { ontoggle: () => { document.textContent = JSON.stringify(event.data, null, 2); } }, h("summary", {}, `${event.type}, position ${event.id}, by ${event.source}`), document);
    what.append(details);
  }
  return h("li", { class: "event", "data-tone": tone, "data-id": event.id }, h("time", { datetime: event.time, title: moment(event.time) }, clock(event.time)), what);
}

function linkOf({ type, data, subject }) {
  if (data.device_id || type === "device.registered") return `#/devices/${encodeURIComponent(data.device_id ?? subject)}`;
  if (type.startsWith("placement.") && type !== "placement.previewed" && subject) return `#/placements/${encodeURIComponent(subject)}`;
  return type.startsWith("work.") ? "#/work" : null;
}

/** Bring a list up to date: what is there stays, so that an open one stays open. */
export function showEvents(list, events, options) {
  const wanted = new Set(events.map((event) => String(event.id)));
  const there = new Map([...list.children].map((row) => [row.dataset.id, row]));
  for (const [id, row] of there) if (!wanted.has(id)) row.remove();
  let before = list.firstChild;
  for (const event of events) {
    const row = there.get(String(event.id)) ?? eventRow(event, options);
    if (row === before) before = before.nextSibling;
    else list.insertBefore(row, before);
  }
}

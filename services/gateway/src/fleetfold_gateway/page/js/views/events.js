// Events: all that happened lately, as it happens.

import { empty, h, loading, replace, say } from "../dom.js";
import { count, many } from "../format.js";
import { store } from "../store.js";
import { describe } from "../words.js";
import { showEvents } from "./event_list.js";

const SHOWN = 200;
const chosen = { kind: "", text: "" };
const KINDS = { "": "Everything", "placement.": "Placements", "device.": "Devices", "node.": "Nodes", "work.": "Work", "command.": "Rejected commands" };

export function events() {
  const list = h("ul", { class: "events" });
  const card = h("section", { class: "card" }, loading("the events"));
  const found = h("p", { class: "muted small" });
  const kind = h("select", { "aria-label": "Kind", onchange: () => { chosen.kind = kind.value; update(); } }, Object.entries(KINDS).map(([value, word]) => h("option", { value, selected: value === chosen.kind }, word)));
  const search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search", value: chosen.text, oninput: () => { chosen.text = search.value; update(); } });

  function update() {
    if (!store.loaded && !store.events.length) return;
    const text = chosen.text.trim().toLowerCase();
    const shown = store.events.filter((event) => event.type.startsWith(chosen.kind) && (!text || `${event.type} ${describe(event)[1]}`.toLowerCase().includes(text)));
    say(found, shown.length === store.events.length ? `the newest ${many(shown.length, "event")}` : `${count(shown.length)} of the newest ${count(store.events.length)}`);
    if (!shown.length) replace(card, empty(store.events.length ? "No event fits" : "Nothing happened yet", "The log keeps every event; the newest are here."));
    else if (!list.isConnected) replace(card, list);
    showEvents(list, shown.slice(0, SHOWN), { whole: true });
  }

  return { element: h("div", {}, h("div", { class: "head" }, h("h1", {}, "Events"), found), h("div", { class: "filters" }, search, kind), card), update };
}

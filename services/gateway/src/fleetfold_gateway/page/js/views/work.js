// Work: what was handed out, and how far it is.

import { empty, h, loading, meter, replace } from "../dom.js";
import { count, many } from "../format.js";
import { store } from "../store.js";

export function work() {
  const place = h("div", { class: "stack" }, loading("the work"));
  let shown = "";

  function update() {
    if (!store.state) return;
    const works = [...(store.state.works ?? [])].reverse();
    const key = JSON.stringify(works);
    if (key === shown) return;
    shown = key;
    if (!works.length) replace(place, empty("Nothing is handed out", "Hand items out over the GPUs:", h("code", {}, "fleetfold distribute --count 100")));
    else replace(place, works.map(card));
  }

  return { element: h("div", {}, h("div", { class: "head" }, h("h1", {}, "Work")), place), update };
}

function card({ work_id: id, item_count: items, done = 0, failed = 0, waiting = 0, unassigned = 0, completed }) {
  const share = (part) => part / Math.max(1, items);
  const figures = [["done", done], ["failed", failed], ["waiting", waiting], ["not assigned", unassigned]].filter(([word, figure]) => figure || word === "done");
  return h(
    "section",
    { class: "card stack" },
    h("div", { class: "row" }, h("h2", { class: "id grow" }, id), h("span", { class: "status", "data-status": completed ? (failed ? "cordoned" : "live") : "waiting" }, completed ? "complete" : "under way")),
    meter(`${done} of ${items} done, ${failed} failed`, [share(done), "good"], [share(failed), "bad"]),
    h("p", { class: "small muted" }, `${many(items, "item")}: ${figures.map(([word, figure]) => `${count(figure)} ${word}`).join(", ")}`),
  );
}

// Overview: the fleet at a glance.

import { empty, h, loading, meter, replace, say, svg } from "../dom.js";
import { bytes, count, degrees, many, percent, share, watts } from "../format.js";
import { store } from "../store.js";
import { showEvents } from "./event_list.js";
import { Mosaic } from "./mosaic.js";

const TRAIL = 90;
const TRAIL_EVERY_MS = 2000;
const EVENTS_SHOWN = 12;

/** What was shown lately, for the sparklines. It outlives the view. */
const trail = [];

export function overview() {
  const tiles = Object.fromEntries(["GPUs", "Memory in use", "Utilization", "Power", "Placements", "Work left"].map((label) => [label, tile(label)]));
  const mosaic = new Mosaic();
  const list = h("ul", { class: "events" });
  const vendors = h("tbody", {});
  const content = h(
    "div",
    {},
    h("div", { class: "tiles" }, Object.values(tiles).map((one) => one.element)),
    h(
      "div",
      { class: "columns" },
      h("div", { class: "stack" }, card("Every GPU", mosaic.element), card("By vendor", vendorTable(vendors))),
      card("As it happens", list, h("p", { class: "small" }, h("a", { href: "#/events" }, "All events"))),
    ),
  );
  const element = h("div", {}, h("h1", { class: "hidden-text" }, "Overview"), loading("the fleet"));
  return {
    element,
    dispose: () => mosaic.dispose(),
    restyle: () => mosaic.draw(),
    update() {
      if (!store.loaded) return;
      const fleet = figures([...store.devices.values()]);
      remember(fleet);
      if (!store.devices.size) {
        replace(element, noDevices());
        return;
      }
      if (!content.isConnected) replace(element, h("h1", { class: "hidden-text" }, "Overview"), content);
      showTiles(tiles, fleet);
      showVendors(vendors);
      mosaic.show();
      showEvents(list, store.events.slice(0, EVENTS_SHOWN));
    },
  };
}

const card = (title, ...children) => h("section", { class: "card" }, h("h2", {}, title), children);

function noDevices() {
  return empty("No GPU has joined yet", "Start an agent on a machine with GPUs, or a simulated fleet:", h("code", {}, "fleetfold up --fleet openb:8"));
}

function tile(label) {
  const [figure, note, extra] = [h("span", { class: "figure" }), h("span", { class: "note" }), h("div", {})];
  return { element: h("section", { class: "card tile" }, h("span", { class: "label" }, label), figure, extra, note), figure, note, extra };
}

/** Sums over what is read: what is not read counts nowhere, and is told. */
function figures(devices) {
  const fleet = { count: devices.length, live: 0, used: 0, total: 0, reserved: 0, watts: null, busy: [], heat: [], bad: 0, warn: 0 };
  for (const { status, sample, capabilities, reserved_bytes: reserved } of devices) {
    fleet.total += capabilities.max_memory_bytes;
    fleet.reserved += reserved ?? 0;
    if (status === "live") fleet.live += 1;
    else if (status === "cordoned" || status === "stale" || status === "draining") fleet.warn += 1;
    else fleet.bad += 1;
    if (!sample || status === "offline" || status === "lost") continue;
    fleet.used += sample.memory_used_bytes ?? 0;
    if (sample.power_watts !== undefined) fleet.watts = (fleet.watts ?? 0) + sample.power_watts;
    if (sample.compute_utilization_percent !== undefined) fleet.busy.push(sample.compute_utilization_percent);
    if (sample.temperature_celsius !== undefined) fleet.heat.push(sample.temperature_celsius);
  }
  return fleet;
}

const mean = (values) => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : undefined);

function remember(fleet) {
  const last = trail.at(-1);
  if (last && Date.now() - last.at < TRAIL_EVERY_MS) return;
  trail.push({ at: Date.now(), busy: mean(fleet.busy), watts: fleet.watts });
  if (trail.length > TRAIL) trail.shift();
}

function showTiles(tiles, fleet) {
  const { state } = store;
  say(tiles.GPUs.figure, count(fleet.count));
  const [good, warn, bad] = [fleet.live, fleet.warn, fleet.bad].map((part) => part / fleet.count);
  replace(tiles.GPUs.extra, meter(`${fleet.live} live, ${fleet.warn} restricted, ${fleet.bad} down`, [good, "good"], [warn, "reserved"], [bad, "bad"]));
  say(tiles.GPUs.note, `${count(fleet.live)} live, ${count(fleet.warn)} restricted, ${count(fleet.bad)} down`);

  const memory = tiles["Memory in use"];
  const [number, unit] = bytes(fleet.used).split(" ");
  replace(memory.figure, number, h("small", {}, ` ${unit} of ${bytes(fleet.total)}`));
  replace(memory.extra, meter(`${percent((100 * fleet.used) / fleet.total)} in use`, [fleet.used / fleet.total]));
  say(memory.note, `${bytes(fleet.reserved)} promised to placements`);

  say(tiles.Utilization.figure, percent(mean(fleet.busy)));
  replace(tiles.Utilization.extra, spark(trail.map((point) => point.busy), 100));
  say(tiles.Utilization.note, fleet.busy.length < fleet.count ? `read on ${count(fleet.busy.length)} of ${count(fleet.count)}` : "average of all");

  say(tiles.Power.figure, watts(fleet.watts));
  replace(tiles.Power.extra, spark(trail.map((point) => point.watts ?? undefined)));
  say(tiles.Power.note, fleet.heat.length ? `${degrees(mean(fleet.heat))} on average, ${degrees(Math.max(...fleet.heat))} at most` : "temperature n/a");

  const { summary } = state;
  say(tiles.Placements.figure, count(summary.placement_count ?? 0));
  say(tiles.Placements.note, `${many(summary.refused_count ?? 0, "refusal")} so far`);

  const works = state.works ?? [];
  const left = works.reduce((sum, work) => sum + (work.waiting ?? 0), 0);
  const items = works.reduce((sum, work) => sum + work.item_count, 0);
  say(tiles["Work left"].figure, count(left));
  say(tiles["Work left"].note, items ? `of ${many(items, "item")} in ${many(works.length, "work")}` : "nothing handed out");
}

function spark(values, top) {
  if (values.length < 2) return h("span", { class: "spark" });
  const known = values.filter((value) => value !== undefined);
  const high = top ?? (Math.max(...known, 1) * 1.1);
  const points = values.map((value, index) => (value === undefined ? null : [(100 * index) / Math.max(1, TRAIL - 1), 27 - (26 * value) / high]));
  const path = points.map((point, index) => (point ? `${index && points[index - 1] ? "L" : "M"}${point[0].toFixed(1)} ${point[1].toFixed(1)}` : "")).join("");
  return svg("svg", { class: "spark", viewBox: "0 0 100 28", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("path", { d: path }));
}

function vendorTable(body) {
  const heads = ["Vendor", "GPUs", "Memory", "Utilization", "Power"];
  return h("div", { class: "scroll-x" }, h("table", {}, h("thead", {}, h("tr", {}, heads.map((title, index) => h("th", { scope: "col", class: index ? "number" : "" }, title)))), body));
}

function showVendors(body) {
  const groups = byVendor();
  const rows = [...groups].sort().map(([vendor, devices]) => {
    const fleet = figures([...devices]);
    const cells = [count(fleet.count), share(fleet.used, fleet.total), percent(mean(fleet.busy)), watts(fleet.watts)];
    return h("tr", {}, h("td", {}, vendor), cells.map((cell) => h("td", { class: "number" }, cell)));
  });
  replace(body, rows);
}

function byVendor() {
  const groups = new Map();
  for (const device of store.devices.values()) {
    const { vendor } = device.capabilities;
    if (!groups.has(vendor)) groups.set(vendor, []);
    groups.get(vendor).push(device);
  }
  return groups;
}

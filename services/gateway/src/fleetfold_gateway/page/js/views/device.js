// One device: what it is, what it reads, what sits on it, and what can be done with it.

import { get, post } from "../api.js";
import { Chart } from "../charts.js";
import { empty, h, loading, replace, say, status, toast } from "../dom.js";
import { GIB, NA, age, bytes, count, degrees, percent, score, watts } from "../format.js";
import { ageOf, store, trailOf } from "../store.js";
import { showEvents } from "./event_list.js";

const HISTORY_MS = 20 * 60 * 1000;

const CHARTS = [
  { title: "Utilization", read: (sample) => sample.compute_utilization_percent, write: percent, top: 100 },
  { title: "Memory in use", read: (sample) => sample.memory_used_bytes, write: bytes, top: GIB, steps: Array.from({ length: 12 }, (_, power) => GIB * 2 ** power) },
  { title: "Temperature", read: (sample) => sample.temperature_celsius, write: degrees, top: 100 },
  { title: "Power", read: (sample) => sample.power_watts, write: watts, top: 100 },
];

export function device(deviceId) {
  const charts = CHARTS.map((chart) => new Chart(chart));
  const parts = { facts: h("dl", { class: "facts" }), held: h("div", {}), events: h("ul", { class: "events" }), status: h("span", {}), actions: h("div", { class: "row" }), warnings: h("div", { class: "stack" }) };
  const content = h(
    "div",
    {},
    h("div", { class: "head" }, h("div", {}, h("p", { class: "small" }, h("a", { href: "#/devices" }, "Devices")), h("h1", { class: "id" }, deviceId)), parts.status, parts.actions),
    parts.warnings,
    h("section", { class: "card" }, h("h2", {}, "What it is"), parts.facts),
    h("div", { class: "charts" }, charts.map((chart) => chart.element)),
    h("div", { class: "columns" }, h("section", { class: "card" }, h("h2", {}, "What sits on it"), parts.held), h("section", { class: "card" }, h("h2", {}, "What happened to it"), parts.events)),
  );
  const element = h("div", {}, loading("the device"));
  let drawn = "";
  let past = null;

  async function readHistory() {
    past = [];
    const start = new Date(Date.now() - HISTORY_MS).toISOString();
    const answer = await get(`/api/v1/devices/${encodeURIComponent(deviceId)}/history?start=${start}`);
    past = points(answer);
    drawn = "";
    update();
  }

  function update() {
    if (!store.loaded) return;
    const found = store.devices.get(deviceId);
    if (!found) {
      replace(element, empty("There is no such GPU", "It may belong to a fleet that was made anew.", h("a", { href: "#/devices" }, "All GPUs")));
      return;
    }
    if (!content.isConnected) replace(element, content);
    if (past === null) readHistory().catch(() => {}); // Where no history is told, the charts begin now.
    showFacts(parts, found);
    showActions(parts, found);
    const trail = held(joined(past, trailOf(deviceId)), found);
    const key = `${trail.length}-${trail.at(-1)?.timestamp}`;
    if (key !== drawn) for (const chart of charts) chart.show(trail);
    drawn = key;
    const about = store.events.filter((event) => [event.subject, event.data.device_id].includes(deviceId) || (event.data.allocations ?? []).some((allocation) => allocation.device_id === deviceId));
    if (about.length) showEvents(parts.events, about.slice(0, 20));
    else replace(parts.events, h("li", { class: "muted small" }, "Nothing lately."));
  }

  return {
    element,
    update,
    dispose: () => charts.forEach((chart) => chart.dispose()),
    restyle() {
      drawn = "";
      charts.forEach((chart) => chart.restyle());
    },
  };
}

/** The columns of a history as samples, each with what was read at its time. It begins with the first that was read. */
function points({ times = [], readings = {}, sample_counts: counts = [] }) {
  const first = counts.findIndex((samples) => samples > 0);
  if (first < 0) return [];
  return times.map((timestamp, index) => Object.fromEntries([["timestamp", timestamp], ...Object.entries(readings).map(([name, series]) => [name, series.mean?.[index] ?? undefined])])).slice(first);
}

/** The past, and then what came since. */
function joined(past, trail) {
  const from = trail[0] ? Date.parse(trail[0].timestamp) : Infinity;
  return [...past.filter((sample) => Date.parse(sample.timestamp) < from), ...trail];
}

/** A device that has not told anything new since is as it was: its last readings hold for as long as its node is heard. */
function held(samples, { node_id: node, status: word }) {
  const last = samples.at(-1);
  const heard = store.heard.get(node);
  if (!last || word === "offline" || word === "lost" || !(heard > Date.parse(last.timestamp))) return samples;
  return [...samples, { ...last, timestamp: new Date(heard).toISOString() }];
}

function showFacts(parts, found) {
  const { capabilities: can, sample } = found;
  const facts = [
    ["Name", can.device_name],
    ["Vendor and backend", `${can.vendor}, ${can.device_type}`],
    ["Node", found.node_id],
    ["Memory", bytes(can.max_memory_bytes)],
    ["Free", bytes(found.free_bytes ?? 0)],
    ["Promised", bytes(found.reserved_bytes ?? 0)],
    ["Compute units", count(can.compute_units)],
    ["Memory bandwidth", can.memory_bandwidth_gbps ? `${count(can.memory_bandwidth_gbps)} GB/s` : NA],
    ["Clock", sample?.clock_rate_mhz !== undefined ? `${count(Math.round(sample.clock_rate_mhz))} MHz` : NA],
    ["Score", score(found.score)],
    ["Throttled", sample?.throttled === undefined ? NA : sample.throttled ? `yes: ${(sample.throttle_reasons ?? []).join(", ")}` : "no"],
    ["Driver", can.driver_version ?? NA],
    ["Heard", `${age(ageOf(found))} ago`],
  ];
  const absent = Object.entries(sample?.absent ?? {}).map(([name, why]) => `${name.replaceAll("_", " ")}: ${why}`);
  if (absent.length) facts.push(["Not read", absent.join("; ")]);
  while (parts.facts.childElementCount < facts.length) parts.facts.append(h("div", {}, h("dt", {}), h("dd", {})));
  while (parts.facts.childElementCount > facts.length) parts.facts.lastChild.remove();
  facts.forEach(([name, value], index) => {
    const [title, text] = parts.facts.children[index].children;
    say(title, name);
    say(text, value);
  });
}

function showActions(parts, found) {
  const key = JSON.stringify([found.status, found.lost, found.fault, found.cordoned, found.workloads, store.session?.role]);
  if (parts.key === key) return;
  parts.key = key;
  replace(parts.status, status(found.status));
  const said = [["Lost", found.lost], ["Fault", found.fault], ["Cordoned", found.cordoned]].filter(([, why]) => why !== undefined);
  replace(parts.warnings, said.map(([word, why]) => h("p", { class: "card small" }, h("strong", {}, word), why ? `: ${why}` : "")));
  replace(parts.held, (found.workloads ?? []).length ? h("ul", { class: "bullets" }, found.workloads.map((id) => h("li", {}, h("a", { href: `#/placements/${encodeURIComponent(id)}`, class: "id" }, id)))) : h("p", { class: "muted small" }, "Nothing: it is free."));
  const may = store.session?.role === "operate";
  const cordoned = found.cordoned !== undefined;
  const id = found.capabilities.device_id;
  replace(
    parts.actions,
    may && !cordoned && action("Cordon", () => post("cordon", { device_id: id, reason: "asked for on the page" }), "Nothing new may sit on it; what is there stays"),
    may && cordoned && action("Uncordon", () => post("uncordon", { device_id: id }), "It takes work again"),
    may && !cordoned && action("Drain", () => post("drain", { device_id: id, reason: "asked for on the page" }), "Move off what sits on it, and let nothing new come"),
  );
}

function action(word, ask, title) {
  const button = h("button", { type: "button", title, onclick: async () => {
    button.disabled = true;
    try {
      await ask();
      toast(`${word}: done`);
    } catch (error) {
      toast(`${word}: ${error.message}`);
    } finally {
      button.disabled = false;
    }
  } }, word);
  return button;
}

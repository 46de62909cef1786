// Topology: nodes with their devices, and the links between them. A placement lights up on it, shard by shard.

import { get } from "../api.js";
import { empty, h, loading, replace, say, svg } from "../dom.js";
import { count, many } from "../format.js";
import { store } from "../store.js";

const MOST_NODES = 48;
const GPU = { width: 44, height: 30, gap: 10 };
const PAD = 16;
const TITLE = 24;
const ARC = 34;
const AROUND = 34;
const NETWORK = ["socket", "ethernet", "rdma", "thunderbolt"];
const kindOf = (kind) => (NETWORK.includes(kind) ? "network" : kind);
const KINDS = { nvlink: "NVLink", xgmi: "XGMI", pcie: "PCIe", network: "network" };

const chosen = { text: "" };

/** The text of each device that is drawn and holds nothing that is lit: how busy it is. */
const labels = new Map();

function busy(deviceId) {
  const value = store.devices.get(deviceId)?.sample?.compute_utilization_percent;
  return value === undefined ? "–" : `${Math.round(value)} %`;
}

export function topology(workloadId) {
  const place = h("section", { class: "card" }, loading("the topology"));
  const note = h("p", { class: "muted small", role: "status" });
  const pick = h("select", { "aria-label": "Light up a placement", onchange: () => { location.hash = pick.value ? `#/topology/${encodeURIComponent(pick.value)}` : "#/topology"; } }, h("option", { value: "" }, "Light up a placement"));
  const search = h("input", { type: "search", placeholder: "Nodes with this in their name", "aria-label": "Search nodes", value: chosen.text, oninput: () => { chosen.text = search.value; drawn = null; update(); } });
  let links = null;
  let asked = -1;
  let drawn = null;

  async function load() {
    asked = store.devicesVersion;
    try {
      links = await get("/api/gpu/topology");
      drawn = null;
      update();
    } catch (error) {
      if (!links) replace(place, empty("The topology cannot be read", error.message));
    }
  }

  function update() {
    if (!store.loaded) return;
    if (asked !== store.devicesVersion) load();
    if (!links) return;
    const placements = (store.state.placements ?? []).map((placement) => placement.workload_id);
    const shards = new Map((store.state.placements ?? []).find((placement) => placement.workload_id === workloadId)?.allocations?.map((allocation) => [allocation.device_id, allocation.shard_id]) ?? []);
    const key = JSON.stringify([asked, placements, [...shards], chosen.text]);
    if (key !== drawn) {
      drawn = key;
      offer(placements);
      draw(shards);
    }
    for (const [id, text] of labels) say(text, busy(id));
  }

  function offer(placements) {
    replace(pick, pick.options[0], placements.map((id) => h("option", { value: id }, id)));
    pick.value = workloadId && placements.includes(workloadId) ? workloadId : "";
  }

  function draw(shards) {
    labels.clear();
    const nodes = links.nodes.filter((node) => node.node_id.includes(chosen.text.trim()));
    const first = [...nodes].sort((one, other) => holds(other, shards) - holds(one, shards)).slice(0, MOST_NODES);
    say(note, `${many(links.nodes.length, "node")}, ${many(links.links.length, "link")}${first.length < nodes.length ? `; the first ${count(first.length)} are drawn` : ""}`);
    if (!first.length) replace(place, empty(links.nodes.length ? "No node fits" : "No node has joined yet", "Nodes appear as their agents start."));
    else replace(place, drawing(first, links.links, shards, Math.max(320, place.clientWidth - 34)), legend());
  }

  const element = h("div", {}, h("div", { class: "head" }, h("h1", {}, "Topology"), note), h("div", { class: "filters" }, search, pick), place);
  return { element, update };
}

const holds = (node, shards) => node.devices.filter((device) => shards.has(device.device_id)).length;

function legend() {
  const swatch = (kind) => svg("svg", { class: "swatch", viewBox: "0 0 34 8", "data-kind": kind, "aria-hidden": "true" }, svg("line", { x1: 0, y1: 4, x2: 34, y2: 4 }));
  return h("p", { class: "legend" }, Object.entries(KINDS).map(([kind, word]) => h("span", {}, swatch(kind), word)));
}

/** Boxes in rows as wide as the place allows; each node's devices in rows of four inside. */
function drawing(nodes, links, shards, width) {
  const perRow = 4;
  const box = { width: 2 * PAD + perRow * (GPU.width + GPU.gap) - GPU.gap };
  const across = Math.max(1, Math.floor((width + 24) / (box.width + 24)));
  const spots = new Map();
  const hosts = [];
  let y = 0;
  for (let start = 0; start < nodes.length; start += across) {
    const line = nodes.slice(start, start + across);
    const tallest = Math.max(...line.map((node) => boxHeight(node, perRow)));
    line.forEach((node, column) => hosts.push(host(node, column * (box.width + 24), y, box.width, boxHeight(node, perRow), perRow, spots, shards)));
    y += tallest + 40;
  }
  const lines = links.filter((link) => spots.has(link.source) && spots.has(link.target)).map((link) => line(link, spots));
  const total = Math.min(across, nodes.length) * (box.width + 24) - 24 + AROUND;
  return svg("svg", { class: "topology", viewBox: `-2 -2 ${Math.max(total, 300) + 4} ${y - 8}`, style: { "max-width": `${Math.max(total, 300) + 4}px` }, role: "group", "aria-label": `${many(nodes.length, "node")} with their GPUs` }, hosts.map((one) => one.frame), lines, hosts.map((one) => one.devices));
}

const boxHeight = (node, perRow) => TITLE + PAD + Math.max(1, Math.ceil(node.devices.length / perRow)) * (GPU.height + ARC) - 6;

function host(node, x, y, width, height, perRow, spots, shards) {
  spots.set(node.node_id, { x: x + width / 2, y: y + height, side: { x: x + width, y: y + height / 2 }, node: true });
  const frame = svg("g", {}, svg("rect", { class: "host", x, y, width, height, rx: 8, "data-liveness": node.liveness }), svg("text", { x: x + PAD, y: y + 19 }, `${node.node_id}${node.liveness === "live" ? "" : ` (${node.liveness})`}`));
  const devices = node.devices.map((device, index) => {
    const left = x + PAD + (index % perRow) * (GPU.width + GPU.gap);
    const top = y + TITLE + 18 + Math.floor(index / perRow) * (GPU.height + ARC);
    spots.set(device.device_id, { x: left + GPU.width / 2, y: top, row: Math.floor(index / perRow) });
    return gpu(device, left, top, shards.get(device.device_id));
  });
  return { frame, devices };
}

function gpu(device, x, y, shard) {
  const lit = shard !== undefined;
  const label = svg("text", { x: x + GPU.width / 2, y: y + GPU.height / 2 + 4 }, lit ? `#${shard}` : busy(device.device_id));
  if (!lit) labels.set(device.device_id, label);
  const open = () => { location.hash = `#/devices/${encodeURIComponent(device.device_id)}`; };
  const name = `${device.device_id}${lit ? `, holds shard ${shard}` : ""}`;
  return svg(
    "g",
    { class: lit ? "gpu lit" : "gpu", tabindex: 0, role: "link", "aria-label": name, onclick: open, onkeydown: (event) => event.key === "Enter" && open() },
    svg("title", {}, name),
    svg("rect", { x, y, width: GPU.width, height: GPU.height, rx: 4 }),
    label,
  );
}

function line(link, spots) {
  const [from, to] = [spots.get(link.source), spots.get(link.target)];
  const figures = [link.kind, link.bandwidth_gbps && `${link.bandwidth_gbps} Gbit/s`, link.latency_us && `${link.latency_us} µs`].filter(Boolean).join(", ");
  return svg("path", { class: "link", d: way(from, to), "data-kind": kindOf(link.kind) }, svg("title", {}, `${link.source} – ${link.target}: ${figures}`));
}

/** Devices of a row: an arc above them, the longer the higher. Nodes: below their boxes, or around their sides. */
function way(from, to) {
  const [middle, apart] = [(from.x + to.x) / 2, Math.abs(to.x - from.x)];
  if (from.node && to.node && from.y === to.y) return `M${from.x} ${from.y} Q${middle} ${from.y + 26 + apart / 40} ${to.x} ${to.y}`;
  if (from.node && to.node) {
    const outside = Math.max(from.side.x, to.side.x) + AROUND;
    return `M${from.side.x} ${from.side.y} C${outside} ${from.side.y} ${outside} ${to.side.y} ${to.side.x} ${to.side.y}`;
  }
  if (from.row !== undefined && from.row === to.row && Math.abs(from.y - to.y) < 1) return `M${from.x} ${from.y} Q${middle} ${from.y - 2 * Math.min(6 + apart / 9, 13)} ${to.x} ${to.y}`;
  return `M${from.x} ${from.y} L${to.x} ${to.y}`;
}

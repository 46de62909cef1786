// Devices: a table to sort, filter and search.

import { clamp, empty, h, loading, replace, say } from "../dom.js";
import { NA, age, count, degrees, many, percent, score, share, watts } from "../format.js";
import { ageOf, store } from "../store.js";
import { VirtualTable } from "../table.js";

const OLD_S = 15;
const SORT_AGAIN_MS = 2000;

/** What was chosen last. It outlives the view. */
const chosen = { text: "", vendor: "", status: "", sorted: { index: 0, down: false } };

const plain = (write, more = {}) => ({
  make: () => h("span", {}),
  show(cell, device) {
    const text = write(device);
    say(cell, text);
    cell.className = text === NA ? "na" : "";
  },
  ...more,
});

const bar = (write, part, more) => ({
  make() {
    const [fill, text] = [h("i", {}), h("span", {})];
    return Object.assign(h("div", { class: more.wide ? "two wide" : "two" }, h("span", { class: "meter", "aria-hidden": "true" }, fill), text), { fill, text });
  },
  show(cell, device) {
    const text = write(device);
    say(cell.text, text);
    cell.text.className = text.startsWith(NA) ? "na" : "";
    const width = `${(100 * clamp(part(device))).toFixed(1)}%`;
    if (cell.fill.style.width !== width) cell.fill.style.width = width;
  },
  ...more,
});

const total = (device) => device.sample?.memory_total_bytes ?? device.capabilities.max_memory_bytes;
const usedShare = (device) => (device.sample?.memory_used_bytes ?? 0) / total(device);

const COLUMNS = [
  plain((device) => device.capabilities.device_id, { title: "GPU", width: "24%", sort: (device) => device.capabilities.device_id }),
  plain((device) => device.capabilities.model ?? device.capabilities.device_name, { title: "Model", width: "13%", secondary: true, sort: (device) => device.capabilities.model ?? device.capabilities.device_name }),
  {
    title: "Status",
    width: "11%",
    make: () => h("span", { class: "status" }),
    show(cell, device) {
      say(cell, device.status);
      cell.dataset.status = device.status;
    },
    sort: (device) => device.status,
  },
  bar((device) => percent(device.sample?.compute_utilization_percent), (device) => device.sample?.compute_utilization_percent / 100, { title: "Busy", width: "12%", number: true, sort: (device) => device.sample?.compute_utilization_percent }),
  bar((device) => share(device.sample?.memory_used_bytes, total(device)), usedShare, { title: "Memory", width: "20%", number: true, wide: true, sort: (device) => device.sample?.memory_used_bytes }),
  plain((device) => degrees(device.sample?.temperature_celsius), { title: "Heat", width: "7%", number: true, secondary: true, sort: (device) => device.sample?.temperature_celsius }),
  plain((device) => watts(device.sample?.power_watts), { title: "Power", width: "7%", number: true, secondary: true, sort: (device) => device.sample?.power_watts }),
  plain((device) => score(device.score), { title: "Score", width: "7%", number: true, secondary: true, sort: (device) => device.score }),
  plain((device) => count((device.workloads ?? []).length), { title: "Holds", width: "7%", number: true, secondary: true, sort: (device) => (device.workloads ?? []).length }),
  {
    ...plain((device) => age(ageOf(device)), { title: "Age", width: "7%", number: true, secondary: true, sort: ageOf }),
    show(cell, device) {
      const seconds = ageOf(device);
      say(cell, age(seconds));
      cell.className = seconds > OLD_S ? "old" : "";
    },
  },
];

export function devices() {
  const table = new VirtualTable({
    label: "GPUs",
    columns: COLUMNS,
    keyOf: (device) => device.capabilities.device_id,
    open: (device) => { location.hash = `#/devices/${encodeURIComponent(device.capabilities.device_id)}`; },
    sorted: chosen.sorted,
  });
  const found = h("p", { class: "muted small", role: "status" });
  const place = h("div", {}, loading("the GPUs"));
  const [vendor, statuses] = [choice("Every vendor", "vendor"), choice("Every status", "status")];
  const search = h("input", { type: "search", placeholder: "Search by id, model, node or workload", "aria-label": "Search", value: chosen.text, oninput: () => { chosen.text = search.value; version = -1; update(); } });
  let version = -1;
  let sortedAt = 0;

  function choice(label, name) {
    const select = h("select", { "aria-label": label, onchange: () => { chosen[name] = select.value; version = -1; update(); } }, h("option", { value: "" }, label));
    return select;
  }

  function offer(select, name, words) {
    const wanted = [...new Set([...words, chosen[name]])].filter(Boolean).sort();
    const there = [...select.options].slice(1).map((option) => option.value);
    if (wanted.join() !== there.join()) replace(select, select.options[0], wanted.map((word) => h("option", { value: word }, word)));
    select.value = chosen[name];
  }

  function update() {
    if (!store.loaded) return;
    if (!store.devices.size) {
      replace(place, empty("No GPU has joined yet", "A GPU appears here within a second of its agent's start."));
      return;
    }
    // Rows follow their readings at once; their order only now and then, so that a row can be clicked.
    if (version === store.devicesVersion && Date.now() - sortedAt < SORT_AGAIN_MS) {
      table.draw();
      return;
    }
    [version, sortedAt] = [store.devicesVersion, Date.now()];
    const every = [...store.devices.values()];
    offer(vendor, "vendor", every.map((device) => device.capabilities.vendor));
    offer(statuses, "status", every.map((device) => device.status));
    const shown = every.filter(wanted);
    say(found, shown.length === every.length ? many(every.length, "GPU") : `${count(shown.length)} of ${many(every.length, "GPU")}`);
    if (!shown.length) replace(place, empty("Nothing fits these filters", h("button", { type: "button", onclick: clear }, "Clear them")));
    else if (!table.element.isConnected) replace(place, table.element);
    table.show(shown);
  }

  function clear() {
    Object.assign(chosen, { text: "", vendor: "", status: "" });
    search.value = "";
    version = -1;
    update();
  }

  const element = h("div", {}, h("div", { class: "head" }, h("h1", {}, "Devices"), found), h("div", { class: "filters" }, search, vendor, statuses), place);
  return { element, update, dispose: () => table.dispose() };
}

function wanted(device) {
  const { capabilities, node_id: node, status, workloads = [] } = device;
  if ((chosen.vendor && capabilities.vendor !== chosen.vendor) || (chosen.status && status !== chosen.status)) return false;
  const text = chosen.text.trim().toLowerCase();
  return !text || [capabilities.device_id, capabilities.device_name, capabilities.model ?? "", node, ...workloads].some((word) => word.toLowerCase().includes(text));
}

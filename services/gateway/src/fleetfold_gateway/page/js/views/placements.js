// Placements: what sits where and why, and a form that shows a placement before it is made.

import { Problem, get, post } from "../api.js";
import { empty, h, loading, replace, say, status as statusOf, toast } from "../dom.js";
import { bytes, count, GIB, many, moment, score } from "../format.js";
import { store } from "../store.js";

export function placements() {
  const rows = h("tbody", {});
  const heads = [["Workload", ""], ["Shards", "number"], ["GPUs", "number"], ["Memory", "number"], ["Decided", "number"]];
  const table = h("div", { class: "scroll-x" }, h("table", {}, h("thead", {}, h("tr", {}, heads.map(([title, kind]) => h("th", { scope: "col", class: kind }, title)))), rows));
  const place = h("div", {}, loading("the placements"));
  const found = h("p", { class: "muted small" });
  let shown = null;

  function update() {
    if (!store.state) return;
    const every = [...(store.state.placements ?? [])].reverse();
    const key = every.map((one) => one.workload_id + one.decided_at).join();
    if (key === shown) return;
    shown = key;
    say(found, many(store.state.summary.placement_count ?? 0, "placement"));
    if (every.length) {
      replace(place, table);
      replace(rows, every.map(row));
    } else replace(place, empty("Nothing is placed", "Try the form: a preview shows where a workload would sit, and makes nothing."));
  }

  const element = h("div", { class: "stack" }, h("div", { class: "head" }, h("h1", {}, "Placements"), found), form(), h("section", { class: "card" }, h("h2", {}, "Made"), place));
  return { element, update };
}

function row({ workload_id: id, allocations = [], decided_at: decided, status }) {
  const devices = new Set(allocations.map((allocation) => allocation.device_id)).size;
  const memory = allocations.reduce((sum, allocation) => sum + (allocation.memory_bytes ?? 0), 0);
  const name = h("a", { href: `#/placements/${encodeURIComponent(id)}`, class: "id" }, id);
  return h("tr", {}, h("td", {}, name, status && status !== "placed" ? ` ${status}` : ""), [count(allocations.length), count(devices), bytes(memory), moment(decided)].map((text) => h("td", { class: "number" }, text)));
}

const field = (label, input) => h("label", { class: "field" }, label, input);
const number = (name, value, more) => h("input", { type: "number", name, value, min: 0, step: "any", required: true, ...more });
const select = (name, words) => h("select", { name }, words.map(([value, word]) => h("option", { value }, word)));
const check = (name, label) => h("label", { class: "check" }, h("input", { type: "checkbox", name }), label);

function form() {
  const outcome = h("div", { role: "status" });
  const inputs = h(
    "form",
    { class: "form", onsubmit: (event) => { event.preventDefault(); ask(false); } },
    field("Name", h("input", { name: "id", required: true, maxlength: 128, pattern: "[A-Za-z0-9][A-Za-z0-9_\\-]*", placeholder: "llama-70b", autocomplete: "off", title: "Letters, digits, '_' and '-'" })),
    field("Shards", number("shards", 2, { min: 1, max: 1024, step: 1 })),
    field("Memory a shard, GiB", number("memory", 8)),
    field("GPU a shard, %", number("share", 0, { max: 100 })),
    field("Vendor", select("vendor", [["", "any"], ...["nvidia", "amd", "intel", "apple", "qualcomm"].map((word) => [word, word])])),
    field("Choose by", select("strategy", [["score", "best score"], ["pack", "packing"], ["spread", "spreading"], ["fragmentation", "least fragments"]])),
    h("div", { class: "row whole" }, check("same_node", "On one node"), check("sharing", "Shards may share a GPU"), check("wait", "Wait if it does not fit now"), h("div", { class: "row ask" }, h("button", { type: "button", onclick: () => ask(true) }, "Preview"), h("button", { class: "primary" }, "Place"))),
  );

  async function ask(preview) {
    if (!inputs.reportValidity()) return;
    for (const button of inputs.querySelectorAll("button")) button.disabled = true;
    try {
      const answer = await post("place", command(new FormData(inputs), preview));
      replace(outcome, told(answer));
    } catch (error) {
      replace(outcome, h("div", { class: "outcome", "data-tone": "bad" }, h("strong", {}, error instanceof Problem ? "It makes no sense as it stands" : "No answer"), h("p", { class: "small" }, error.message)));
    } finally {
      for (const button of inputs.querySelectorAll("button")) button.disabled = false;
    }
  }

  return h("section", { class: "card stack" }, h("h2", {}, "Place a workload"), inputs, outcome);
}

/** What the form says, as the command `place`. What is left as it is by default is left out. */
function command(data, preview) {
  const shard = { memory_bytes: Math.round(Number(data.get("memory")) * GIB), gpu_milli: Math.round(Number(data.get("share")) * 10) };
  const constraints = {};
  if (data.get("vendor")) constraints.vendors = [data.get("vendor")];
  if (data.get("same_node")) constraints.same_node = true;
  if (data.get("sharing")) constraints.one_shard_per_device = false;
  const asked = { workload: { workload_id: data.get("id"), shards: Array(Number(data.get("shards"))).fill(shard), constraints }, strategy: data.get("strategy") };
  if (data.get("wait")) asked.wait = true;
  if (preview) asked.dry_run = true;
  return asked;
}

const HEADINGS = {
  decided: ["good", "Placed", "It would sit here. Nothing is made yet"],
  refused: ["bad", "Refused: it fits nowhere now", "It would be refused"],
  queued: ["plain", "It waits until it fits", "It would wait until it fits"],
};

function told({ type, data }) {
  const preview = type === "placement.previewed";
  const kind = preview ? ["decided", "refused", "queued"].find((word) => data[word]) : type.split(".")[1];
  const event = preview ? data[kind] : data;
  const [tone, done, tried] = HEADINGS[kind] ?? ["plain", type, type];
  const id = event.workload.workload_id;
  const heading = preview ? tried : done;
  return h(
    "div",
    { class: "outcome", "data-tone": tone },
    h("strong", {}, heading),
    event.summary && h("p", { class: "small" }, event.summary),
    obstacles(event.obstacles),
    event.allocations?.length > 0 && shards(event.allocations),
    (event.preempted ?? []).length > 0 && h("p", { class: "small" }, `These make room and wait: ${event.preempted.join(", ")}`),
    !preview && kind === "decided" && h("p", { class: "small" }, h("a", { href: `#/placements/${encodeURIComponent(id)}` }, "Open it")),
  );
}

function obstacles(list = []) {
  return list.length > 0 && h("ul", { class: "bullets" }, list.map(({ reason, count: devices, nearest, detail }) => h("li", {}, h("strong", {}, `${reason.replaceAll("_", " ")}: ${count(devices)}`), detail ? ` – the nearest${nearest ? `, ${nearest},` : ""} ${detail}` : "")));
}

function shards(allocations) {
  const heads = [["Shard", ""], ["GPU", ""], ["Node", ""], ["Memory", "number"], ["Score", "number"]];
  const rows = allocations.map((allocation) =>
    h("tr", {}, h("td", { class: "id" }, allocation.shard_id), h("td", {}, h("a", { href: `#/devices/${encodeURIComponent(allocation.device_id)}`, class: "id" }, allocation.device_id)), h("td", { class: "id" }, allocation.node_id), h("td", { class: "number" }, bytes(allocation.memory_bytes ?? 0)), h("td", { class: "number" }, score(allocation.score ?? 0))),
  );
  return h("div", { class: "scroll-x" }, h("table", {}, h("thead", {}, h("tr", {}, heads.map(([title, kind]) => h("th", { scope: "col", class: kind }, title)))), h("tbody", {}, rows)));
}

const VERDICTS_SHOWN = 50;

export function placement(workloadId) {
  const element = h("div", { class: "stack" }, loading("the placement"));
  let newest = null;

  async function load() {
    try {
      const answer = await get(`/api/v1/placements/${encodeURIComponent(workloadId)}`);
      replace(element, whole(answer));
    } catch (error) {
      replace(element, empty(error.status === 404 ? "Nobody asked for such a workload" : "No answer", error.message, h("a", { href: "#/placements" }, "All placements")));
    }
  }

  function whole(answer) {
    const release = h("button", { type: "button", onclick: async () => {
      release.disabled = true;
      try {
        await post("release", { workload_id: workloadId });
        toast(`${workloadId} released`);
      } catch (error) {
        toast(error.message);
        release.disabled = false;
      }
    } }, "Release");
    const placed = answer.status === "placed";
    const may = store.session?.role === "operate";
    return [
      h("div", { class: "head" }, h("div", {}, h("p", { class: "small" }, h("a", { href: "#/placements" }, "Placements")), h("h1", { class: "id" }, workloadId)), h("span", { class: "status", "data-status": { placed: "live", refused: "lost", released: "offline" }[answer.status] ?? "waiting" }, answer.status), h("div", { class: "row" }, placed && h("a", { href: `#/topology/${encodeURIComponent(workloadId)}` }, "Show it on the topology"), placed && may && release)),
      h("section", { class: "card stack" }, h("h2", {}, "Why"), h("p", {}, answer.summary), obstacles(answer.obstacles)),
      (answer.allocations ?? []).length > 0 && h("section", { class: "card" }, h("h2", {}, "Shards"), shards(answer.allocations)),
      (answer.allocations ?? []).length > 0 && best(answer.allocations),
      (answer.verdicts ?? []).length > 0 && verdicts(answer.verdicts),
    ];
  }

  function verdicts(list) {
    const rows = list.slice(0, VERDICTS_SHOWN).map(({ device_id: id, reason, detail }) => h("tr", {}, h("td", { class: "id" }, id), h("td", {}, reason.replaceAll("_", " ")), h("td", {}, detail ?? "")));
    const more = list.length > VERDICTS_SHOWN ? h("p", { class: "small muted" }, `${count(list.length - VERDICTS_SHOWN)} more like these`) : "";
    return h("section", { class: "card" }, h("h2", {}, "What stands in the way, GPU by GPU"), h("div", { class: "scroll-x" }, h("table", {}, h("tbody", {}, rows))), more);
  }

  return {
    element,
    update() {
      const about = store.events.find((event) => event.subject === workloadId && event.type.startsWith("placement."))?.id ?? 0;
      if (about === newest) return;
      newest = about;
      load();
    },
  };
}

/** The GPUs that scored best and were not taken: what the decision is measured against. */
function best(allocations) {
  const taken = new Set(allocations.map((allocation) => allocation.device_id));
  const others = [...store.devices.values()].filter((device) => !taken.has(device.capabilities.device_id) && device.score !== undefined);
  others.sort((one, other) => other.score - one.score);
  if (!others.length) return "";
  const heads = [["GPU", ""], ["Status", ""], ["Free", "number"], ["Score", "number"]];
  const line = (device) => {
    const { device_id: id } = device.capabilities;
    return h("tr", {}, h("td", {}, h("a", { href: `#/devices/${encodeURIComponent(id)}`, class: "id" }, id)), h("td", {}, statusOf(device.status)), h("td", { class: "number" }, bytes(device.free_bytes ?? 0)), h("td", { class: "number" }, score(device.score)));
  };
  return h("section", { class: "card" }, h("h2", {}, "The best of the others, as they score now"), h("div", { class: "scroll-x" }, h("table", {}, h("thead", {}, h("tr", {}, heads.map(([title, kind]) => h("th", { scope: "col", class: kind }, title)))), h("tbody", {}, others.slice(0, 5).map(line)))));
}

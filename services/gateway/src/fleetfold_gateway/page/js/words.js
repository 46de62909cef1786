// What happened, in a sentence.

import { count, many } from "./format.js";

const shards = (data) => many((data.allocations ?? []).length, "shard");
const workload = (data) => data.workload?.workload_id ?? data.workload_id;
const place = (data) => data.device_id ?? data.node_id ?? "";

const SENTENCES = {
  "node.joined": (data) => ["good", `${data.node.node_id} joined`],
  "node.left": (data) => ["warn", `${data.node_id} left in good order`],
  "node.liveness.changed": (data) => [{ live: "good", stale: "warn", offline: "bad" }[data.liveness], `${data.node_id} is ${data.liveness}`],
  "device.registered": (data) => ["good", `${data.capabilities.device_id} found: ${data.capabilities.device_name}`],
  "device.lost": (data) => ["bad", `${data.device_id} lost${data.reason ? `: ${data.reason}` : ""}`],
  "device.recovered": (data) => ["good", `${data.device_id} works again`],
  "device.faulted": (data) => ["bad", `${data.device_id} reported ${data.code}${data.meaning ? `: ${data.meaning}` : ""}`],
  "links.observed": (data) => ["plain", `${data.node_id} sees ${many((data.links ?? []).length, "link")}`],
  "device.cordoned": (data) => ["warn", `${data.device_id} cordoned${data.reason ? `: ${data.reason}` : ""}`],
  "device.uncordoned": (data) => ["good", `${data.device_id} takes work again`],
  "node.cordoned": (data) => ["warn", `${data.node_id} cordoned${data.reason ? `: ${data.reason}` : ""}`],
  "node.uncordoned": (data) => ["good", `${data.node_id} takes work again`],
  "device.drain.started": (data) => ["warn", `${place(data)} is being emptied`],
  "device.drain.finished": (data) => ["good", `${place(data)} is empty`],
  "placement.decided": (data) => ["good", `${workload(data)} placed: ${shards(data)}`],
  "placement.refused": (data) => ["bad", `${workload(data)} refused: ${data.summary}`],
  "placement.queued": (data) => ["warn", `${workload(data)} waits: ${data.summary}`],
  "placement.degraded": (data) => ["bad", `${data.workload_id} degraded${data.reason ? `: ${data.reason}` : ""}`],
  "placement.moved": (data) => ["good", `${data.workload_id} moved: ${shards(data)}`],
  "placement.preempted": (data) => ["warn", `${data.workload_id} made room for ${data.preempted_by}`],
  "placement.released": (data) => ["plain", `${data.workload_id} released`],
  "placement.previewed": (data) => ["plain", `${workload(data.decided ?? data.refused ?? data.queued ?? {}) ?? "a workload"} tried out`],
  "quota.set": (data) => ["plain", `quota of ${data.tenant} set`],
  "rebalance.proposed": (data) => ["plain", `${many((data.moves ?? []).length, "move")} proposed`],
  "work.distributed": (data) => ["good", `${data.work_id}: ${many(data.item_count, "item")} handed out`],
  "work.dispatched": (data) => ["plain", `${data.work_id}: every batch is in its queue`],
  "work.batch.finished": (data) => ["plain", `${data.work_id}: ${many(data.item_count, "item")} through on ${data.device_id}`],
  "work.completed": (data) => [data.failed ? "warn" : "good", `${data.work_id} complete: ${count(data.done)} done, ${count(data.failed ?? 0)} failed`],
  "command.rejected": (data) => ["bad", `${data.verb} rejected: ${data.reason}`],
};

/** Its tone (good, warn, bad, plain) and its sentence. An event of a newer version is told by its type. */
export function describe(event) {
  return SENTENCES[event.type]?.(event.data) ?? ["plain", `${event.type}${event.subject ? ` ${event.subject}` : ""}`];
}

// What the page knows. It is asked for once, and then kept up by what happens: the fold is the projector's, not ours.

import { get } from "./api.js";
import { follow } from "./stream.js";

const EVENTS_KEPT = 500;
const TRAIL_KEPT = 600;
const ASK_AFTER_MS = 120;
/** More nodes than this at once: ask for all devices instead of one node after another. */
const FEW_NODES = 4;

export const store = {
  devices: new Map(),
  /** Counts up whenever the set of devices changes, or one of them other than by a reading. */
  devicesVersion: 0,
  state: null,
  events: [],
  /** When each node was heard last, by the server's clock. */
  heard: new Map(),
  /** The newest readings of a device, for charts that go on. */
  trails: new Map(),
  gateway: { connected: false, since: new Date(), why: null },
  nats: { connected: true, since: null },
  readingsAt: null,
  clockOffsetMs: 0,
  session: null,
  loaded: false,
};

const listeners = new Set();
let position = 0;
let wholeFleet = false;
let changedNodes = new Set();
let asking = null;
let told = false;

export function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const now = () => Date.now() + store.clockOffsetMs;

/** How old what we know of a device is, in seconds. A node that is heard says that its readings still hold. */
export function ageOf(device) {
  const heard = store.heard.get(device.node_id) ?? 0;
  const read = device.sample ? Date.parse(device.sample.timestamp) : 0;
  const newest = device.status === "live" || device.status === "cordoned" ? Math.max(heard, read) : read || heard;
  return newest ? (now() - newest) / 1000 : null;
}

function tell() {
  if (told) return;
  told = true;
  requestAnimationFrame(() => {
    told = false;
    for (const listener of listeners) listener();
  });
}

export function start() {
  follow("/api/v1/events?recent=100&readings=true", { open: opened, frame: heard, lost });
}

function opened() {
  store.gateway = { connected: true, since: new Date(), why: null };
  wholeFleet = true;
  askSoon();
  tell();
}

function lost(error) {
  if (store.gateway.connected || store.gateway.why === null) store.gateway = { connected: false, since: new Date(), why: error };
  else store.gateway.why = error;
  tell();
}

function heard(frame) {
  const data = JSON.parse(frame.data);
  if (frame.event === "connection") store.nats = data;
  else if (frame.event === "readings") takeReadings(data);
  else if (frame.event === "message") takeEvent(Number(frame.id), data);
  tell();
}

function takeEvent(id, envelope) {
  if (store.events.length && id <= store.events[0].id) return;
  store.events.unshift({ id, type: envelope.type.replace(/^fleet\.|\.v1$/g, ""), ...pick(envelope) });
  store.events.length = Math.min(store.events.length, EVENTS_KEPT);
  position = Math.max(position, id);
  noteNodes(envelope);
  if (store.loaded) askSoon();
}

const pick = ({ time, subject, source, cause, data }) => ({ time, subject, source, cause, data });

/** Whose devices an event may have changed. Where that is not plain, everybody's. */
function noteNodes({ type, data }) {
  if (type.includes(".work.") || type.includes(".command.") || type.includes("previewed")) return;
  const named = (data.allocations ?? []).map((allocation) => allocation.node_id);
  const before = store.state?.placements?.find((placement) => placement.workload_id === (data.workload_id ?? data.workload?.workload_id));
  const nodes = [...named, ...(before?.allocations ?? []).map((allocation) => allocation.node_id)];
  const node = data.node_id ?? data.node?.node_id ?? store.devices.get(data.device_id)?.node_id;
  if (node) nodes.push(node);
  if (!nodes.length && !type.includes("refused") && !type.includes("queued")) wholeFleet = true;
  for (const id of nodes) changedNodes.add(id);
}

function takeReadings({ time, nodes, samples }) {
  const at = Date.parse(time);
  store.clockOffsetMs = at - Date.now();
  store.readingsAt = at;
  for (const node of nodes) store.heard.set(node, at);
  for (const sample of samples) {
    const device = store.devices.get(sample.device_id);
    if (!device) continue;
    device.sample = sample;
    const trail = store.trails.get(sample.device_id);
    if (trail) keep(trail, sample);
  }
}

function keep(trail, sample) {
  if (trail.length && trail.at(-1).timestamp >= sample.timestamp) return;
  trail.push(sample);
  if (trail.length > TRAIL_KEPT) trail.shift();
}

/** Gather a device's readings from now on. */
export function trailOf(deviceId) {
  if (!store.trails.has(deviceId)) {
    const sample = store.devices.get(deviceId)?.sample;
    store.trails.set(deviceId, sample ? [sample] : []);
  }
  return store.trails.get(deviceId);
}

function askSoon() {
  asking ??= setTimeout(async () => {
    try {
      await ask();
    } catch (error) {
      if (error.status === 401) lost(error);
    } finally {
      asking = null;
      if (wholeFleet || changedNodes.size) askSoon();
    }
  }, ASK_AFTER_MS);
}

async function ask() {
  const nodes = [...changedNodes];
  const all = wholeFleet || nodes.length > FEW_NODES;
  [wholeFleet, changedNodes] = [false, new Set()];
  try {
    const [state, ...pages] = await Promise.all([
      get(`/api/v1/state?at_least=${position}`),
      ...(all ? [get(`/api/v1/devices?at_least=${position}`)] : nodes.map((node) => get(`/api/v1/devices?node_id=${node}&at_least=${position}`))),
    ]);
    takeState(state);
    takeDevices(pages.flatMap((page) => page.devices ?? []), all);
  } catch (error) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    wholeFleet = true;
    throw error;
  }
}

function takeState(state) {
  store.state = state;
  for (const node of state.nodes ?? []) {
    const seen = Date.parse(node.last_seen ?? "");
    if (seen > (store.heard.get(node.node_id) ?? 0)) store.heard.set(node.node_id, seen);
  }
}

function takeDevices(devices, all) {
  if (all) store.devices = new Map(devices.map((device) => [device.capabilities.device_id, fresher(device)]));
  else for (const device of devices) store.devices.set(device.capabilities.device_id, fresher(device));
  store.devicesVersion += 1;
  store.loaded = true;
  tell();
}

/** A reading that came by the stream meanwhile is newer than the answer's. */
function fresher(device) {
  const known = store.devices.get(device.capabilities.device_id)?.sample;
  if (known && (!device.sample || known.timestamp > device.sample.timestamp)) device.sample = known;
  return device;
}

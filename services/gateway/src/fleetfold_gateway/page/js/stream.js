// The event stream, read with `fetch`: unlike `EventSource` it can show a token, and it knows where it stood.

import { Problem, headers } from "./api.js";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8000;
/** The gateway says something every 15 s at least: a connection that is silent for longer is none. */
const SILENT_MS = 40_000;

export async function* frames(path, lastId, signal) {
  const response = await fetch(path, { headers: headers(lastId ? { "Last-Event-ID": lastId } : {}), signal });
  if (!response.ok) throw new Problem(await response.json());
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  while (true) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) yield parsed(part);
  }
}

function parsed(text) {
  const frame = { event: "message", id: null, data: "" };
  for (const line of text.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon < 1) continue;
    const [name, value] = [line.slice(0, colon), line.slice(colon + 2)];
    frame[name] = name === "data" && frame.data ? `${frame.data}\n${value}` : value;
  }
  return frame;
}

/** Follow for ever. `on` hears `frame`, `open`, and `lost` with what was the matter. */
export async function follow(path, on) {
  let lastId = null;
  let pause = FIRST_PAUSE_MS;
  while (true) {
    const abort = new AbortController();
    let watchdog = setTimeout(() => abort.abort(), SILENT_MS);
    try {
      for await (const frame of frames(path, lastId, abort.signal)) {
        clearTimeout(watchdog);
        watchdog = setTimeout(() => abort.abort(), SILENT_MS);
        if (frame.event === "begins") {
          pause = FIRST_PAUSE_MS;
          on.open();
        }
        if (frame.id) lastId = frame.id;
        if (frame.data) on.frame(frame);
      }
      on.lost(new Error("the gateway ended the stream"));
    } catch (error) {
      on.lost(error);
    } finally {
      clearTimeout(watchdog);
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
  }
}

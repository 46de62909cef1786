// The page: which view is shown, how we stand with the gateway, and in which theme.

import { get, token } from "./api.js";
import { h, replace, say } from "./dom.js";
import { age, clock } from "./format.js";
import { now, start, store, subscribe } from "./store.js";
import { device } from "./views/device.js";
import { devices } from "./views/devices.js";
import { events } from "./views/events.js";
import { overview } from "./views/overview.js";
import { placement, placements } from "./views/placements.js";
import { topology } from "./views/topology.js";
import { work } from "./views/work.js";

const ROUTES = [
  [/^\/$/, overview, "Overview"],
  [/^\/devices$/, devices, "Devices"],
  [/^\/devices\/([^/]+)$/, device, "Device"],
  [/^\/topology$/, topology, "Topology"],
  [/^\/topology\/([^/]+)$/, topology, "Topology"],
  [/^\/placements$/, placements, "Placements"],
  [/^\/placements\/([^/]+)$/, placement, "Placement"],
  [/^\/work$/, work, "Work"],
  [/^\/events$/, events, "Events"],
];
const READINGS_STALE_S = 15;
const THEMES = ["auto", "light", "dark"];

const main = document.getElementById("main");
let view = null;

function route() {
  const path = location.hash.replace(/^#/, "") || "/";
  const [pattern, make, title] = ROUTES.find(([candidate]) => candidate.test(path)) ?? [/()/, missing, "Not found"];
  view?.dispose?.();
  const parameters = path.match(pattern).slice(1).map(decodeURIComponent);
  view = make(...parameters);
  replace(main, view.element);
  document.title = `${parameters[0] ?? title} – Fleetfold`;
  for (const link of document.querySelectorAll(".nav a")) {
    const target = link.getAttribute("href").slice(1);
    if (target === "/" ? path === "/" : path.startsWith(target)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  view.update();
}

function missing() {
  return { element: h("h1", {}, "There is no such page"), update() {} };
}

function standing() {
  const { gateway, nats } = store;
  if (!gateway.connected) {
    if (gateway.why === null) return ["loading", "Connecting", null];
    const since = clock(gateway.since);
    return ["away", "No gateway", `The gateway has not answered since ${since}. What you see is from then; it is tried again by itself.`];
  }
  if (!nats.connected) {
    const since = clock(nats.since);
    return ["away", "NATS is away", `NATS is away since ${since}. What you see is from then; commands cannot be taken.`];
  }
  const silent = store.readingsAt === null ? null : (now() - store.readingsAt) / 1000;
  const quiet = store.readingsAt !== null && Date.now() - lastReading.arrived > READINGS_STALE_S * 1000;
  if (quiet) return ["stale", `Readings ${age(silent)} old`, null];
  return ["live", "Live", null];
}

const lastReading = { at: null, arrived: Date.now() };

function showStanding() {
  if (store.readingsAt !== lastReading.at) Object.assign(lastReading, { at: store.readingsAt, arrived: Date.now() });
  const [state, word, explanation] = standing();
  const pill = document.getElementById("standing");
  pill.dataset.state = state;
  say(pill, word);
  const banner = document.getElementById("banner");
  banner.hidden = explanation === null;
  say(banner, explanation ?? "");
}

function update() {
  showStanding();
  if (store.gateway.why?.status === 401) signIn();
  view?.update();
}

function signIn() {
  const dialog = document.getElementById("sign-in");
  if (dialog.open) return;
  document.getElementById("sign-in-wrong").hidden = !token.get();
  dialog.showModal();
}

document.getElementById("sign-in").addEventListener("close", () => {
  token.set(document.getElementById("sign-in-token").value);
  askSession();
  store.gateway.why = new Error("signing in");
});

function askSession() {
  get("/api/v1/session").then((session) => {
    store.session = session;
  }, () => {});
}

const theme = document.getElementById("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");

function showTheme() {
  const chosen = localStorage.getItem("fleetfold-theme") ?? "auto";
  document.documentElement.dataset.theme = chosen === "auto" ? (dark.matches ? "dark" : "light") : chosen;
  say(theme, `Theme: ${chosen}`);
  view?.restyle?.();
}

theme.addEventListener("click", () => {
  const chosen = localStorage.getItem("fleetfold-theme") ?? "auto";
  localStorage.setItem("fleetfold-theme", THEMES[(THEMES.indexOf(chosen) + 1) % THEMES.length]);
  showTheme();
});
dark.addEventListener("change", showTheme);

showTheme();
askSession();
window.addEventListener("hashchange", () => {
  route();
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
});
subscribe(update);
setInterval(update, 1000);
route();
start();

// The mosaic: every GPU a square, node by node. The fuller the colour, the busier; a sign where something is wrong.

import { h } from "../dom.js";
import { many, percent } from "../format.js";
import { store } from "../store.js";

const LARGEST_PX = 40;
const SMALLEST_PX = 6;
const MOST_HEIGHT_PX = 420;

export class Mosaic {
  constructor() {
    this.canvas = h("canvas", { class: "mosaic", role: "img" });
    this.hint = h("span", {}, "");
    const legend = h("p", { class: "legend" }, h("span", {}, "idle", h("i", { class: "ramp" }), "busy"), h("span", {}, "⬚ not read"), h("span", {}, "✕ down"), h("span", {}, "▬ cordoned"), this.hint);
    this.element = h("div", {}, this.canvas, legend);
    this.canvas.addEventListener("click", (event) => this.open(event));
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", () => { this.hint.textContent = ""; });
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.element);
    this.version = -1;
    this.ordered = [];
  }

  dispose() {
    this.resized.disconnect();
  }

  show() {
    if (this.version !== store.devicesVersion) {
      this.version = store.devicesVersion;
      this.ordered = [...store.devices.values()].sort((one, other) => (one.node_id < other.node_id ? -1 : one.node_id > other.node_id ? 1 : one.capabilities.device_id < other.capabilities.device_id ? -1 : 1));
      this.canvas.setAttribute("aria-label", `${many(this.ordered.length, "GPU")}, node by node; the page Devices lists them`);
    }
    this.draw();
  }

  draw() {
    const width = this.element.clientWidth;
    if (!width || !this.ordered.length) return;
    this.cell = cellSize(width, this.ordered.length);
    this.perRow = Math.max(1, Math.floor(width / this.cell));
    const height = Math.ceil(this.ordered.length / this.perRow) * this.cell;
    const scale = window.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * scale) || this.canvas.height !== Math.round(height * scale)) {
      [this.canvas.width, this.canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
      this.canvas.style.height = `${height}px`;
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const colours = palette();
    this.ordered.forEach((device, index) => square(pen, device, (index % this.perRow) * this.cell, Math.floor(index / this.perRow) * this.cell, this.cell - gap(this.cell), colours));
  }

  at(event) {
    const index = Math.floor(event.offsetY / this.cell) * this.perRow + Math.floor(event.offsetX / this.cell);
    return event.offsetX < this.perRow * this.cell ? this.ordered[index] : undefined;
  }

  open(event) {
    const device = this.at(event);
    if (device) location.hash = `#/devices/${encodeURIComponent(device.capabilities.device_id)}`;
  }

  point(event) {
    const device = this.at(event);
    this.hint.textContent = device ? `${device.capabilities.device_id}: ${device.status}, ${percent(device.sample?.compute_utilization_percent)}` : "";
  }
}

const gap = (cell) => (cell > 12 ? 3 : 1);

function cellSize(width, count) {
  let cell = LARGEST_PX;
  while (cell > SMALLEST_PX && Math.ceil(count / Math.floor(width / cell)) * cell > MOST_HEIGHT_PX) cell -= 1;
  return cell;
}

function palette() {
  const css = getComputedStyle(document.documentElement);
  const colour = (name) => css.getPropertyValue(name).trim();
  return { low: rgb(colour("--heat-0")), high: rgb(colour("--heat-1")), bad: colour("--bad"), warn: colour("--warn"), line: colour("--line-strong"), sunken: colour("--sunken") };
}

const rgb = (hex) => [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));

function mixed({ low, high }, share) {
  const parts = low.map((part, index) => Math.round(part + (high[index] - part) * share));
  return `rgb(${parts.join(" ")})`;
}

function square(pen, device, x, y, side, colours) {
  const { status, sample } = device;
  const busy = sample?.compute_utilization_percent;
  const down = status === "offline" || status === "lost" || status === "faulted";
  if (down || busy === undefined) {
    pen.strokeStyle = down ? colours.bad : colours.line;
    pen.setLineDash(down ? [] : [2, 2]);
    pen.strokeRect(x + 0.5, y + 0.5, side - 1, side - 1);
    pen.setLineDash([]);
    if (down) cross(pen, x, y, side);
    return;
  }
  pen.fillStyle = mixed(colours, busy / 100);
  pen.fillRect(x, y, side, side);
  if (status !== "live") {
    pen.fillStyle = colours.warn;
    pen.fillRect(x, y + side - Math.max(2, side / 5), side, Math.max(2, side / 5));
  }
}

function cross(pen, x, y, side) {
  pen.beginPath();
  pen.moveTo(x + 2, y + 2);
  pen.lineTo(x + side - 2, y + side - 2);
  pen.moveTo(x + side - 2, y + 2);
  pen.lineTo(x + 2, y + side - 2);
  pen.stroke();
}

// Charts of a device's readings, with uPlot, which index.html loads.

import { h, say } from "./dom.js";
import { clock } from "./format.js";

const { uPlot } = globalThis;

const HEIGHT_PX = 160;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * A chart of one reading: `read(sample)` gives its value, `write(value)` its text, `top` is the least upper end, and
 * `steps` are the distances between two lines of its grid, where they are not decimal.
 */
export class Chart {
  constructor({ title, read, write, top, steps }) {
    Object.assign(this, { title, read, write, top, steps });
    this.value = h("output", {});
    this.plotted = h("div", { class: "plot", role: "img" });
    this.element = h("figure", { class: "card chart" }, h("h2", {}, title, this.value), this.plotted);
    this.resized = new ResizeObserver(() => this.plot?.setSize(this.size()));
    this.resized.observe(this.plotted);
  }

  dispose() {
    this.resized.disconnect();
    this.plot?.destroy();
  }

  restyle() {
    this.plot?.destroy();
    this.plot = null;
  }

  size() {
    return { width: Math.max(200, this.plotted.clientWidth), height: HEIGHT_PX };
  }

  /** Show samples, the oldest first. Where one was throttled, a mark stands at the foot. */
  show(samples) {
    const times = samples.map((sample) => Date.parse(sample.timestamp) / 1000);
    const values = samples.map((sample) => this.read(sample) ?? null);
    const throttled = samples.map((sample) => (sample.throttled ? 0 : null));
    const newest = values.at(-1) ?? null;
    say(this.value, this.write(newest ?? undefined));
    this.plotted.setAttribute("aria-label", `${this.title}: ${this.write(newest ?? undefined)} now, ${values.length} readings shown`);
    this.plot ??= new uPlot(this.options(), [[], [], []], this.plotted);
    this.plot.setData([times, values, throttled]);
  }

  options() {
    const axis = { stroke: css("--ink-soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    return {
      ...this.size(),
      padding: [8, 28, 0, 0],
      cursor: { y: false },
      legend: { show: false },
      scales: { y: { range: (_, low, high) => [0, Math.max(this.top, (high ?? 0) * 1.1)] } },
      axes: [
        { ...axis, grid: { show: false }, size: 22, space: 90, values: (_, ticks) => ticks.map((tick) => clock(tick * 1000)) },
        { ...axis, size: 60, incrs: this.steps, values: (_, ticks) => ticks.map((tick) => this.write(tick)) },
      ],
      series: [
        {},
        { stroke: css("--series-1"), width: 1.5, spanGaps: false, points: { show: false }, fill: `${css("--series-1")}1f` },
        { stroke: css("--bad"), paths: () => null, points: { show: true, size: 7, fill: css("--bad") } },
      ],
    };
  }
}

// A table of any length: only the rows in sight, and some around them, are there. Keys move from row to row.

import { h, replace } from "./dom.js";

const ROW_PX = 40;
const AROUND = 8;

/**
 * `columns`: `{ title, width, number, secondary, make(): cell content, show(content, item), sort(item) }`.
 * `keyOf(item)` names an item, `open(item)` is called for a click or Enter.
 */
export class VirtualTable {
  constructor({ label, columns, keyOf, open, sorted }) {
    this.columns = columns;
    this.keyOf = keyOf;
    this.open = open;
    this.sorted = sorted;
    this.items = [];
    this.rows = [];
    this.above = spacer(columns.length);
    this.below = spacer(columns.length);
    this.body = h("tbody", {});
    this.head = h("tr", { "aria-rowindex": 1 }, columns.map((column, index) => this.heading(column, index)));
    this.table = h("table", { "aria-label": label }, h("colgroup", {}, columns.map(col)), h("thead", {}, this.head), this.body);
    this.element = h("div", { class: "virtual card", tabindex: 0, role: "region", "aria-label": label }, this.table);
    this.element.addEventListener("scroll", () => this.draw(), { passive: true });
    this.body.addEventListener("click", (event) => this.clicked(event));
    this.element.addEventListener("keydown", (event) => this.pressed(event));
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.element);
  }

  dispose() {
    this.resized.disconnect();
  }

  heading(column, index) {
    const button = h("button", { type: "button", onclick: () => this.sortBy(index) }, column.title);
    const kind = [column.number && "number", column.secondary && "secondary"].filter(Boolean).join(" ");
    return h("th", { scope: "col", class: kind }, button);
  }

  sortBy(index) {
    const down = this.sorted.index === index ? !this.sorted.down : Boolean(this.columns[index].number);
    Object.assign(this.sorted, { index, down });
    this.show(this.items);
  }

  /** Show these items, in the chosen order. */
  show(items) {
    const { index, down } = this.sorted;
    const keyed = items.map((item) => [this.columns[index].sort(item), this.keyOf(item), item]);
    keyed.sort((one, other) => compare(one[0], other[0], down) || (one[1] < other[1] ? -1 : 1));
    this.items = keyed.map(([, , item]) => item);
    this.table.setAttribute("aria-rowcount", this.items.length + 1);
    for (const [position, cell] of [...this.head.children].entries()) {
      if (position === index) cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
    this.draw();
  }

  /** Fill the rows in sight. */
  draw() {
    const first = Math.max(0, Math.floor(this.element.scrollTop / ROW_PX) - AROUND);
    const last = Math.min(this.items.length, first + Math.ceil(this.element.clientHeight / ROW_PX) + 2 * AROUND);
    while (this.rows.length < last - first) this.rows.push(this.makeRow());
    const shown = this.rows.slice(0, last - first);
    shown.forEach((row, offset) => this.fillRow(row, first + offset));
    height(this.above, first * ROW_PX);
    height(this.below, (this.items.length - last) * ROW_PX);
    if (this.body.childElementCount !== shown.length + 2) replace(this.body, this.above, shown.map((row) => row.element), this.below);
  }

  makeRow() {
    const contents = this.columns.map((column) => column.make());
    const cells = contents.map((content, index) => {
      const column = this.columns[index];
      const kind = [column.number && "number", column.secondary && "secondary"].filter(Boolean).join(" ");
      return h("td", { class: kind }, content);
    });
    return { element: h("tr", { tabindex: -1 }, cells), contents };
  }

  fillRow(row, index) {
    row.index = index;
    row.element.setAttribute("aria-rowindex", index + 2);
    this.columns.forEach((column, position) => column.show(row.contents[position], this.items[index]));
  }

  rowOf(element) {
    return this.rows.find((row) => row.element === element?.closest("tr"));
  }

  clicked(event) {
    const row = this.rowOf(event.target);
    if (row && !event.target.closest("a")) this.open(this.items[row.index]);
  }

  pressed(event) {
    const row = this.rowOf(document.activeElement);
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW_PX) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key === "Enter" && row) this.open(this.items[row.index]);
    else if (event.key in steps && (row || event.key === "ArrowDown")) {
      event.preventDefault();
      this.focus(row ? row.index + steps[event.key] : Math.floor(this.element.scrollTop / ROW_PX));
    }
  }

  focus(wanted) {
    const index = Math.max(0, Math.min(this.items.length - 1, wanted));
    const top = index * ROW_PX;
    const visible = this.element.clientHeight - 2 * ROW_PX;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top > this.element.scrollTop + visible) this.element.scrollTop = top - visible;
    this.draw();
    this.rows.find((row) => row.index === index && row.element.isConnected)?.element.focus({ preventScroll: true });
  }
}

const col = (column) => h("col", { class: column.secondary ? "secondary" : "", style: { width: column.width } });
const spacer = (span) => h("tr", { class: "spacer", "aria-hidden": "true" }, h("td", { colspan: span }));

function height(row, px) {
  row.style.height = `${px}px`;
}

/** What is not known stands last, whichever way. */
function compare(one, other, down) {
  const [unknown, otherUnknown] = [one === null || one === undefined, other === null || other === undefined];
  if (unknown || otherUnknown) return unknown - otherUnknown;
  const order = one < other ? -1 : one > other ? 1 : 0;
  return down ? -order : order;
}

// Elements from plain calls. Text is always text: nothing that the fleet says is ever read as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const h = (tag, properties, ...children) => fill(document.createElement(tag), properties, children);
export const svg = (tag, properties, ...children) => fill(document.createElementNS(SVG, tag), properties, children);
export const replace = (parent, ...children) => parent.replaceChildren(...children.flat(Infinity).filter(Boolean));

/** Put text there if it is another one: an element that is left alone is not read out again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function status(word) {
  return h("span", { class: "status", "data-status": word }, word);
}

/** A bar. Each part is `[share from 0 to 1, class]`, laid one after another. */
export function meter(label, ...parts) {
  let from = 0;
  const bars = parts.map(([share, kind]) => {
    const bar = h("i", { class: kind, style: { left: `${100 * from}%`, width: `${100 * clamp(share)}%` } });
    from += clamp(share);
    return bar;
  });
  return h("span", { class: "meter", role: "img", "aria-label": label }, bars);
}

export const clamp = (share) => Math.min(1, Math.max(0, share || 0));

export function empty(title, ...lines) {
  const mark = svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: "M4 4h10l6 6v10H4z M14 4v6h6" }));
  return h("div", { class: "empty" }, mark, h("strong", {}, title), lines.map((line) => h("p", {}, line)));
}

export function loading(what) {
  return h("div", { class: "ghost", role: "status" }, h("span", { class: "hidden-text" }, `Loading ${what}`), [1, 2, 3, 4].map(() => h("i", {})));
}

export function toast(text) {
  const shown = h("div", { class: "toast" }, text);
  document.getElementById("toasts").append(shown);
  setTimeout(() => shown.remove(), 6000);
}

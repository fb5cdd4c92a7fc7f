// Elements from plain values. Text becomes text nodes, never markup, so text from data is inert.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Returns an HTML element. `on` maps events to listeners. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Returns an SVG element. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Returns a table of a header and rows; the first cell of a row is its header. */
export function table(caption, header, rows) {
  const cells = ([first, ...rest]) =>
    h("tr", {}, h("th", { scope: "row", dir: "auto" }, first), rest.map((cell) => h("td", {}, cell)));
  return h(
    "table",
    { class: "numbers" },
    caption ? h("caption", {}, caption) : null,
    h("thead", {}, h("tr", {}, header.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, rows.map(cells)),
  );
}

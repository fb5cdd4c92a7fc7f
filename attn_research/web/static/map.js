// An attention map: source symbols from left to right (or right to left), output symbols from top to bottom.

import { h, s } from "attn-research/dom.js";
import { END, isRightToLeft, label, width } from "attn-research/symbols.js";

const HALF_EM = 6; // pixels of half an em of a label
const CELL = 16;
const SMALL_CELL = 9; // of maps with many symbols
const MANY = 48;
const INVISIBLE = 0.002; // a weight below it is not drawn

/** Returns the output symbols, one for each row of the weights: the last is the end symbol if it has a row. */
export function outputSymbols(map) {
  const steps = map.weights?.length ?? map.output.length;
  return [...map.output, ...Array(Math.max(0, steps - map.output.length)).fill(END)];
}

/** Returns the steps whose symbol differs from the reference that agrees with the output at most positions. */
export function wrongSteps(symbols, references) {
  const differences = references.map((reference) => {
    const expected = [...reference, END];
    return symbols.map((_, i) => i).filter((i) => symbols[i] !== expected[i]);
  });
  const missing = references.map((reference, i) => differences[i].length + Math.max(0, reference.length + 1 - symbols.length));
  const best = missing.indexOf(Math.min(...missing));
  return new Set(differences[best] ?? []);
}

/** Returns the index of the largest number. */
export function largest(numbers) {
  return numbers.reduce((best, number, i) => (number > numbers[best] ? i : best), 0);
}

function geometry(source, symbols) {
  const cell = Math.max(source.length, symbols.length) > MANY ? SMALL_CELL : CELL;
  const turned = source.map((symbol) => width(label(symbol)) * HALF_EM > cell);
  const heights = source.map((symbol, j) => (turned[j] ? width(label(symbol)) * HALF_EM : 11));
  return {
    cell,
    turned,
    top: Math.max(...heights) + 9,
    left: Math.max(...symbols.map((symbol) => width(label(symbol))), 2) * HALF_EM + 9,
  };
}

/** Returns a map as SVG.
 *
 * @param item source, references and gold links
 * @param map output and weights
 * @param options step: the marked row; gold: whether gold links are outlined; choose: called with a step that is clicked
 */
export function drawMap(item, map, { step, gold, choose }) {
  const symbols = outputSymbols(map);
  const { cell, turned, top, left } = geometry(item.source, symbols);
  const columns = item.source.length;
  const reversed = isRightToLeft(item.source);
  const x = (j) => left + (reversed ? columns - 1 - j : j) * cell;
  const y = (t) => top + t * cell;
  const size = { width: left + columns * cell + 2, height: top + symbols.length * cell + 2 };
  const wrong = wrongSteps(symbols, item.references);
  const cells = (map.weights ?? []).flatMap((row, t) => row.map((weight, j) => ({ weight, t, j })))
    .filter(({ weight }) => weight >= INVISIBLE)
    .map(({ weight, t, j }) => s("rect", {
      x: x(j), y: y(t), width: cell, height: cell, class: "weight", style: `--w: ${(100 * Math.min(1, weight)).toFixed(1)}%` }));
  const links = gold ? item.gold.filter(([, t]) => t < symbols.length).map(([j, t]) => s("rect", {
    x: x(j) + 1.5, y: y(t) + 1.5, width: cell - 3, height: cell - 3, class: "gold" })) : [];
  const frame = s("rect", { x: left, y: top, width: columns * cell, height: symbols.length * cell, class: "frame" });
  const marked = step < symbols.length ? s("rect", {
    x: left - 1, y: y(step) - 0.5, width: columns * cell + 2, height: cell + 1, class: "marked" }) : null;
  const hits = symbols.map((_, t) => s("rect", {
    x: 0, y: y(t), width: size.width, height: cell, class: "hit", on: { click: () => choose(t) } }));
  return s("svg",
    { viewBox: `0 0 ${size.width} ${size.height}`, style: `max-width: ${size.width}px`, role: "img", "aria-label": describe(item, symbols, map) },
    frame, cells, links, marked,
    item.source.map((symbol, j) => above(label(symbol), x(j) + cell / 2, top - 5, turned[j], cell)),
    symbols.map((symbol, t) => s("text", {
      x: left - 6, y: y(t) + cell / 2, class: wrong.has(t) ? "beside wrong" : "beside" }, label(symbol))),
    hits);
}

function above(text, x, y, turned, cell) {
  const place = turned ? { transform: `translate(${x} ${y}) rotate(-90)`, class: "above turned" } : { x, y, class: "above" };
  return s("text", { ...place, style: cell === SMALL_CELL ? "font-size: 9px" : null }, text);
}

/** Returns a map in one sentence. */
export function describe(item, symbols, map) {
  if (!map.weights) return `No attention. Output: ${symbols.map((symbol) => label(symbol)).join(" ")}`;
  const parts = symbols.map((symbol, t) => {
    const j = largest(map.weights[t]);
    return `${label(symbol)} from ${label(item.source[j])} ${map.weights[t][j].toFixed(2)}`;
  });
  return `Attention map. ${parts.join(", ")}`;
}

/** Returns what stands in place of a map without weights. */
export function withoutMap(item, map) {
  const symbols = outputSymbols(map);
  const wrong = wrongSteps([...map.output, END], item.references);
  return h("div", { class: "without" },
    h("p", {}, "no attention: nothing to show"),
    h("p", { class: "output", dir: "auto" }, symbols.map((symbol, t) => h("span", { class: wrong.has(t) ? "wrong" : null }, label(symbol)))));
}

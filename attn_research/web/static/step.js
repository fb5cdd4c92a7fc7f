// One output step as in a textbook: query, scores, weights over the source, context, chosen symbol.

import { h, s, table } from "attn-research/dom.js";
import { largest, outputSymbols, wrongSteps } from "attn-research/map.js";
import { isRightToLeft, label, width } from "attn-research/symbols.js";

const GUTTER = 136; // width of the names of the rows
const HALF_EM = 6.5;
const NARROW = 15, WIDE = 44; // least and usual largest width of a source symbol
const LONGEST = 12; // characters of a source symbol
const NAMED = 4; // terms of the context that are written out
const NOT_STORED = "Runs do not save queries and scores, so the picture starts with the weights. report --scores computes them.";
const MEAN_OF_HEADS = "The weights are the mean of all heads. Choose one head to see its scores.";
const ROWS = { query: 26, scores: 58, weights: 86, words: 24, links: 64, context: 30, symbol: 36 };

/** Returns the picture of a step, and its numbers as a table.
 *
 * @param state item, map, step and gold; `map.trace` may have the query and the scores of every step
 * @param available the width in pixels that the picture may fill
 */
export function drawStep(state, available) {
  const { item, map, step } = state;
  const symbols = outputSymbols(map);
  const weights = map.weights[step];
  const trace = map.trace?.[step] ?? null;
  const layout = place(item, trace, available);
  const parts = [query(layout, symbols, step, trace), trace?.scores ? scores(layout, trace) : null, bars(layout, weights),
    words(layout, item, step, state.gold), sum(layout, item, weights), symbol(layout, symbols, step, item, trace)];
  const picture = s("svg",
    { viewBox: `0 0 ${layout.width} ${layout.height}`, width: layout.width, height: layout.height, role: "img", class: "step-picture",
      "aria-label": `Step ${step + 1} of ${symbols.length}. The numbers are in the table below.` }, parts);
  return [h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Picture of the step" }, picture),
    trace?.scores ? null : h("p", { class: "caption" }, trace ? MEAN_OF_HEADS : NOT_STORED),
    numbers(item, weights, trace)].filter(Boolean);
}

function place(item, trace, available) {
  const least = item.source.map((symbol) => Math.max(NARROW, width(label(symbol, LONGEST)) * HALF_EM + 5));
  const needed = least.reduce((sum, one) => sum + one, 0);
  const stretch = Math.max(1, Math.min((available - GUTTER - 10) / needed, WIDE / NARROW));
  const order = item.source.map((_, j) => j);
  if (isRightToLeft(item.source)) order.reverse();
  const centers = [], widths = least.map((one) => one * stretch);
  let end = GUTTER;
  for (const j of order) {
    centers[j] = end + widths[j] / 2;
    end += widths[j];
  }
  const tops = {};
  let top = 4;
  for (const [row, height] of Object.entries(ROWS)) {
    tops[row] = top;
    if (row !== "scores" || trace?.scores) top += height + 10;
  }
  const total = Math.max(end + 10, Math.min(available, 520));
  return { tops, end, width: total, height: top, middle: (GUTTER + end) / 2, x: (j) => centers[j], bar: (j) => Math.min(34, widths[j] * 0.72), wide: (j) => widths[j] };
}

function name(layout, row, formula, text) {
  const y = layout.tops[row] + ROWS[row] / 2;
  return s("g", {},
    s("text", { x: 0, y: y - 3, class: "formula" }, formula),
    s("text", { x: 0, y: y + 12, class: "explanation" }, text));
}

function query(layout, symbols, step, trace) {
  const y = layout.tops.query;
  const before = step ? `the decoder’s state after “${label(symbols[step - 1])}”` : "the decoder’s state before the first symbol";
  const peak = Math.max(...(trace?.query ?? []).map(Math.abs), 1e-9);
  const vector = (trace?.query ?? []).map((value, i) => s("rect", {
    x: GUTTER + 4 + i * 4, y: y + 14, width: 4, height: 10, class: value < 0 ? "negative" : "weight",
    style: `--w: ${((100 * Math.abs(value)) / peak).toFixed(0)}%` }));
  return s("g", {}, name(layout, "query", "qₜ", "query"),
    s("text", { x: GUTTER + 4, y: y + 9, class: "label" }, before), vector);
}

function scores(layout, trace) {
  const top = layout.tops.scores, height = ROWS.scores;
  const low = Math.min(0, ...trace.scores), high = Math.max(0, ...trace.scores);
  const at = (value) => top + height - ((value - low) / (high - low || 1)) * height;
  const best = largest(trace.scores);
  return s("g", {}, name(layout, "scores", "eₜⱼ = score(qₜ, hⱼ)", "before normalizing"),
    s("line", { x1: GUTTER, x2: layout.end, y1: at(0), y2: at(0), class: "axis" }),
    trace.scores.map((value, j) => s("rect", {
      x: layout.x(j) - layout.bar(j) / 2, width: layout.bar(j),
      y: Math.min(at(value), at(0)), height: Math.abs(at(value) - at(0)), class: "score-bar" })),
    s("text", { x: layout.x(best), y: at(trace.scores[best]) - 3, class: "value" }, trace.scores[best].toFixed(1)));
}

function bars(layout, weights) {
  const top = layout.tops.weights + 12, height = ROWS.weights - 12;
  const best = largest(weights);
  const limit = Math.max(1, weights[best]);
  return s("g", {}, name(layout, "weights", "αₜⱼ", "weights"),
    s("line", { x1: GUTTER, x2: layout.end, y1: top + height, y2: top + height, class: "axis" }),
    weights.map((weight, j) => s("rect", {
      x: layout.x(j) - layout.bar(j) / 2, width: layout.bar(j), y: top + height * (1 - weight / limit),
      height: (height * weight) / limit, class: "weight-bar" })),
    weights.map((weight, j) => (j === best || weight >= 0.1) ? s("text", {
      x: layout.x(j), y: top + height * (1 - weight / limit) - 3, class: "value" }, weight.toFixed(2)) : null));
}

function words(layout, item, step, gold) {
  const y = layout.tops.words;
  const linked = new Set(gold ? item.gold.filter(([, t]) => t === step).map(([j]) => j) : []);
  return s("g", {}, name(layout, "words", "hⱼ", "source"),
    item.source.map((symbol, j) => s("g", {},
      linked.has(j) ? s("rect", { x: layout.x(j) - layout.wide(j) / 2 + 1, y: y + 1, width: layout.wide(j) - 2, height: 20, rx: 2, class: "gold" }) : null,
      s("text", { x: layout.x(j), y: y + 16, class: "word" }, label(symbol, LONGEST)))));
}

function sum(layout, item, weights) {
  const top = layout.tops.links, bottom = layout.tops.context;
  const node = layout.middle;
  const lines = weights.map((weight, j) => weight < 0.01 ? null : s("path", {
    d: `M ${layout.x(j)} ${top} C ${layout.x(j)} ${top + 40}, ${node} ${bottom - 40}, ${node} ${bottom}`,
    class: "link", "stroke-width": Math.max(0.5, 9 * weight).toFixed(2) }));
  const order = weights.map((_, j) => j).sort((a, b) => weights[b] - weights[a]).filter((j) => weights[j] >= 0.005);
  const terms = order.slice(0, NAMED).flatMap((j, i) => [
    i ? " + " : "", s("tspan", { class: "number" }, weights[j].toFixed(2)), " h(", s("tspan", { class: "word" }, `\u2068${label(item.source[j], LONGEST)}\u2069`), ")"]);
  const rest = order.length > NAMED ? [" + …"] : [];
  return s("g", {}, lines, name(layout, "context", "cₜ = Σⱼ αₜⱼ hⱼ", "context"),
    s("circle", { cx: node, cy: bottom + 3, r: 5, class: "node" }),
    s("text", { x: node, y: bottom + 25, class: "terms" }, terms, rest));
}

function symbol(layout, symbols, step, item, trace) {
  const y = layout.tops.symbol;
  const node = layout.middle;
  const isWrong = wrongSteps(symbols, item.references).has(step);
  const text = label(symbols[step]);
  const half = Math.max(16, (width(text) * HALF_EM) / 2 + 8);
  const [chosen, next] = probabilities(trace, symbols[step]);
  const verdict = item.references.length ? (isWrong ? "differs from the reference" : "as in the reference") : "";
  return s("g", {}, name(layout, "symbol", "yₜ", "chosen symbol"),
    s("line", { x1: node, x2: node, y1: y - 6, y2: y + 2, class: "axis" }),
    s("rect", { x: node - half, y: y + 2, width: 2 * half, height: 26, rx: 3, class: isWrong ? "chosen wrong" : "chosen" }),
    s("text", { x: node, y: y + 20, class: isWrong ? "word wrong" : "word" }, text),
    s("text", { x: node + half + 10, y: y + 19, class: "explanation" }, [verdict, chosen, next].filter(Boolean).join("   ·   ")));
}

/** Returns texts of the probability of the chosen symbol and of the next likely ones. */
function probabilities(trace, chosen) {
  const known = trace?.symbols ?? [];
  const own = known.find(([symbol]) => symbol === chosen);
  const others = known.filter(([symbol, p]) => symbol !== chosen && p >= 0.005);
  return [own ? `p = ${own[1].toFixed(2)}` : "", others.map(([symbol, p]) => `${label(symbol)} ${p.toFixed(2)}`).join(", ")];
}

function numbers(item, weights, trace) {
  const header = ["source symbol", ...(trace?.scores ? ["score"] : []), "weight"];
  const rows = item.source.map((symbol, j) => [
    label(symbol), ...(trace?.scores ? [trace.scores[j].toFixed(3)] : []), weights[j].toFixed(4)]);
  return h("details", { class: "numbers" }, h("summary", {}, "Numbers of this step"), table("Numbers of this step", header, rows));
}

// The explorer: a list of items, the maps of all rows on one of them, and one output step as in a textbook.

import { h } from "attn-research/dom.js";
import { describe, drawMap, largest, outputSymbols, withoutMap } from "attn-research/map.js";
import { drawStep } from "attn-research/step.js";
import { join, label } from "attn-research/symbols.js";

const ORDERS = {
  number: ["test order", (a, b) => a.index - b.index],
  disagreement: ["disagreement of maps", (a, b) => (b.disagreement ?? -1) - (a.disagreement ?? -1)],
  errors: ["rows that are wrong", (a, b) => b.errors - a.errors],
  length: ["source length", (a, b) => b.source.length - a.source.length],
};
const MIN_MAP = 250, MAX_MAP = 420; // pixels of a column of maps
const MEAN = "mean";
const KEYS = [["← →", "step"], ["↑ ↓", "row"], ["n p", "next, previous item"], ["s", "seed"], ["g", "gold links"], ["h", "head"], ["/", "search"]];

export class Explorer {
  /** Makes the explorer in a section from a data source, as `FileData` is one. */
  constructor(section, source) {
    this.section = section;
    this.source = source;
    this.state = { task: 0, item: 0, step: 0, row: null, seed: 0, gold: true, head: MEAN, order: "number", query: "" };
  }

  async start() {
    this.tasks = await this.source.tasks();
    this.section.append(this.controls(), h("div", { class: "explorer", on: { keydown: (event) => this.press(event) } },
      this.list = h("div", { class: "items" }), this.stage = h("div", { class: "stage", tabindex: -1 })));
    this.parts = { maps: h("div", { class: "maps" }), head: h("div", { class: "head" }), step: h("div", { class: "step" }) };
    this.live = h("p", { class: "hidden", "aria-live": "polite" });
    this.stage.append(this.parts.head, this.parts.maps, this.parts.step, this.live);
    await this.chooseTask(0);
  }

  get task() {
    return this.tasks[this.state.task];
  }

  get item() {
    return this.task.items[this.state.item];
  }

  controls() {
    const choice = (name, element) => h("label", { class: "choice" }, name, " ", element);
    const listen = (event, listener) => ({ [event]: (happened) => listener(happened.target) });
    this.search = h("input", { type: "search", dir: "auto", on: listen("input", ({ value }) => this.filter(value)) });
    this.orders = h("select", { on: listen("change", ({ value }) => { this.state.order = value; this.drawList(); }) },
      Object.entries(ORDERS).map(([value, [text]]) => h("option", { value }, text)));
    this.seeds = h("select", { on: listen("change", ({ value }) => this.update({ seed: Number(value) })) });
    this.heads = h("select", { on: listen("change", ({ value }) => this.update({ head: value })) });
    this.gold = h("input", { type: "checkbox", checked: true, on: listen("change", ({ checked }) => this.update({ gold: checked })) });
    const tasks = h("select", { on: listen("change", ({ value }) => this.chooseTask(Number(value))) },
      this.tasks.map((task, i) => h("option", { value: i }, task.name)));
    return h("div", { class: "controls" },
      this.tasks.length > 1 ? choice("Task", tasks) : null, choice("Search", this.search), choice("Sort by", this.orders),
      choice("Seed", this.seeds), this.headChoice = choice("Head", this.heads), this.goldChoice = h("label", { class: "choice" }, this.gold, " gold links"),
      h("p", { class: "keys" }, KEYS.flatMap(([key, text]) => [h("kbd", {}, key), ` ${text} `])));
  }

  async chooseTask(index) {
    const { seeds, labels, items } = this.tasks[index];
    this.seeds.replaceChildren(...seeds.map((seed) => h("option", { value: seed }, String(seed))));
    this.goldChoice.hidden = !items.some((item) => item.gold.length);
    await this.update({ task: index, item: 0, step: 0, seed: seeds[0], row: labels[0] });
    const first = this.maps.find((map) => map.weights);
    if (first) await this.update({ row: first.label });
    this.drawList();
  }

  filter(query) {
    this.state.query = query.toLocaleLowerCase();
    this.drawList();
  }

  /** Returns the items that the search finds, in the chosen order. */
  matching() {
    const matches = ({ source, references }) =>
      [source, ...references].some((symbols) => join(symbols).toLocaleLowerCase().includes(this.state.query));
    const items = this.task.items.map((item, index) => ({ ...item, index })).filter(matches);
    return items.sort(ORDERS[this.state.order][1]);
  }

  drawList() {
    const items = this.matching();
    const note = (item) => ({
      number: `${item.index}`, length: `${item.source.length}`, errors: `${item.errors} wrong`,
      disagreement: item.disagreement === null ? "–" : item.disagreement.toFixed(2),
    })[this.state.order];
    const buttons = items.map((item) => h("li", {}, h("button",
      { type: "button", "data-item": item.index, "aria-current": item.index === this.state.item ? "true" : null,
        on: { click: () => this.update({ item: item.index, step: 0 }) } },
      h("span", { dir: "auto", class: "text" }, join(item.source)), h("span", { class: "note" }, note(item)))));
    this.list.replaceChildren(h("p", { class: "caption" }, `${items.length} of ${this.task.items.length} test items`), h("ul", {}, buttons));
  }

  async update(changes) {
    Object.assign(this.state, changes);
    const { task, item, seed, step } = this.state;
    const maps = await this.source.maps(task, item, seed);
    this.chooseHead(maps);
    this.maps = maps.map((map) => this.oneHead(map));
    const steps = Math.max(...this.maps.map((map) => outputSymbols(map).length));
    this.state.step = Math.min(Math.max(0, step), steps - 1);
    this.seeds.value = String(seed);
    this.gold.checked = this.state.gold;
    this.draw();
  }

  /** Offers the heads of the maps, and keeps the chosen one if they have it. */
  chooseHead(maps) {
    const most = Math.max(0, ...maps.map((map) => map.heads?.length ?? 0));
    this.headNames = [MEAN, ...Array.from({ length: most }, (_, head) => String(head))];
    if (!this.headNames.includes(this.state.head)) this.state.head = MEAN;
    this.heads.replaceChildren(...this.headNames.map((name) => h("option", { value: name }, name === MEAN ? "mean of all" : name)));
    this.heads.value = this.state.head;
    this.headChoice.hidden = !most;
  }

  /** Returns a map with the weights and the trace of the chosen head. */
  oneHead(map) {
    if (!map.traces) return map;
    if (!map.heads) return { ...map, trace: map.traces[0] };
    const head = Number(this.state.head);
    if (this.state.head === MEAN || head >= map.heads.length) {
      return { ...map, trace: map.traces[0].map((step) => ({ ...step, scores: null })) };
    }
    return { ...map, weights: map.heads[head], trace: map.traces[head] };
  }

  /** Draws everything anew. The focus stays on the button that takes the place of the focused one. */
  draw() {
    const { item, state } = this;
    const hadFocus = this.stage.contains(document.activeElement);
    const key = document.activeElement?.dataset?.key;
    this.parts.head.replaceChildren(
      this.line("source", item.source), ...item.references.slice(0, 3).map((reference) => this.line("reference", reference)));
    const figures = this.maps.map((map) => this.figure(map));
    const widest = Math.max(...figures.map((figure) => Number.parseFloat(figure.querySelector("svg")?.style.maxWidth ?? 0)));
    this.parts.maps.style.setProperty("--map", `${Math.min(MAX_MAP, Math.max(MIN_MAP, 0.85 * widest))}px`);
    this.parts.maps.replaceChildren(...figures);
    this.drawStep();
    for (const button of this.list.querySelectorAll("button")) {
      const isCurrent = Number(button.dataset.item) === state.item;
      isCurrent ? button.setAttribute("aria-current", "true") : button.removeAttribute("aria-current");
    }
    if (hadFocus) this.focus(key);
  }

  focus(key) {
    const step = this.parts.step.querySelector("[aria-current=step]");
    const same = [...this.stage.querySelectorAll("[data-key]")].find((button) => button.dataset.key === key);
    (key === "step" ? step : same ?? this.stage).focus({ preventScroll: true });
  }

  line(name, symbols) {
    return h("p", {}, h("span", { class: "name" }, name), h("span", { dir: "auto", class: "text" }, join(symbols)));
  }

  figure(map) {
    const { item, state } = this;
    const isChosen = map.label === state.row;
    const choose = (step) => {
      this.stage.focus({ preventScroll: true });
      this.update({ row: map.label, step });
    };
    const isRight = item.references.some((reference) => join(reference) === join(map.output));
    const button = h("button", { type: "button", "data-key": map.label, "aria-pressed": String(isChosen), on: { click: () => this.update({ row: map.label }) } },
      h("code", { dir: "auto" }, map.label));
    const verdict = item.references.length ? h("span", { class: isRight ? "right" : "wrong" }, isRight ? "right" : "wrong") : null;
    return h("figure", { class: isChosen ? "chosen" : null }, h("figcaption", {}, button, verdict),
      map.weights ? drawMap(item, map, { step: state.step, gold: state.gold, choose }) : withoutMap(item, map));
  }

  drawStep() {
    const { item, state } = this;
    const map = this.maps.find((one) => one.label === state.row) ?? this.maps[0];
    const symbols = outputSymbols(map);
    const step = Math.min(state.step, symbols.length - 1);
    const ribbon = symbols.map((symbol, t) => h("button",
      { type: "button", "data-key": "step", "data-step": t, "aria-current": t === step ? "step" : null, on: { click: () => this.update({ step: t }) } }, label(symbol)));
    const heading = h("h3", {}, "One step of ", h("code", { dir: "auto" }, map.label));
    const content = map.weights?.length ? drawStep({ item, map, step, gold: state.gold }, this.stage.clientWidth)
      : [h("p", {}, map.weights ? "The output has no symbol." : "This row has no attention, so there is no step to show.")];
    this.parts.step.replaceChildren(heading,
      h("div", { class: "ribbon", role: "group", "aria-label": "Output steps" },
        this.arrow("‹", "Previous step", -1), ribbon, this.arrow("›", "Next step", 1)), ...content);
    this.live.textContent = map.weights?.length ? this.sentence(map, symbols, step) : describe(item, symbols, map);
  }

  arrow(text, name, by) {
    return h("button", { type: "button", class: "arrow", "data-key": name, "aria-label": name, on: { click: () => this.update({ step: this.state.step + by }) } }, text);
  }

  sentence(map, symbols, step) {
    const j = largest(map.weights[step]);
    return `${map.label}, step ${step + 1} of ${symbols.length}: ${label(symbols[step])}, largest weight ${map.weights[step][j].toFixed(2)} on ${label(this.item.source[j])}`;
  }

  /** Follows a key that is pressed inside of the explorer. */
  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, .scroll")) return;
    const { state, task } = this;
    const turn = (values, value, by) => values[(values.indexOf(value) + by + values.length) % values.length];
    const items = this.matching().map((item) => item.index);
    const actions = {
      ArrowRight: () => this.update({ step: state.step + 1 }),
      ArrowLeft: () => this.update({ step: state.step - 1 }),
      ArrowDown: () => this.update({ row: turn(this.maps.map((map) => map.label), state.row, 1) }),
      ArrowUp: () => this.update({ row: turn(this.maps.map((map) => map.label), state.row, -1) }),
      n: () => items.length && this.update({ item: turn(items, state.item, 1), step: 0 }),
      p: () => items.length && this.update({ item: turn(items, state.item, -1), step: 0 }),
      s: () => this.update({ seed: turn(task.seeds, state.seed, 1) }),
      h: () => this.update({ head: turn(this.headNames, state.head, 1) }),
      g: () => this.update({ gold: !state.gold }),
      "/": () => this.search.focus(),
    };
    if (!Object.hasOwn(actions, event.key)) return;
    event.preventDefault();
    actions[event.key]();
  }
}

// Charts: a group shows one chart at a time, drawn by Vega-Lite, with a legend of buttons.

import { h, s, table } from "attn-research/dom.js";
import { color, palette } from "attn-research/theme.js";

const SHAPES = {
  circle: "M 0 -4 A 4 4 0 1 1 -0.01 -4 Z",
  square: "M -3.5 -3.5 H 3.5 V 3.5 H -3.5 Z",
  "triangle-up": "M 0 -4.5 L 4.2 3.4 H -4.2 Z",
  diamond: "M 0 -4.8 L 3.8 0 L 0 4.8 L -3.8 0 Z",
  cross: "M -4.5 -1.6 H -1.6 V -4.5 H 1.6 V -1.6 H 4.5 V 1.6 H 1.6 V 4.5 H -1.6 V 1.6 H -4.5 Z",
};

function config() {
  const ink = color("ink"), soft = color("soft"), rule = color("rule");
  const font = getComputedStyle(document.body).getPropertyValue("--sans");
  const axis = { labelColor: soft, titleColor: soft, tickColor: rule, domainColor: rule, gridColor: color("grid") };
  return {
    background: "transparent",
    font,
    view: { stroke: null },
    axis: { ...axis, labelFontSize: 11, titleFontSize: 12, titleFontWeight: "normal", titlePadding: 10, tickSize: 4 },
    axisX: { grid: false },
    range: { category: palette() },
    line: { color: ink },
    mark: { color: ink },
  };
}

export class ChartGroup {
  /** Shows the charts of a section. */
  constructor(section, charts, labels) {
    this.section = section;
    this.charts = charts;
    this.labels = labels;
    this.views = [];
    this.focus = null;
    this.select = section.querySelector("select");
    this.select?.addEventListener("change", () => this.draw());
    section.querySelector("details").addEventListener("toggle", () => this.fillNumbers());
  }

  get chart() {
    return this.charts[Number(this.select?.value ?? 0)];
  }

  async draw() {
    this.views.splice(0).forEach((view) => view.finalize());
    this.section.querySelector(".caption").textContent = this.chart.caption;
    this.section.querySelector(".legend").replaceChildren(...this.legend());
    const boxes = this.chart.panels.map(() => h("div", { class: "plot" }));
    const figures = this.chart.panels.map((panel, i) =>
      h("figure", {}, panel.title ? h("figcaption", { dir: "auto" }, panel.title) : null, boxes[i]));
    const panels = this.section.querySelector(".panels");
    panels.classList.toggle("several", figures.length > 1);
    panels.replaceChildren(...figures);
    await Promise.all(this.chart.panels.map((panel, i) => this.embed(boxes[i], panel)));
    this.fillNumbers();
  }

  async embed(box, panel) {
    const options = { actions: false, ast: true, renderer: "svg", config: config(), tooltip: { theme: "custom" } };
    const { view } = await window.vegaEmbed(box, panel.spec, options);
    const svg = box.querySelector("svg");
    svg?.setAttribute("role", "img");
    svg?.setAttribute("aria-label", `${this.chart.title} ${panel.title}. The numbers are in the table below.`);
    this.views.push(view);
    if (this.focus !== null) view.signal("focus", this.focus).runAsync();
  }

  /** Returns a button for every row of the chart; a press leaves only that row visible. */
  legend() {
    const drawn = new Set(this.chart.panels.flatMap((panel) => rows(panel.spec).map((row) => row.row)));
    const colors = palette();
    const layer = this.chart.panels[0].spec.layer.at(-1).encoding.shape.scale.range;
    return this.labels.map((label, i) => ({ label, i })).filter(({ label }) => drawn.has(label)).map(({ label, i }) => {
      const mark = s("svg", { viewBox: "-6 -6 12 12", "aria-hidden": "true" },
        s("path", { d: SHAPES[layer[i]], style: `fill: ${colors[i % colors.length]}` }));
      const pressed = this.focus === label;
      return h("button", { type: "button", "aria-pressed": String(pressed), on: { click: () => this.toggle(label) } },
        mark, h("code", { dir: "auto" }, label));
    });
  }

  toggle(label) {
    this.focus = this.focus === label ? null : label;
    this.views.forEach((view) => view.signal("focus", this.focus).runAsync());
    const buttons = [...this.section.querySelectorAll(".legend button")];
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.textContent === this.focus)));
  }

  /** Fills the table of numbers, if it is open. */
  fillNumbers() {
    const details = this.section.querySelector("details");
    if (!details.open) return;
    const text = (value) => (value === null || value === undefined ? "–" : String(value));
    const header = ["row", "x", "y", "from", "to"];
    const tables = this.chart.panels.map((panel) =>
      table(panel.title || this.chart.title, header,
        rows(panel.spec).map((row) => [row.row, text(row.x), text(row.y), text(row.low), text(row.high)])));
    details.querySelector("div").replaceChildren(...tables);
  }
}

function rows(spec) {
  return Object.values(spec.datasets)[0];
}

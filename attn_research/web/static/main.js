// Starts the page: theme, charts and explorer.

import { ChartGroup } from "attn-research/charts.js";
import { FileData } from "attn-research/data.js";
import { Explorer } from "attn-research/explorer.js";
import { startTheme } from "attn-research/theme.js";

/** Starts the page with the data inside it. */
export async function start() {
  const { labels, charts } = JSON.parse(document.getElementById("page-data").textContent);
  const sections = [...document.querySelectorAll("[data-charts]")];
  const groups = sections.map((section) => new ChartGroup(section, charts[section.dataset.charts], labels));
  startTheme(document.getElementById("theme"), () => groups.forEach((group) => group.draw()));
  const packed = document.getElementById("explorer-data").textContent.trim();
  const explorer = packed ? new Explorer(document.getElementById("explorer"), new FileData(packed)).start() : null;
  await Promise.all([explorer, ...groups.map((group) => group.draw())]);
  document.documentElement.dataset.ready = "true";
}

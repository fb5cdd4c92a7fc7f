// The theme of the page: that of the system, or the one that the reader chooses.

const THEMES = ["auto", "light", "dark"];
const system = window.matchMedia("(prefers-color-scheme: dark)");

/** Connects the button, and calls `redraw` after every change of colors. */
export function startTheme(button, redraw) {
  button.addEventListener("click", () => {
    const current = document.documentElement.dataset.theme ?? "auto";
    const next = THEMES[(THEMES.indexOf(current) + 1) % THEMES.length];
    document.documentElement.dataset.theme = next;
    button.textContent = `Theme: ${next}`;
    button.setAttribute("aria-label", `Theme: ${next === "auto" ? "as the system" : next}`);
    redraw();
  });
  system.addEventListener("change", redraw);
}

/** Returns the value of a custom property of the style sheet. */
export function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Returns the colors of rows, for all kinds of color vision. */
export function palette() {
  return Array.from({ length: 7 }, (_, i) => color(`row-${i}`));
}

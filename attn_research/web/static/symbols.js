// Symbols as text: visible spaces, cut lengths, directions and widths.

export const END = "</s>";
const LONGEST = 16;
const RIGHT_TO_LEFT = /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;
const WIDE = /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Extended_Pictographic}]/u;
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** Returns the characters of a text, as a reader counts them. */
export function characters(text) {
  return [...graphemes.segment(text)].map((part) => part.segment);
}

/** Returns the label of a symbol: spaces are visible, lone combining marks are on a dotted circle. */
export function label(symbol, longest = LONGEST) {
  const parts = characters(symbol);
  const short = parts.length > longest ? parts.slice(0, longest - 1).join("") + "…" : symbol;
  const visible = short.replaceAll(/\p{Zs}/gu, "␣").replaceAll("\n", "↵").replaceAll("\t", "⇥");
  return /^\p{M}/u.test(visible) ? `◌${visible}` : visible;
}

/** Returns the width of a label in halves of an em. */
export function width(text) {
  return characters(text).reduce((total, character) => total + (WIDE.test(character) ? 2 : 1.1), 0);
}

/** Returns whether a reader reads most of these symbols from right to left. */
export function isRightToLeft(symbols) {
  const count = symbols.filter((symbol) => RIGHT_TO_LEFT.test(symbol)).length;
  const letters = symbols.filter((symbol) => /\p{L}/u.test(symbol)).length;
  return count > letters / 2;
}

/** Returns symbols as a line of text: characters are joined, longer symbols are separated by spaces. */
export function join(symbols) {
  const isText = symbols.every((symbol) => characters(symbol).length < 2 || /^<.*>$/u.test(symbol));
  return isText ? symbols.join("") : symbols.join(" ").replaceAll("▁", "");
}

// User text made safe to look at: characters without a shape of their own are written out, and every
// piece is isolated so that its direction cannot reorder its neighbours. Nothing is removed or replaced
// in the data itself; this is only about what the eye sees.

import { make } from "./dom.js";

// Controls, soft hyphen, zero-width and direction marks, line and paragraph separators, tags, lone
// surrogates. The two joiners shape Arabic, Indic and emoji sequences and stay as they are there; after
// a Latin, Greek or Cyrillic character (below U+0530) they can only hide a difference.
const UNSEEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e007f}]|\p{Cs}|(?<![^\u0000-\u052f])[\u200c\u200d]/gu;

/** How a character without a shape is written: `<U+202E>`. */
export function codePointName(character) {
  return `<U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}>`;
}

/** Nodes that show a text with its invisible characters written out; `keep` stay as they are. */
export function visibleNodes(text, keep = "") {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(UNSEEN)) {
    if (keep.includes(match[0])) continue;
    if (match.index > end) nodes.push(text.slice(end, match.index));
    nodes.push(make("span", { class: "unseen" }, codePointName(match[0])));
    end = match.index + match[0].length;
  }
  if (end < text.length) nodes.push(text.slice(end));
  return nodes;
}

/** A text with its invisible characters written out, where only a string will do (title, name). */
export function visibleText(text) {
  return text.replace(UNSEEN, codePointName);
}

/** User text as one isolated piece of a line. */
export function isolated(text, attributes = {}) {
  return make("bdi", attributes, ...visibleNodes(text));
}

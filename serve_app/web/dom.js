// Making and finding elements. Text enters the page only here and only as text nodes: nothing in this
// page parses a string as markup.

/** The element with this id; a missing one is a mistake of ours and says so. */
export function byId(id) {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no element #${id}`);
  return element;
}

/**
 * Makes an element. `attributes` whose value is false or null are left out, true gives an empty one;
 * names that begin with "on" are listeners. Children are nodes or strings.
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** Shows or hides an element. */
export function show(element, visible) {
  element.hidden = !visible;
}

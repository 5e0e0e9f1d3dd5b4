// The address bar holds what is looked at, so that a link shows a colleague the same:
// ?user=…&from=…&to=…&type=…&chain=…&record=LOG/INDEX. Pure but for `current` and `go`.

const SINGLE = ["user", "from", "to", "chain", "record"];

/** A view from a query string; absent parts are "" (types: []). */
export function parse(search) {
  const query = new URLSearchParams(search);
  const view = { types: query.getAll("type").filter((type) => type !== "") };
  for (const name of SINGLE) view[name] = query.get(name) ?? "";
  if (!/^\d+\/\d+$/.test(view.record)) view.record = "";
  return view;
}

/** The query string of a view: `parse(format(view))` is the view. */
export function format(view) {
  const query = new URLSearchParams();
  if (view.user) query.set("user", view.user);
  for (const name of ["from", "to"]) if (view[name]) query.set(name, view[name]);
  for (const type of view.types ?? []) query.append("type", type);
  for (const name of ["chain", "record"]) if (view[name]) query.set(name, view[name]);
  const search = query.toString();
  return search === "" ? "/" : `/?${search}`;
}

/** What the address bar says now. */
export function current() {
  return parse(window.location.search);
}

/** Changes the address bar; a new user or filter is a step of its own, an opened record is not. */
export function go(view, { step }) {
  const target = format(view);
  if (target === window.location.pathname + window.location.search) return;
  if (step) window.history.pushState(null, "", target);
  else window.history.replaceState(null, "", target);
}

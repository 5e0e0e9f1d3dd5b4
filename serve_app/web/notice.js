// What a view says when it has nothing to show or could not get it: one shape for all of them.

import { make } from "./dom.js";
import { visibleNodes } from "./text.js";

/**
 * Fills `place` with a message. `kind` is "quiet" (empty, loading) or "problem"; `action` is
 * `{label, run}` for the one thing a person can do about it.
 */
export function say(place, { kind = "quiet", title, detail = "", code = "", action = null }) {
  const note = make("div", { class: `notice ${kind}`, role: kind === "problem" ? "alert" : null });
  note.append(make("p", { class: "notice-title" }, ...visibleNodes(title)));
  if (detail !== "") note.append(make("p", {}, ...visibleNodes(detail)));
  if (code !== "") note.append(make("p", { class: "notice-code" }, make("code", {}, code)));
  if (action !== null) {
    note.append(make("button", { type: "button", onclick: action.run }, action.label));
  }
  place.replaceChildren(note);
  place.hidden = false;
}

/** The same for a failed call; offers to try again where that can help. */
export function sayProblem(place, problem, again = null) {
  if (!("code" in problem)) throw problem;
  const helps = again !== null && problem.status !== 401 && problem.status !== 403;
  say(place, {
    kind: "problem",
    title: problem.title,
    detail: problem.detail,
    code: problem.code,
    action: helps ? { label: "Try again", run: again } : null,
  });
}

/** Takes the message away. */
export function unsay(place) {
  place.replaceChildren();
  place.hidden = true;
}

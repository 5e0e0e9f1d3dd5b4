// Signing in and out. The token is sent once and kept nowhere in the page: the session is a cookie that
// scripts cannot read.

import { call } from "./api.js";
import { byId, show } from "./dom.js";
import { sayProblem, unsay } from "./notice.js";
import { visibleNodes, visibleText } from "./text.js";

export class Session {
  /** `onStart(scopes)` is called when someone is signed in, `onStop()` when nobody is any more. */
  constructor({ onStart, onStop }) {
    this.onStart = onStart;
    this.onStop = onStop;
    this.notice = byId("sign-in-notice");
    this.token = byId("token");
    byId("sign-in-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const token = this.token.value.trim();
      this.token.value = "";
      if (token !== "") this.exchange({ token });
    });
    byId("sign-out").addEventListener("click", () => this.leave());
  }

  /** Takes a one-time code from the address bar if there is one, else the session there may be. */
  async begin() {
    const query = new URLSearchParams(window.location.search);
    const code = query.get("code");
    if (code === null) {
      await this.resume();
      return;
    }
    // Out of the address bar, and so out of the browser's history, before anything else happens.
    query.delete("code");
    const rest = query.toString();
    window.history.replaceState(null, "", rest === "" ? "/" : `/?${rest}`);
    await this.exchange({ code });
  }

  async resume() {
    try {
      this.started(await (await call("GET", "/v1/session")).json());
    } catch (problem) {
      this.ask(problem.status === 401 ? null : problem);
    }
  }

  async exchange(proof) {
    const button = byId("sign-in-button");
    button.disabled = true;
    try {
      const response = await call("POST", "/v1/session", { body: proof });
      this.started(await response.json());
    } catch (problem) {
      this.ask(problem);
    } finally {
      button.disabled = false;
    }
  }

  started(session) {
    unsay(this.notice);
    byId("who").replaceChildren(...visibleNodes(session.name));
    const scopes = session.scopes ?? [];
    const until = session.expires_at ? ` Until ${session.expires_at}.` : "";
    byId("who").title = `Rights: ${visibleText(scopes.join(", "))}.${until}`;
    this.turn(true);
    this.onStart(scopes);
  }

  /** Asks for a token; says why if there is a reason. */
  ask(problem) {
    this.onStop();
    this.turn(false);
    if (problem === null) unsay(this.notice);
    else sayProblem(this.notice, problem, problem.status === 0 ? () => this.resume() : null);
    this.token.focus();
  }

  async leave() {
    try {
      await call("DELETE", "/v1/session");
      this.ask(null);
    } catch (problem) {
      if (problem.status === 401) this.ask(null);
      else sayProblem(byId("notice"), problem, () => this.leave());
    }
  }

  turn(signedIn) {
    show(byId("starting"), false);
    show(byId("sign-in"), !signedIn);
    show(byId("work"), signedIn);
    show(byId("account"), signedIn);
  }
}

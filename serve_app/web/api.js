// Calls to the service. Every failure becomes a Problem that carries the service's own words
// (RFC 9457: title, detail, code), so that each view can say what happened and what to do.

/** Why a call failed. `status` is 0 where the service could not be reached. */
export class Problem extends Error {
  constructor({ status, code, title, detail, retryAfterS = 0 }) {
    super(`${title}: ${detail}`);
    this.status = status;
    this.code = code;
    this.title = title;
    this.detail = detail;
    this.retryAfterS = retryAfterS;
  }
}

// For answers without a problem document: HAProxy's own pages, a proxy on the way.
const TITLES = {
  401: "Sign-in needed", 403: "No right", 404: "Not found", 429: "Too many requests",
  503: "Service busy", 507: "Disk nearly full",
};

const AWAY = {
  status: 0,
  code: "service_away",
  title: "The service does not answer",
  detail: "It may be restarting, or the network is down. Nothing is lost; try again in a moment.",
};

let signedOut = () => {};

/** Names the one who is told that the session is over. */
export function onSignedOut(listener) {
  signedOut = listener;
}

/** The Problem a refused response stands for. */
export async function problemOf(response) {
  const type = response.headers.get("content-type") ?? "";
  const body = type.includes("json") ? await response.json().catch(() => ({})) : {};
  return new Problem({
    status: response.status,
    code: body.code ?? `http_${response.status}`,
    title: asSentence(body.title ?? TITLES[response.status] ?? "The service could not answer"),
    detail: body.detail ?? `It answered with HTTP status ${response.status}.`,
    retryAfterS: Number(response.headers.get("retry-after")) || 0,
  });
}

function asSentence(title) {
  return title.charAt(0).toUpperCase() + title.slice(1);
}

/** A path with its query; values may be strings or arrays of strings, empty ones are left out. */
export function pathWith(path, query) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of [value].flat()) if (one !== "" && one !== null) search.append(name, one);
  }
  return search.size === 0 ? path : `${path}?${search}`;
}

/**
 * One call. Resolves with the response when its status is 2xx, else rejects with a Problem; an abort
 * through `signal` rejects with the browser's AbortError.
 */
export async function call(method, path, { body, headers = {}, signal } = {}) {
  const options = { method, headers: { Accept: "application/json", ...headers }, signal };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(AWAY);
  }
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (problem.status === 401 && path !== "/v1/session") signedOut(problem);
  throw problem;
}

/** The text of a GET. */
export async function getText(path, signal) {
  return textOf(await call("GET", path, { signal }), signal);
}

/** The text of a response; a connection that breaks half-way is a Problem too. */
export async function textOf(response, signal) {
  try {
    return await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(AWAY);
  }
}

/** Whether an error only says that a view gave a call up. */
export function isAbort(error) {
  return error instanceof DOMException && error.name === "AbortError";
}

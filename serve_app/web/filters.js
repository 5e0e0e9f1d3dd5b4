// The filter bar: reads what a person typed into a view and shows a view's filter as typed.

import { byId, show } from "./dom.js";
import { typedTime, typedTypes, typesAsTyped } from "./words.js";

export class Filters {
  /** `onChange(filter)` is told `{from, to, types, chain}` when a filter is set or taken away. */
  constructor({ onChange }) {
    this.onChange = onChange;
    this.form = byId("filters");
    this.form.addEventListener("submit", (event) => this.submitted(event));
    this.toggle = byId("filters-toggle");
    this.toggle.addEventListener("click", () => this.open(this.toggle.ariaExpanded !== "true"));
    byId("filter-clear").addEventListener("click", () => {
      onChange({ from: "", to: "", types: [], chain: "" });
    });
  }

  /** Opens or folds the bar where there is no room for it (phones). */
  open(opened) {
    this.toggle.ariaExpanded = String(opened);
    this.form.classList.toggle("open", opened);
  }

  /** Shows a view's filter. */
  set({ from, to, types, chain }) {
    const values = { from, to, type: typesAsTyped(types), chain };
    for (const [name, value] of Object.entries(values)) {
      const input = byId(`filter-${name}`);
      input.value = value;
      input.setCustomValidity("");
      input.removeAttribute("aria-invalid");
    }
    byId("filter-error").textContent = "";
    const filtered = Object.values(values).some((value) => value !== "");
    show(byId("filter-clear"), filtered);
    this.open(filtered);
  }

  submitted(event) {
    event.preventDefault();
    const from = this.time("from");
    const to = this.time("to");
    if (from === null || to === null) return;
    byId("filter-error").textContent = "";
    this.onChange({
      from,
      to,
      types: typedTypes(byId("filter-type").value),
      chain: byId("filter-chain").value.trim(),
    });
  }

  time(name) {
    const input = byId(`filter-${name}`);
    const time = typedTime(input.value);
    if (time === null) {
      input.setAttribute("aria-invalid", "true");
      byId("filter-error").textContent =
        `“${input.value}” is not a time. Write it like 2026-11-24 or 2026-11-24 08:30:15 (UTC), ` +
        "or with an offset like 2026-11-24T08:30:15+01:00.";
      input.focus();
    } else {
      input.removeAttribute("aria-invalid");
    }
    return time;
  }
}

// The page works without this file. With it, pages are exchanged in place, focus and announcements follow, and trouble is told.
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);

  const say = () => {
    const told = document.querySelector("#page [data-say]");
    const heading = document.querySelector("#page h1");
    byId("live").textContent = told ? told.dataset.say : heading ? heading.textContent : "";
  };

  const dress = () => {
    const print = byId("print");
    if (print) print.hidden = false;
  };

  const trouble = (kind) => {
    const box = byId("trouble");
    box.textContent = kind ? box.dataset[kind] : "";
  };

  document.addEventListener("DOMContentLoaded", dress);

  document.addEventListener("htmx:beforeRequest", () => trouble(""));
  document.addEventListener("htmx:sendError", () => trouble("offline"));
  document.addEventListener("htmx:timeout", () => trouble("server"));
  document.addEventListener("htmx:responseError", () => trouble("server"));

  document.addEventListener("htmx:afterSettle", () => {
    dress();
    say();
    const active = document.activeElement;
    if (!active || active === document.body) {
      const heading = document.querySelector("#page h1");
      if (heading) heading.focus({ preventScroll: true });
    }
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.id === "print") window.print();
    if (button.id === "suggest") {
      event.preventDefault();
      for (const row of button.form.querySelectorAll(".choices")) {
        const suggested = row.querySelector("[data-suggested]");
        if (suggested && !row.querySelector("input:checked")) suggested.checked = true;
      }
      button.form.querySelector("button.primary").focus();
    }
  }, true);

  // A digit answers the row that has the focus, and goes on to the next one.
  document.addEventListener("keydown", (event) => {
    const input = event.target;
    if (!(input instanceof HTMLInputElement) || input.type !== "radio" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!/^[1-9]$/.test(event.key)) return;
    const rows = [...input.form.querySelectorAll(".choices")];
    const row = input.closest(".choices");
    const chosen = row.querySelectorAll("input")[Number(event.key) - 1];
    if (!chosen) return;
    chosen.checked = true;
    const next = rows[rows.indexOf(row) + 1];
    const goal = next ? next.querySelector("input:checked") || next.querySelector("input") : input.form.querySelector("button.primary");
    goal.focus();
    event.preventDefault();
  });
})();

"use strict";
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const theme = document.getElementById("theme");
  const show = (name) => {
    root.dataset.theme = name;
    theme.setAttribute("aria-pressed", String(name === "dark"));
  };
  show(dark.matches ? "dark" : "light");
  dark.addEventListener("change", () => show(dark.matches ? "dark" : "light"));
  theme.addEventListener("click", () => show(root.dataset.theme === "dark" ? "light" : "dark"));

  // Tables: a click on a header sorts by it, first in the direction that is good; missing values stay last, and what
  // papers print stays below all that was measured.
  for (const button of document.querySelectorAll(".sort")) {
    button.addEventListener("click", () => {
      const head = button.closest("th"), table = head.closest("table"), body = table.tBodies[0];
      const before = head.getAttribute("aria-sort");
      const first = button.dataset.better === "up" ? "descending" : "ascending";
      const order = before === null ? first : before === "ascending" ? "descending" : "ascending";
      for (const other of table.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", order);
      const key = (row) => {
        const text = row.cells[head.cellIndex].dataset.value;
        if (text === undefined || text === "") return null;
        return button.dataset.better === "zero" ? Math.abs(Number(text)) : Number(text);
      };
      const sign = order === "ascending" ? 1 : -1;
      const printed = (row) => row.classList.contains("reported");
      const rows = [...body.rows].sort((a, b) => {
        if (printed(a) !== printed(b)) return printed(a) - printed(b);
        const x = key(a), y = key(b);
        if (x === null || y === null) return (x === null) - (y === null);
        return sign * (x - y);
      });
      body.append(...rows);
    });
  }
})();

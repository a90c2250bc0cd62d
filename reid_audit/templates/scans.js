"use strict";
(() => {
  const store = document.getElementById("scan-data");
  const table = document.getElementById("scan-table");
  if (!store || !table) return;
  const { cells, rows, conditions } = JSON.parse(store.textContent);
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells], size = 100;
  let shown = rows, first = 0, sorted = -1, up = true;
  const make = (name, properties) => Object.assign(document.createElement(name), properties);
  const tools = make("div", { className: "tools" });
  const find = make("input", { type: "search", placeholder: "Filter", ariaLabel: "Filter the scans" });
  const which = make("select", { ariaLabel: "Condition" });
  which.append(make("option", { value: "", textContent: "every condition" }));
  for (const name of conditions) which.append(make("option", { value: name, textContent: name }));
  const back = make("button", { type: "button", textContent: "\u2039 previous" });
  const next = make("button", { type: "button", textContent: "next \u203a" });
  const where = make("span", { className: "quiet", id: "scan-count" });
  where.setAttribute("aria-live", "polite");
  tools.append(find, which, back, next, where);
  table.closest(".scroll").before(tools);
  const number = text => (text === "" ? Infinity : Number(text));
  function draw() {
    const part = shown.slice(first, first + size);
    body.replaceChildren(...part.map(row => {
      const line = make("tr", {});
      row.forEach((cell, column) => {
        const place = make("td", { className: heads[column].dataset.kind === "number" ? "number" : "" });
        place.append(make("bdi", { textContent: cells[cell] }));
        line.append(place);
      });
      return line;
    }));
    back.disabled = first === 0;
    next.disabled = first + size >= shown.length;
    where.textContent = shown.length
      ? `${first + 1} to ${first + part.length} of ${shown.length}` + (shown.length < rows.length ? ` (${rows.length} in all)` : "")
      : `none of ${rows.length}`;
  }
  function choose() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean), condition = which.value;
    const at = heads.findIndex(head => head.dataset.name === "condition");
    shown = rows.filter(row => (!condition || cells[row[at]] === condition) && words.every(word =>
      row.some(cell => cells[cell].toLowerCase().includes(word))));
    if (sorted >= 0) {
      const numeric = heads[sorted].dataset.kind === "number", sign = up ? 1 : -1;
      const compare = numeric
        ? (a, b) => { const x = number(cells[a[sorted]]), y = number(cells[b[sorted]]);
            return x === y ? 0 : x === Infinity ? 1 : y === Infinity ? -1 : sign * (x - y); }
        : (a, b) => sign * cells[a[sorted]].localeCompare(cells[b[sorted]], "en", { numeric: true });
      shown = shown.slice().sort(compare);
    }
    first = 0;
    draw();
  }
  heads.forEach((head, column) => {
    const button = make("button", { type: "button", textContent: head.textContent });
    head.replaceChildren(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      up = sorted === column ? !up : true;
      sorted = column;
      heads.forEach(other => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      choose();
    });
  });
  find.addEventListener("input", choose);
  which.addEventListener("change", choose);
  back.addEventListener("click", () => { first = Math.max(0, first - size); draw(); });
  next.addEventListener("click", () => { first += size; draw(); });
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(fold => { fold.open = true; }));
  draw();
})();

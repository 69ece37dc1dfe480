"use strict";
// Adds sorting, filtering and links to a page that is complete without it. All state stands in the
// hash of the address, so that a view can be sent; a hash without "=" is an ordinary anchor.
(() => {
  const table = document.getElementById("cases");
  const filter = document.getElementById("filter");
  const count = document.getElementById("count");
  const state = { q: "", sort: "", dir: "ascending" };
  const original = table ? [...table.tBodies[0].rows] : [];

  const compare = (index, sign) => (a, b) => {
    const x = a.cells[index].dataset.v;
    const y = b.cells[index].dataset.v;
    if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
    const number = Number(x) - Number(y);
    return sign * (Number.isNaN(number) ? x.localeCompare(y, "en", { numeric: true }) : number);
  };

  const sortRows = (target, rows, key, direction) => {
    const heads = [...target.tHead.rows[0].cells];
    const index = heads.findIndex((head) => head.dataset.key === key);
    heads.forEach((head, i) => {
      if (i === index) head.setAttribute("aria-sort", direction);
      else head.removeAttribute("aria-sort");
    });
    const sorted = [...rows];
    if (index >= 0) sorted.sort(compare(index, direction === "descending" ? -1 : 1));
    target.tBodies[0].append(...sorted);
  };

  const apply = () => {
    sortRows(table, original, state.sort, state.dir);
    const terms = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of original) {
      const words = row.textContent.toLowerCase();
      row.hidden = !terms.every((term) => words.includes(term));
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${original.length}`;
  };

  const save = () => {
    const hash = new URLSearchParams();
    if (state.q) hash.set("q", state.q);
    if (state.sort) {
      hash.set("sort", state.sort);
      hash.set("dir", state.dir);
    }
    history.replaceState(null, "", `#${hash}`);
  };

  const addButtons = (target, onSort) => {
    for (const head of target.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") === "ascending";
        onSort(head.dataset.key, up ? "descending" : "ascending");
      });
      head.replaceChildren(button);
    }
  };

  const open = (id) => {
    const target = id && document.getElementById(id);
    if (!target) return;
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    target.scrollIntoView();
  };

  const read = () => {
    const hash = location.hash.slice(1);
    if (!hash.includes("=")) return open(decodeURIComponent(hash));
    const given = new URLSearchParams(hash);
    state.q = given.get("q") || "";
    state.sort = given.get("sort") || "";
    state.dir = given.get("dir") === "descending" ? "descending" : "ascending";
    filter.value = state.q;
    apply();
  };

  const saveSamples = () => {
    const samples = JSON.parse(document.getElementById("samples").textContent);
    const quote = (name) => `"${(/^[=+\-@\t]/.test(name) ? `'${name}` : name).replaceAll('"', '""')}"`;
    const lines = ["case,launch,seconds"];
    for (const [name, launches] of Object.entries(samples))
      launches.forEach((launch, i) => launch.forEach((s) => lines.push(`${quote(name)},${i},${s}`)));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "text/csv" }));
    link.download = "samples.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  };

  for (const target of document.querySelectorAll("table.sortable")) {
    const rows = [...target.tBodies[0].rows];
    addButtons(target, (key, direction) => {
      if (target !== table) return sortRows(target, rows, key, direction);
      Object.assign(state, { sort: key, dir: direction });
      apply();
      save();
    });
  }
  if (!filter) return; // a page without a table of cases is sorted, and that is all
  filter.addEventListener("input", () => {
    state.q = filter.value;
    apply();
    save();
  });
  document.getElementById("save").addEventListener("click", saveSamples);
  document.querySelector(".controls").hidden = false;
  window.addEventListener("hashchange", read);
  apply();
  read();
})();

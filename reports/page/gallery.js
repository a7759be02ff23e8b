"use strict";
(() => {
  const source = document.getElementById("gallery-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const $ = (id) => document.getElementById(id);
  const list = $("pairs"), count = $("count"), dialog = $("pair");
  const GAP = 14, PAD = 10;

  // Every thumbnail is in the page once, on sheets; a sheet becomes an image when it is first drawn.
  const urls = new Map();
  const sheet = (index) => {
    if (!urls.has(index)) {
      const bytes = Uint8Array.from(atob(data.sheets[index]), (c) => c.charCodeAt(0));
      urls.set(index, URL.createObjectURL(new Blob([bytes], { type: "image/webp" })));
    }
    return urls.get(index);
  };
  const sheetOf = (number) => Math.floor(number / (data.across * data.across));
  const element = (tag, classes, text) => {
    const made = document.createElement(tag);
    if (classes) made.className = classes;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const tile = (number, about) => {
    const made = element("span", "tile");
    made.setAttribute("role", "img");
    made.setAttribute("aria-label", number < 0 ? `${about}: not shown` : about);
    if (number < 0) {
      made.classList.add("absent");
      made.textContent = data.absent;
      return made;
    }
    const place = number % (data.across * data.across), row = Math.floor(place / data.across), last = data.across - 1;
    made.style.backgroundImage = `url(${sheet(sheetOf(number))})`;
    made.style.backgroundSize = `${100 * data.across}% ${100 * data.across}%`;
    made.style.backgroundPosition = `${(100 * (place % data.across)) / last}% ${(100 * row) / last}%`;
    return made;
  };
  const text = (number) => data.texts[number];
  const caption = (number) => text(number) || data.withheld;
  const similarity = (row) => row.n[0][1];
  const tint = (group) => (data.groups[group].colour < 0 ? "" : ` c${data.groups[group].colour % 7}`);
  const dot = (group) => element("span", `dot${tint(group)}`);

  // Filters
  const lower = data.texts.map((value) => value.toLowerCase());
  const methods = [...document.querySelectorAll("#filters fieldset input")];
  let shown = [], current = 0, whole = false;
  const matches = (row, words) => {
    if (words === "") return true;
    return [row.p, ...row.n.map((n) => n[2])].some((number) => lower[number].includes(words)) || row.i === words;
  };
  const filter = () => {
    const chosen = new Set(methods.filter((box) => box.checked).map((box) => Number(box.value)));
    const least = Number($("least").value), label = $("label").value, words = $("words").value.trim().toLowerCase();
    $("least-shown").textContent = least.toFixed(2);
    shown = data.rows.filter(
      (row) => chosen.has(row.g) && similarity(row) >= least && (label === "" || row.l === label) && matches(row, words),
    );
    if ($("once").checked) {
      const seen = new Set();
      shown = shown.filter((row) => !seen.has(row.n[0][3]) && seen.add(row.n[0][3]));
    }
    current = 0;
    whole = false;
    const more = data.total > data.rows.length ? `; the runs have ${data.total.toLocaleString("en")} matches` : "";
    count.textContent = `${shown.length.toLocaleString("en")} of ${data.rows.length.toLocaleString("en")} pairs${more}`;
    lay();
    setTimeout(keepForPaper);
  };

  // Only the rows that can be seen are in the document.
  // The list stops after some lines until more is asked for, since what stands below it must be reachable.
  let columns = 1, width = 0, height = 0, drawn = new Map();
  const FIRST_LINES = 12;
  const room = () => (whole ? shown.length : Math.min(shown.length, FIRST_LINES * Math.max(2, columns)));
  const lay = () => {
    const across = list.clientWidth;
    columns = Math.max(1, Math.floor((across + GAP) / (262 + GAP)));
    width = (across - GAP * (columns - 1)) / columns;
    height = Math.round((width - 2 * PAD - 8) / 2 + 2 * PAD + 68);
    list.style.height = `${Math.max(0, Math.ceil(room() / columns) * (height + GAP) - GAP)}px`;
    $("all").hidden = room() === shown.length;
    $("all").textContent = `Show all ${shown.length.toLocaleString("en")} pairs`;
    list.replaceChildren();
    drawn = new Map();
    draw();
  };
  const draw = () => {
    const top = -list.getBoundingClientRect().top, step = height + GAP;
    const from = Math.max(0, Math.floor((top - innerHeight) / step)) * columns;
    const to = Math.min(room(), Math.ceil((top + 2 * innerHeight) / step) * columns);
    for (const [index, item] of drawn) {
      if ((index < from || index >= to) && !item.contains(document.activeElement)) {
        item.remove();
        drawn.delete(index);
      }
    }
    for (let index = from; index < to; index++) {
      if (!drawn.has(index)) place(index);
    }
  };
  const place = (index) => {
    const item = element("div", "item");
    item.setAttribute("role", "listitem");
    item.setAttribute("aria-setsize", shown.length);
    item.setAttribute("aria-posinset", index + 1);
    item.style.left = `${(index % columns) * (width + GAP)}px`;
    item.style.top = `${Math.floor(index / columns) * (height + GAP)}px`;
    item.style.width = `${width}px`;
    item.style.height = `${height}px`;
    item.append(card(shown[index], index));
    const after = [...drawn.keys()].filter((other) => other > index).sort((a, b) => a - b)[0];
    list.insertBefore(item, after === undefined ? null : drawn.get(after));
    drawn.set(index, item);
  };
  // Paper has no scrolling: it gets the first pairs of the filtered list. Printing waits for no picture, so that their
  // sheets are decoded before.
  const ON_PAPER = 30, kept = new Map();
  const keepForPaper = () => {
    const tiles = shown.slice(0, ON_PAPER).flatMap((row) => [row.t, row.n[0][0]]);
    for (const index of new Set(tiles.filter((number) => number >= 0).map(sheetOf))) {
      if (!kept.has(index)) kept.set(index, Object.assign(new Image(), { src: sheet(index) }));
    }
  };
  addEventListener("beforeprint", () => {
    list.replaceChildren();
    drawn = new Map();
    const printed = Math.min(ON_PAPER, shown.length);
    for (let index = 0; index < printed; index++) place(index);
    count.dataset.paper = printed < shown.length ? `; the first ${printed} are printed` : "";
  });
  addEventListener("afterprint", () => lay());
  const card = (row, index) => {
    const made = element("button", "card"), two = element("span", "two"), line = element("span", "line");
    made.type = "button";
    made.tabIndex = index === current ? 0 : -1;
    made.dataset.index = index;
    two.append(tile(row.t, `generated image ${row.i}`), tile(row.n[0][0], "nearest training image"));
    line.append(element("b", "", similarity(row).toFixed(3)));
    const who = element("span", "who");
    who.append(dot(row.g), `${data.groups[row.g].label}, seed ${row.s}`);
    line.append(who);
    const meter = element("span", `meter${tint(row.g)}`), fill = element("i");
    fill.style.width = `${Math.max(0, Math.min(1, similarity(row))) * 100}%`;
    meter.append(fill);
    made.append(two, line, element("span", "prompt", caption(row.p)), meter);
    return made;
  };

  const focus = (index) => {
    if (index < 0 || index >= shown.length) return;
    if (index >= room()) {
      whole = true;
      lay();
    }
    const before = drawn.get(current);
    if (before) before.firstChild.tabIndex = -1;
    current = index;
    const top = list.getBoundingClientRect().top + Math.floor(index / columns) * (height + GAP);
    if (top < 120 || top + height > innerHeight) scrollBy({ top: top - innerHeight / 3, behavior: "instant" });
    draw();
    const button = drawn.get(index).firstChild;
    button.tabIndex = 0;
    button.focus({ preventScroll: true });
  };
  const MOVES = () => ({ ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns });
  list.addEventListener("keydown", (event) => {
    const step = MOVES()[event.key];
    const to = event.key === "Home" ? 0 : event.key === "End" ? shown.length - 1 : step === undefined ? null : current + step;
    if (to === null) return;
    event.preventDefault();
    focus(to);
  });
  list.addEventListener("focusin", (event) => {
    const button = event.target.closest(".card");
    if (button) current = Number(button.dataset.index);
  });
  list.addEventListener("click", (event) => {
    const button = event.target.closest(".card");
    if (button) open(Number(button.dataset.index));
  });

  // One pair, large
  let partners = null;
  const noise = (row) => `${data.groups[row.g].board}/${row.s}/${row.i}`;
  const sameNoise = (row) => {
    if (partners === null) {
      partners = new Map();
      for (const other of data.rows) {
        if (!partners.has(noise(other))) partners.set(noise(other), []);
        partners.get(noise(other)).push(other);
      }
    }
    return partners.get(noise(row)).filter((other) => data.rows[0] && other.p === row.p).sort((a, b) => a.g - b.g);
  };
  const titled = (title, ...parts) => {
    const made = element("div");
    made.append(element("h3", "", title), ...parts);
    return made;
  };
  const fill = () => {
    const row = shown[current], nearest = row.n[0];
    $("pair-title").replaceChildren(dot(row.g), `${data.groups[row.g].label}, seed ${row.s}, image ${row.i}`);
    const difference = element("div", "diff");
    if (row.t >= 0 && nearest[0] >= 0) {
      difference.append(tile(row.t, "difference of both: black where they agree"), tile(nearest[0], ""));
      difference.lastChild.setAttribute("aria-hidden", "true");
    } else difference.append(tile(-1, "difference"));
    $("trio").replaceChildren(
      titled("generated", tile(row.t, `generated image ${row.i}`), element("p", "", `prompt: ${caption(row.p)}`)),
      titled(
        `nearest training image, similarity ${nearest[1].toFixed(3)}`,
        tile(nearest[0], "nearest training image"),
        element("p", "", `${text(nearest[3]) ? `${text(nearest[3])}: ` : ""}${caption(nearest[2])}`),
      ),
      titled("difference, black where they agree", difference, element("p", "", `label: ${row.l}`)),
    );
    $("further").replaceChildren(
      ...row.n.slice(1).map((n, i) =>
        titled(`no. ${i + 2}, ${n[1].toFixed(3)}`, tile(n[0], `training image no. ${i + 2}`), element("p", "", caption(n[2]))),
      ),
    );
    $("further-title").hidden = row.n.length < 2;
    const rows = sameNoise(row);
    $("paired").replaceChildren(
      ...rows.map((other) => {
        const two = element("div", "two");
        two.append(tile(other.t, `generated by ${data.groups[other.g].label}`), tile(other.n[0][0], "its nearest training image"));
        const made = titled("", two);
        made.firstChild.append(dot(other.g), `${data.groups[other.g].label} ${similarity(other).toFixed(3)}`);
        return made;
      }),
    );
    $("paired-title").hidden = rows.length < 2 || !paired;
    $("paired").hidden = rows.length < 2 || !paired;
    $("previous").disabled = current === 0;
    $("next").disabled = current === shown.length - 1;
    $("place").textContent = `${(current + 1).toLocaleString("en")} of ${shown.length.toLocaleString("en")}`;
  };
  let paired = true, opened = 0;
  const open = (index) => {
    current = opened = index;
    fill();
    if (!dialog.open) dialog.showModal();
  };
  const step = (by) => {
    if (current + by >= 0 && current + by < shown.length) open(current + by);
  };
  const togglePaired = () => {
    paired = !paired;
    $("toggle-paired").setAttribute("aria-pressed", String(paired));
    fill();
  };
  const toggleDifference = () => {
    const hidden = $("trio").classList.toggle("plain-two");
    $("toggle-difference").setAttribute("aria-pressed", String(!hidden));
  };
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("toggle-paired").addEventListener("click", togglePaired);
  $("toggle-difference").addEventListener("click", toggleDifference);
  $("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => focus(opened)); // the browser itself goes back to the card it came from
  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = { ArrowRight: () => step(1), ArrowLeft: () => step(-1), d: toggleDifference, p: togglePaired }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || dialog.open || /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) return;
    event.preventDefault();
    $("words").focus();
  });

  let waiting = false;
  const later = (act) => () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      act();
    });
  };
  $("all").addEventListener("click", () => focus(room()));
  addEventListener("scroll", later(draw), { passive: true });
  addEventListener("resize", later(lay));
  for (const kind of ["input", "change"]) $("filters").addEventListener(kind, filter);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("filters").addEventListener("reset", () => setTimeout(filter));
  filter();
})();

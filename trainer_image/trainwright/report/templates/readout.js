/* Shows the figures under the pointer in charts. The page is complete without it. */
"use strict";
for (const chart of document.querySelectorAll("svg[data-readout]")) {
  const lines = JSON.parse(chart.dataset.readout).filter((line) => line.points.length);
  if (!lines.length) continue;
  const tip = document.createElement("div");
  tip.className = "readout";
  tip.hidden = true;
  const rule = document.createElement("div");
  rule.className = "rule";
  rule.hidden = true;
  chart.parentElement.append(rule, tip);
  const hide = () => { tip.hidden = rule.hidden = true; };
  const show = (event) => {
    const box = chart.getBoundingClientRect();
    const outer = chart.parentElement.getBoundingClientRect();
    const at = (100 * (event.clientX - box.left)) / box.width;
    if (at < -3 || at > 103) return hide();
    const near = lines.map((line) => ({ line, point: line.points.reduce((a, b) => (Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a)) }));
    const x = near.reduce((a, b) => (Math.abs(b.point[0] - at) < Math.abs(a.point[0] - at) ? b : a)).point;
    tip.replaceChildren();
    const head = document.createElement("b");
    head.textContent = "step " + x[2];
    tip.append(head);
    for (const { line, point } of near) {
      if (Math.abs(point[0] - x[0]) > 1.5) continue;
      const row = document.createElement("span");
      row.className = "key " + line.kind;
      row.textContent = line.name + " " + point[3];
      tip.append(row);
    }
    tip.hidden = rule.hidden = false;
    const left = box.left - outer.left + (x[0] / 100) * box.width;
    rule.style.left = left + "px";
    rule.style.height = box.height + "px";
    rule.style.top = box.top - outer.top + "px";
    const flip = left + tip.offsetWidth + 16 > outer.width;
    tip.style.left = Math.max(0, flip ? left - tip.offsetWidth - 12 : left + 12) + "px";
    tip.style.top = box.top - outer.top + 8 + "px";
  };
  chart.addEventListener("pointermove", show);
  chart.addEventListener("pointerdown", show);
  chart.addEventListener("pointerleave", hide);
}

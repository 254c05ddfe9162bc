// Labels in doubt: each can be corrected, and the corrections are saved as a table. Nothing is sent anywhere.
(function () {
  "use strict";

  function cell(text) { return /[",\n\r]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text; }

  window.relabel = function (root) {
    var part = root.querySelector(".relabel");
    if (!part) { return; }
    var known = new Set(Array.prototype.map.call(part.querySelectorAll("datalist option"), function (option) { return option.value; }));
    var earlier = new Map(JSON.parse(part.dataset.earlier).map(function (row) { return [row[0], row]; }));
    var chosen = new Map(), isSaved = true;
    var count = part.querySelector(".count"), button = part.querySelector(".download");

    function tell() {
      var n = chosen.size, kept = earlier.size;
      count.textContent = (n === 1 ? "1 correction" : n + " corrections") + (kept ? ", beside " + kept + " made before" : "");
      button.disabled = !n;
    }

    function set(item, value) {
      if (value && value !== item.dataset.label) { chosen.set(item.dataset.image, [item.dataset.label, value]); } else { chosen.delete(item.dataset.image); }
      item.classList.toggle("corrected", chosen.has(item.dataset.image));
      item.querySelector("button").setAttribute("aria-pressed", String(value === item.querySelector("button").dataset.class && chosen.has(item.dataset.image)));
      isSaved = !chosen.size;
      tell();
    }

    part.querySelectorAll(".doubts > li").forEach(function (item) {
      var suggestion = item.querySelector("button"), other = item.querySelector("input");
      suggestion.addEventListener("click", function () {
        var isOn = suggestion.getAttribute("aria-pressed") === "true";
        other.value = "";
        other.setCustomValidity("");
        set(item, isOn ? "" : suggestion.dataset.class);
      });
      other.addEventListener("input", function () {
        var value = other.value.trim();
        other.setCustomValidity(value && !known.has(value) ? "There is no class of this name." : "");
        set(item, known.has(value) ? value : "");
      });
      other.addEventListener("change", function () { other.reportValidity(); });
    });

    // An image that was corrected before keeps the label of the data in the table; corrected back, it needs no row.
    button.addEventListener("click", function () {
      var rows = new Map(earlier);
      chosen.forEach(function (pair, image) {
        var label = rows.has(image) ? rows.get(image)[1] : pair[0];
        if (label === pair[1]) { rows.delete(image); } else { rows.set(image, [image, label, pair[1]]); }
      });
      var lines = [["image", "label", "corrected"]].concat(Array.from(rows.values()));
      var text = lines.map(function (row) { return row.map(cell).join(",") + "\n"; }).join("");
      var link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
      link.download = "corrections.csv";
      link.click();
      setTimeout(function () { URL.revokeObjectURL(link.href); }, 10000);
      isSaved = true;
    });
    window.addEventListener("beforeunload", function (event) { if (!isSaved) { event.preventDefault(); } });
    tell();
  };
})();

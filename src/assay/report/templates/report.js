(function () {
  "use strict";
  var plots = Array.prototype.slice.call(document.querySelectorAll(".plot"));
  var isFine = window.matchMedia("(pointer: fine)").matches;
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  var root = document.documentElement;

  // The darkest of the arms' colours is lifted where the page is dark; every other one reads on both.
  var LIFTED = { "#0072B2": "#3BA0E0", "rgba(0,114,178,0.16)": "rgba(59,160,224,0.2)" };
  var MARK = '<span style="color:#0072B2">';

  function lift(key, value) {
    if ((key === "color" || key === "fillcolor") && typeof value === "string") { return LIFTED[value] || value; }
    if (key === "text" && typeof value === "string" && value.indexOf(MARK) === 0) {
      return MARK.replace("#0072B2", LIFTED["#0072B2"]) + value.slice(MARK.length);
    }
    return value;
  }

  function colour(name) {
    return getComputedStyle(root).getPropertyValue(name).trim();
  }

  // What depends on light or dark.
  function theme(layout) {
    layout.font.color = colour("--ink");
    layout.hoverlabel = { bgcolor: colour("--paper"), bordercolor: colour("--soft"), font: { color: colour("--ink") } };
    [layout.xaxis, layout.yaxis].forEach(function (axis) {
      axis.gridcolor = colour("--grid");
      axis.tickfont = { color: colour("--soft") };
      if (axis.title) { axis.title.font.color = colour("--soft"); }
    });
    (layout.annotations || []).forEach(function (annotation) {
      annotation.font = { color: colour("--ink") };
      annotation.bgcolor = colour("--paper");
    });
  }

  // The switches above the learning curves: one per arm, one per kind of line.
  function isOff(plot, meta) {
    var buttons = document.querySelectorAll('.switches[data-group="' + plot.dataset.group + '"] button[aria-pressed="false"]');
    return Array.prototype.some.call(buttons, function (button) {
      return button.dataset.arm === meta.arm || button.dataset.kind === meta.kind;
    });
  }

  function draw(plot) {
    var isDark = dark.matches && !root.classList.contains("printing");
    var figure = JSON.parse(document.getElementById(plot.dataset.figure).textContent, isDark ? lift : undefined);
    theme(figure.layout);
    figure.layout.width = plot.clientWidth;
    // On paper figures are lower, so that pages are filled; rows of arms need some height for their names.
    if (root.classList.contains("printing") && !figure.layout.yaxis.autorange) {
      figure.layout.height = Math.round((figure.layout.yaxis.visible === false ? 0.82 : 0.7) * figure.layout.height);
    }
    if (plot.dataset.group) {
      if (isFine) { figure.layout.dragmode = "zoom"; }
      figure.data.forEach(function (trace) { trace.visible = !isOff(plot, trace.meta); });
      // The frame is set for the measured curves; the running average may need a wider one.
      if (figure.data.some(function (trace) { return trace.visible && trace.meta.kind === "running"; })) {
        figure.layout.yaxis.autorange = true;
      }
    }
    Plotly.react(plot, figure.data, figure.layout, {
      displaylogo: false,
      displayModeBar: isFine ? "hover" : false,
      modeBarButtons: [["toImage"]],
      toImageButtonOptions: { format: "svg", filename: plot.id.replace("plot-", "assay-") }
    });
  }

  function drawAll() { plots.forEach(draw); }

  // A figure is drawn once it is nearly in sight: a page of hundreds of runs opens at once.
  var isDrawn = new Set();
  function redraw() { plots.filter(function (plot) { return isDrawn.has(plot); }).forEach(draw); }
  var watch = new IntersectionObserver(function (entries) {
    entries.forEach(function (entry) {
      if (!entry.isIntersecting) { return; }
      watch.unobserve(entry.target);
      isDrawn.add(entry.target);
      draw(entry.target);
    });
  }, { rootMargin: "500px 0px" });
  plots.forEach(function (plot) { watch.observe(plot); });

  dark.addEventListener("change", redraw);
  var width = window.innerWidth;
  window.addEventListener("resize", function () {
    if (window.innerWidth !== width) { width = window.innerWidth; window.requestAnimationFrame(redraw); }
  });
  window.addEventListener("beforeprint", function () {
    root.classList.add("printing");
    document.querySelectorAll("details:not(.long)").forEach(function (details) { details.open = true; });
    drawAll();
  });
  window.addEventListener("afterprint", function () {
    root.classList.remove("printing");
    redraw();
  });
  document.querySelectorAll(".switches").forEach(function (group) {
    group.addEventListener("click", function (event) {
      var button = event.target.closest("button");
      if (!button) { return; }
      button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") === "true" ? "false" : "true");
      plots.filter(function (plot) { return plot.dataset.group === group.dataset.group && isDrawn.has(plot); }).forEach(draw);
    });
  });
})();

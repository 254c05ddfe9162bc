// Opens pages in headless Chromium at four widths, light and dark, and prints what axe-core finds and what lies beyond
// the page's width. Not part of the test suite: it needs Node, Chromium, and
//   npm install --no-save puppeteer-core axe-core
//   node .ci/accessibility.mjs REPORT.html [--screenshots FOLDER]
// It exits with 1 where axe-core finds something serious or critical, or a page can be scrolled sideways.
import { createRequire } from "node:module";
import { execFileSync } from "node:child_process";
import path from "node:path";

const require = createRequire(path.join(process.cwd(), "package.json"));
const puppeteer = require("puppeteer-core");
const axe = require.resolve("axe-core/axe.min.js");

const given = process.argv.slice(2);
const at = given.indexOf("--screenshots");
const folder = at >= 0 ? given.splice(at, 2)[1] : "";
const executablePath = execFileSync("sh", ["-c", "command -v chromium || command -v google-chrome"]).toString().trim();
const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
let isBad = false;
for (const file of given) {
  for (const [width, height, scheme] of [[1280, 800, "light"], [1280, 800, "dark"], [800, 1000, "light"], [380, 800, "light"], [380, 800, "dark"]]) {
    const page = await browser.newPage();
    await page.setBypassCSP(true); // for axe-core alone: the page's policy lets no other script in
    await page.setViewport({ width, height, isMobile: width < 600, hasTouch: width < 600 });
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    const problems = [];
    page.on("pageerror", (error) => problems.push(`script: ${error.message}`));
    const started = Date.now();
    await page.goto("file://" + path.resolve(file), { waitUntil: "load" });
    const seconds = (Date.now() - started) / 1000;
    const first = await page.evaluate(() => ({
      wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      answer: Math.round(document.querySelector(".shown, #answer")?.getBoundingClientRect().bottom || 0),
    }));
    // Scrolling through draws every figure.
    await page.evaluate(async () => {
      for (let y = 0; y < document.body.scrollHeight; y += 600) { window.scrollTo(0, y); await new Promise((r) => setTimeout(r, 60)); }
      document.querySelectorAll("details").forEach((details) => { details.open = true; });
      await new Promise((r) => setTimeout(r, 200));
    });
    const wide = await page.evaluate(() => Array.from(document.querySelectorAll("main *, header *, footer *")).filter((element) => {
      const box = element.getBoundingClientRect();
      return box.width > 2 && box.right > document.documentElement.clientWidth + 1 && !element.closest("svg, .plot");
    }).slice(0, 4).map((element) => element.tagName + "." + element.className + " " + element.textContent.slice(0, 40)));
    const sideways = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (sideways > 0) { problems.push(`can be scrolled sideways by ${sideways} px: ${wide.join(" | ")}`); }
    await page.evaluate(() => window.scrollTo(0, 0));
    await page.addScriptTag({ path: axe });
    const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
    for (const one of found.violations) {
      const what = `axe ${one.impact}: ${one.id} (${one.nodes.length}): ${one.nodes[0].target} ${one.nodes[0].failureSummary.replaceAll("\n", " ").slice(0, 160)}`;
      if (["serious", "critical"].includes(one.impact)) { problems.push(what); } else { console.log(`  note ${what}`); }
    }
    console.log(`${path.basename(file)} ${width}x${height} ${scheme}: open in ${seconds.toFixed(2)} s, first picture ends at ${first.answer} px, ${problems.length ? problems.join("\n  ") : "nothing serious"}`);
    isBad ||= problems.length > 0;
    if (folder) {
      await page.evaluate(() => document.querySelectorAll("details.long").forEach((details) => { details.open = false; }));
      await page.screenshot({ path: path.join(folder, `${path.basename(file, ".html")}-${width}-${scheme}.png`), fullPage: true });
    }
    await page.close();
  }
}
await browser.close();
process.exit(isBad ? 1 : 0);

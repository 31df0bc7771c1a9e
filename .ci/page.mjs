// Looks at the page of a running service in headless Chromium: `node .ci/page.mjs URL [DIR]`.
//
// Fails on any console error, any failed or foreign request, any violation that axe finds, and where instruments,
// candles or latency do not appear; at three widths, light and dark. Screenshots go to DIR. Packages playwright-core
// and axe-core are looked for in PAGE_MODULES (a node_modules folder), Chromium at PAGE_CHROMIUM or /usr/bin/chromium.
import { createRequire } from "node:module";
import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";

const [url, out] = process.argv.slice(2);
const require = createRequire(path.resolve(process.env.PAGE_MODULES ?? "node_modules", "x.js"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({
  executablePath: process.env.PAGE_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
if (out) mkdirSync(out, { recursive: true });
const problems = [];
try {
  for (const [name, width, height] of [["wide", 1440, 1000], ["middle", 1000, 900], ["phone", 390, 844]]) {
    for (const colorScheme of ["light", "dark"]) {
      // axe is put into the page from here: its policy would rightly refuse it. Without motion: a signal that is
      // still fading in has no colours to judge.
      const context = await browser.newContext({ viewport: { width, height }, colorScheme, bypassCSP: true, reducedMotion: "reduce" });
      const page = await context.newPage();
      const tell = (text) => problems.push(`${name} ${colorScheme}: ${text}`);
      page.on("console", (message) => message.type() === "error" && tell(`console: ${message.text()}`));
      page.on("pageerror", (error) => tell(`exception: ${error}`));
      page.on("requestfailed", (request) => tell(`failed: ${request.url()} ${request.failure()?.errorText}`));
      page.on("response", (response) => response.status() >= 400 && tell(`${response.status()}: ${response.url()}`));
      page.on("request", (request) => new URL(request.url()).host === new URL(url).host || request.url().startsWith("data:") || tell(`foreign: ${request.url()}`));
      await page.goto(url);
      await page.waitForSelector("#instruments .instrument", { timeout: 60000 }).catch(() => tell("no instrument"));
      await page.waitForSelector("#stages tr", { timeout: 60000 }).catch(() => tell("no latency"));
      await page.waitForFunction(() => /trades/.test(document.getElementById("legend").textContent), null, { timeout: 60000 }).catch(() => tell("no candle"));
      if (!process.env.PAGE_WITHOUT_FEED) {
        await page.waitForSelector('#feed-state[data-state="up"]', { timeout: 60000 }).catch(() => tell("no feed"));
      }
      const sideways = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (sideways > 0) tell(`scrolls sideways by ${sideways} px`);
      await page.keyboard.press("Tab");
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run());
      for (const { id, nodes } of violations) tell(`axe ${id}: ${nodes.map((node) => node.target).join(" ").slice(0, 300)}`);
      if (out) await page.screenshot({ path: path.join(out, `${name}-${colorScheme}.png`), fullPage: true });
      await context.close();
    }
  }
  // Once with the policy in force: what it refuses is told on the console.
  const page = await browser.newPage();
  page.on("console", (message) => message.type() === "error" && problems.push(`policy: ${message.text()}`));
  await page.goto(url);
  await page.waitForSelector("#instruments .instrument", { timeout: 60000 }).catch(() => problems.push("policy: no instrument"));
  await page.waitForTimeout(1500);
  const docs = await browser.newPage();
  docs.on("console", (message) => message.type() === "error" && problems.push(`docs: ${message.text()}`));
  await docs.goto(new URL("/docs/", url).href);
  await docs.waitForSelector(".opblock", { timeout: 60000 }).catch(() => problems.push("docs: no operation"));
  if (out) await docs.screenshot({ path: path.join(out, "docs.png") });
} finally {
  await browser.close();
}
for (const problem of new Set(problems)) console.error(problem);
if (problems.length) process.exit(1);
console.log(`${url}: three widths, two colour schemes, nothing to complain of`);

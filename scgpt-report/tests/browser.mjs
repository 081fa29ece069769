// Drives Chromium over pages with maps: console errors, hover, legend, menu, zoom, saving, sizes of
// window, dark mode, paper and no scripts; says how long drawing takes. Not run by `cargo test`.
//
//   cargo run --release -p scgpt-report --example map -- 3000 map.html
//   npm install playwright-core; node browser.mjs map.html [FOLDER FOR PICTURES]
import { createRequire } from "node:module";
import { resolve, join } from "node:path";
import { statSync } from "node:fs";
const { chromium } = createRequire(join(process.cwd(), "x.js"))("playwright-core");

const [path, folder = "."] = process.argv.slice(2);
const url = "file://" + resolve(path);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--enable-precise-memory-info"],
});
let failures = 0;
const check = (is, what) => { if (!is) failures++; console.log((is ? "ok   " : "FAIL ") + what); };
const picture = (page, name) => page.screenshot({ path: join(folder, name + ".png"), fullPage: true });

for (const width of [1300, 700, 400]) {
  const page = await browser.newPage({ viewport: { width, height: 900 }, acceptDownloads: true });
  const errors = [];
  page.on("console", (said) => said.type() === "error" && errors.push(said.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("request", (request) => request.url().startsWith("http") && errors.push(request.url()));
  const begin = Date.now();
  await page.goto(url);
  await page.waitForSelector(".plot canvas");
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  const seconds = (Date.now() - begin) / 1000;
  const megabytes = await page.evaluate(() => performance.memory.usedJSHeapSize / 1e6);
  console.log(`${width} px: ${statSync(path).size} bytes, drawn after ${seconds} s, heap ${megabytes.toFixed(0)} MB`);
  check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing wider than the window");
  await picture(page, "first-" + width);

  const plot = page.locator(".plot").first();
  await plot.scrollIntoViewIfNeeded();
  const box = await plot.boundingBox();
  const hover = async () => {
    // Some way along a line until there is a cell.
    for (let x = box.x + 80; x < box.x + box.width - 30; x += 7) {
      await page.mouse.move(x, box.y + box.height / 2);
      const tip = page.locator(".tip").first();
      if (await tip.count() && await tip.isVisible()) return tip.innerText();
    }
    return "";
  };
  const timed = Date.now();
  const tip = await hover();
  console.log(`     ${JSON.stringify(tip)} after ${Date.now() - timed} ms`);
  check(tip.includes("cell type:") && tip.includes("<b>&"), "a cell says its name, its label and its value");
  await picture(page, "hover-" + width);

  const entry = page.locator(".legend button").first();
  const pixels = () => plot.locator("canvas").first().evaluate((canvas) => canvas.toDataURL());
  const before = await pixels();
  await entry.click();
  check(await entry.getAttribute("aria-pressed") === "false" && await pixels() !== before, "a legend entry switches off");
  await entry.click();
  await page.mouse.move(5, 5);
  await page.locator(".tools select").first().selectOption("2");
  check(await page.locator(".ramp").first().isVisible(), "a number has a scale of colours");
  check((await plot.getAttribute("aria-label")).includes("coloured by distance"), "what is seen is said");
  await picture(page, "number-" + width);
  await page.locator(".tools select").first().selectOption("1");
  check((await page.locator(".legend").first().innerText()).includes("</script><b>one"), "hostile names are text");
  await picture(page, "batch-" + width);
  await page.locator(".tools select").first().selectOption("0");

  const whole = await pixels();
  await plot.click({ position: { x: box.width / 2, y: box.height / 2 } });
  await page.mouse.wheel(0, -300);
  await page.waitForTimeout(200);
  const near = await pixels();
  check(near !== whole, "the wheel zooms where the map was clicked");
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2 + 60, box.y + box.height / 2 + 30, { steps: 4 });
  await page.mouse.up();
  await page.waitForTimeout(200);
  check(await pixels() !== near, "dragging moves");
  await picture(page, "zoom-" + width);
  const key = await pixels();
  await page.keyboard.press("+");
  await page.waitForTimeout(100);
  check(await pixels() !== key, "keys zoom");
  for (const kind of ["PNG", "SVG"]) {
    const [saved] = await Promise.all([
      page.waitForEvent("download"), page.getByRole("button", { name: kind }).first().click(),
    ]);
    const to = join(folder, `saved-${width}.${kind.toLowerCase()}`);
    await saved.saveAs(to);
    check(statSync(to).size > 5000, `saved as ${kind}: ${statSync(to).size} bytes`);
  }
  await page.getByRole("button", { name: "Reset" }).first().click();
  await page.waitForTimeout(200);
  await page.mouse.move(5, 5);
  await page.emulateMedia({ colorScheme: "dark" });
  await page.waitForTimeout(200);
  await picture(page, "dark-" + width);
  await page.emulateMedia({ media: "print", colorScheme: "light" });
  check(!await plot.isVisible() && await page.locator("figure > svg").first().isVisible(), "paper has the picture");
  check(errors.length === 0, "no console errors, nothing loaded " + errors.join("; "));
  await page.close();
}
const bare = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
await bare.goto(url);
check(await bare.locator("figure > svg").first().isVisible(), "without scripts there is the picture");
await picture(bare, "bare");
await browser.close();
process.exit(failures ? 1 : 0);

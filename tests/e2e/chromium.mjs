// node chromium.mjs MODULES: signs in by a real browser. One line of JSON on stdin says how:
// {url, user, password, code}; `code` is what a device has shown, absent for the code flow.
// On stdout: what the last page says, and what its browser complained about.
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import fs from 'node:fs';

const modules = process.argv[2];
const entry = path.join(modules, 'playwright-core/index.mjs');
const { chromium } = await import(pathToFileURL(entry).href);
const { url, user, password, code } = JSON.parse(fs.readFileSync(0, 'utf8'));

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium', headless: true, args: ['--no-sandbox'],
});
try {
  // the rig's CA is not in the browser's store
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(url);
  if (code) {
    await page.fill('input[name=user_code]', code);
    await page.click('button:has-text("Continue")');
    await page.click('button:has-text("Continue")');
  }
  await page.fill('input[name=user]', user);
  await page.fill('input[name=password]', password);
  await page.click('button[value=login]');
  await page.waitForLoadState();
  const heading = await page.textContent('h1');
  console.log(JSON.stringify({ heading, text: await page.textContent('p'), url: page.url(), complaints }));
} finally {
  await browser.close();
}

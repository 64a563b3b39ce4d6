// The core entry points in a browser: the bundle must hold nothing of Node, and do the demo's work in a worker.
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { describe, expect, it } from "vitest";
import { runDemo } from "./browser/demo.ts";

const CHROMIUM = [process.env.CHROMIUM ?? "", "/usr/bin/chromium", "/usr/bin/google-chrome"].find(
  (path) => path !== "" && existsSync(path),
);
const fixture = (name: string) => readFileSync(new URL(`../fixtures/demo/${name}`, import.meta.url));

async function bundle(entry: string) {
  const result = await build({
    entryPoints: [fileURLToPath(new URL(entry, import.meta.url))],
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "browser",
    conditions: ["skep-source"],
    minify: true,
    logLevel: "silent",
  });
  return { code: result.outputFiles[0].text, inputs: Object.entries(result.metafile.inputs) };
}

describe("in a browser", () => {
  it.each([
    "index",
    "isa/index",
    "abi/index",
    "elf/index",
    "btf/index",
    "object/index",
    "runtime/index",
    "capture/index",
  ])("src/%s.ts bundles without Node and without packages", async (entry) => {
    // esbuild refuses `node:` for this platform; packages would show among the inputs.
    const { inputs } = await bundle(`../src/${entry}.ts`);
    expect(inputs.length).toBeGreaterThan(0);
    expect(inputs.map(([path]) => path).filter((path) => !path.startsWith("src/"))).toEqual([]);
  });

  it.skipIf(CHROMIUM === undefined)(
    "a worker runs the demo with the same result as Node (needs Chromium: apt-get install chromium)",
    async () => {
      const { code } = await bundle("./browser/worker.ts");
      const served: Record<string, { type: string; body: string | Buffer }> = {
        "/": { type: "text/html", body: "<!doctype html><title>skep</title>" },
        "/worker.js": { type: "text/javascript", body: code },
        "/guard.bpf.o": { type: "application/octet-stream", body: fixture("guard.bpf.o") },
        "/traffic.pcapng": { type: "application/octet-stream", body: fixture("traffic.pcapng") },
      };
      const server = createServer((request, response) => {
        const file = served[request.url ?? ""];
        response.writeHead(file === undefined ? 404 : 200, { "content-type": file?.type ?? "text/plain" });
        response.end(file?.body ?? "");
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      const browser = await chromium.launch({
        executablePath: CHROMIUM,
        args: [
          "--no-sandbox",
          "--disable-gpu",
          "--disable-background-networking",
          "--disable-component-update",
          "--disable-sync",
          "--no-first-run",
        ],
      });
      try {
        const page = await browser.newPage();
        await page.goto(`http://127.0.0.1:${port}/`);
        const inWorker = await page.evaluate(
          () =>
            new Promise((resolve) => {
              const worker = new Worker("/worker.js", { type: "module" });
              worker.onmessage = (event) => resolve(event.data);
              worker.onerror = (event) => resolve({ error: event.message });
            }),
        );
        expect(inWorker).toEqual(await runDemo(fixture("guard.bpf.o"), fixture("traffic.pcapng")));
      } finally {
        await browser.close();
        server.close();
      }
    },
  );
});

// The core entry points in a browser: the bundle must hold nothing of Node, and do the demo's work in a worker.
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium, type Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { runDemo } from "./browser/demo.ts";
import type { spread } from "./browser/spread.ts";

const CHROMIUM = [process.env.CHROMIUM ?? "", "/usr/bin/chromium", "/usr/bin/google-chrome"].find(
  (path) => path !== "" && existsSync(path),
);
const fixture = (name: string) => readFileSync(new URL(`../fixtures/${name}`, import.meta.url));

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
    "verifier/index",
    "aot/index",
    "capture/index",
  ])("src/%s.ts bundles without Node and without packages", async (entry) => {
    // esbuild refuses `node:` for this platform; packages would show among the inputs.
    const { inputs } = await bundle(`../src/${entry}.ts`);
    expect(inputs.length).toBeGreaterThan(0);
    expect(inputs.map(([path]) => path).filter((path) => !path.startsWith("src/"))).toEqual([]);
  });

  const needsChromium = "(needs Chromium: apt-get install chromium)";

  it.skipIf(CHROMIUM === undefined)(
    `a worker runs the demo with the same result as Node ${needsChromium}`,
    async () => {
      const files = {
        "/worker.js": script((await bundle("./browser/worker.ts")).code),
        "/guard.bpf.o": bytes(fixture("demo/guard.bpf.o")),
        "/traffic.pcapng": bytes(fixture("demo/traffic.pcapng")),
      };
      const inWorker = await inPage(files, {}, (page) =>
        page.evaluate(
          () =>
            new Promise((resolve) => {
              const worker = new Worker("/worker.js", { type: "module" });
              worker.onmessage = (event) => resolve(event.data);
              worker.onerror = (event) => resolve({ error: event.message });
            }),
        ),
      );
      expect(inWorker).toEqual(await runDemo(fixture("demo/guard.bpf.o"), fixture("demo/traffic.pcapng")));
    },
  );

  it.skipIf(CHROMIUM === undefined)(
    `a kernel spreads packets over web workers where the page is isolated ${needsChromium}`,
    async () => {
      const files = {
        "/spread.js": script((await bundle("./browser/spread.ts")).code),
        "/kernel-worker.js": script((await bundle("./browser/kernel-worker.ts")).code),
      };
      const object = fixture("batch/packets.bpf.o").join();
      const spreadOver = (headers: Record<string, string>) =>
        inPage(files, headers, (page) =>
          // As text: the test runner rewrites a function's import().
          page.evaluate<Awaited<ReturnType<typeof spread>>>(
            `import("/spread.js").then(({ spread }) => spread(new Uint8Array([${object}]), 2, 6))`,
          ),
        );
      const isolated = await spreadOver({
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-embedder-policy": "require-corp",
      });
      const { ran, perCpu = [] } = isolated;
      expect(ran).toBe(30_000);
      expect(perCpu).toHaveLength(2);
      expect(perCpu[0] + perCpu[1]).toBe(30_000);
      expect(Math.min(...perCpu)).toBeGreaterThan(0);
      expect((await spreadOver({})).code).toBe("runtime/no-shared-memory");
    },
  );
});

interface Served {
  readonly type: string;
  readonly body: string | Buffer;
}

const script = (body: string): Served => ({ type: "text/javascript", body });
const bytes = (body: Buffer): Served => ({ type: "application/octet-stream", body });

/** Serves files with these headers on loopback and works on a page of Chromium's that sees them. */
async function inPage<Result>(
  files: Readonly<Record<string, Served>>,
  headers: Readonly<Record<string, string>>,
  work: (page: Page) => Promise<Result>,
): Promise<Result> {
  const server = createServer((request, response) => {
    const page: Served = { type: "text/html", body: "<!doctype html><title>skep</title>" };
    const file = request.url === "/" ? page : files[request.url ?? ""];
    const status = file === undefined ? 404 : 200;
    response.writeHead(status, { "content-type": file?.type ?? "text/plain", ...headers });
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
    return await work(page);
  } finally {
    await browser.close();
    server.close();
  }
}

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

/** src/cli/worker.ts as a script that Node can run: what `dist/cli/worker.js` is after a build. Run from the root. */
export async function workerScript(): Promise<URL> {
  const outfile = join(mkdtempSync(join(tmpdir(), "skep-worker-")), "worker.mjs");
  await build({
    entryPoints: [resolve("src/cli/worker.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    packages: "external",
    logLevel: "silent",
  });
  return pathToFileURL(outfile);
}

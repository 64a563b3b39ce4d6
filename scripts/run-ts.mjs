// node scripts/run-ts.mjs FILE.ts [ARGUMENT…]: bundles a TypeScript file of this repository and runs it. Node 20 cannot
// run TypeScript itself. Paths inside such a file count from the repository's root (the working directory of npm scripts).
import { mkdirSync, rmSync } from "node:fs";
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

const [entry, ...rest] = process.argv.slice(2);
const outdir = resolve("node_modules/.cache/run-ts");
mkdirSync(outdir, { recursive: true });
const outfile = `${outdir}/${basename(entry, ".ts")}-${process.pid}.mjs`;
await build({
  entryPoints: [entry],
  outfile,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  packages: "external",
  alias: { "#linux": "./src/linux/index.ts" },
  sourcemap: "inline",
  logLevel: "warning",
});
process.argv = [process.argv[0], entry, ...rest];
process.setSourceMapsEnabled(true);
try {
  await import(pathToFileURL(outfile).href);
} finally {
  rmSync(outfile, { force: true });
}

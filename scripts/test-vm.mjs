// npm run test:vm -- VERSION [--subset] [--name PATTERN] [PART-OF-PATH…]: runs test/linux and test/contract as root under
// another kernel (6.1, 6.12 …), in the emulator that scripts/vm/README.md describes. --subset: what CI runs.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

/** Tests of what only other kernels have, and of what differs most between kernels. */
const SUBSET = ["attach-kernel", "attach-probes", "attach-events", "load.test", "contract/"];
const TIMEOUT_S = 600;

const { version, subset, name, parts } = readArguments(process.argv.slice(2));
const wanted = parts.length > 0 ? parts : subset ? SUBSET : [""];
const files = ["test/linux", "test/contract"]
  .flatMap((folder) => readdirSync(folder).map((file) => `${folder}/${file}`))
  .filter((path) => path.endsWith(".test.ts") && wanted.some((part) => path.includes(part)));
if (files.length === 0) fail(`no test of test/linux or test/contract fits ${wanted.join(", ")}`);

const outdir = resolve("node_modules/.cache/test-vm");
mkdirSync(outdir, { recursive: true });
const bundle = `${outdir}/tests-${process.pid}.mjs`;
await build({
  entryPoints: ["scripts/vm/run-tests.mjs"],
  outfile: bundle,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  external: ["koffi", "esbuild"],
  alias: { "#linux": "./src/linux/index.ts", vitest: "./scripts/vm/vitest.mjs" },
  banner: {
    js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
  },
  sourcemap: "inline",
  logLevel: "error",
  plugins: [testFiles(files), ownUrls()],
});

const guest = spawn(
  "scripts/vm/run-in-kernel",
  [
    version,
    ...["--timeout", String(TIMEOUT_S), "--mem", "3G"],
    ...["--env", `SKEP_GUEST=${version}`, "--env", `SKEP_TEST_NAME=${name ?? ""}`],
    ...["--", process.execPath, "--enable-source-maps", bundle],
  ],
  { stdio: ["ignore", "pipe", "inherit"] },
);
let output = "";
guest.stdout.on("data", (bytes) => {
  process.stdout.write(bytes);
  output += bytes;
});
await once(guest, "close");
rmSync(bundle);
// The tests' last line has counts; without it the guest broke off.
const last = /^\{"passed":\d+,"failed":(\d+),"skipped":\d+\}$/m.exec(output);
process.exitCode = last?.[1] === "0" ? 0 : 1;

function readArguments(args) {
  const found = { version: undefined, subset: false, name: undefined, parts: [] };
  for (let i = 0; i < args.length; i++) {
    if (args[i] === "--subset") found.subset = true;
    else if (args[i] === "--name") found.name = args[++i];
    else if (found.version === undefined) found.version = args[i];
    else found.parts.push(args[i]);
  }
  if (found.version === undefined) fail("which kernel? npm run test:vm -- 6.12");
  return found;
}

function fail(message) {
  console.error(`test:vm: ${message}`);
  process.exit(2);
}

/** The module `test-files`: every test file behind a function that runs it. */
function testFiles(paths) {
  return {
    name: "test-files",
    setup(builder) {
      builder.onResolve({ filter: /^test-files$/ }, () => ({ path: "test-files", namespace: "test-files" }));
      builder.onLoad({ filter: /.*/, namespace: "test-files" }, () => ({
        contents: `export const FILES = {\n${paths
          .map((path) => `  ${JSON.stringify(path)}: () => import(${JSON.stringify(resolve(path))}),`)
          .join("\n")}\n};`,
        resolveDir: process.cwd(),
      }));
    },
  };
}

/** In a bundle all modules have one URL; tests find their fixtures by their own. */
function ownUrls() {
  return {
    name: "own-urls",
    setup(builder) {
      builder.onLoad({ filter: /\.ts$/ }, ({ path }) => ({
        contents: readFileSync(path, "utf8")
          .replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href))
          .replaceAll("import.meta.dirname", JSON.stringify(dirname(path))),
        loader: "ts",
      }));
    },
  };
}

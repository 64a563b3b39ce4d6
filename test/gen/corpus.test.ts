// Modules of objects that others wrote: each is written without an error, and all of them type-check together.
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { BpfError } from "../../src/base/index.ts";
import { generateModule } from "../../src/gen/index.ts";
import { type CollectionSpec, readObject } from "../../src/object/index.ts";

const root = join(import.meta.dirname, "../..");
const corpus = process.env.SKEP_ORACLE ?? "";
const FOLDERS = ["obj/st-v3", "obj/carved/libbpf-tools", "obj/carved/xdp-tools", "obj/carved/debian-misc"];
const reason = existsSync(join(corpus, FOLDERS[0])) ? undefined : "needs SKEP_ORACLE: a folder of objects";

function read(path: string): CollectionSpec | undefined {
  try {
    return readObject(readFileSync(path));
  } catch (error) {
    // Objects that the reader refuses are not the generator's.
    if (error instanceof BpfError) return undefined;
    throw error;
  }
}

describe.skipIf(reason !== undefined)(`skep gen over a corpus ${reason ?? ""}`, () => {
  it("writes a module that type-checks for every object", { timeout: 300_000 }, () => {
    const cache = join(root, "node_modules/.cache");
    mkdirSync(cache, { recursive: true });
    const dir = mkdtempSync(join(cache, "skep-gen-corpus-"));
    try {
      let count = 0;
      for (const folder of FOLDERS.map((name) => join(corpus, name)).filter(existsSync)) {
        for (const file of readdirSync(folder).filter((name) => name.endsWith(".o"))) {
          const spec = read(join(folder, file));
          if (spec === undefined) continue;
          const options = { name: file, object: undefined, library: "../../../src/index.ts" };
          writeFileSync(join(dir, `${basename(folder)}-${file}.ts`), generateModule(spec, options));
          count++;
        }
      }
      expect(count).toBeGreaterThan(50);
      const config = { extends: "../../../tsconfig.node.json", include: ["*.ts"] };
      writeFileSync(join(dir, "tsconfig.json"), JSON.stringify(config));
      const tsc = join(root, "node_modules/typescript/bin/tsc");
      const { stdout } = spawnSync(process.execPath, [tsc, "-p", dir], { encoding: "utf8" });
      expect(
        stdout
          .split("\n")
          .filter((line) => line.startsWith(basename(dir)) || line.includes("skep-gen-corpus")),
      ).toEqual([]);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

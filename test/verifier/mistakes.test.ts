// What `skep verify` says of the mistakes that users make: fixtures/mistakes/NAME.bpf.c and the answer in NAME.txt beside it,
// to be read as a user would. UPDATE_GOLDEN=1 writes the answers down.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { skep } from "../cli/fake-io.ts";

const FOLDER = "fixtures/mistakes";
/** Refused for those who may not read uninitialised stack only. */
const UNPRIVILEGED: ReadonlySet<string> = new Set(["uninitialized-stack"]);
/** Takes seconds: test/cli/verify.test.ts reads its answer. */
const SLOW: ReadonlySet<string> = new Set(["too-complex"]);

const names = readdirSync(FOLDER)
  .filter((file) => file.endsWith(".bpf.o"))
  .map((file) => file.replace(".bpf.o", ""))
  .filter((name) => !SLOW.has(name));

describe("answers to usual mistakes", () => {
  it.each(names)("%s", async (name) => {
    const words = ["verify", `${FOLDER}/${name}.bpf.o`, "--btf", "none"];
    if (UNPRIVILEGED.has(name)) words.push("--caps", "unprivileged");
    const { code, out } = await skep(words);
    const answer = `${out.replace(/[\d.,]+ ms$/m, "# ms").trimEnd()}\n`;
    const path = `${FOLDER}/${name}.txt`;
    if (process.env.UPDATE_GOLDEN === "1") writeFileSync(path, answer);
    expect(answer).toBe(readFileSync(path, "utf8"));
    expect(code).toBe(1);
    expect(answer).toMatch(/^ {2}hint: .{20}/m);
  });
});

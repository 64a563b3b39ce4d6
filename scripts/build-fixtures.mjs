// npm run fixtures [-- PART-OF-PATH]: compiles fixtures/**/*.bpf.c with clang to the .bpf.o beside it. The objects are
// committed, so only who changes a source needs clang (Debian: apt-get install clang-19 libbpf-dev linux-libc-dev).
// A source may ask for other flags on its first line: `// clang: -mcpu=v4 -O1`.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

const CLANG = process.env.CLANG ?? "clang-19";
const MULTIARCH = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
const FLAGS = ["-O2", "-g", "-target", "bpf", "-mcpu=v3", "-Wall", "-idirafter", `/usr/include/${MULTIARCH}`];
// Keeps the builder's paths out of the objects: the same source gives the same bytes everywhere.
const REPRODUCIBLE = ["-fdebug-compilation-dir=.", `-ffile-prefix-map=${process.cwd()}/=`];

const wanted = process.argv[2] ?? "";
const sources = readdirSync("fixtures", { recursive: true })
  .map((name) => `fixtures/${name}`)
  .filter((path) => path.endsWith(".bpf.c") && path.includes(wanted));
for (const source of sources) {
  const [firstLine] = readFileSync(source, "utf8").split("\n", 1);
  const own = /^\/\/ clang: (.*)$/.exec(firstLine)?.[1].split(" ") ?? [];
  const object = source.replace(/\.c$/, ".o");
  execFileSync(CLANG, [...FLAGS, ...REPRODUCIBLE, ...own, "-c", source, "-o", object], { stdio: "inherit" });
  console.log(object);
}

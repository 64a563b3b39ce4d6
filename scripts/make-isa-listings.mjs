// Rebuilds fixtures/isa/*.lst: what llvm-objdump prints for our assembly and for the benchmark programs.
// Needs clang-19 and llvm-objdump-19; the benchmark's C sources are read from ../shared/bench.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = new URL("..", import.meta.url).pathname;
const fixtures = join(root, "fixtures/isa");
const bench = join(root, "../shared/bench");
const work = mkdtempSync(join(tmpdir(), "skep-isa-"));

function listing(source, target, cpu) {
  const object = join(work, "out.o");
  execFileSync("clang-19", [`--target=${target}`, `-mcpu=${cpu}`, "-O2", "-c", source, "-o", object]);
  const text = execFileSync("llvm-objdump-19", ["-d", "-z", `--mcpu=${cpu}`, object], { encoding: "utf8" });
  return text.slice(text.indexOf("Disassembly of section"));
}

try {
  writeFileSync(join(fixtures, "all-v4.lst"), listing(join(fixtures, "all.s"), "bpf", "v4"));
  writeFileSync(join(fixtures, "all-v4-big-endian.lst"), listing(join(fixtures, "all.s"), "bpfeb", "v4"));
  for (const cpu of ["v1", "v2", "v3", "v4"]) {
    const parts = ["xdp_lb", "siphash", "match"].map((name) =>
      listing(join(bench, `${name}.bpf.c`), "bpf", cpu),
    );
    writeFileSync(join(fixtures, `bench-${cpu}.lst`), parts.join("\n"));
  }
} finally {
  rmSync(work, { recursive: true });
}

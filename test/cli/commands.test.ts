import { describe, expect, it } from "vitest";
import { COMMANDS } from "../../src/cli/commands/index.ts";
import { skep } from "./fake-io.ts";

const GUARD = "fixtures/demo/guard.bpf.o";
/** r0 = 7; exit */
const SEVEN = "b700000007000000 9500000000000000";

describe("help", () => {
  it("lists every command and exits with 0", async () => {
    const { code, out } = await skep(["--help"]);
    expect(code).toBe(0);
    for (const command of COMMANDS) expect(out).toContain(command.summary.slice(0, 30));
  });

  it.each(COMMANDS.map((command) => command.name))("%s --help shows options and examples", async (name) => {
    const { code, out } = await skep([name, "--help"]);
    expect(code).toBe(0);
    expect(out).toContain("Usage: skep");
    expect(out).toContain("Examples:");
  });

  it("prints the version of the package", async () => {
    expect((await skep(["--version"])).out).toMatch(/^\d+\.\d+\.\d+/);
  });
});

describe("skep exec", () => {
  it("prints r0 as hex", async () =>
    expect(await skep(["exec"], { "-": SEVEN })).toMatchObject({ code: 0, out: "7" }));

  it("points r1 at the memory and puts its size into r2", async () => {
    const program = "bf20000000000000 7113020000000000 0f30000000000000 9500000000000000"; // r0 = r2; r3 = *(u8 *)(r1 + 2); r0 += r3
    expect(await skep(["exec", "aa bb 10 dd"], { "-": program })).toMatchObject({ code: 0, out: "14" });
  });

  it.each([
    { name: "half an instruction", code: "b7000000", exit: 2, says: /no whole number of instructions/ },
    { name: "nothing", code: "", exit: 2, says: /no whole number of instructions/ },
    { name: "unknown opcode", code: "ff00000000000000 9500000000000000", exit: 1, says: /unknown opcode ff/ },
    {
      name: "jump out of the program",
      code: "0500050000000000 9500000000000000",
      exit: 1,
      says: /jump out of range from insn 0 to 6/,
    },
    {
      name: "load from address 0",
      code: "b701000000000000 7910000000000000 9500000000000000",
      exit: 1,
      says: /\[runtime\/[a-z-]+\]/,
    },
    {
      name: "endless loop",
      code: "b700000000000000 0500ffff00000000 9500000000000000",
      exit: 1,
      says: /\[runtime\/[a-z-]+\]/,
    },
  ])("$name: exit code $exit", async ({ code, exit, says }) => {
    const got = await skep(["exec", "--max-insns", "100000"], { "-": code });
    expect(got.err).toMatch(says);
    expect(got.code).toBe(exit);
  });
});

describe("skep asm and disasm", () => {
  it("are each other's inverse", async () => {
    const text = "r0 = 7\nif r0 == 0x7 goto +0x1\nr0 = 0x1122334455667788 ll\nexit\n";
    const assembled = await skep(["asm", "-"], { "-": text });
    expect(assembled.code).toBe(0);
    const listed = await skep(["disasm", "-"], { "-": assembled.out });
    expect(listed.out.split("\n").map((line) => line.replace(/^\s*\d+:\s*/, ""))).toEqual([
      "r0 = 0x7",
      "if r0 == 0x7 goto +0x1",
      "r0 = 0x1122334455667788 ll",
      "exit",
    ]);
  });

  it("knows helpers by name", async () => {
    expect((await skep(["asm", "-"], { "-": "call bpf_ktime_get_ns\nexit\n" })).out).toBe(
      "8500000005000000 9500000000000000",
    );
  });

  it("shows where the text is wrong", async () => {
    const { code, err } = await skep(["asm", "prog.s"], { "prog.s": "r0 = 0\nr0 ++ 1\nexit\n" });
    expect(code).toBe(1);
    expect(err).toMatch(/prog\.s:2:/);
  });

  it("puts the C lines between the instructions", async () => {
    const { code, out } = await skep(["disasm", GUARD]);
    expect(code).toBe(0);
    expect(out).toContain("count(ip->protocol, end - data);");
    expect(out).toMatch(/r1 = by_protocol ll/);
    expect(out).toMatch(/call ringbuf_reserve/);
    expect((await skep(["disasm", GUARD, "--no-source"])).out).not.toContain("ip->protocol");
  });
});

describe("skep inspect", () => {
  it("names programs, maps and what the object needs", async () => {
    const { code, out } = await skep(["inspect", GUARD, "--json"]);
    expect(code).toBe(0);
    const [view] = JSON.parse(out);
    expect(view.programs).toMatchObject([
      { name: "guard", section: "xdp", type: "xdp", relocations: { map: 6 } },
    ]);
    expect(view.maps.map((map: { name: string }) => map.name)).toEqual(
      expect.arrayContaining(["by_protocol", "blocked", "drops", ".bss", ".rodata"]),
    );
    expect(view.requires.kernel).toBe("5.8"); // ring buffer
    expect(view.requires.capabilities).toEqual(["CAP_BPF", "CAP_NET_ADMIN"]);
  });
});

describe("skep btf", () => {
  it("prints C that holds the object's own types", async () => {
    const { code, out } = await skep(["btf", "dump", GUARD, "--format", "c"]);
    expect(code).toBe(0);
    expect(out).toMatch(/struct drop_event \{\n\t__u32 saddr;/);
  });

  it("refuses what it does not know", async () => {
    expect(await skep(["btf", "undump", GUARD])).toMatchObject({ code: 2 });
    expect(await skep(["btf", "dump", GUARD, "--format", "java"])).toMatchObject({ code: 2 });
    expect(await skep(["btf", "dump", "README.md"])).toMatchObject({ code: 1 });
  });
});

describe("skep completion", () => {
  it.each(["bash", "zsh", "fish"])("prints a script for %s", async (shell) => {
    const { code } = await skep(["completion", shell]);
    expect(code).toBe(0);
  });
});

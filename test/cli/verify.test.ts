import { describe, expect, it } from "vitest";
import { skep } from "./fake-io.ts";

const GUARD = "fixtures/demo/guard.bpf.o";
const UNCHECKED = "fixtures/demo/unchecked.bpf.o";
// `--btf none`: the same answer on every machine
const verify = (...words: string[]) => skep(["verify", ...words, "--btf", "none"]);

describe("skep verify", () => {
  it("accepts in one line", async () => {
    const { code, out } = await verify(GUARD);
    expect(out).toMatch(
      /^accepted +fixtures\/demo\/guard\.bpf\.o {2}guard \(xdp\) {2}\d+ insns, \d+ processed/,
    );
    expect(out.split("\n")).toHaveLength(1);
    expect(code).toBe(0);
  });

  it("rejects with the line at fault, how it came about and what to do", async () => {
    const { code, out } = await verify(UNCHECKED);
    expect(code).toBe(1);
    expect(out).toContain("R1 offset is outside of the packet [verifier/packet-bounds]");
    expect(out).toMatch(/--> .*unchecked\.bpf\.c:15:13, instruction 1/);
    expect(out).toContain("15 | \treturn ip->ttl == 1 ? XDP_DROP : XDP_PASS;");
    expect(out).toMatch(/0 {2}r1 = \*\(u32 \*\)\(r1 \+ 0x0\) {2}made +r1: packet data, no byte checked/);
    expect(out).toMatch(/1 {2}r1 = \*\(u8 \*\)\(r1 \+ 0x16\) {2}refused/);
    expect(out).toContain("hint: no byte is checked on this path: compare first, if (data + 23 > data_end)");
  });

  it("prints one JSON value for all objects, each program once", async () => {
    const { code, out } = await verify(GUARD, UNCHECKED, "--json");
    const [guard, unchecked, ...rest] = JSON.parse(out);
    expect(rest).toEqual([]);
    expect(code).toBe(1);
    expect(guard).toMatchObject({
      object: GUARD,
      program: "guard",
      section: "xdp",
      type: "xdp",
      verdict: "accepted",
      stackDepth: 32,
    });
    expect(guard.insnsProcessed).toBeGreaterThan(100);
    expect(guard.peakStates).toBeGreaterThan(0);
    expect(guard.error).toBeUndefined();
    expect(unchecked).toMatchObject({ program: "unchecked", verdict: "rejected", insnsProcessed: 2 });
    expect(unchecked.error).toMatchObject({
      code: "verifier/packet-bounds",
      insn: 1,
      source: { line: 15, column: 13 },
      path: [],
    });
    expect(
      unchecked.error.causes.map(({ kind, insn }: { kind: string; insn: number }) => [kind, insn]),
    ).toEqual([
      ["origin", 0],
      ["refused", 1],
    ]);
    expect(unchecked.error.hint).toContain("data + 23 > data_end");
  });

  it("prints the kernel's log when asked", async () => {
    const { out } = await verify(UNCHECKED, "--log-level", "2");
    expect(out).toMatch(/^1: \(71\) r1 = \*\(u8 \*\)\(r1 /m);
    expect(out).toMatch(/^invalid access to packet, off=22 size=1, R1\(id=0,off=22,r=0\)$/m);
  });

  it("shows where the work went when asked", async () => {
    const { out } = await verify(GUARD, "--budget");
    expect(out).toMatch(/where \d+ processed instructions went/);
    expect(out).toMatch(/\d+\.\d % +\d+ +×\d+ +.*guard\.bpf\.c:\d+/);
  });

  it("names type and field of an access that CO-RE relocated", async () => {
    const { out } = await verify("fixtures/mistakes/kernel-pointer.bpf.o", "--json");
    const [{ error }] = JSON.parse(out);
    const access = { insn: 1, kind: "field_byte_offset", type: "struct task_struct", field: "pid" };
    expect(error.access).toEqual({ ...access, missing: false });
    expect(error.causes.at(-1).access).toEqual(error.access);
    expect(error.hint).toContain("BPF_CORE_READ(task, pid)");
  });

  it("says, where Linux gives up, what kept paths apart and why it mattered", async () => {
    const { code, out } = await verify("fixtures/mistakes/too-complex.bpf.o");
    expect(code).toBe(1);
    expect(out).toContain("[verifier/too-complex]");
    expect(out).toMatch(/hint: paths stay apart at too-complex\.bpf\.c:11 over r1/);
    expect(out).toMatch(
      /too-complex\.bpf\.c:11 {2}for \(int i = 0; i < 1000; i\+\+\) \{\n +loop at 3 instructions: [\d,]+ paths went on/,
    );
    expect(out).toMatch(
      /r1 differs in \d+ %, alone in \d+ %: 1 → 2 → 3 → 4\n +its exact value matters to too-complex\.bpf\.c:19/,
    );
    expect(out).toMatch(
      /r5 differs in \d+ %: packet data, 1000 bytes checked → packet data, 99\d bytes checked/,
    );
  }, 240_000);

  it("puts the same into JSON when asked, for accepted programs too", async () => {
    const { out } = await verify("fixtures/bench/sieve.bpf.o", "--budget", "--json");
    const [{ verdict, insnsProcessed, budget }] = JSON.parse(out);
    expect(verdict).toBe("accepted");
    expect(budget.processed).toBe(insnsProcessed);
    expect(budget.pruning[0]).toMatchObject({
      place: expect.stringMatching(/sieve\.bpf\.c:\d+$/),
      inLoop: true,
      insns: expect.arrayContaining([expect.any(Number)]),
    });
    for (const point of budget.pruning) {
      for (const row of point.differences) {
        expect(row.count).toBeLessThanOrEqual(point.sampled);
        expect(row.alone).toBeLessThanOrEqual(row.count);
        expect(row.hint).not.toBe("");
      }
    }
  });

  it("goes on with the other objects' programs when one cannot be judged", async () => {
    const { code, out } = await verify("fixtures/bench/noop.bpf.o", UNCHECKED);
    expect(code).toBe(1);
    expect(out).toMatch(/^accepted /m);
    expect(out).toMatch(/^rejected /m);
  });

  it.each([
    { words: [GUARD, "--prog", "nobody"], says: "no program 'nobody'" },
    { words: [GUARD, "--caps", "king"], says: "'king' is neither a usual set nor a capability" },
    { words: [GUARD, "--type", "nothing"], says: "is no program type" },
  ])("$words is wrong usage", async ({ words, says }) => {
    const { code, err } = await verify(...words);
    expect(code).toBe(2);
    expect(err).toContain(says);
  });

  it("names a file that is not there", async () => {
    const { code, err } = await verify("nowhere.bpf.o");
    expect(code).toBe(1);
    expect(err).toContain("nowhere.bpf.o: no such file");
  });
});

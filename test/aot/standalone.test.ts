// Standalone modules outside of Skep: in a fresh Node process and in Chromium, through the documented exports only.
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { afterAll, describe, expect, it } from "vitest";
import { buildStandalone, declarationsOf, wrapperOf } from "../../src/aot/index.ts";
import { fromHex } from "../../src/base/index.ts";
import { assemble } from "../../src/isa/index.ts";
import { verifierGate } from "../../src/kernel/index.ts";
import { readObject } from "../../src/object/index.ts";
import { skep } from "../cli/fake-io.ts";

interface Input {
  readonly object: string;
  readonly runs: readonly {
    readonly retval: number;
    readonly packet: string;
    readonly packet_out?: string;
  }[];
  readonly maps_after?: Readonly<Record<string, readonly (readonly [key: string, value: string])[]>>;
}

/** Of plain-host.js. */
type RunInputs = (
  wasm: ArrayBuffer,
  name: string,
  input: unknown,
) => Promise<{ readonly runs: unknown; readonly maps: Readonly<Record<string, unknown>> }>;

const fixtures = join(import.meta.dirname, "../../fixtures");
const inputs = JSON.parse(readFileSync(join(fixtures, "bench/inputs.json"), "utf8")) as Record<string, Input>;
const folder = mkdtempSync(join(tmpdir(), "skep-aot-"));
afterAll(() => rmSync(folder, { recursive: true }));
copyFileSync(join(import.meta.dirname, "plain-host.js"), join(folder, "plain-host.mjs"));

const CHROMIUM = [process.env.CHROMIUM ?? "", "/usr/bin/chromium", "/usr/bin/google-chrome"].find(
  (path) => path !== "" && existsSync(path),
);
/** KiB that a module of the benchmark programs may have; without maps, and with them. */
const [BARE_KIB, FULL_KIB] = [6, 21];

async function build(object: string, name: string) {
  return buildStandalone(readObject(readFileSync(join(fixtures, object))), {
    name,
    gate: verifierGate(),
    load: { programs: [name] },
  });
}

function expected({ runs, maps_after }: Input) {
  return {
    runs: runs.map(({ retval, packet, packet_out }) => ({ retval, packet: packet_out ?? packet })),
    maps: Object.fromEntries(
      Object.entries(maps_after ?? {}).map(([map, pairs]) => [map, pairs.map((pair) => [...pair]).sort()]),
    ),
  };
}

describe("in Node without Skep", () => {
  it.each(Object.entries(inputs))("%s gives the results of inputs.json", async (name, input) => {
    const { wasm, description } = await build(`bench/${input.object}`, name);
    expect(description.imports).toEqual([]);
    expect(wasm.length / 1024).toBeLessThan(description.maps.length === 0 ? BARE_KIB : FULL_KIB);
    writeFileSync(join(folder, `${name}.wasm`), wasm);
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(input));
    const args = ["plain-host.mjs", `${name}.wasm`, name, `${name}.json`];
    const got = JSON.parse(execFileSync(process.execPath, args, { cwd: folder, encoding: "utf8" }));
    const want = expected(input);
    expect(got.runs).toEqual(want.runs);
    for (const [map, entries] of Object.entries(want.maps)) expect(got.maps[map]).toEqual(entries);
  });

  it("the wrapper has typed maps, events and globals", async () => {
    const { wasm, description } = await build("demo/guard.bpf.o", "guard");
    writeFileSync(join(folder, "guard.wasm"), wasm);
    writeFileSync(join(folder, "guard.mjs"), wrapperOf(description, "./guard.wasm"));
    writeFileSync(join(folder, "use.mjs"), USE_GUARD);
    const out = execFileSync(process.execPath, ["use.mjs"], { cwd: folder, encoding: "utf8" });
    expect(JSON.parse(out)).toEqual({
      verdicts: [1, 2],
      ttl: 63,
      protocols: [[6, { packets: "2", bytes: "108" }]],
      missing: "undefined",
      events: [1],
      blockedPort: 23,
      refused: "map '.rodata' is read-only: its programs were compiled for what is in it",
    });
  });
});

/** Telnet is dropped and reported, another port passes. */
const TELNET =
  "020000000002020000000001080045000028000040004006b6b5c000020ac00002019c40001700000001000000005002020000000000";
const USE_GUARD = `
import { instantiate } from "./guard.mjs";
const { programs, maps } = await instantiate();
const packet = Uint8Array.from("${TELNET}".match(/../g), (pair) => parseInt(pair, 16));
const other = packet.slice();
other[37] = 80;
const dropped = programs.guard.run(packet);
const passed = programs.guard.run(other);
let refused;
try { maps[".rodata"].set(0, { blocked_port: 1 }); } catch (error) { refused = error.message; }
const plain = (_, value) => typeof value === "bigint" ? String(value) : value;
console.log(JSON.stringify({
  verdicts: [dropped.retval, passed.retval],
  ttl: passed.data[22],
  protocols: [...maps.by_protocol.entries()],
  missing: String(maps.by_protocol.get(17)),
  events: [maps.drops.drain().length],
  blockedPort: maps[".rodata"].get(0).blocked_port,
  refused,
}, plain));
`;

const PAGE = `<!doctype html><title>standalone</title>
<script type="module">import { runInputs } from "/plain-host.js"; globalThis.runInputs = runInputs;</script>`;

describe.skipIf(CHROMIUM === undefined)("in Chromium (apt-get install chromium)", () => {
  it("all benchmark programs give the results of inputs.json", async () => {
    const names = Object.keys(inputs);
    const served = new Map<string, { type: string; body: string | Uint8Array }>([
      ["/", { type: "text/html", body: PAGE }],
      [
        "/plain-host.js",
        { type: "text/javascript", body: readFileSync(join(folder, "plain-host.mjs"), "utf8") },
      ],
    ]);
    for (const name of names) {
      const { wasm } = await build(`bench/${inputs[name].object}`, name);
      served.set(`/${name}.wasm`, { type: "application/wasm", body: wasm });
      served.set(`/${name}.json`, { type: "application/json", body: JSON.stringify(inputs[name]) });
    }
    const server = createServer((request, response) => {
      const file = served.get(request.url ?? "");
      response.writeHead(file === undefined ? 404 : 200, { "content-type": file?.type ?? "text/plain" });
      response.end(file?.body ?? "");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number }; // it listens on TCP
    const browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ["--no-sandbox", "--disable-gpu"],
    });
    try {
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${port}/`);
      const results = await page.evaluate(async (all: readonly string[]) => {
        const { runInputs } = globalThis as unknown as { runInputs: RunInputs }; // of PAGE
        const one = async (name: string) => {
          const wasm = await (await fetch(`/${name}.wasm`)).arrayBuffer();
          return runInputs(wasm, name, await (await fetch(`/${name}.json`)).json());
        };
        return Promise.all(all.map(one));
      }, names);
      for (const [i, name] of names.entries()) {
        const want = expected(inputs[name]);
        expect(results[i].runs, name).toEqual(want.runs);
        for (const [map, entries] of Object.entries(want.maps)) expect(results[i].maps[map]).toEqual(entries);
      }
    } finally {
      await browser.close();
      server.close();
    }
  });
});

describe("skep build", () => {
  it("writes module, wrapper and declarations", async () => {
    const { code, out, files } = await skep(["build", "fixtures/demo/guard.bpf.o", "-o", "out/guard.wasm"]);
    expect(code).toBe(0);
    expect([...files.keys()]).toEqual(["out/guard.wasm", "out/guard.js", "out/guard.d.ts"]);
    expect(WebAssembly.validate(new Uint8Array(files.get("out/guard.wasm")!))).toBe(true);
    expect(out).toContain("run_guard  xdp");
    expect(out).toContain("map_by_protocol  BPF_MAP_TYPE_HASH");
  });

  it("refuses what the verifier refuses, unless told otherwise", async () => {
    const object = "fixtures/demo/unchecked.bpf.o";
    const refused = await skep(["build", object, "-o", "x.wasm"]);
    expect(refused.code).toBe(1);
    expect(refused.err).toContain("verifier/packet-bounds");
    expect(refused.files.size).toBe(0);
    const built = await skep(["build", object, "-o", "x.wasm", "--unverified", "--no-wrapper", "--json"]);
    expect([...built.files.keys()]).toEqual(["x.wasm"]);
    expect(JSON.parse(built.out)).toMatchObject({ output: "x.wasm", metered: true });
  });

  it("needs a name that ends in .wasm", async () => {
    expect((await skep(["build", "fixtures/demo/guard.bpf.o", "-o", "x.bin"])).code).toBe(2);
  });
});

describe("what is not there ahead of time", () => {
  const gate = verifierGate();
  it("a program that the verifier rejects, unless it may be: then it is metered", async () => {
    const spec = readObject(readFileSync(join(fixtures, "demo/unchecked.bpf.o")));
    await expect(buildStandalone(spec, { name: "x", gate })).rejects.toMatchObject({
      code: "verifier/packet-bounds",
    });
    const { description } = await buildStandalone(spec, { name: "x", gate: "unverified" });
    expect(description.metered).toBe(true);
  });

  it.each(["BPF_MAP_TYPE_DEVMAP", "BPF_MAP_TYPE_SOCKMAP", "BPF_MAP_TYPE_TASK_STORAGE"] as const)(
    "%s: aot/map-type",
    async (type) => {
      const spec = readObject(readFileSync(join(fixtures, "bench/xdp_parse_count.bpf.o")));
      const maps = [...spec.maps, { ...spec.maps[0], name: "other", type }];
      const error = { code: "aot/map-type", subject: "other", message: expect.stringContaining(type) };
      await expect(buildStandalone({ ...spec, maps }, { name: "x", gate })).rejects.toMatchObject(error);
    },
  );

  it("a helper with a callback: aot/helper", async () => {
    const spec = specWith("r1 = 1; r2 = 0; r3 = 0; r4 = 0; call 181; r0 = 0; exit");
    const built = buildStandalone(spec, { name: "x", gate: "unverified" });
    await expect(built).rejects.toMatchObject({
      code: "aot/helper",
      message: expect.stringContaining("bpf_loop"),
    });
  });

  it("an endless program of a metered module stops, and says where", async () => {
    const { wasm, description } = await buildStandalone(specWith("l:; r0 = 0; goto l; exit"), {
      name: "x",
      gate: "unverified",
    });
    writeFileSync(join(folder, "x.wasm"), wasm);
    writeFileSync(join(folder, "x.mjs"), wrapperOf(description, "./x.wasm"));
    const use = `const { instantiate } = await import("./x.mjs");
const { programs } = await instantiate(undefined, { maxInsns: 1000n });
try { programs.noop.run(new Uint8Array(64)); } catch (error) { console.log(error.message); }`;
    writeFileSync(join(folder, "use-x.mjs"), use);
    const out = execFileSync(process.execPath, ["use-x.mjs"], { cwd: folder, encoding: "utf8" });
    expect(out).toMatch(/^prog 'noop': the instruction budget is used up at instruction [01]$/m);
  });

  function specWith(text: string) {
    const spec = readObject(readFileSync(join(fixtures, "bench/noop.bpf.o")));
    const { bytes: insns } = assemble(text.replaceAll("; ", "\n"));
    return { ...spec, programs: [{ ...spec.programs[0], insns, funcs: [], lines: [], references: [] }] };
  }

  it("declarations name programs, maps and members", async () => {
    const { description } = await build("demo/guard.bpf.o", "guard");
    const text = declarationsOf(description);
    expect(text).toContain("readonly guard: PacketProgram;");
    expect(text).toContain(
      "readonly by_protocol: KeyedMap<number, { readonly packets: bigint; readonly bytes: bigint }>;",
    );
    expect(text).toContain("readonly drops: EventMap;");
  });

  it("takes a packet of its own memory only for head room", async () => {
    const { wasm } = await build("bench/xdp_lb.bpf.o", "xdp_lb");
    const { instance } = await WebAssembly.instantiate(wasm);
    const exports = instance.exports as Record<string, (...args: number[]) => number>; // run_ and alloc are functions
    const packet = fromHex(inputs.xdp_lb.runs[0].packet);
    const memory = instance.exports.memory as WebAssembly.Memory;
    const at = exports.alloc(packet.length);
    new Uint8Array(memory.buffer).set(packet, at);
    // The program could not be given a new header: bpf_xdp_adjust_head has nowhere to go.
    expect(exports.run_xdp_lb(at, packet.length)).not.toBe(inputs.xdp_lb.runs[0].retval);
  });
});

// Generated programs as standalone modules and in the interpreter: same verdicts, packets and maps. All kinds of map,
// tail calls, maps of maps, ring buffers. SKEP_FUZZ_RUNS: how many (default 150).
import { expect, it } from "vitest";
import { buildStandalone, type Standalone } from "../../src/aot/index.ts";
import { BpfError, toHex } from "../../src/base/index.ts";
import { openEmbeddedKernel, type ProgramGate } from "../../src/runtime/index.ts";
import { verifierProgram, verify } from "../../src/verifier/index.ts";
import { fixedHost } from "../differential/host.ts";
import { type RandomCase, randomCase } from "../differential/random-program.ts";
import { type CaseResult, runOnEmbedded, specOf } from "../differential/run-case.ts";
import { withFunctionTypes } from "../verifier/soundness.ts";

const COUNT = Number(process.env.SKEP_FUZZ_RUNS ?? 150);
/** Instructions the verifier may walk. */
const WALK_LIMIT = 20_000;
const SEED = Number(process.env.SKEP_FUZZ_SEED ?? 1);

it(`${COUNT} programs do the same as standalone modules`, async () => {
  using kernel = await openEmbeddedKernel({ host: fixedHost(1), uninitStack: "zero" });
  const refused = new Map<string, number>();
  let run = 0;
  for (let seed = SEED; run < COUNT; seed++) {
    // Fragments and contexts of the caller's are not part of the run functions.
    const test = { ...randomCase(seed), contexts: [] };
    if (test.frags) continue;
    const built = await build(test);
    if (typeof built === "string") {
      refused.set(built, (refused.get(built) ?? 0) + 1);
      continue;
    }
    run++;
    expect(await runStandalone(built, test), `seed ${seed}`).toEqual(await runOnEmbedded(kernel, test));
  }
  // Callbacks and what needs a kernel around it.
  expect([...refused.keys()].filter((code) => !/^(aot|verifier)\//.test(code))).toEqual([]);
  expect([...refused.values()].reduce((sum, n) => sum + n, 0)).toBeLessThan(4 * COUNT);
}, 600_000);

/** Refuses programs that take the verifier long, too. */
const gate: ProgramGate = (spec, program) => {
  const verdict = verify(verifierProgram(spec, program), { insnLimit: WALK_LIMIT });
  if (verdict.verdict !== "accepted") throw new BpfError("verifier/refused", verdict.verdict);
};

async function build(test: RandomCase): Promise<Standalone | string> {
  try {
    return await buildStandalone(withFunctionTypes(specOf(test)), { name: "random", gate });
  } catch (error) {
    if (error instanceof BpfError) return process.env.DBG ? error.code + error.message : error.code;
    throw error;
  }
}

type Exports = Readonly<Record<string, (...args: (number | bigint)[]) => number>> & {
  readonly memory: WebAssembly.Memory;
};

async function runStandalone({ wasm, description }: Standalone, test: RandomCase): Promise<CaseResult> {
  const env = Object.fromEntries(description.imports.map(({ name }) => [name, hostOf(test)[name]]));
  const { instance } = await WebAssembly.instantiate(wasm, { env });
  const exports = instance.exports as unknown as Exports; // as documented
  const bytes = () => new Uint8Array(exports.memory.buffer);
  const put = (data: Uint8Array): number => {
    const at = exports.alloc(Math.max(1, data.length));
    bytes().set(data, at);
    return at;
  };
  const addressOf = (name: string) => (instance.exports[`map_${name}`] as WebAssembly.Global).value as number;
  for (const map of test.maps)
    for (const { key, value } of map.entries)
      exports.map_update_elem(addressOf(map.name), put(key), put(value), 0n, -1);
  const runs = test.packets.map((packet) => {
    const at = exports.packet_buffer(packet.length);
    bytes().set(packet, at);
    const retval = exports.run_p0(at, packet.length) >>> 0;
    // Results start with the metadata in front of an XDP packet.
    const from = test.type === "BPF_PROG_TYPE_XDP" ? exports.packet_meta() : exports.packet_data();
    const data = bytes().slice(from, exports.packet_end());
    // BPF_PROG_TEST_RUN gives zeros back where the program does not see the Ethernet header.
    if (!WITH_ETHERNET.has(test.type)) data.fill(0, 0, 14);
    return { retval, data: toHex(data), ctx: "" };
  });
  const maps: Record<string, string[]> = {};
  for (const map of test.maps) {
    if (map.name === "tails" || map.inner !== undefined) continue;
    const address = addressOf(map.name);
    const read = (at: number, size: number) => toHex(bytes().slice(at, at + size));
    const found: string[] = [];
    if (map.type === "BPF_MAP_TYPE_RINGBUF") {
      for (let at = exports.ringbuf_peek(address); at !== 0; at = exports.ringbuf_peek(address)) {
        found.push(read(at + 8, new DataView(exports.memory.buffer).getUint32(at, true)));
        exports.ringbuf_consume(address);
      }
    } else if (map.keySize === 0) {
      const value = put(new Uint8Array(map.valueSize));
      while (exports.map_pop_elem(address, value) === 0) found.push(read(value, map.valueSize));
    } else {
      const [key, next] = [put(new Uint8Array(map.keySize)), put(new Uint8Array(map.keySize))];
      for (let from = 0; exports.map_get_next_key(address, from, next) === 0; from = key) {
        bytes().copyWithin(key, next, next + map.keySize);
        const value = exports.map_lookup_elem(address, key);
        found.push(`${read(key, map.keySize)}=${read(value, map.valueSize)}`);
      }
      found.sort();
    }
    maps[map.name] = found;
  }
  return { runs, maps };
}

const WITH_ETHERNET: ReadonlySet<string> = new Set(["BPF_PROG_TYPE_XDP", "BPF_PROG_TYPE_SCHED_CLS"]);
/** What `fixedHost` and the network answer. */
function hostOf({ type }: RandomCase): Readonly<Record<string, (...args: bigint[]) => bigint>> {
  const [redirected, dropped, allowed] = type === "BPF_PROG_TYPE_XDP" ? [4n, 0n, 0n] : [7n, 2n, 1n];
  return {
    bpf_get_prandom_u32: () => 4n,
    bpf_redirect: (_index, flags) => ((flags & ~allowed) === 0n ? redirected : dropped),
  };
}

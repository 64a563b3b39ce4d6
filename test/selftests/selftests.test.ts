// The kernel tree's selftests with an annotated return value, which the running kernel has executed: the embedded kernel
// must return the same. Objects and answers are not ours to keep: $SKEP_ORACLE/obj/st-v3 and
// ../shared/oracle/selftests-v3.jsonl. SKEP_SELFTESTS=list prints every program that does not agree, with the reason.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BpfError } from "../../src/base/index.ts";
import { type CollectionSpec, type Kernel, type MapSpec, readObject } from "../../src/object/index.ts";
import { openEmbeddedKernel } from "../../src/runtime/index.ts";
import { fixedHost } from "../differential/host.ts";

/** A line of the table, as far as it matters here. */
interface Row {
  readonly kind: string;
  readonly obj: string;
  readonly prog: string;
  readonly type: string;
  readonly retval?: number;
  readonly aux?: boolean;
  readonly expect_retval?: string;
  readonly dropped_maps?: readonly string[];
}

/** "agree" and "differ": it ran to its end. "absent": outside the comparison. */
interface Outcome {
  readonly row: Row;
  readonly verdict: "agree" | "differ" | "absent" | "error";
  readonly reason: string;
}

const table = join(import.meta.dirname, "../../../shared/oracle/selftests-v3.jsonl");
const objects = join(process.env.SKEP_ORACLE ?? "", "obj/st-v3");
const missing = process.env.SKEP_ORACLE === undefined ? "SKEP_ORACLE is not set" : absentOf([table, objects]);

/** Programs whose answer on Linux is no fact about BPF, or which read what only a running Linux has. */
const OUT_OF_REACH: Readonly<Record<string, string>> = {
  "verifier_search_pruning.bpf.o state_equality_check_way_1": "returns the address of its stack",
  "verifier_search_pruning.bpf.o state_equality_check_way_2": "returns the address of its stack",
  "verifier_spill_fill.bpf.o check_valid_spill_fill": "returns the address of its context",
  "verifier_spill_fill.bpf.o check_corrupted_spill_fill_lsb": "returns bytes of its context's address",
  "verifier_spill_fill.bpf.o check_corrupted_spill_fill_msb": "returns bytes of its context's address",
  "verifier_unpriv.bpf.o unpriv_return_pointer": "returns the address of its stack",
  "verifier_map_ptr.bpf.o ptr_read_ops_field_accepted": "reads the kernel's struct bpf_map",
  "verifier_netfilter_ctx.bpf.o with_valid_ctx_access_test6": "reads the kernel's struct sk_buff",
  "verifier_arena_large.bpf.o big_alloc1": "an arena of 4 GiB does not fit a 32-bit memory",
};

describe.skipIf(missing !== "")(`selftests${missing && ` (skipped: ${missing})`}`, () => {
  const outcomes: Outcome[] = [];
  let kernel: Kernel;
  beforeAll(async () => {
    kernel = await openEmbeddedKernel({ host: fixedHost(2), uninitStack: "zero" });
    const rows = readFileSync(table, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Row);
    const helpers = new Map<string, string[]>();
    for (const row of rows) if (row.aux) helpers.set(row.obj, [...(helpers.get(row.obj) ?? []), row.prog]);
    const specs = new Map<string, CollectionSpec>();
    for (const row of rows) {
      if (row.kind !== "prog" || row.expect_retval === undefined || row.retval === undefined) continue;
      if (!specs.has(row.obj)) specs.set(row.obj, readObject(readFileSync(join(objects, row.obj))));
      outcomes.push(await outcomeOf(kernel, specs.get(row.obj)!, row, helpers.get(row.obj) ?? []));
    }
  }, 300_000);
  afterAll(() => {
    kernel[Symbol.dispose]();
    report(outcomes);
  });

  it("finds the programs that the kernel executed", () =>
    expect(outcomes.length).toBeGreaterThanOrEqual(550));

  it("at least 90 % of those within reach return what Linux returns", () => {
    const within = outcomes.filter((outcome) => outcome.verdict !== "absent");
    const agree = within.filter((outcome) => outcome.verdict === "agree");
    expect(agree.length / within.length).toBeGreaterThanOrEqual(0.9);
  });

  it("every program listed as out of reach is one of them", () => {
    const absent = outcomes.filter((outcome) => outcome.verdict === "absent");
    expect(absent.length).toBe(Object.keys(OUT_OF_REACH).length);
  });
});

async function outcomeOf(
  kernel: Kernel,
  spec: CollectionSpec,
  row: Row,
  helpers: readonly string[],
): Promise<Outcome> {
  const outOfReach = OUT_OF_REACH[`${row.obj} ${row.prog}`];
  if (outOfReach) return { row, verdict: "absent", reason: outOfReach };
  try {
    const dropped = new Set(row.dropped_maps);
    const maps = spec.maps.filter((map) => !dropped.has(map.name)).map(prepared);
    using collection = await kernel.load({ ...spec, maps }, { programs: [row.prog, ...helpers] });
    prefill(row.obj, collection.maps);
    const program = collection.programs.get(row.prog)!;
    const result = program.run(row.type === "syscall" ? {} : { data: new Uint8Array(64) });
    const retval = result.retval | 0;
    if (retval === row.retval) return { row, verdict: "agree", reason: "" };
    return { row, verdict: "differ", reason: `returns ${retval}, Linux ${row.retval}` };
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    return { row, verdict: "error", reason: `${error.code}: ${error.message}` };
  }
}

/** Maps whose size a test sets at run time get the size that the kernel's runs had. */
function prepared(map: MapSpec): MapSpec {
  if (map.maxEntries !== 0) return map;
  if (map.type === "BPF_MAP_TYPE_RINGBUF" || map.type === "BPF_MAP_TYPE_USER_RINGBUF")
    return { ...map, maxEntries: 4096 };
  if (/STORAGE|STRUCT_OPS|PERF_EVENT|BLOOM/.test(map.type)) return map;
  return { ...map, maxEntries: 1 };
}

/** The two tests whose maps are filled first. */
function prefill(
  object: string,
  maps: ReadonlyMap<string, { update(key: Uint8Array, value: Uint8Array): void }>,
) {
  const name = object.startsWith("verifier_array_access")
    ? "map_array_ro"
    : object.startsWith("verifier_value_ptr_arith") && "map_array_48b";
  if (!name || !maps.has(name)) return;
  const value = new DataView(new ArrayBuffer(48));
  value.setUint32(0, 7 * 4, true);
  value.setUint32(4 + 6 * 4, 0xabcdef12, true);
  maps.get(name)!.update(new Uint8Array(4), new Uint8Array(value.buffer));
}

function report(outcomes: readonly Outcome[]): void {
  const count = (verdict: Outcome["verdict"]) =>
    outcomes.filter((outcome) => outcome.verdict === verdict).length;
  const lines = [
    `selftests: ${outcomes.length} programs; agree ${count("agree")}, differ ${count("differ")}, ` +
      `error ${count("error")}, out of reach ${count("absent")}`,
  ];
  if (process.env.SKEP_SELFTESTS === "list") {
    for (const { row, verdict, reason } of outcomes)
      if (verdict !== "agree") lines.push(`${verdict} ${row.obj} ${row.prog} (${row.type}): ${reason}`);
  }
  process.stdout.write(`${lines.join("\n")}\n`);
}

function absentOf(paths: readonly string[]): string {
  const absent = paths.filter((path) => !existsSync(path));
  return absent.length === 0 ? "" : `${absent.join(", ")} absent`;
}

import { describe, expect, it } from "vitest";
import { BpfError, toHex } from "../../base/index.ts";
import { type Btf, BtfBuilder } from "../../btf/index.ts";
import type { EmbeddedEventMap, EmbeddedUserRing } from "../maps/index.ts";
import { runProgram, type TestMap, type TestProgram } from "./program.fixture.ts";

const out: TestMap = { type: "BPF_MAP_TYPE_ARRAY", value: 64 };
const u64 = (bytes: Uint8Array, offset = 0): bigint =>
  new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(offset, true);

/** BTF of `struct value { struct <name> field; u64 data; }`. */
function valueWith(name: string, size: number): { btf: Btf; valueType: number; value: number } {
  const types = new BtfBuilder();
  const word = types.int("unsigned long", 8);
  const field = types.add({ kind: "struct", name, size, kindFlag: false, members: [] });
  const data = Math.ceil(size / 8) * 8;
  const valueType = types.add({
    kind: "struct",
    name: "value",
    size: data + 8,
    kindFlag: false,
    members: [
      { name: "field", type: field, bitOffset: 0, bitSize: 0 },
      { name: "data", type: word, bitOffset: data * 8, bitSize: 0 },
    ],
  });
  return { btf: types.build(), valueType, value: data + 8 };
}

async function violation(program: TestProgram): Promise<string> {
  try {
    await runProgram(program);
  } catch (error) {
    if (error instanceof BpfError) return error.code;
    throw error;
  }
  return "no error";
}

describe("maps", () => {
  it("for_each_map_elem visits every element until the callback returns 1", async () => {
    const text = (stop: number): string => `
      r1 = data ll
      r2 = each ll
      r3 = value_of_out ll
      r4 = 0
      call bpf_for_each_map_elem
      exit
    each:
      r0 = *(u32 *)(r2 + 0)
      r5 = *(u64 *)(r4 + 0)
      r5 += r0
      *(u64 *)(r4 + 0) = r5
      if r0 == ${stop} goto stop
      r0 = 0
      exit
    stop:
      r0 = 1
      exit`;
    const maps = { data: { type: "BPF_MAP_TYPE_ARRAY", value: 8, entries: 5 } as const, out };
    const all = await runProgram({ text: text(99), maps, functions: ["each"] });
    expect([all.retval, u64(all.value("out"))]).toEqual([5, 10n]);
    const some = await runProgram({ text: text(2), maps, functions: ["each"] });
    expect([some.retval, u64(some.value("out"))]).toEqual([3, 3n]);
  });

  it("queue: push, peek, pop", async () => {
    const run = await runProgram({
      maps: { queue: { type: "BPF_MAP_TYPE_QUEUE", key: 0, value: 8, entries: 2 } },
      text: `
        r1 = 7
        *(u64 *)(r10 - 8) = r1
        r1 = queue ll
        r2 = r10
        r2 += -8
        r3 = 0
        call bpf_map_push_elem
        r1 = queue ll
        r2 = r10
        r2 += -16
        call bpf_map_peek_elem
        r6 = *(u64 *)(r10 - 16)
        r1 = queue ll
        r2 = r10
        r2 += -16
        call bpf_map_pop_elem
        r7 = *(u64 *)(r10 - 16)
        r6 += r7
        r1 = queue ll
        r2 = r10
        r2 += -16
        call bpf_map_pop_elem
        r0 += r6
        exit`,
    });
    expect(run.retval).toBe(7 + 7 - 2);
  });

  it("lookup_percpu_elem reaches each CPU's value, null beyond", async () => {
    const run = await runProgram({
      host: { numCpus: 2 },
      maps: { data: { type: "BPF_MAP_TYPE_PERCPU_ARRAY", value: 8 } },
      text: `
        r1 = 0
        *(u32 *)(r10 - 4) = r1
        r1 = data ll
        r2 = r10
        r2 += -4
        r3 = 1
        call bpf_map_lookup_percpu_elem
        if r0 == 0 goto fail
        r1 = 5
        *(u64 *)(r0 + 0) = r1
        r1 = data ll
        r2 = r10
        r2 += -4
        r3 = 2
        call bpf_map_lookup_percpu_elem
        if r0 != 0 goto fail
        r0 = 0
        exit
      fail:
        r0 = 1
        exit`,
    });
    expect(run.retval).toBe(0);
    expect(toHex(run.value("data"))).toBe("00000000000000000500000000000000");
  });
});

describe("loop", () => {
  const loop = (count: string, flags = 0): TestProgram => ({
    maps: { out },
    functions: ["body"],
    text: `
      r1 = ${count}
      r2 = body ll
      r3 = r10
      r3 += -8
      r4 = 3
      *(u64 *)(r10 - 8) = r4
      r4 = ${flags}
      call bpf_loop
      exit
    body:
      r0 = 0
      r3 = *(u64 *)(r2 + 0)
      if r1 != r3 goto go_on
      r0 = 1
    go_on:
      exit`,
  });
  it.each([
    ["3", 0, 3],
    ["10", 0, 4],
    ["0", 0, 0],
    ["8388609", 0, -7],
    ["1", 1, -22],
  ])("%s rounds with flags %i", async (count, flags, want) => {
    expect((await runProgram(loop(count, flags))).retval).toBe(want);
  });
});

describe("ring buffer", () => {
  const ring: TestMap = { type: "BPF_MAP_TYPE_RINGBUF", key: 0, entries: 4096 };
  const reserve = (end: string): TestProgram => ({
    maps: { ring },
    text: `
      r1 = ring ll
      r2 = 16
      r3 = 0
      call bpf_ringbuf_reserve
      if r0 == 0 goto fail
      r1 = 0x1122
      *(u64 *)(r0 + 0) = r1
      *(u64 *)(r0 + 8) = r1
      r6 = r0
      ${end}
      r0 = 0
      exit
    fail:
      r0 = 1
      exit`,
  });
  const records = (run: Awaited<ReturnType<typeof runProgram>>, name = "ring"): string[] =>
    (run.collection.maps.get(name) as EmbeddedEventMap).drain().map(({ data }) => toHex(data));

  it("gives the host what is submitted", async () => {
    const run = await runProgram(reserve("r1 = r6\nr2 = 0\ncall bpf_ringbuf_submit"));
    expect(records(run)).toEqual(["22110000000000002211000000000000"]);
  });
  it("gives nothing that is discarded", async () => {
    expect(records(await runProgram(reserve("r1 = r6\nr2 = 0\ncall bpf_ringbuf_discard")))).toEqual([]);
  });
  it("catches a record that is never given back", async () => {
    expect(await violation(reserve(""))).toMatch(/^runtime\//);
  });
  it("catches use after submit", async () => {
    const code = await violation(reserve("r1 = r6\nr2 = 0\ncall bpf_ringbuf_submit\nr1 = *(u64 *)(r6 + 0)"));
    expect(code).toMatch(/^runtime\//);
  });
  it("output: 0, EINVAL for unknown flags; query: bytes waiting", async () => {
    const run = await runProgram({
      maps: { ring },
      text: `
        r1 = 5
        *(u64 *)(r10 - 8) = r1
        r1 = ring ll
        r2 = r10
        r2 += -8
        r3 = 8
        r4 = 4
        call bpf_ringbuf_output
        r6 = r0
        r1 = ring ll
        r2 = r10
        r2 += -8
        r3 = 8
        r4 = 0
        call bpf_ringbuf_output
        r6 += r0
        r1 = ring ll
        r2 = 0
        call bpf_ringbuf_query
        r0 += r6
        exit`,
    });
    expect(run.retval).toBe(16 - 22);
    expect(records(run)).toEqual(["0500000000000000"]);
  });
  const withDynptr = (size: number, end: string): TestProgram => ({
    maps: { ring },
    text: `
      r1 = ring ll
      r2 = ${size}
      r3 = 0
      r4 = r10
      r4 += -16
      call bpf_ringbuf_reserve_dynptr
      r6 = r0
      r1 = 0xab
      *(u64 *)(r10 - 24) = r1
      r1 = r10
      r1 += -16
      r2 = 8
      r3 = r10
      r3 += -24
      r4 = 8
      r5 = 0
      call bpf_dynptr_write
      r7 = r0
      ${end}
      r0 = r6
      r0 += r7
      exit`,
  });
  const submit = "r1 = r10\nr1 += -16\nr2 = 0\ncall bpf_ringbuf_submit_dynptr";
  it("dynptr: reserve, write, submit", async () => {
    const run = await runProgram(withDynptr(16, submit));
    expect(run.retval).toBe(0);
    expect(records(run)).toEqual(["0000000000000000ab00000000000000"]);
  });
  it("dynptr: no room is EINVAL and a null dynptr, which must be submitted too", async () => {
    expect((await runProgram(withDynptr(100000, submit))).retval).toBe(-44);
    expect(await violation(withDynptr(100000, ""))).toMatch(/^runtime\//);
  });
  it("dynptr: outside of the record is E2BIG", async () => {
    expect((await runProgram(withDynptr(12, submit))).retval).toBe(-7);
  });
  it("dynptr: forged bytes are no dynptr", async () => {
    const code = await violation({
      text: `
        r1 = 65536
        *(u64 *)(r10 - 16) = r1
        r1 = 4096
        *(u64 *)(r10 - 8) = r1
        r1 = r10
        r1 += -24
        r2 = 8
        r3 = r10
        r3 += -16
        r4 = 0
        r5 = 0
        call bpf_dynptr_read
        exit`,
    });
    expect(code).toBe("runtime/bad-dynptr");
  });

  it("user_ringbuf_drain hands each sample over as a dynptr", async () => {
    const program: TestProgram = {
      maps: { samples: { type: "BPF_MAP_TYPE_USER_RINGBUF", key: 0, entries: 4096 }, out },
      functions: ["each"],
      text: `
        r1 = samples ll
        r2 = each ll
        r3 = value_of_out ll
        r4 = 0
        call bpf_user_ringbuf_drain
        exit
      each:
        r6 = r2
        r3 = r1
        r1 = r10
        r1 += -8
        r2 = 8
        r4 = 0
        r5 = 0
        call bpf_dynptr_read
        r1 = *(u64 *)(r10 - 8)
        r2 = *(u64 *)(r6 + 0)
        r2 += r1
        *(u64 *)(r6 + 0) = r2
        r0 = 0
        exit`,
    };
    const run = await runProgram(program);
    expect(run.retval).toBe(0);
    const ringMap = run.collection.maps.get("samples") as EmbeddedUserRing;
    for (const value of [3, 4])
      expect(ringMap.produce(new Uint8Array([value, 0, 0, 0, 0, 0, 0, 0]))).toBe(true);
    expect(run.again()).toBe(2);
    expect(u64(run.value("out"))).toBe(7n);
    expect(run.again()).toBe(0);
  });
});

describe("perf event array", () => {
  const output = (flags: string, size: number): TestProgram => ({
    maps: { events: { type: "BPF_MAP_TYPE_PERF_EVENT_ARRAY", key: 4, value: 4, entries: 0 } },
    input: { data: new Uint8Array(64).fill(0xee) },
    text: `
      r2 = 0x55
      *(u64 *)(r10 - 8) = r2
      r2 = events ll
      r3 = ${flags} ll
      r4 = r10
      r4 += -8
      r5 = ${size}
      call bpf_perf_event_output
      exit`,
  });
  it.each([
    ["current CPU", "0xffffffff", 8, 0, ["5500000000000000"]],
    ["with packet bytes", "0x3ffffffff", 4, 0, ["55000000eeeeee"]],
    ["more packet bytes than there are", "0x41ffffffff", 8, -14, []],
    ["no such slot", "5", 8, -7, []],
    ["unknown flags", "0x8000000000000000", 8, -22, []],
  ] as const)("output: %s", async (_, flags, size, want, records) => {
    const run = await runProgram(output(flags, size));
    expect(run.retval).toBe(want);
    const events = run.collection.maps.get("events") as EmbeddedEventMap;
    expect(events.drain().map(({ data }) => toHex(data))).toEqual(records);
  });
  it("read: no counter", async () => {
    const read = (slot: number): TestProgram => ({
      maps: { events: { type: "BPF_MAP_TYPE_PERF_EVENT_ARRAY", key: 4, value: 4, entries: 1 } },
      text: `r1 = events ll\nr2 = ${slot}\ncall bpf_perf_event_read\nexit`,
    });
    expect((await runProgram(read(0))).retval).toBe(-2);
    expect((await runProgram(read(9))).retval).toBe(-7);
  });
});

describe("dynptr over a map value", () => {
  const dynptr = (size: number, then: string): TestProgram => ({
    maps: { data: { type: "BPF_MAP_TYPE_ARRAY", data: Uint8Array.from({ length: 32 }, (_, i) => i) }, out },
    text: `
      r1 = value_of_data ll
      r2 = ${size}
      r3 = 0
      r4 = r10
      r4 += -16
      call bpf_dynptr_from_mem
      ${then}
      exit`,
  });
  const self = (n: number): string => `r${n} = r10\nr${n} += -16`;
  const read = (offset: number, size: number): string =>
    `r1 = value_of_out ll\nr2 = ${size}\n${self(3)}\nr4 = ${offset}\nr5 = 0\ncall bpf_dynptr_read`;

  it.each([
    ["reads inside", 16, read(4, 8), 0, "0405060708090a0b"],
    ["reads up to the end", 16, read(8, 8), 0, "08090a0b0c0d0e0f"],
    ["not beyond it", 16, read(9, 8), -7, "0000000000000000"],
    ["adjusted", 16, `${self(1)}\nr2 = 2\nr3 = 6\ncall bpf_dynptr_adjust\n${read(0, 4)}`, 0, "0203040500"],
    ["adjusted: smaller", 16, `${self(1)}\nr2 = 2\nr3 = 6\ncall bpf_dynptr_adjust\n${read(0, 5)}`, -7, "00"],
    ["adjust: start behind end", 16, `${self(1)}\nr2 = 6\nr3 = 2\ncall bpf_dynptr_adjust`, -22, ""],
    ["adjust: beyond the end", 16, `${self(1)}\nr2 = 6\nr3 = 17\ncall bpf_dynptr_adjust`, -34, ""],
    ["size", 12, `${self(1)}\ncall bpf_dynptr_size`, 12, ""],
    ["is_null", 12, `${self(1)}\ncall bpf_dynptr_is_null`, 0, ""],
    ["is_rdonly", 12, `${self(1)}\ncall bpf_dynptr_is_rdonly`, 0, ""],
    [
      "clone",
      16,
      `${self(1)}\nr2 = r10\nr2 += -32\ncall bpf_dynptr_clone\nr1 = r10\nr1 += -32\ncall bpf_dynptr_size`,
      16,
      "",
    ],
    [
      "memset",
      16,
      `${self(1)}\nr2 = 1\nr3 = 2\nr4 = 0xaa\ncall bpf_dynptr_memset\n${read(0, 4)}`,
      0,
      "00aaaa03",
    ],
    [
      "data: a pointer to write through",
      16,
      `${self(1)}\nr2 = 4\nr3 = 4\ncall bpf_dynptr_data\nr1 = 7\n*(u32 *)(r0 + 0) = r1\n${read(0, 8)}`,
      0,
      "0001020307000000",
    ],
    ["data: null outside", 16, `${self(1)}\nr2 = 14\nr3 = 4\ncall bpf_dynptr_data`, 0, ""],
    [
      "slice: a pointer to read through",
      16,
      `${self(1)}\nr2 = 5\nr3 = 0\nr4 = 4\ncall bpf_dynptr_slice\nr0 = *(u8 *)(r0 + 1)`,
      6,
      "",
    ],
  ])("%s", async (_, size, then, want, bytes) => {
    const run = await runProgram(dynptr(size, then));
    expect(run.retval).toBe(want);
    expect(toHex(run.value("out").subarray(0, bytes.length / 2))).toBe(bytes);
  });

  it("data ends where its size says", async () => {
    const code = await violation(
      dynptr(16, `${self(1)}\nr2 = 4\nr3 = 4\ncall bpf_dynptr_data\nr0 = *(u8 *)(r0 + 4)`),
    );
    expect(code).toMatch(/^runtime\//);
  });
  it("a slice is read-only", async () => {
    const code = await violation(
      dynptr(16, `${self(1)}\nr2 = 4\nr3 = 0\nr4 = 4\ncall bpf_dynptr_slice\nr1 = 1\n*(u8 *)(r0 + 0) = r1`),
    );
    expect(code).toMatch(/^runtime\//);
  });
});

describe("spin lock", () => {
  const { btf, valueType, value } = valueWith("bpf_spin_lock", 4);
  const lock = (text: string): TestProgram => ({
    btf,
    maps: { data: { type: "BPF_MAP_TYPE_ARRAY", value, valueType } },
    text: `r6 = value_of_data ll\n${text}\nr0 = 0\nexit`,
  });
  const take = "r1 = r6\ncall bpf_spin_lock";
  const give = "r1 = r6\ncall bpf_spin_unlock";
  it("lock and unlock", async () => expect((await runProgram(lock(`${take}\n${give}`))).retval).toBe(0));
  it.each([
    ["lock twice", `${take}\n${take}`],
    ["unlock without lock", give],
  ])("%s is a violation", async (_, text) => expect(await violation(lock(text))).toBe("runtime/lock"));
  it("exit with the lock is a violation", async () =>
    expect(await violation(lock(take))).toMatch(/^runtime\//));
});

describe("timer", () => {
  const { btf, valueType, value } = valueWith("bpf_timer", 16);
  let now = 0n;
  const host = { nowNs: () => now, realtimeNs: () => now };
  const timer = (
    text: string,
    type: "BPF_MAP_TYPE_ARRAY" | "BPF_MAP_TYPE_HASH" = "BPF_MAP_TYPE_ARRAY",
  ): TestProgram => ({
    btf,
    host,
    maps: { data: { type, value, valueType, entries: 4 } },
    functions: ["fire"],
    text: `
      r1 = 2
      *(u32 *)(r10 - 4) = r1
      ${type === "BPF_MAP_TYPE_HASH" ? PUT : ""}
      r1 = data ll
      r2 = r10
      r2 += -4
      call bpf_map_lookup_elem
      if r0 == 0 goto none
      r6 = r0
      ${text}
      exit
    none:
      r0 = 99
      exit
    fire:
      r4 = *(u32 *)(r2 + 0)
      r5 = *(u64 *)(r3 + 16)
      r5 += r4
      *(u64 *)(r3 + 16) = r5
      r0 = 0
      exit`,
  });
  const PUT = `
      r1 = 0
      *(u64 *)(r10 - 16) = r1
      *(u64 *)(r10 - 24) = r1
      *(u64 *)(r10 - 32) = r1
      r1 = data ll
      r2 = r10
      r2 += -4
      r3 = r10
      r3 += -32
      r4 = 1
      call bpf_map_update_elem`;
  const init = (clock = 1): string => `r1 = r6\nr2 = data ll\nr3 = ${clock}\ncall bpf_timer_init`;
  const set = "r1 = r6\nr2 = fire ll\ncall bpf_timer_set_callback";
  const start = (ns: number, flags = 0): string => `r1 = r6\nr2 = ${ns}\nr3 = ${flags}\ncall bpf_timer_start`;
  const cancel = "r1 = r6\ncall bpf_timer_cancel";

  it.each([
    ["init", init(), 0],
    ["init twice", `${init()}\n${init()}`, -16],
    ["init with an unknown clock", init(3), -22],
    ["set_callback before init", set, -22],
    ["start before set_callback", `${init()}\n${start(5)}`, -22],
    ["start with unknown flags", `${init()}\n${set}\n${start(5, 4)}`, -22],
    ["start", `${init()}\n${set}\n${start(5)}`, 0],
    ["cancel before init", cancel, -22],
    ["cancel an idle one", `${init()}\n${cancel}`, 0],
    ["cancel an armed one", `${init()}\n${set}\n${start(5)}\n${cancel}`, 1],
    ["start after cancel", `${init()}\n${set}\n${start(5)}\n${cancel}\n${start(5)}`, -22],
  ])("%s", async (_, text, want) => {
    now = 1000n;
    expect((await runProgram(timer(text))).retval).toBe(want);
  });

  it.each(["BPF_MAP_TYPE_ARRAY", "BPF_MAP_TYPE_HASH"] as const)("fires when it is due: %s", async (type) => {
    now = 1000n;
    const run = await runProgram(timer(`${init()}\n${set}\n${start(500)}`, type));
    expect(run.retval).toBe(0);
    expect(run.kernel.nextTimer()).toEqual({ clock: "monotonic", due: 1500n });
    now = 1499n;
    expect(run.kernel.runTimers()).toBe(0);
    now = 1500n;
    expect(run.kernel.runTimers()).toBe(1);
    const found = run.collection.maps.get("data")!.lookup(new Uint8Array([2, 0, 0, 0]))!;
    expect(u64(found, 16)).toBe(2n);
    expect(run.kernel.nextTimer()).toBeUndefined();
  });

  it("goes away with its element", async () => {
    now = 0n;
    const run = await runProgram(timer(`${init()}\n${set}\n${start(500)}`, "BPF_MAP_TYPE_HASH"));
    run.collection.maps.get("data")!.delete(new Uint8Array([2, 0, 0, 0]));
    expect(run.kernel.nextTimer()).toBeUndefined();
  });
});

describe("storage", () => {
  it("task storage: created once, the same value each time", async () => {
    const types = new BtfBuilder();
    const keyType = types.int("int", 4, { signed: true });
    const valueType = types.int("unsigned long", 8);
    const run = await runProgram({
      type: "BPF_PROG_TYPE_RAW_TRACEPOINT",
      btf: types.build(),
      maps: {
        store: { type: "BPF_MAP_TYPE_TASK_STORAGE", value: 8, entries: 0, flags: 1, keyType, valueType },
      },
      input: {},
      text: `
        call bpf_get_current_task_btf
        r6 = r0
        r1 = store ll
        r2 = r6
        r3 = 0
        r4 = 0
        call bpf_task_storage_get
        if r0 != 0 goto fail
        r1 = store ll
        r2 = r6
        r3 = 0
        r4 = 1
        call bpf_task_storage_get
        if r0 == 0 goto fail
        r1 = *(u64 *)(r0 + 0)
        r1 += 5
        *(u64 *)(r0 + 0) = r1
        r1 = store ll
        r2 = r6
        r3 = 0
        r4 = 0
        call bpf_task_storage_get
        if r0 == 0 goto fail
        r7 = *(u64 *)(r0 + 0)
        r1 = store ll
        r2 = r6
        call bpf_task_storage_delete
        r7 += r0
        r1 = store ll
        r2 = r6
        call bpf_task_storage_delete
        r0 += r7
        exit
      fail:
        r0 = 1
        exit`,
    });
    expect(run.retval).toBe(5 + 0 - 2);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BpfError, concatBytes, fromHex } from "../base/index.ts";
import {
  CaptureDecoder,
  type CapturePacket,
  LINK_TYPES,
  pcapngWriter,
  pcapWriter,
  readCapture,
  toEthernet,
} from "./index.ts";

const PING = fromHex("020000000001 020000000002 0800 45000014 00004000 40010000 7f000001 7f000001");

const packets = [
  { data: PING, timestampNs: 1_700_000_000_123_456_789n },
  { data: PING.subarray(0, 15), timestampNs: 1_700_000_001_000_000_000n, originalLength: 1500 },
];

function written(writer = pcapngWriter("test")): Uint8Array {
  return concatBytes([writer.header(), ...packets.map((packet) => writer.packet(packet))]);
}

/** A pcap file with one packet, as tools on other machines write it. */
function pcapBy(options: {
  little: boolean;
  magic: number;
  linkType: number;
  extra?: number;
  captured?: number;
}) {
  const data = PING.subarray(0, 20);
  const out = new DataView(new ArrayBuffer(24 + 16 + (options.extra ?? 0) + data.length));
  const words = [options.magic, 0x00040002, 0, 0, 65535, options.linkType];
  for (const [i, word] of words.entries()) out.setUint32(4 * i, word, options.little);
  const record = [10, 5, options.captured ?? data.length, data.length];
  for (const [i, word] of record.entries()) out.setUint32(24 + 4 * i, word, options.little);
  new Uint8Array(out.buffer).set(data, 40 + (options.extra ?? 0));
  return new Uint8Array(out.buffer);
}

describe("captures written and read back", () => {
  it.each([
    ["pcapng", pcapngWriter("test")],
    ["pcap", pcapWriter()],
  ])("%s keeps bytes, times and lengths", (_name, writer) => {
    const read = readCapture(written(writer));
    expect(read.problem).toBeUndefined();
    expect(read.packets.map((packet) => [...packet.data])).toEqual(packets.map((packet) => [...packet.data]));
    expect(read.packets.map((packet) => packet.timestampNs)).toEqual(
      packets.map((packet) => packet.timestampNs),
    );
    expect(read.packets.map((packet) => packet.originalLength)).toEqual([PING.length, 1500]);
    expect(read.packets.every((packet) => packet.linkType === LINK_TYPES.ETHERNET)).toBe(true);
  });

  it("reads the same packets from chunks of any size", () => {
    const bytes = written();
    for (let size = 1; size < 64; size += 7) {
      const decoder = new CaptureDecoder();
      const got: number[] = [];
      for (let at = 0; at < bytes.length; at += size) {
        for (const packet of decoder.push(bytes.subarray(at, at + size))) got.push(packet.data.length);
      }
      expect(decoder.end()).toBeUndefined();
      expect(got).toEqual([PING.length, 15]);
    }
  });
});

describe("pcap variants", () => {
  it.each([
    { name: "little-endian µs", little: true, magic: 0xa1b2c3d4, timestampNs: 10_000_005_000n },
    { name: "big-endian µs", little: false, magic: 0xa1b2c3d4, timestampNs: 10_000_005_000n },
    { name: "little-endian ns", little: true, magic: 0xa1b23c4d, timestampNs: 10_000_000_005n },
    { name: "big-endian ns", little: false, magic: 0xa1b23c4d, timestampNs: 10_000_000_005n },
    { name: "Kuznetsov's", little: true, magic: 0xa1b2cd34, extra: 8, timestampNs: 10_000_005_000n },
  ])("$name", ({ timestampNs, ...options }) => {
    const { packets: read, problem } = readCapture(pcapBy({ linkType: 101, ...options }));
    expect(problem).toBeUndefined();
    expect(read).toHaveLength(1);
    expect(read[0].timestampNs).toBe(timestampNs);
    expect(read[0].linkType).toBe(LINK_TYPES.RAW);
    expect([...read[0].data]).toEqual([...PING.subarray(0, 20)]);
  });
});

describe("pcapng variants", () => {
  /** Section of either byte order with one interface (resolution, offset) and one packet block. */
  function section(
    little: boolean,
    options: { resolution?: number; offset?: number; block?: "old" | "simple" },
  ): Uint8Array {
    const u16 = (...values: number[]) => words(2, values);
    const u32 = (...values: number[]) => words(4, values);
    const words = (size: number, values: number[]) => {
      const view = new DataView(new ArrayBuffer(size * values.length));
      for (const [i, value] of values.entries()) {
        if (size === 2) view.setUint16(2 * i, value, little);
        else view.setUint32(4 * i, value, little);
      }
      return new Uint8Array(view.buffer);
    };
    const block = (type: number, body: Uint8Array) =>
      concatBytes([u32(type, body.length + 12), body, u32(body.length + 12)]);
    const tsresol =
      options.resolution === undefined ? [] : [u16(9, 1), Uint8Array.of(options.resolution, 0, 0, 0)];
    const tsoffset =
      options.offset === undefined
        ? []
        : [u16(14, 8), ...(little ? [u32(options.offset, 0)] : [u32(0, options.offset)])];
    const frame = PING.subarray(0, 16);
    const packet =
      options.block === "simple"
        ? block(3, concatBytes([u32(16), frame]))
        : options.block === "old"
          ? block(2, concatBytes([u16(0, 7), u32(0, 3, 16, 16), frame]))
          : block(6, concatBytes([u32(0, 0, 3, 16, 16), frame]));
    return concatBytes([
      block(0x0a0d0d0a, concatBytes([u32(0x1a2b3c4d), u16(1, 0), u32(0xffffffff, 0xffffffff)])),
      block(1, concatBytes([u16(1, 0), u32(0), ...tsresol, ...tsoffset, u32(0)])),
      block(0x0bad, u32(1, 2, 3)),
      packet,
    ]);
  }

  it.each([
    { name: "default resolution is µs", options: {}, timestampNs: 3000n },
    { name: "nanoseconds", options: { resolution: 9 }, timestampNs: 3n },
    { name: "power of two", options: { resolution: 0x81 }, timestampNs: 1_500_000_000n },
    { name: "offset in seconds", options: { resolution: 9, offset: 100 }, timestampNs: 100_000_000_003n },
    { name: "old packet block", options: { block: "old" as const }, timestampNs: 3000n },
    { name: "simple packet block", options: { block: "simple" as const }, timestampNs: 0n },
  ])("$name, both byte orders", ({ options, timestampNs }) => {
    for (const little of [true, false]) {
      const { packets: read, problem } = readCapture(section(little, options));
      expect(problem).toBeUndefined();
      expect(read.map((packet) => packet.timestampNs)).toEqual([timestampNs]);
      expect([...read[0].data]).toEqual([...PING.subarray(0, 16)]);
    }
  });

  it("reads sections of different byte order one after the other", () => {
    const { packets: read, problem } = readCapture(
      concatBytes([section(true, {}), section(false, {}), section(true, {})]),
    );
    expect(problem).toBeUndefined();
    expect(read).toHaveLength(3);
  });
});

describe("damaged captures", () => {
  it("keeps the packets before the cut and names the offset", () => {
    const bytes = written();
    const { packets: read, problem } = readCapture(bytes.subarray(0, bytes.length - 3));
    expect(read).toHaveLength(1);
    expect(problem?.code).toBe("capture/truncated");
    expect(problem?.message).toContain("offset");
  });

  it.each([
    { name: "no capture at all", bytes: new TextEncoder().encode("hello, world"), code: "capture/bad-magic" },
    {
      name: "a record of 4 GB",
      bytes: pcapBy({ little: true, magic: 0xa1b2c3d4, linkType: 1, captured: 0xfffffff0 }),
      code: "capture/corrupt",
    },
    { name: "nothing", bytes: new Uint8Array(0), code: "capture/empty" },
    { name: "three bytes", bytes: new Uint8Array(3), code: "capture/empty" },
  ])("$name: $code", ({ bytes, code }) => {
    const decoder = new CaptureDecoder();
    expect([...decoder.push(bytes)]).toEqual([]);
    expect(decoder.end()?.code).toBe(code);
  });

  it("throws only BpfError, and reads no more packets than fit, for any mutation", () => {
    const originals = [written(), written(pcapWriter())];
    fc.assert(
      fc.property(
        fc.nat(1),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        fc.nat(),
        (which, edits, cut) => {
          const bytes = originals[which].slice();
          for (const [at, value] of edits) bytes[at % bytes.length] = value;
          try {
            const { packets: read } = readCapture(bytes.subarray(0, bytes.length - (cut % 40)));
            expect(read.length).toBeLessThanOrEqual(bytes.length / 12);
          } catch (error) {
            expect(error).toBeInstanceOf(BpfError);
          }
        },
      ),
      { numRuns: Number(process.env.SKEP_FUZZ_RUNS ?? 3000) },
    );
  });
});

describe("toEthernet", () => {
  const ip = PING.subarray(14);
  it.each([
    { name: "Ethernet as it is", linkType: LINK_TYPES.ETHERNET, data: PING, etherType: "0800", payload: ip },
    { name: "raw IPv4", linkType: LINK_TYPES.RAW, data: ip, etherType: "0800", payload: ip },
    {
      name: "raw IPv6",
      linkType: LINK_TYPES.RAW,
      data: fromHex("60000000"),
      etherType: "86dd",
      payload: fromHex("60000000"),
    },
    {
      name: "BSD loopback, little-endian",
      linkType: LINK_TYPES.NULL,
      data: concatBytes([fromHex("02000000"), ip]),
      etherType: "0800",
      payload: ip,
    },
    {
      name: "BSD loopback, big-endian",
      linkType: LINK_TYPES.NULL,
      data: concatBytes([fromHex("0000001e"), ip]),
      etherType: "86dd",
      payload: ip,
    },
    {
      name: "Linux cooked",
      linkType: LINK_TYPES.LINUX_SLL,
      data: concatBytes([fromHex("0000 0001 0006 020000000002 0000 0800"), ip]),
      etherType: "0800",
      payload: ip,
    },
    {
      name: "Linux cooked v2",
      linkType: LINK_TYPES.LINUX_SLL2,
      data: concatBytes([fromHex("0806 0000 00000002 0001 00 06 020000000002 0000"), ip]),
      etherType: "0806",
      payload: ip,
    },
  ])("$name", ({ linkType, data, etherType, payload }) => {
    const frame = toEthernet(data, linkType);
    expect(frame).toBeDefined();
    expect([...frame!.subarray(12, 14)]).toEqual([...fromHex(etherType)]);
    expect([...frame!.subarray(14)]).toEqual([...payload]);
  });

  it.each([
    { name: "unknown link type", linkType: 147, data: PING },
    { name: "short cooked header", linkType: LINK_TYPES.LINUX_SLL, data: PING.subarray(0, 15) },
    { name: "raw bytes that are no IP", linkType: LINK_TYPES.RAW, data: fromHex("00") },
  ])("undefined for $name", ({ linkType, data }) => expect(toEthernet(data, linkType)).toBeUndefined());
});

describe("packets in blocks", () => {
  const files = [
    { name: "pcap", writer: () => pcapWriter() },
    { name: "pcapng", writer: () => pcapngWriter("test") },
  ];
  const packets = Array.from({ length: 40 }, (_, n) => ({
    data: new Uint8Array(20 + ((n * 37) % 300)).fill(n),
    timestampNs: BigInt(n) * 1_000_000_007n,
    originalLength: 400,
  }));
  const kind = ({ data, timestampNs, originalLength, linkType }: CapturePacket) => ({
    data: [...data],
    timestampNs,
    originalLength,
    linkType,
  });

  it.each(files)("are those of push: $name", ({ writer }) => {
    const to = writer();
    const parts = [to.header(), ...packets.map((packet) => to.packet(packet))];
    const bytes = Uint8Array.from(parts.flatMap((part) => [...part]));
    for (const step of [1, 7, 100, 1000, bytes.length]) {
      const [whole, blocks] = [new CaptureDecoder(), new CaptureDecoder()];
      const [expected, got, byPlace]: unknown[][] = [[], [], []];
      for (let at = 0; at < bytes.length; at += step) {
        const chunk = bytes.slice(at, at + step);
        expected.push(...[...whole.push(chunk)].map(kind));
        for (const block of blocks.pushBlocks(chunk)) {
          for (let n = 0; n < block.spans.length >> 1; n++) {
            got.push(kind(block.packet(n)));
            byPlace.push([...block.bytes.subarray(block.spans[2 * n]).subarray(0, block.spans[2 * n + 1])]);
          }
        }
      }
      expect(got).toEqual(expected);
      expect(byPlace).toEqual(packets.map(({ data }) => [...data]));
      expect(blocks.end()).toEqual(whole.end());
    }
  });

  it.each(files)("end at the same damage as those of push: $name", ({ writer }) => {
    const to = writer();
    const bytes = Uint8Array.from(
      [to.header(), ...packets.map((packet) => to.packet(packet))].flatMap((b) => [...b]),
    );
    for (let at = 0; at < bytes.length; at += 131) {
      const damaged = bytes.slice(0, bytes.length - (at % 50));
      damaged.fill(0xff, at, at + 9);
      const [whole, blocks] = [new CaptureDecoder(), new CaptureDecoder()];
      const expected = [...whole.push(damaged)].map(kind);
      const got: unknown[] = [];
      for (const block of blocks.pushBlocks(damaged))
        for (let n = 0; n < block.spans.length >> 1; n++) got.push(kind(block.packet(n)));
      expect(got).toEqual(expected);
      expect(blocks.end()).toEqual(whole.end());
    }
  });
});

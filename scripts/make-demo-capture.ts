// Writes fixtures/demo/traffic.pcapng: an invented minute of a small network. Same bytes at each run.
// node scripts/run-ts.mjs scripts/make-demo-capture.ts
import { writeFileSync } from "node:fs";
import { pcapngWriter } from "../src/capture/index.ts";

const OUT = "fixtures/demo/traffic.pcapng";
const ROUTER = [0x02, 0, 0, 0, 0, 0x01];
const US = [0x02, 0, 0, 0, 0, 0x02];
const CLIENTS = ["192.0.2.10", "192.0.2.11", "192.0.2.12", "198.51.100.7", "203.0.113.99"];
const SERVER = "192.0.2.1";
const [ICMP, TCP, UDP] = [1, 6, 17];
const [SYN, ACK, PUSH_ACK, FIN_ACK] = [0x02, 0x10, 0x18, 0x11];

/** Numerical Recipes' generator: enough to vary sizes and ports. */
let state = 1;
const random = (below: number) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};
const u16 = (n: number) => [(n >> 8) & 255, n & 255];
const u32 = (n: number) => [...u16(n >>> 16), ...u16(n)];
const address = (text: string) => text.split(".").map(Number);
const text = (string: string) => [...new TextEncoder().encode(string)];

function checksum(...parts: number[][]): number[] {
  const bytes = parts.flat();
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] << 8) | (bytes[i + 1] ?? 0);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return u16(~sum & 0xffff);
}

function ipv4(
  protocol: number,
  from: string,
  to: string,
  payload: number[],
  { fragment = 0 } = {},
): number[] {
  const head = (sum: number[]) => [
    0x45,
    0,
    ...u16(20 + payload.length),
    ...u16(random(65536)),
    ...u16(fragment),
    64,
    protocol,
    ...sum,
    ...address(from),
    ...address(to),
  ];
  const saved = state;
  const sum = checksum(head([0, 0]));
  state = saved; // the identification must be the same in both
  return [...US, ...ROUTER, 0x08, 0x00, ...head(sum), ...payload];
}

function transport(
  protocol: number,
  from: string,
  to: string,
  build: (sum: number[]) => number[],
  payload: number[],
): number[] {
  const length = build([0, 0]).length + payload.length;
  const sum = checksum(address(from), address(to), [0, protocol], u16(length), build([0, 0]), payload);
  return ipv4(protocol, from, to, [...build(sum), ...payload]);
}

const udp = (from: string, sport: number, to: string, dport: number, payload: number[]) =>
  transport(
    UDP,
    from,
    to,
    (sum) => [...u16(sport), ...u16(dport), ...u16(8 + payload.length), ...sum],
    payload,
  );
const tcp = (
  from: string,
  sport: number,
  to: string,
  dport: number,
  flags: number,
  seq: number,
  ack: number,
  payload: number[] = [],
) =>
  transport(
    TCP,
    from,
    to,
    (sum) => [
      ...u16(sport),
      ...u16(dport),
      ...u32(seq),
      ...u32(ack),
      0x50,
      flags,
      ...u16(64240),
      ...sum,
      0,
      0,
    ],
    payload,
  );
const ping = (from: string, to: string, seq: number) => {
  const body = (sum: number[]) => [
    8,
    0,
    ...sum,
    ...u16(77),
    ...u16(seq),
    ...text("skep demo: a quiet little ping"),
  ];
  return ipv4(ICMP, from, to, body(checksum(body([0, 0]))));
};
const arp = (from: string, to: string) => [
  0xff,
  0xff,
  0xff,
  0xff,
  0xff,
  0xff,
  ...ROUTER,
  0x08,
  0x06,
  0,
  1,
  8,
  0,
  6,
  4,
  0,
  1,
  ...ROUTER,
  ...address(from),
  0,
  0,
  0,
  0,
  0,
  0,
  ...address(to),
];
const ipv6 = () => {
  const [source, target] = [
    [...Array(15).fill(0), 1],
    [0xff, 0x02, ...Array(13).fill(0), 1],
  ];
  const body = (sum: number[]) => [135, 0, ...sum, 0, 0, 0, 0, ...target];
  const sum = checksum(source, target, u32(24), u32(58), body([0, 0]));
  return [...US, ...ROUTER, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, 58, 255, ...source, ...target, ...body(sum)];
};

const dnsQuery = (name: string) => [
  ...u16(random(65536)),
  0x01,
  0x00,
  0,
  1,
  0,
  0,
  0,
  0,
  0,
  0,
  ...name.split(".").flatMap((label) => [label.length, ...text(label)]),
  0,
  0,
  1,
  0,
  1,
];

function* web(client: string, port: number): Generator<number[]> {
  const seq = random(2 ** 31);
  const peer = random(2 ** 31);
  const request = text("GET /hive HTTP/1.1\r\nHost: bees.example\r\n\r\n");
  yield tcp(client, port, SERVER, 80, SYN, seq, 0);
  yield tcp(client, port, SERVER, 80, ACK, seq + 1, peer + 1);
  yield tcp(client, port, SERVER, 80, PUSH_ACK, seq + 1, peer + 1, request);
  yield tcp(client, port, SERVER, 80, ACK, seq + 1 + request.length, peer + 500 + random(900));
  yield tcp(client, port, SERVER, 80, FIN_ACK, seq + 1 + request.length, peer + 1500);
}

function* minute(): Generator<number[]> {
  yield arp("192.0.2.254", SERVER);
  for (let i = 0; i < 40; i++) {
    const client = CLIENTS[random(3)];
    yield udp(
      client,
      1024 + random(60000),
      SERVER,
      53,
      dnsQuery(["bees.example", "honey.example", "skep.example"][random(3)]),
    );
    yield* web(client, 1024 + random(60000));
    if (i % 4 === 0) yield ping(client, SERVER, i);
    if (i % 5 === 0) yield tcp(CLIENTS[3], 40000 + i, SERVER, 23, SYN, random(2 ** 31), 0);
    if (i % 8 === 0) yield udp(CLIENTS[4], 5353, SERVER, 1900, text("M-SEARCH * HTTP/1.1\r\n\r\n"));
    if (i % 20 === 0) yield ipv4(UDP, CLIENTS[4], SERVER, Array(32).fill(0x41), { fragment: 185 });
    if (i % 10 === 0) yield ipv6();
  }
}

const writer = pcapngWriter("skep");
const chunks = [writer.header()];
let timestampNs = 1_780_000_000_000_000_000n;
for (const frame of minute()) {
  timestampNs += BigInt(50_000 + random(200_000_000));
  const data = new Uint8Array(Math.max(60, frame.length)); // Ethernet pads to 60 bytes
  data.set(frame);
  chunks.push(writer.packet({ data, timestampNs }));
}
writeFileSync(OUT, Buffer.concat(chunks));
console.log(`${chunks.length - 1} packets`);

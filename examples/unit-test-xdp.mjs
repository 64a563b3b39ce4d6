// A unit test of an XDP program without root and without Linux: packets in, verdicts out. Run: node --test examples/
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { fromHex, openKernel, readObject } from "skep";

const object = readObject(readFileSync(new URL("../fixtures/demo/guard.bpf.o", import.meta.url)));
const XDP_DROP = 1;
const XDP_PASS = 2;
const telnet = fromHex(
  "020000000002020000000001 0800 45000028000040004006b6b5c000020ac0000201 9c400017000000010000000050020200 00000000",
);

test("telnet is dropped", async () => {
  const kernel = await openKernel("embedded");
  const { programs } = await kernel.load(object);
  assert.equal(programs.get("guard").run({ data: telnet }).retval, XDP_DROP);
});

test("unless no port is blocked; then the TTL goes down", async () => {
  const kernel = await openKernel("embedded");
  const { programs } = await kernel.load(object, { globals: { blocked_port: 0 } });
  const { retval, data } = programs.get("guard").run({ data: telnet });
  assert.equal(retval, XDP_PASS);
  assert.equal(data[22], telnet[22] - 1);
});

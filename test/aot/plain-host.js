// A host of standalone modules that has never heard of Skep: the documented exports and nothing else. Runs in Node
// (as a program: MODULE.wasm INPUT.json on the command line) and in a browser.

const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const bytesOf = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

/** Fills the maps, runs the packets and reads the maps of an entry of fixtures/bench/inputs.json. */
export async function runInputs(wasm, name, input) {
  const { instance } = await WebAssembly.instantiate(wasm, {});
  const { exports } = instance;
  const memory = () => new Uint8Array(exports.memory.buffer);
  const put = (bytes) => {
    const at = exports.alloc(bytes.length);
    memory().set(bytes, at);
    return at;
  };
  for (const [map, pairs] of Object.entries(input.maps ?? {}))
    for (const [key, value] of pairs) {
      const blocks = [put(bytesOf(key)), put(bytesOf(value))];
      const status = exports.map_update_elem(exports[`map_${map}`].value, ...blocks, 0n, -1);
      if (status !== 0) throw new Error(`update of ${map}: ${status}`);
      for (const block of blocks) exports.free(block);
    }
  const runs = input.runs.map(({ packet }) => {
    const bytes = bytesOf(packet);
    const at = exports.packet_buffer(bytes.length);
    memory().set(bytes, at);
    const retval = exports[`run_${name}`](at, bytes.length) >>> 0;
    return { retval, packet: hex(memory().slice(exports.packet_data(), exports.packet_end())) };
  });
  const [section] = WebAssembly.Module.customSections(await WebAssembly.compile(wasm), "skep");
  const { maps } = JSON.parse(new TextDecoder().decode(section));
  const after = {};
  for (const { name: map, global, keySize, valueSize } of maps.filter((row) => row.keySize > 0)) {
    const address = exports[global].value;
    const [key, next] = [put(new Uint8Array(keySize)), put(new Uint8Array(keySize))];
    const entries = [];
    for (let from = 0; exports.map_get_next_key(address, from, next) === 0; from = key) {
      memory().copyWithin(key, next, next + keySize);
      const value = exports.map_lookup_elem(address, key);
      entries.push([hex(memory().slice(key, key + keySize)), hex(memory().slice(value, value + valueSize))]);
    }
    after[map] = entries.sort();
  }
  return { runs, maps: after };
}

if (globalThis.process?.argv[2]?.endsWith(".wasm")) {
  const { readFileSync } = await import("node:fs");
  const [, , wasm, name, input] = process.argv;
  const result = await runInputs(readFileSync(wasm), name, JSON.parse(readFileSync(input, "utf8")));
  process.stdout.write(JSON.stringify(result));
}

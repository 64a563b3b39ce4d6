import { fromHex } from "../../base/index.ts";
import { type CaptureWriter, pcapngWriter, pcapWriter } from "../../capture/index.ts";
import { openKernel } from "../../kernel/index.ts";
import {
  type BpfMap,
  type Collection,
  type CollectionSpec,
  isEventMap,
  type Kernel,
  type Program,
  readObject,
} from "../../object/index.ts";
import { type EmbeddedProgram, ENGINES, type EngineName } from "../../runtime/index.ts";
import { readBtfFile } from "../btf-file.ts";
import {
  type Command,
  type OptionValues,
  positiveNumber,
  readOptions,
  UsageError,
  wholeNumber,
} from "../command.ts";
import { formatError } from "../format/error.ts";
import { toJson } from "../format/json.ts";
import type { Io, OutputFile } from "../io.ts";
import { nodeHost } from "../node-host.ts";
import { contextBuilder } from "../run/context.ts";
import { EventLog } from "../run/event-log.ts";
import {
  type ExecuteOptions,
  execute,
  executeBatches,
  type Totals,
  WRITE_CHOICES,
  type WriteChoice,
} from "../run/execute.ts";
import { parseAssignment, splitAssignment, splitEvent } from "../run/globals.ts";
import {
  captureBatches,
  capturePackets,
  hexPackets,
  type InputNotes,
  type PacketRange,
  parseRange,
} from "../run/input.ts";
import { fillMap, type ReadableEntry, readEntries } from "../run/map-values.ts";
import { chooseProgram, parseProgramType, shortType } from "../run/program-choice.ts";
import { formatReport, type RunReport } from "../run/report.ts";

const DEFAULT_LIMIT = 20;
const ALL_PACKETS: PacketRange = { first: 1, last: Number.POSITIVE_INFINITY };

export const run: Command = {
  name: "run",
  summary: "Run a program of an object file over packets and show what it does",
  arguments: [{ name: "object", summary: "BPF object file (clang -target bpf)" }],
  options: [
    {
      flags: "-p, --pcap <file>",
      summary: "packets: pcap or pcapng, gzipped or not; - reads standard input",
    },
    {
      flags: "-x, --hex <bytes>",
      summary: "a packet in hex, from the Ethernet header",
      repeatable: true,
      parse: parsePacket,
    },
    { flags: "--prog <name>", summary: "program to run, if the object has several" },
    {
      flags: "--type <type>",
      summary: "program type, where the section name does not tell: xdp, sched_cls …",
    },
    {
      flags: "--set <global=value>",
      summary: "value of a global variable or of a kconfig option",
      repeatable: true,
    },
    {
      flags: "--map <name=file>",
      summary: 'fill a map first from JSON: [{"key": …, "value": …}, …]',
      repeatable: true,
    },
    {
      flags: "--filter <range>",
      summary: "only these packets: N, N..M, N.. or ..M, from 1",
      parse: parseRange,
    },
    { flags: "--repeat <n>", summary: "run each packet n times", parse: positiveNumber, default: 1 },
    {
      flags: "--cpus <n>",
      summary: "CPUs of the kernel, which per-CPU maps have",
      parse: positiveNumber,
      default: 1,
    },
    { flags: "--cpu <n>", summary: "CPU the program runs on", parse: wholeNumber, default: 0 },
    { flags: "--ifindex <n>", summary: "interface the packets come in on", parse: positiveNumber },
    {
      flags: "--ctx <hex>",
      summary: "context bytes, for programs without packets (tracepoint, syscall …)",
      parse: fromHex,
    },
    {
      flags: "-w, --write <file>",
      summary: "write packets to a capture: pcapng, or pcap if the name ends so",
    },
    { flags: "--write-only <which>", summary: "packets to write", choices: WRITE_CHOICES, default: "passed" },
    {
      flags: "--event <map=type>",
      summary: "decode the records of a map as this type of the object",
      repeatable: true,
    },
    {
      flags: "--btf <file>",
      summary: "kernel types for CO-RE: a BTF file or an object; default: the object's own",
    },
    {
      flags: "--kernel <kernel>",
      summary: "where it runs: here, or in the kernel of this machine (BPF_PROG_TEST_RUN, as root)",
      choices: ["embedded", "linux"],
      default: "embedded",
    },
    {
      flags: "--engine <engine>",
      summary: "how the program is executed",
      choices: ENGINES,
      default: "interpreter",
    },
    {
      flags: "--workers <n>",
      summary: "with --engine jit: worker threads to run the capture on, each a CPU of its own",
      parse: positiveNumber,
    },
    { flags: "--max-insns <n>", summary: "stop a run after this many instructions", parse: positiveNumber },
    { flags: "--unverified", summary: "do not ask the verifier; the interpreter still checks every access" },
    {
      flags: "--uninit-stack",
      summary: "with --unverified: stack bytes never written read as zero, as Linux ≥ 6.4 lets root do",
    },
    { flags: "--each", summary: "with --json: return value and packet of each run" },
    {
      flags: "--limit <n>",
      summary: "rows shown of each map and event list",
      parse: positiveNumber,
      default: DEFAULT_LIMIT,
    },
    { flags: "--all", summary: "also show empty maps and entries that are all zero" },
    { flags: "--json", summary: "print one JSON value" },
  ],
  examples: [
    "skep run guard.bpf.o --pcap traffic.pcapng",
    "skep run guard.bpf.o --pcap traffic.pcapng --set blocked_port=53 --write passed.pcapng",
    "sudo skep run guard.bpf.o --pcap traffic.pcapng --kernel linux",
    "tcpdump -c 1000 -w - | skep run guard.bpf.o --pcap - --json",
  ],

  async run(io, [path], values) {
    const options = readOptions(values);
    const json = options.flag("json");
    const trace: string[] = [];
    const spec = withType(readObject(await io.readFile(path)), options.text("prog"), options.text("type"));
    const program = chooseProgram(spec, path, options.text("prog"));
    const btfPath = options.text("btf");
    const workers = workerCount(values);
    const numCpus = Math.max(options.number("cpus") ?? 1, workers ?? 1);
    const targetBtf = btfPath === undefined ? undefined : await readBtfFile(io, btfPath);
    const unverified = options.flag("unverified");
    const engine = options.text("engine") as EngineName; // commander checks the choices
    const onLinux = options.text("kernel") === "linux";
    if (onLinux) refuseOnLinux(values);
    const openEmbedded = () =>
      openKernel("embedded", {
        numCpus,
        unverified,
        ...(unverified && { uninitStack: options.flag("uninitStack") ? "zero" : "error" }),
        ...(targetBtf && { kernelBtf: targetBtf }),
        engine,
        ...(workers && { workers: io.workers(workers) }),
        // A verified program ends by itself.
        metered: unverified || options.number("maxInsns") !== undefined,
        host: nodeHost((line) => trace.push(line)),
      });
    const kernel: Kernel = onLinux ? await openKernel("linux") : await openEmbedded();
    const collection = await kernel.load(spec, {
      programs: [program.name],
      ...(targetBtf && { targetBtf }),
      globals: Object.fromEntries(options.list("set").map(parseAssignment)),
    });
    try {
      await fillMaps(io, collection, options.list("map"));
      const loaded = collection.programs.get(program.name);
      if (loaded === undefined) throw new UsageError(`'${program.name}' was not loaded`);
      const notes: InputNotes = { skipped: new Map() };
      const limit = options.number("limit") ?? DEFAULT_LIMIT;
      const events = new EventLog(
        collection,
        options.list("event").map(splitEvent),
        json ? undefined : limit,
      );
      const output = await openCapture(io, options.text("write"), values);
      const how: ExecuteOptions = {
        repeat: options.number("repeat") ?? 1,
        each: options.flag("each"),
        cpu: options.number("cpu") ?? 0,
        maxInsns: options.number("maxInsns"),
        contextFor: contextBuilder(loaded, values.ctx as Uint8Array | undefined, options.number("ifindex")),
        consume: () => events.consume(),
        write: output?.write,
      };
      const totals = await (engine === "jit" && inBatches(values) && isEmbedded(loaded)
        ? executeBatches(
            loaded,
            captureBatches(io, options.text("pcap") as string, rangeOf(values), notes),
            how,
            (batches, each) => loaded.runBatches(batches, each),
          )
        : execute(loaded, packetsOf(io, values, notes), how)
      ).finally(() => output?.file.close());
      const report = makeReport(
        path,
        collection,
        loaded,
        onLinux ? "linux" : engine,
        totals,
        notes,
        trace,
        events,
      );
      io.out(
        json
          ? toJson(report)
          : formatReport(report, io, {
              limit,
              all: options.flag("all"),
              eventTotals: events.totals,
              perCpu: perCpuMaps(collection),
            }),
      );
      if (notes.problem === undefined) return 0;
      const damaged = notes.problem.code !== "capture/truncated";
      io.err(formatError(notes.problem, io, damaged ? "error" : "warning"));
      return damaged ? 1 : 0;
    } finally {
      collection[Symbol.dispose]();
      kernel[Symbol.dispose]();
    }
  },
};

function isEmbedded(program: Program): program is EmbeddedProgram {
  return "runBatches" in program;
}

/** Options of the embedded kernel: Linux has CPUs, a verifier and a compiler of its own. */
const EMBEDDED_ONLY = ["workers", "maxInsns", "unverified", "uninitStack"] as const;

function refuseOnLinux(values: OptionValues): void {
  const given = EMBEDDED_ONLY.find((name) => values[name] !== undefined);
  const other = given ?? (values.engine === "jit" ? "engine" : values.cpus === 1 ? undefined : "cpus");
  if (other === undefined) return;
  const flag = other.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new UsageError(`--${flag} is for the embedded kernel`, "leave out --kernel linux, or the option");
}

function parsePacket(text: string): Uint8Array {
  const bytes = fromHex(text);
  if (bytes.length === 0) throw new UsageError("the packet is empty");
  return bytes;
}

/** The spec with the type of the chosen program replaced, as `--type` asks. */
function withType(spec: CollectionSpec, prog: string | undefined, type: string | undefined): CollectionSpec {
  if (type === undefined) return spec;
  const name = parseProgramType(type);
  const chosen = prog ?? spec.programs.find((program) => program.autoload)?.name;
  return {
    ...spec,
    programs: spec.programs.map((program) =>
      program.name === chosen ? { ...program, type: name } : program,
    ),
  };
}

/** May the packets run in batches? Contexts of the user's own and repeats are for each packet by itself. */
function inBatches(values: OptionValues): boolean {
  const options = readOptions(values);
  const alone = values.ctx === undefined && values.hex === undefined && options.number("repeat") === 1;
  return alone && options.text("pcap") !== undefined;
}

/** `--workers`, where it can be done. */
function workerCount(values: OptionValues): number | undefined {
  const options = readOptions(values);
  const count = options.number("workers");
  if (count === undefined) return undefined;
  if (options.text("engine") !== "jit")
    throw new UsageError("--workers needs compiled programs", "--engine jit");
  if (!inBatches(values))
    throw new UsageError(
      "--workers needs a capture to spread",
      "--pcap FILE, without --hex, --ctx and --repeat",
    );
  if (options.number("cpu") !== 0) throw new UsageError("--workers and --cpu exclude each other");
  return count;
}

function rangeOf(values: OptionValues): PacketRange {
  return (values.filter as PacketRange | undefined) ?? ALL_PACKETS;
}

/** The packets of the command line; one empty input for programs that are given a context alone. */
function packetsOf(io: Io, values: OptionValues, notes: InputNotes) {
  const options = readOptions(values);
  const range = rangeOf(values);
  const pcap = options.text("pcap");
  const hex = (values.hex as readonly Uint8Array[] | undefined) ?? [];
  if (pcap !== undefined && hex.length > 0) throw new UsageError("--pcap and --hex exclude each other");
  if (pcap !== undefined) return capturePackets(io, pcap, range, notes);
  if (hex.length > 0) return hexPackets(hex, range);
  if (values.ctx !== undefined) return hexPackets([new Uint8Array(0)], ALL_PACKETS);
  throw new UsageError(
    "no input: nothing to run the program on",
    "--pcap FILE, --hex BYTES, or --ctx HEX for programs without packets",
  );
}

async function fillMaps(io: Io, collection: Collection, assignments: readonly string[]): Promise<void> {
  for (const text of assignments) {
    const [name, file] = splitAssignment(text, "--map name=file.json");
    fillMap(mapNamed(collection, name), new TextDecoder().decode(await io.readFile(file)), file);
  }
}

function mapNamed(collection: Collection, name: string): BpfMap {
  const map = collection.maps.get(name);
  if (map === undefined) {
    throw new UsageError(
      `there is no map '${name}'`,
      `the object has: ${[...collection.maps.keys()].join(", ") || "none"}`,
    );
  }
  return map;
}

async function openCapture(
  io: Io,
  path: string | undefined,
  values: OptionValues,
): Promise<{ file: OutputFile; write: ExecuteOptions["write"] } | undefined> {
  if (path === undefined) return undefined;
  const writer: CaptureWriter = path.endsWith(".pcap") ? pcapWriter() : pcapngWriter("skep");
  const file = await io.openOutput(path);
  file.write(writer.header());
  const choice = values.writeOnly as WriteChoice; // commander checks the choices
  return { file, write: { choice, packet: (packet) => file.write(writer.packet(packet)) } };
}

/** Names of the maps that keep one value for each CPU. */
function perCpuMaps(collection: Collection): ReadonlySet<string> {
  return new Set([...collection.maps].flatMap(([name, { type }]) => (type.includes("PERCPU") ? [name] : [])));
}

function meanTime({ packets, coldPackets, coldNs, warmNs }: Totals): number {
  if (packets > coldPackets) return warmNs / (packets - coldPackets);
  return coldPackets === 0 ? 0 : coldNs / coldPackets;
}

function makeReport(
  object: string,
  collection: Collection,
  program: Program,
  engine: EngineName | "linux",
  totals: Totals,
  notes: InputNotes,
  trace: readonly string[],
  events: EventLog,
): RunReport {
  const maps: Record<string, ReadableEntry[]> = {};
  for (const [name, map] of collection.maps) {
    if (!isEventMap(map) && !map.spec.frozen) maps[name] = [...readEntries(map)];
  }
  return {
    object,
    program: program.name,
    type: shortType(program.type),
    engine,
    packets: totals.packets,
    bytes: totals.bytes,
    nsPerPacket: meanTime(totals),
    verdicts: totals.verdicts,
    ...(Object.keys(totals.redirects).length > 0 && { redirects: totals.redirects }),
    ...(notes.skipped.size > 0 && { skipped: Object.fromEntries(notes.skipped) }),
    ...(totals.runs.length > 0 && { runs: totals.runs }),
    maps,
    trace,
    events: events.records,
    lost: events.lost,
  };
}

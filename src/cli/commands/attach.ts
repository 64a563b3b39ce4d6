import { openKernel } from "../../kernel/index.ts";
import {
  type Link,
  type LinuxCollection,
  type LinuxKernel,
  type LinuxProgramPort,
  readObject,
} from "../../object/index.ts";
import { type Command, type OptionValues, readOptions, UsageError } from "../command.ts";
import { toJson } from "../format/json.ts";
import type { Io } from "../io.ts";
import { parseReference } from "../linux/reference.ts";
import { parseTarget, targetForms } from "../linux/target.ts";
import { EventLog } from "../run/event-log.ts";
import { parseAssignment, splitEvent } from "../run/globals.ts";

/** Milliseconds between two looks into the buffers of events. */
const LOOK_EVERY = 50;

export const attach: Command = {
  name: "attach",
  summary: "Attach programs of an object, or a pinned program, until Ctrl-C; with --pin for longer",
  arguments: [{ name: "object", summary: "BPF object file; or a loaded program: ID or PATH of its pin" }],
  options: [
    { flags: "--prog <name>", summary: "the program; default: all, where their sections say" },
    { flags: "--to <target>", summary: `where: KIND:… (${targetForms().slice(0, 4).join(", ")} …)` },
    { flags: "--pin <path>", summary: "pin the link and end: the program stays attached" },
    { flags: "--set <global=value>", summary: "value of a global variable", repeatable: true },
    {
      flags: "--event <map=type>",
      summary: "decode the records of a map as this type of the object",
      repeatable: true,
    },
    { flags: "--seconds <n>", summary: "detach after so many seconds", parse: (text) => seconds(text) },
    { flags: "--json", summary: "print events as JSON, one a line" },
  ],
  examples: [
    "sudo skep attach guard.bpf.o --to xdp:eth0 --event drops=drop_event",
    "sudo skep attach exec.bpf.o --prog on_exec --to tracepoint:sched:sched_process_exec",
    "sudo skep attach /sys/fs/bpf/guard/guard --to xdp:eth0 --pin /sys/fs/bpf/guard/link",
    ...targetForms().map((form) => `… --to ${form}`),
  ],

  async run(io, [object], values) {
    const options = readOptions(values);
    using kernel = await openKernel("linux");
    const loaded = await programsOf(io, kernel, object, values);
    const links = attachThem(loaded.programs, loaded.collection, values);
    const pin = options.text("pin");
    if (pin !== undefined) {
      if (links.length !== 1)
        throw new UsageError(`--pin takes one link, not ${links.length}`, "name the program: --prog NAME");
      links[0].pin(pin);
      io.out(`${links[0].program}: ${links[0].kind} ${links[0].target}, pinned ${pin}`);
      return 0;
    }
    for (const link of links) io.err(`attached ${link.program} to ${link.kind} ${link.target}`);
    const { collection } = loaded;
    const log = collection && new EventLog(collection, options.list("event").map(splitEvent), undefined);
    const stopped = Promise.race([io.untilStopped(), ...timeout(options.number("seconds"))]);
    await printEvents(io, log, stopped, options.flag("json"));
    for (const link of links) link.close();
    if (log !== undefined && log.lost > 0) io.err(`${log.lost} events were lost: a buffer was full`);
    return 0;
  },
};

interface Loaded {
  readonly programs: readonly LinuxProgramPort[];
  /** Undefined for a program that was there already. */
  readonly collection: LinuxCollection | undefined;
}

async function programsOf(
  io: Io,
  kernel: LinuxKernel,
  object: string,
  values: OptionValues,
): Promise<Loaded> {
  const options = readOptions(values);
  if (/^\d+$/.test(object)) {
    return { programs: [kernel.inspect.openProgram(parseReference(object))], collection: undefined };
  }
  const bytes = await io.readFile(object).catch((error: unknown) => {
    // Pins are no files that can be read.
    if (object.includes("/")) return undefined;
    throw error;
  });
  if (bytes === undefined || bytes.length === 0) {
    return { programs: [kernel.inspect.openProgram({ pin: object })], collection: undefined };
  }
  const name = options.text("prog");
  const collection = await kernel.load(readObject(bytes), {
    ...(name !== undefined && { programs: [name] }),
    globals: Object.fromEntries(options.list("set").map(parseAssignment)),
  });
  return { programs: [...collection.programs.values()], collection };
}

function attachThem(
  programs: readonly LinuxProgramPort[],
  collection: LinuxCollection | undefined,
  values: OptionValues,
): readonly Link[] {
  const to = readOptions(values).text("to");
  if (to === undefined) {
    if (programs.length === 1) return [programs[0].attach()];
    const links = collection?.attachAll() ?? [];
    if (links.length > 0) return links;
    throw new UsageError("no section says where to attach", "--to KIND:… says it");
  }
  if (programs.length !== 1) {
    throw new UsageError(
      `--to attaches one program, the object has ${programs.length}`,
      `--prog NAME, one of ${programs.map(({ name }) => name).join(", ")}`,
    );
  }
  return [programs[0].attach(parseTarget(to))];
}

/** Prints records as they come until `stopped`, and what is left then. */
async function printEvents(
  io: Io,
  log: EventLog | undefined,
  stopped: Promise<unknown>,
  json: boolean,
): Promise<void> {
  let running = true;
  const stop = stopped.then(() => {
    running = false;
  });
  while (running) {
    await Promise.race([stop, new Promise((resolve) => setTimeout(resolve, LOOK_EVERY))]);
    if (log === undefined) continue;
    log.consume();
    for (const [map, records] of Object.entries(log.records)) {
      for (const data of records.splice(0)) {
        io.out(
          json ? toJson({ map, data }, 0) : `${map}: ${typeof data === "string" ? data : toJson(data, 0)}`,
        );
      }
    }
  }
}

function timeout(count: number | undefined): Promise<unknown>[] {
  return count === undefined ? [] : [new Promise((resolve) => setTimeout(resolve, count * 1000))];
}

function seconds(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new UsageError(`'${text}' is no number of seconds`);
  return value;
}

// One table: how `--to KIND:…` says what to attach to.
import type { AttachOptions } from "../../object/index.ts";
import { UsageError } from "../command.ts";

type Parts = readonly string[];

interface TargetRow {
  /** What follows the kind, for help and errors. */
  readonly usage: string;
  /** Fewest parts. */
  readonly least: number;
  readonly parse: (parts: Parts, text: string) => AttachOptions;
}

const DIRECTIONS = ["ingress", "egress"] as const;
const HOOKS = ["prerouting", "input", "forward", "output", "postrouting"] as const;
const XDP_MODES = ["native", "generic", "offload"] as const;

const TARGETS: Readonly<Record<string, TargetRow>> = {
  xdp: {
    usage: "INTERFACE[:native|generic|offload]",
    least: 1,
    parse: ([name, mode]) => ({
      kind: "xdp",
      interface: name,
      ...(mode && { mode: oneOf(mode, XDP_MODES) }),
    }),
  },
  tcx: {
    usage: "INTERFACE[:ingress|egress]",
    least: 1,
    parse: ([name, way]) => ({
      kind: "tcx",
      interface: name,
      ...(way && { direction: oneOf(way, DIRECTIONS) }),
    }),
  },
  tc: {
    usage: "INTERFACE[:ingress|egress]",
    least: 1,
    parse: ([name, way]) => ({
      kind: "tc",
      interface: name,
      ...(way && { direction: oneOf(way, DIRECTIONS) }),
    }),
  },
  netkit: { usage: "INTERFACE", least: 1, parse: ([name]) => ({ kind: "netkit", interface: name }) },
  cgroup: { usage: "PATH", least: 1, parse: (_, path) => ({ kind: "cgroup", cgroup: path }) },
  "sk-lookup": {
    usage: "[NETNS-PATH]",
    least: 0,
    parse: (_, path) => ({ kind: "sk-lookup", ...(path && { netns: path }) }),
  },
  "flow-dissector": {
    usage: "[NETNS-PATH]",
    least: 0,
    parse: (_, path) => ({ kind: "flow-dissector", ...(path && { netns: path }) }),
  },
  netfilter: {
    usage: "ipv4|ipv6:prerouting|input|forward|output|postrouting[:PRIORITY]",
    least: 2,
    parse: ([family, hook, priority]) => ({
      kind: "netfilter",
      family: oneOf(family, ["ipv4", "ipv6"]),
      hook: oneOf(hook, HOOKS),
      ...(priority && { priority: wholeNumber(priority) }),
    }),
  },
  tracepoint: {
    usage: "CATEGORY:NAME",
    least: 2,
    parse: ([category, name]) => ({ kind: "tracepoint", category, name }),
  },
  "raw-tracepoint": { usage: "NAME", least: 1, parse: ([name]) => ({ kind: "raw-tracepoint", name }) },
  trace: { usage: "", least: 0, parse: () => ({ kind: "trace" }) },
  kprobe: { usage: "FUNCTION", least: 1, parse: ([name]) => ({ kind: "kprobe", function: name }) },
  kretprobe: {
    usage: "FUNCTION",
    least: 1,
    parse: ([name]) => ({ kind: "kprobe", function: name, retprobe: true }),
  },
  "kprobe-multi": { usage: "PATTERN", least: 1, parse: ([pattern]) => ({ kind: "kprobe-multi", pattern }) },
  uprobe: {
    usage: "BINARY:FUNCTION",
    least: 2,
    parse: ([binary, name]) => ({ kind: "uprobe", binary, function: name }),
  },
  uretprobe: {
    usage: "BINARY:FUNCTION",
    least: 2,
    parse: ([binary, name]) => ({ kind: "uprobe", binary, function: name, retprobe: true }),
  },
  usdt: {
    usage: "BINARY:PROVIDER:NAME",
    least: 3,
    parse: ([binary, provider, name]) => ({ kind: "usdt", binary, provider, name }),
  },
  "perf-event": {
    usage: "EVENT[:FREQUENCY]",
    least: 1,
    parse: ([event, frequency]) => ({
      kind: "perf-event",
      event: oneOf(event, PERF_EVENTS),
      ...(frequency && { frequency: wholeNumber(frequency) }),
    }),
  },
};

const PERF_EVENTS = [
  "cpu-clock",
  "task-clock",
  "page-faults",
  "context-switches",
  "cpu-migrations",
  "cycles",
  "instructions",
  "cache-references",
  "cache-misses",
  "branches",
  "branch-misses",
] as const;

/** `xdp:eth0` → what `attach` takes. @throws UsageError with the form of the kind. */
export function parseTarget(text: string): AttachOptions {
  const at = text.indexOf(":");
  const kind = at < 0 ? text : text.slice(0, at);
  const rest = at < 0 ? "" : text.slice(at + 1);
  if (!Object.hasOwn(TARGETS, kind)) {
    throw new UsageError(`'${kind}' is no kind of target`, `one of ${Object.keys(TARGETS).join(", ")}`);
  }
  const row = TARGETS[kind];
  const parts = rest === "" ? [] : rest.split(":");
  if (parts.length < row.least) {
    throw new UsageError(`'${text}' does not say what to attach to`, `write ${kind}:${row.usage}`);
  }
  return row.parse(parts, rest);
}

/** The kinds with their forms, for the help text. */
export function targetForms(): readonly string[] {
  return Object.entries(TARGETS).map(([kind, { usage }]) => (usage === "" ? kind : `${kind}:${usage}`));
}

function oneOf<const Name extends string>(text: string, names: readonly Name[]): Name {
  const found = names.find((name) => name === text);
  if (found === undefined) throw new UsageError(`'${text}' is none of ${names.join(", ")}`);
  return found;
}

function wholeNumber(text: string): number {
  if (!/^-?\d+$/.test(text)) throw new UsageError(`'${text}' is not a whole number`);
  return Number(text);
}

import { BpfError } from "../../base/index.ts";
import { type Btf, BtfIndex } from "../../btf/index.ts";
import { type CollectionSpec, type ProgramSpec, readObject } from "../../object/index.ts";
import {
  CAPABILITY_SETS,
  type Capabilities,
  parseCapabilities,
  Verifier,
  type VerifierProgram,
  verifierProgram,
} from "../../verifier/index.ts";
import { readBtfFile } from "../btf-file.ts";
import { type Command, positiveNumber, readOptions, UsageError, wholeNumber } from "../command.ts";
import { toJson } from "../format/json.ts";
import type { Io } from "../io.ts";
import { parseProgramType, shortType } from "../run/program-choice.ts";
import { formatReport } from "../verify/format.ts";
import { type ProgramReport, reportOf, unreadable } from "../verify/report.ts";

const RUNNING_KERNEL = "/sys/kernel/btf/vmlinux";

export const verify: Command = {
  name: "verify",
  summary: "Judge programs as Linux 6.18 would, and say why",
  arguments: [{ name: "object", summary: "BPF object file", many: true }],
  options: [
    {
      flags: "--prog <name>",
      summary: 'only this program; may be repeated (default: all, also those with SEC("?…"))',
      repeatable: true,
    },
    {
      flags: "--type <type>",
      summary: "program type where the section name says nothing",
      parse: parseProgramType,
    },
    {
      flags: "--btf <file>",
      summary:
        "types of the target kernel, raw BTF or an ELF file; none: use none (default: the running kernel's, if there is one)",
    },
    {
      flags: "--target <object:program>",
      summary: "the program that freplace, fentry and fexit programs are attached to",
    },
    {
      flags: "--error-injection <file>",
      summary:
        "functions whose errors the target kernel lets programs inject, as /sys/kernel/debug/error_injection/list tells them",
    },
    {
      flags: "--caps <who>",
      summary: `who loads: ${Object.keys(CAPABILITY_SETS).join(", ")}, or a list such as cap_bpf,cap_net_admin (default: root)`,
      parse: parseLoader,
    },
    {
      flags: "--cpus <n>",
      summary: "CPUs that the target machine could have: bounds bpf_get_smp_processor_id() (default: 128)",
      parse: positiveNumber,
    },
    {
      flags: "--log-level <n>",
      summary: "also print the verifier's log as Linux does: 1 the path at fault, 2 everything, 4 figures",
      parse: wholeNumber,
    },
    { flags: "--budget", summary: "show which source lines and functions the verifier spent its time on" },
    { flags: "--json", summary: "print one JSON value: a list with one element for each program" },
  ],
  examples: [
    "skep verify guard.bpf.o",
    "skep verify *.bpf.o --json | jq '.[] | select(.verdict != \"accepted\")'",
    "skep verify firewall.bpf.o --target dispatcher.bpf.o:xdp_dispatcher",
    "skep verify guard.bpf.o --prog xdp_guard --caps cap_bpf,cap_net_admin --log-level 2",
  ],

  async run(io, paths, values) {
    const options = readOptions(values);
    const json = options.flag("json");
    const kernelBtf = await kernelTypes(io, options.text("btf"));
    const target = await targetProgram(io, options.text("target"), kernelBtf);
    const errorInjection = await injectable(io, options.text("errorInjection"));
    const wanted = options.list("prog");
    const level = options.number("logLevel") ?? 0;
    const reports: ProgramReport[] = [];
    const found = new Set<string>();
    const verifier = new Verifier();
    for (const path of paths) {
      const spec = readObject(await io.readFile(path));
      for (const program of chosen(spec, wanted)) {
        found.add(program.name);
        const report = judge(path, spec, program, {
          kernelBtf,
          target,
          errorInjection,
          type: options.text("type") as ProgramSpec["type"], // checked by parseProgramType
          capabilities: (values.caps as Capabilities | undefined) ?? "root", // read by parseLoader
          numCpus: options.number("cpus"),
          logLevel: level,
          budget: options.flag("budget"),
          verifier,
        });
        reports.push(report);
        if (!json) io.out(formatReport(report, io));
      }
    }
    const missing = wanted.filter((name) => !found.has(name));
    if (missing.length > 0) throw new UsageError(`no program '${missing[0]}' in ${paths.join(", ")}`);
    if (json) io.out(toJson(reports.map(({ view }) => view)));
    return reports.every(({ view }) => view.verdict === "accepted") ? 0 : 1;
  },
};

/** Types of the target kernel; undefined when there are none to be had or none are wanted. */
async function kernelTypes(io: Io, path: string | undefined): Promise<BtfIndex | undefined> {
  if (path === "none") return undefined;
  if (path !== undefined) return new BtfIndex(await readBtfFile(io, path));
  let btf: Btf;
  try {
    btf = await readBtfFile(io, RUNNING_KERNEL);
  } catch (error) {
    if (error instanceof BpfError) return undefined; // not on Linux, or a kernel without CONFIG_DEBUG_INFO_BTF
    throw error;
  }
  return new BtfIndex(btf);
}

/** `OBJECT:PROGRAM` as another program's target. */
async function targetProgram(
  io: Io,
  text: string | undefined,
  kernelBtf: BtfIndex | undefined,
): Promise<VerifierProgram | undefined> {
  if (text === undefined) return undefined;
  const at = text.lastIndexOf(":");
  if (at <= 0) throw new UsageError(`--target takes OBJECT:PROGRAM, not '${text}'`);
  const path = text.slice(0, at);
  const name = text.slice(at + 1);
  const spec = readObject(await io.readFile(path));
  const program = spec.programs.find((each) => each.name === name);
  if (program === undefined) throw new UsageError(`no program '${name}' in ${path}`);
  return verifierProgram(spec, program, { kernelBtf, objectName: stem(path) });
}

/** Names from a kernel's list: one function a line, then its module and the errors it may give. */
async function injectable(io: Io, path: string | undefined): Promise<ReadonlySet<string> | undefined> {
  if (path === undefined) return undefined;
  const text = new TextDecoder().decode(await io.readFile(path));
  return new Set(text.split("\n").flatMap((line) => /^\S+/.exec(line) ?? []));
}

function chosen(spec: CollectionSpec, wanted: readonly string[]): readonly ProgramSpec[] {
  return wanted.length === 0 ? spec.programs : spec.programs.filter(({ name }) => wanted.includes(name));
}

interface JudgeOptions {
  readonly kernelBtf: BtfIndex | undefined;
  readonly target: VerifierProgram | undefined;
  readonly errorInjection: ReadonlySet<string> | undefined;
  readonly type: ProgramSpec["type"];
  readonly capabilities: Capabilities;
  readonly numCpus: number | undefined;
  readonly logLevel: number;
  readonly budget: boolean;
  /** One for all: it keeps the index of the kernel's types. */
  readonly verifier: Verifier;
}

/** One program's report; what its object lacks is a report too, so that the others are judged. */
function judge(
  object: string,
  spec: CollectionSpec,
  program: ProgramSpec,
  options: JudgeOptions,
): ProgramReport {
  const { kernelBtf, target, errorInjection, type, capabilities, numCpus, logLevel, verifier } = options;
  const judgeBy = { capabilities, ...(numCpus !== undefined && { numCpus }) };
  const name = { object, program: program.name, section: program.section };
  try {
    const input = verifierProgram(spec, program, {
      kernelBtf,
      target,
      errorInjection,
      type,
      objectName: stem(object),
    });
    const verifyOptions = { ...judgeBy, logLevel, nowUs: () => performance.now() * 1000 };
    const verdict = verifier.verify(input, verifyOptions);
    return reportOf({ ...name, type: shortType(input.type) }, input, verdict, {
      judgeBy,
      budget: options.budget,
      verifier,
    });
  } catch (error) {
    if (error instanceof BpfError) return unreadable(name, program.type ?? type, error);
    throw error;
  }
}

function parseLoader(text: string): Capabilities {
  try {
    return parseCapabilities(text);
  } catch (error) {
    throw error instanceof BpfError ? new UsageError(error.message, error.hint) : error;
  }
}

function stem(path: string): string {
  return (path.split("/").at(-1) ?? path).replace(/(\.bpf)?\.o$/, "");
}

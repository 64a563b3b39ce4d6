import { constants } from "node:fs";
import { BpfError } from "../../base/index.ts";
import { BPF_COMMANDS, cString, DELEGATION, type Fd, linuxError, type Sys } from "../sys/index.ts";
import { versionCode } from "../version.ts";
import type { KernelFacts } from "./kernel-facts.ts";

const BPF_FS = "/sys/fs/bpf";
const AT_FDCWD = -100;
const O_CLOEXEC = 0o2000000;

/**
 * The BPF token of a bpf filesystem (Linux 6.9), by libbpf's rules: `asked` (a path, or a descriptor of its root), else
 * the path in LIBBPF_BPF_TOKEN_PATH, must give one, and an empty path means none; with neither, the usual place may.
 * @throws BpfError `linux/unsupported` before 6.9 and in the initial user namespace, `linux/no-delegation`, `linux/…`.
 */
export function createToken(
  sys: Sys,
  facts: KernelFacts,
  asked: string | number | undefined,
): Fd | undefined {
  const given = asked ?? process.env.LIBBPF_BPF_TOKEN_PATH;
  if (given === "") return undefined;
  const place = given ?? BPF_FS;
  const doing = `making a BPF token of ${typeof place === "number" ? `descriptor ${place}` : `'${place}'`}`;
  const [at, path] = typeof place === "number" ? [place, "."] : [AT_FDCWD, place];
  const opened = sys.call("openat", at, cString(path), constants.O_DIRECTORY | O_CLOEXEC);
  if (opened < 0) {
    if (given === undefined) return undefined;
    throw linuxError(opened, { doing, needs: [] });
  }
  using directory = sys.own(opened, "root of a bpf filesystem");
  const { result } = sys.tryBpf("BPF_TOKEN_CREATE", { bpffsFd: directory });
  if (result >= 0) return sys.own(result, "BPF token");
  if (given === undefined) return undefined;
  throw refusal(facts, doing, linuxError(result, { doing, needs: [], command: "BPF_TOKEN_CREATE" }));
}

/** What the kernel's answer to BPF_TOKEN_CREATE means. */
function refusal(facts: KernelFacts, doing: string, error: BpfError): BpfError {
  const errno = error.errno === undefined ? {} : { errno: error.errno };
  const { since } = BPF_COMMANDS.BPF_TOKEN_CREATE;
  // Not by errno: kernels that do not know the command say EPERM to those who may not use bpf(2) at all.
  if (facts.versionCode < versionCode(since)) {
    return new BpfError(
      "linux/unsupported",
      `${doing}: needs Linux ${since}, this is ${facts.version}`,
      errno,
    );
  }
  if (error.errno !== "ENOENT") return error;
  return new BpfError("linux/no-delegation", `${doing}: it was mounted without delegating anything`, {
    ...errno,
    hint: `root of the initial user namespace has to mount it with ${DELEGATION}`,
  });
}

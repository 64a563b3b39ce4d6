import { readFileSync, readlinkSync } from "node:fs";
import { type Capability, errnoName } from "../../abi/index.ts";
import { BpfError, type BpfErrorDetails } from "../../base/index.ts";
import type { BpfCommand } from "./bpf-commands.ts";

/** Stable codes of failed system calls, by errno; others are `linux/failed`. */
const CODES: Readonly<Record<string, `linux/${string}`>> = {
  EPERM: "linux/no-permission",
  EACCES: "linux/no-permission",
  ENOENT: "linux/not-found",
  ESRCH: "linux/not-found",
  ENODEV: "linux/not-found",
  ENXIO: "linux/not-found",
  EEXIST: "linux/exists",
  EBUSY: "linux/busy",
  ENOSPC: "linux/no-space",
  E2BIG: "linux/too-big",
  ENOMEM: "linux/no-memory",
  EMFILE: "linux/too-many-files",
  ENFILE: "linux/too-many-files",
  EINVAL: "linux/invalid",
  EBADF: "linux/closed",
  ENOSYS: "linux/unsupported",
  EOPNOTSUPP: "linux/unsupported",
  ENOTSUPP: "linux/unsupported",
};

/** What an errno means for one command, as a cure. */
const HINTS: { readonly [command in BpfCommand]?: Readonly<Record<string, string>> } = {
  BPF_MAP_CREATE: {
    EINVAL:
      "key size, value size, max_entries or flags do not fit the map type, or this kernel does not know it",
    E2BIG: "the map would be larger than the kernel allows: lower max_entries or value size",
    ENOMEM: "not enough memory: lower max_entries, or add BPF_F_NO_PREALLOC to a hash map",
  },
  BPF_MAP_UPDATE_ELEM: {
    E2BIG: "the map is full, or the index is past its end: raise max_entries or delete entries",
    ENOSPC: "the map has no free slot left: raise max_entries or delete entries",
    EEXIST: 'the key exists: update with "any" or "exist"',
    ENOENT: 'there is no such key: update with "any" or "noexist"',
    EPERM: "the map is frozen or was created with BPF_F_RDONLY",
    EBUSY: "the map is being changed by its own program on this CPU: try again",
  },
  BPF_MAP_DELETE_ELEM: { EINVAL: "elements of this map type cannot be deleted", EPERM: "the map is frozen" },
  BPF_MAP_FREEZE: { EBUSY: "somebody has the map mapped for writing: close that view first" },
  BPF_PROG_LOAD: {
    E2BIG: "the program is too large or too complex for the verifier",
    ENOSPC: "the verifier's log did not fit",
  },
  BPF_BTF_LOAD: { E2BIG: "the BTF is larger than 16 MiB, or the log did not fit" },
  BPF_LINK_CREATE: {
    EBUSY: "something else is attached there: detach it, or attach in another mode",
    EEXIST: "something is attached there already: detach it, or replace it",
    EINVAL: "this program cannot be attached to that target, or this kernel does not know the kind of link",
    EOPNOTSUPP: "this kernel was built without what the link needs: kprobe-multi wants CONFIG_FPROBE",
  },
  BPF_PROG_ATTACH: { EBUSY: "something else is attached there: detach it, or allow several" },
  BPF_OBJ_PIN: {
    EEXIST: "there is a file of this name: remove it (unpin) or pin elsewhere",
    EPERM: "the path is not in a bpf filesystem: mount -t bpf bpf /sys/fs/bpf",
    ENOENT: "its directory does not exist: make it below /sys/fs/bpf",
    ENOSPC: "the filesystem is full",
  },
  BPF_TOKEN_CREATE: {
    EINVAL: "it must be the root of a mounted bpf filesystem",
    EPERM: "the bpf filesystem must be of the user namespace that this process is in, with CAP_BPF in it",
    EOPNOTSUPP:
      "tokens are for processes in a user namespace of their own; in the initial one capabilities are what counts",
  },
  BPF_OBJ_GET: { ENOENT: "nothing is pinned there" },
  BPF_PROG_TEST_RUN: {
    EINVAL:
      "the kernel does not take such input for this program type (packet shorter than 14 bytes, ctx too long or with fields set that a test cannot set)",
    ENOTSUPP: "programs of this type cannot be run with BPF_PROG_TEST_RUN",
  },
};

/** Capabilities that some call needs. */
export type AnyCapability = Capability | "CAP_SYS_ADMIN" | "CAP_SYS_RESOURCE";

/** Capabilities by number: include/uapi/linux/capability.h. */
const CAPABILITY_BITS: Readonly<Record<AnyCapability, number>> = {
  CAP_NET_ADMIN: 12,
  CAP_SYS_ADMIN: 21,
  CAP_SYS_RESOURCE: 24,
  CAP_PERFMON: 38,
  CAP_BPF: 39,
};

/** The initial user namespace as `/proc` shows it: PROC_USER_INIT_INO of include/linux/proc_ns.h. */
const INITIAL_USER_NAMESPACE = "user:[4026531837]";

/** True in a container's own user namespace: capabilities there are not those that bpf(2) asks for. */
function inUserNamespace(): boolean {
  return readlinkSync("/proc/self/ns/user") !== INITIAL_USER_NAMESPACE;
}

/**
 * Those of `wanted` that this process does not have in the initial user namespace; CAP_SYS_ADMIN stands for all of them.
 */
export function missingCapabilities<Name extends AnyCapability>(wanted: readonly Name[]): Name[] {
  if (inUserNamespace()) return [...wanted];
  const line = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1] ?? "0";
  const effective = BigInt(`0x${line}`);
  const has = (name: AnyCapability): boolean => ((effective >> BigInt(CAPABILITY_BITS[name])) & 1n) === 1n;
  return has("CAP_SYS_ADMIN") ? [] : wanted.filter((name) => !has(name));
}

/** The command that grants what bpf needs. */
export const GRANT_HINT =
  'run with sudo, or grant it once: sudo setcap cap_bpf,cap_perfmon,cap_net_admin+ep "$(readlink -f "$(which node)")"';

/** What a bpf filesystem has to be mounted with for a token. */
export const DELEGATION =
  "delegate_cmds=any,delegate_maps=any,delegate_progs=any,delegate_attachs=any (or the names of what is needed)";

/** The way without capabilities in the initial user namespace. */
const TOKEN_HINT = `capabilities of a user namespace do not count: give a BPF token (Linux 6.9), openKernel("linux", { token: "/sys/fs/bpf" }), of a bpf filesystem that root mounted for this namespace with ${DELEGATION}`;

/** Facts about a failed call that only the caller knows. */
export interface FailureFacts extends Omit<BpfErrorDetails, "errno"> {
  /** `"creating map 'counts'"`: the message starts with it. */
  readonly doing: string;
  /** Capabilities that the operation needs; default CAP_BPF. */
  readonly needs?: readonly AnyCapability[];
  readonly command?: BpfCommand;
}

/**
 * The error for a failed system call: `errno` (positive or negative) named, a stable code, and the cure where one is
 * known. EPERM without a capability names the missing one and how to grant it.
 */
export function linuxError(errno: number, facts: FailureFacts): BpfError {
  const { doing, needs = ["CAP_BPF"], command, ...details } = facts;
  const name = errnoName(errno) ?? `errno ${Math.abs(errno)}`;
  const code = CODES[name] ?? "linux/failed";
  const cure = command && HINTS[command]?.[name];
  // Who holds a token has no capability that counts, and may still be refused for what the command itself knows.
  const denied = (name === "EPERM" || name === "EACCES") && !(cure !== undefined && inUserNamespace());
  const missing = denied ? missingCapabilities(needs) : [];
  if (missing.length > 0) {
    return new BpfError("linux/no-capability", `${doing}: ${name}: ${missing.join(" and ")} missing`, {
      hint: inUserNamespace() ? TOKEN_HINT : GRANT_HINT,
      ...details,
      errno: name,
    });
  }
  const hint = details.hint ?? cure ?? GENERAL_HINTS[name];
  return new BpfError(code, `${doing}: ${name}`, { ...details, ...(hint && { hint }), errno: name });
}

const GENERAL_HINTS: Readonly<Record<string, string>> = {
  EPERM:
    "the kernel's policy refuses it (lockdown, an LSM, a container's seccomp filter) although the capabilities are there",
  EMFILE: "raise the limit of open files: ulimit -n",
  ENOSYS: "this kernel does not have the system call",
};

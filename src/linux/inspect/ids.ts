import { ERRNO } from "../../abi/index.ts";
import { type CallFacts, cString, type Fd, linuxError, type Sys } from "../sys/index.ts";

/** Kinds of objects that have ids. */
export type ObjectKind = keyof typeof KINDS;

/** How each kind is walked, opened, and told from the others by its descriptor. */
const KINDS = {
  program: {
    next: "BPF_PROG_GET_NEXT_ID",
    open: "BPF_PROG_GET_FD_BY_ID",
    fdinfo: "prog_id",
  },
  map: { next: "BPF_MAP_GET_NEXT_ID", open: "BPF_MAP_GET_FD_BY_ID", fdinfo: "map_id" },
  link: { next: "BPF_LINK_GET_NEXT_ID", open: "BPF_LINK_GET_FD_BY_ID", fdinfo: "link_id" },
  btf: { next: "BPF_BTF_GET_NEXT_ID", open: "BPF_BTF_GET_FD_BY_ID", fdinfo: "btf_id" },
} as const;

const SYS_ADMIN_HINT =
  "ids of what others loaded need CAP_SYS_ADMIN: run with sudo; what is pinned opens by its path";

/** Every id of a kind, lowest first, as it is while walking. @throws BpfError `linux/no-permission`. */
export function* idsOf(sys: Sys, kind: ObjectKind): Generator<number> {
  for (let id = 0; ; ) {
    const answer = sys.tryBpf(KINDS[kind].next, { id });
    if (answer.result === -ERRNO.ENOENT) return;
    if (answer.result < 0) throw linuxError(answer.result, facts(`listing ${kind}s`));
    id = answer.field("nextId");
    yield id;
  }
}

/** A descriptor by id; undefined when there is none (any more). @throws BpfError `linux/no-permission`. */
export function openId(sys: Sys, kind: ObjectKind, id: number): Fd | undefined {
  const { result } = sys.tryBpf(KINDS[kind].open, { id });
  if (result === -ERRNO.ENOENT) return undefined;
  if (result < 0) throw linuxError(result, facts(`opening ${kind} ${id}`));
  return sys.own(result, `${kind} ${id}`);
}

/** A descriptor of what is pinned at a path. @throws BpfError `linux/not-found`, `linux/…`. */
export function openPin(sys: Sys, path: string): Fd {
  return sys.bpfFd(
    "BPF_OBJ_GET",
    { pathname: cString(path) },
    { doing: `opening ${path}`, what: path, subject: path },
  );
}

/** The line of `/proc/PID/fdinfo/FD` that gives the id of an object of this kind. */
export function fdinfoKey(kind: ObjectKind): string {
  return KINDS[kind].fdinfo;
}

function facts(doing: string): CallFacts {
  return { doing, needs: ["CAP_SYS_ADMIN"], hint: SYS_ADMIN_HINT };
}

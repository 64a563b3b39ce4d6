import type { ObjectOwner } from "../../object/index.ts";

/** `node (1234), …`; `-` for nobody: what is pinned or attached only. */
export function formatOwners(owners: readonly ObjectOwner[] | undefined): string {
  if (owners === undefined || owners.length === 0) return "-";
  const shown = owners.slice(0, 3).map(({ command, pid }) => `${command} (${pid})`);
  return owners.length > 3 ? `${shown.join(", ")}, ${owners.length - 3} more` : shown.join(", ");
}

/** `2026-11-20 23:01:07`, UTC. */
export function formatTime(time: Date): string {
  return time.toISOString().slice(0, 19).replace("T", " ");
}

/** Bytes for people: `4.0 KiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 ** 2 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

/** `xdp`; `type 99` for what is not known here. */
export function formatType(type: string | undefined, typeId: number): string {
  return type === undefined ? `type ${typeId}` : type.replace(/^BPF_(PROG|MAP)_TYPE_/, "").toLowerCase();
}

// Locks in shared memory: a u32 that is 1 while it is held, as `struct bpf_spin_lock` is. Only the build for shared memory
// has them (assembly/shared/). Threads spin: what is done under a lock takes well below a microsecond. (Sleeping with
// memory.atomic.wait32 was tried: threads of Node 20 did not always wake up again.)

export function lockWord(lock: u32): void {
  while (atomic.load<u32>(lock) != 0 || atomic.xchg<u32>(lock, 1) != 0) {}
}

export function unlockWord(lock: u32): void {
  atomic.store<u32>(lock, 0);
}

// Locks in shared memory: a u32 that is odd while it is held. Only the build for shared memory has them (assembly/shared/).

/** Tries before a thread sleeps, and how long it does: the holder may have lost its processor. */
const SPINS: u32 = 200;
const NAP_NS: i64 = 50_000;
/** May this instance's thread sleep? A browser's main thread may not. */
let maySleep: bool = false;

/** Tells that the thread of this instance may wait. */
export function allowSleep(): void {
  maySleep = true;
}

function pause(lock: u32, seen: u32, tries: u32): void {
  if (tries > SPINS && maySleep) atomic.wait<i32>(lock, seen, NAP_NS);
}

/** Makes the word odd. */
export function lockWord(lock: u32): void {
  for (let tries: u32 = 0; ; tries++) {
    const seen = atomic.load<u32>(lock);
    if (!(seen & 1) && atomic.cmpxchg<u32>(lock, seen, seen + 1) == seen) return;
    pause(lock, seen, tries);
  }
}

/** Makes it even again, and other than it was before it was taken. */
export function unlockWord(lock: u32): void {
  atomic.add<u32>(lock, 1);
}

/** Makes 1 of 0: `struct bpf_spin_lock`, which programs see. */
export function takeBit(lock: u32): void {
  for (let tries: u32 = 0; atomic.cmpxchg<u32>(lock, 0, 1) != 0; tries++) pause(lock, 1, tries);
}

export function giveBit(lock: u32): void {
  atomic.store<u32>(lock, 0);
}

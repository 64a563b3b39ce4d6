import { alignUp } from "../../base/index.ts";
import { trySizeOf } from "../../btf/index.ts";
import type { HelperCall, KfuncRow } from "../helper-call.ts";
import { EINVAL, type LinkedNode } from "../helpers/index.ts";
import { PTR_TO_BTF_ID, PTR_TO_MEM } from "../layout.ts";

/** Objects that programs allocate, count references of, and keep in lists and trees. */
export const OBJECT_KFUNCS = {
  bpf_obj_new_impl: { since: "6.2", impl: newObject },
  bpf_obj_drop_impl: { since: "6.2", impl: drop },
  bpf_percpu_obj_new_impl: { since: "6.7", impl: newPerCpuObject },
  bpf_percpu_obj_drop_impl: { since: "6.7", impl: drop },
  bpf_refcount_acquire_impl: { since: "6.4", impl: refcountAcquire },
  bpf_list_push_front_impl: { since: "6.2", impl: (call) => push(call, (list, node) => list.unshift(node)) },
  bpf_list_push_back_impl: { since: "6.2", impl: (call) => push(call, (list, node) => list.push(node)) },
  bpf_list_pop_front: { since: "6.2", impl: (call) => handOut(call, listAt(call).shift()) },
  bpf_list_pop_back: { since: "6.2", impl: (call) => handOut(call, listAt(call).pop()) },
  bpf_list_front: { since: "6.16", impl: (call) => lookAt(call, listAt(call)[0]) },
  bpf_list_back: { since: "6.16", impl: (call) => lookAt(call, listAt(call).at(-1)) },
  bpf_rbtree_add_impl: { since: "6.3", impl: treeAdd },
  bpf_rbtree_first: { since: "6.3", impl: (call) => lookAt(call, listAt(call)[0]) },
  bpf_rbtree_remove: { since: "6.3", impl: treeRemove },
} as const satisfies Record<string, KfuncRow>;

/** Linux: the largest object of its BPF allocator (4096 bytes less an 8-byte header). */
const MAX_OBJECT = 4088;

/** (local BTF type id): zeroed memory of the type's size, to be dropped or given away. */
function newObject(call: HelperCall): number {
  const size = sizeOfType(call);
  const address = call.heap.alloc(size);
  if (address === 0) return 0;
  call.state.objects.set(address, { size, stride: 0, count: 1 });
  return call.returnPointer(PTR_TO_MEM, address, size, call.acquire("object from bpf_obj_new"));
}

/** The same with a copy for each CPU, which `bpf_per_cpu_ptr` and `bpf_this_cpu_ptr` give access to. */
function newPerCpuObject(call: HelperCall): number {
  const size = sizeOfType(call);
  const stride = alignUp(size, 8);
  const address = call.heap.alloc(stride * call.host.numCpus);
  if (address === 0) return 0;
  call.state.objects.set(address, { size, stride, count: 1 });
  return call.returnPointer(PTR_TO_BTF_ID, address, 0, call.acquire("object from bpf_percpu_obj_new"));
}

function sizeOfType(call: HelperCall): number {
  const size = call.btf === undefined ? undefined : trySizeOf(call.btf, call.u32(1));
  if (size !== undefined && size > 0 && size <= MAX_OBJECT) return size;
  return call.fail(
    "runtime/bad-object",
    `bpf_obj_new type ID argument must be of a struct (type ${call.u32(1)})`,
    "pass bpf_core_type_id_local() of a struct of at most 4088 bytes",
  );
}

/** Ends the program's ownership of the object that argument 1 points to. */
function drop(call: HelperCall): number {
  const { base } = objectOf(call, 1);
  call.release(1);
  call.state.dropObject(base);
  return 0;
}

function refcountAcquire(call: HelperCall): number {
  const { base, size } = objectOf(call, 1);
  const object = call.state.objects.get(base);
  if (object === undefined) return 0;
  object.count++;
  return call.returnPointer(PTR_TO_MEM, base, size, call.acquire("object from bpf_refcount_acquire"));
}

/** The object that argument n points into. */
function objectOf(call: HelperCall, n: number): { base: number; size: number; reference: number } {
  const { base, end, aux } = call.provenance(n);
  if (!call.state.objects.has(base)) {
    call.fail(
      "runtime/bad-object",
      `arg#${n - 1} expected pointer to allocated object`,
      "pass a pointer from bpf_obj_new that was checked for null and not dropped yet",
    );
  }
  return { base, size: end - base, reference: aux };
}

/** The list or tree whose head argument 1 points to; trees are kept in order, smallest first. */
function listAt(call: HelperCall): LinkedNode[] {
  const head = call.u32(1);
  let list = call.state.lists.get(head);
  if (list === undefined) {
    call.checkMemory(1, 16, "read");
    list = [];
    call.state.lists.set(head, list);
  }
  return list;
}

/** The object of argument 2 goes over to the list; the program may go on looking at it. */
function push(call: HelperCall, insert: (list: LinkedNode[], node: LinkedNode) => void): number {
  const { base, size, reference } = objectOf(call, 2);
  const list = listAt(call);
  const node = call.u32(2);
  const { linked } = call.state;
  if (linked.has(node)) {
    call.releaseReference(reference);
    call.state.dropObject(base);
    return -EINVAL;
  }
  insert(list, { node, base, size });
  linked.add(node);
  call.disown(reference);
  return 0;
}

/** (root, node, less): `less` is a function of the program; equal nodes keep the order in which they came. */
function treeAdd(call: HelperCall): number {
  return push(call, (list, fresh) => {
    let [low, high] = [0, list.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const less = call.callback(3, [nodePointer(fresh), nodePointer(list[middle])]) !== 0n;
      if (less) high = middle;
      else low = middle + 1;
    }
    list.splice(low, 0, fresh);
  });
}

function treeRemove(call: HelperCall): number {
  const tree = listAt(call);
  const index = tree.findIndex((entry) => entry.node === call.u32(2));
  return index < 0 ? 0 : handOut(call, tree.splice(index, 1)[0]);
}

function nodePointer({ node, base, size }: LinkedNode) {
  return { address: node, kind: PTR_TO_MEM, base, size };
}

/** The node leaves its list and belongs to the program. */
function handOut(call: HelperCall, entry: LinkedNode | undefined): number {
  if (entry === undefined) return 0;
  call.state.linked.delete(entry.node);
  call.returnPointer(PTR_TO_MEM, entry.base, entry.size, call.acquire("object from a list or tree"));
  return entry.node;
}

/** The node stays where it is. */
function lookAt(call: HelperCall, entry: LinkedNode | undefined): number {
  if (entry === undefined) return 0;
  call.returnPointer(PTR_TO_MEM, entry.base, entry.size);
  return entry.node;
}
